# mypy: ignore-errors
import rudderstack.analytics as rudder
from common import NUMBERS, PLAN, TARGET, TOKEN, wait

rudder.write_key = TOKEN
rudder.dataPlaneUrl = TARGET
for n in NUMBERS:
    rudder.track("user-1", "sdk_test", {"n": n, "plan": PLAN})
wait()
rudder.shutdown()
