# mypy: ignore-errors
from common import NUMBERS, TARGET, TOKEN, wait
from segment import analytics

analytics.write_key = TOKEN
analytics.host = TARGET
for n in NUMBERS:
    analytics.track("user-1", "sdk_test", {"n": n, "plan": "pro"})
wait()
analytics.shutdown()
