# mypy: ignore-errors
from urllib.parse import urlsplit

from common import NUMBERS, PLAN, TARGET, TOKEN, wait
from snowplow_tracker import Emitter, SelfDescribing, SelfDescribingJson, Subject, Tracker

server = urlsplit(TARGET)
tracker = Tracker(
    "test",
    Emitter(server.hostname, protocol="http", port=server.port),
    app_id=TOKEN,
    subject=Subject().set_user_id("user-1"),
)
for n in NUMBERS:
    tracker.track(
        SelfDescribing(
            SelfDescribingJson("iglu:com.acme/sdk_test/jsonschema/1-0-0", {"n": n, "plan": PLAN})
        )
    )
tracker.flush()
wait()
tracker.flush()
