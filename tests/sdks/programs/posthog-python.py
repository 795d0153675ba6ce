# mypy: ignore-errors
import os

from common import NUMBERS, PLAN, TARGET, TOKEN, wait
from posthog import Posthog

client = Posthog(TOKEN, host=TARGET, **({"capture_mode": "v1"} if os.environ.get("V1") else {}))
for n in NUMBERS:
    client.capture("sdk_test", distinct_id="user-1", properties={"n": n, "plan": PLAN})
wait()
client.shutdown()
