"""Realtime with room for as many readers as the argument says; the fault tests run it."""

import sys

from analytics.cli import main
from analytics.roles.realtime import admission

admission.MAX_CONNECTIONS = int(sys.argv[1])
sys.argv = ["analytics", "run", "--role=realtime"]
main()
