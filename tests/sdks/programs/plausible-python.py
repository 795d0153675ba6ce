# mypy: ignore-errors
import os

from common import NUMBERS, PLAN, TARGET, TOKEN, wait
from plausible_events import PlausibleEvents

PlausibleEvents._get_ip = lambda self: "192.0.2.1"  # it would ask a server in the internet
client = PlausibleEvents(TOKEN, api=f"{TARGET}/api/event")
for n in NUMBERS:
    client.event("sdk_test", {"n": n, "plan": PLAN})
wait()
os._exit(0)  # its thread never ends
