# mypy: ignore-errors
from common import NUMBERS, PLAN, TARGET, TOKEN, wait
from segment import analytics

analytics.write_key = TOKEN
analytics.host = TARGET
for n in NUMBERS:
    analytics.track("user-1", "sdk_test", {"n": n, "plan": PLAN})
wait()
analytics.shutdown()
