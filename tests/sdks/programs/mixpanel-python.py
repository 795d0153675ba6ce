# mypy: ignore-errors
from common import PLAN, TARGET, TOKEN, at_once, wait
from mixpanel import Consumer, Mixpanel

mixpanel = Mixpanel(TOKEN, Consumer(events_url=f"{TARGET}/track"))
at_once(lambda n: mixpanel.track("user-1", "sdk_test", {"n": n, "plan": PLAN}))
wait()
