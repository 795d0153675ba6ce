"""Realtime with room for as many readers as the argument says: run as a program by the fault tests."""

import sys

from analytics.cli import main
from analytics.roles.realtime import admission

admission.MAX_CONNECTIONS = int(sys.argv[1])
sys.argv = ["analytics", "run", "--role=realtime"]
main()
