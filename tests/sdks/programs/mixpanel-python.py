# mypy: ignore-errors
import sys

from common import NUMBERS, TARGET, TOKEN, wait
from mixpanel import Consumer, Mixpanel, MixpanelException

mixpanel = Mixpanel(TOKEN, Consumer(events_url=f"{TARGET}/track"))
for n in NUMBERS:
    try:
        mixpanel.track("user-1", "sdk_test", {"n": n, "plan": "pro"})
    except MixpanelException as error:
        print(error, file=sys.stderr)
wait()
