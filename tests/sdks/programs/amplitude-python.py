# mypy: ignore-errors
from amplitude import Amplitude, BaseEvent
from common import NUMBERS, PLAN, TARGET, TOKEN, wait

client = Amplitude(TOKEN)
client.configuration.server_url = f"{TARGET}/2/httpapi"
for n in NUMBERS:
    client.track(BaseEvent("sdk_test", user_id="user-1", event_properties={"n": n, "plan": PLAN}))
client.flush()
wait()
client.shutdown()
