"""Canaries: keys and personal data are sent everywhere, and must not appear where nobody asked."""

import asyncio
import contextlib
import json
from collections.abc import Iterator

import httpx2
import pytest

from tests.faults.platform import Platform, http_get
from tests.hostile.wire import exchange
from tests.servers import temporary_folder

KEY = "ak_w_CanaryKey" + "Zq7" * 12
TOKEN = "canarytoken0badc0ffee0"
MAIL = "canary@person.example"
NAME = "canary-person-name"
CANARIES = ("CanaryKey", TOKEN, "canary@", NAME, "203.0.113.7")
"""What must not appear: an unknown key, a foreign token, a mail address, a name, an IP address."""

ODD = {
    "session_id": "s",
    "event_type": NAME,
    "event_action": "a\u0000",
    "user_id": MAIL,
    "metadata": {"card": NAME},
    "write_key": KEY,
}
HEADERS = (
    f"authorization: Bearer {KEY}\r\nx-api-key: {KEY}\r\n"
    "x-forwarded-for: 203.0.113.7\r\nx-real-ip: 203.0.113.7\r\n"
    f"cookie: session={NAME}\r\n"
)
REQUESTS = (
    "/collect",
    f"/collect?write_key={KEY}&u={MAIL}",
    f"/collect.gif?session_id=s&event_type={NAME}&event_action=a&write_key={KEY}",
    f"/{NAME}/{KEY}",
    f"/track?api_key={TOKEN}&data={NAME}",
    f"/batch/?token={TOKEN}",
    f"/api/users/{MAIL}?project={NAME}",
    f"/api/trends?where={NAME}.eq.{MAIL}",
    "/health",
    "/metrics",
    f"/realtime/events?event={NAME}",
    f"/realtime?key={KEY}",
    f"/metrics?{KEY}",
    f"/health?{MAIL}",
)


@pytest.fixture(scope="module", params=["production", "development"])
def leaky(request: pytest.FixtureRequest) -> Iterator[Platform]:
    """Every role in its own process, with all logs on."""
    with (
        temporary_folder("leaks") as folder,
        Platform(folder, ENVIRONMENT=request.param, LOG_LEVEL="debug") as platform,
    ):
        for role in ("collector", "processor", "api", "realtime"):
            platform.role(role)
        yield platform


async def attack(platform: Platform) -> list[bytes]:
    """The roles' answers to the canaries, on every path and with every error."""
    body = json.dumps(ODD).encode()
    answers = []
    for role in platform.roles:
        for path in REQUESTS:
            for method, sent in (
                ("GET", b""),
                ("POST", body),
                ("POST", body[:-1]),
                ("POST", b"\x1f\x8b" + body),
            ):
                head = (
                    f"{method} {path} HTTP/1.1\r\nhost: {NAME}\r\nconnection: close\r\n"
                    f"{HEADERS}content-length: {len(sent)}\r\n\r\n"
                )
                with contextlib.suppress(TimeoutError):
                    answer = await exchange(role.port, head.encode() + sent, seconds=20)
                    answers.append(answer)
        await exchange(role.port, f"GET /{KEY} HTTP/1.1\r\n{NAME}\r\n\r\n".encode())
        await exchange(
            role.port,
            f"POST /collect HTTP/1.1\r\nhost: x\r\n{HEADERS}content-length: 999\r\n\r\n".encode(),
            end=True,
        )
        async with httpx2.AsyncClient(http1=False, http2=True, trust_env=False) as client:
            for path in REQUESTS[:-3]:
                told = await client.get(
                    f"{role.url}{path}",
                    headers={"x-api-key": TOKEN, "x-write-key": KEY, "cookie": NAME},
                )
                assert told.http_version == "HTTP/2"
    return answers


def test_no_canary_is_in_a_log_a_metric_a_health_or_an_error_about_keys(leaky: Platform) -> None:
    answers = asyncio.run(attack(leaky))
    assert len(answers) > 100
    outputs = {
        f"the answer {answer.split()[1]!r}": answer.decode("latin-1")
        for answer in answers
        if b'"code":"unauthorized"' in answer or b"not_found" in answer
    }
    for role in leaky.roles:
        outputs |= {f"the log of the {role.name}": role.log.read_text(errors="replace")}
        for path in ("/metrics", "/health", "/health/live"):
            outputs[f"{path} of the {role.name}"] = http_get(f"{role.url}{path}")[1].decode()
    outputs["the doctor"] = leaky.run("doctor")
    assert [
        f"{canary} in {name}: {text[max(0, text.index(canary) - 200) :][:400]}"
        for name, text in outputs.items()
        for canary in CANARIES
        if canary in text
    ] == []


def test_a_key_is_in_no_answer_whatsoever(leaky: Platform) -> None:
    """Not even in an error that names the fault."""
    leaked = [
        answer
        for answer in asyncio.run(attack(leaky))
        if b"CanaryKey" in answer.partition(b"\r\n\r\n")[2] and b"unknown_parameter" not in answer
    ]
    assert leaked == []
