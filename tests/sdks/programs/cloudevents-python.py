# mypy: ignore-errors
import requests
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from common import PLAN, TARGET, TOKEN, at_once, wait


def send(n):
    event = CloudEvent(
        {
            "source": "/shop",
            "type": "sdk_test",
            "userid": "user-1",
            "datacontenttype": "application/json",
        },
        {"n": n, "plan": PLAN},
    )
    message = to_structured_event(event) if n % 2 else to_binary_event(event)
    requests.post(
        f"{TARGET}/cloudevents",
        message.body,
        headers={**message.headers, "X-Write-Key": TOKEN},
        timeout=60,
    ).raise_for_status()


at_once(send)
wait()
