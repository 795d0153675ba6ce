"""The list of questions, openapi.json and the page that reads it: no key, no third party."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import msgspec
import pytest

from analytics.embedded import Valkey
from analytics.queries import QUESTIONS
from analytics.roles import api
from analytics.roles.reference import page as pages
from analytics.settings import Settings
from tests.browser import Page, chromium, needs_browser
from tests.faults.platform import Platform
from tests.queries.answers.test_openapi import serving
from tests.servers import temporary_folder
from tests.waiting import wait_for

NOWHERE = Settings(
    environment="test",
    database_url="postgresql://nowhere.invalid/x",
    redis_url="redis://nowhere.invalid",
)


@pytest.fixture
async def http() -> Any:
    app = api.ROLE.app(NOWHERE)
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://api") as client,
    ):
        yield client


async def test_the_api_lists_its_questions(http: httpx2.AsyncClient) -> None:
    for path in ("/api", "/api/"):
        answer = (await http.get(path)).json()
        listed = {question["path"]: question for question in answer["questions"]}
        assert list(listed) == [
            f"/api{question.path.replace(':path', '')}" for question in QUESTIONS
        ]
        assert "step" in listed["/api/funnel"]["parameters"]
        assert listed["/api/trends"]["summary"].startswith("A measure over time")
        for name in ("docs", "openapi"):
            assert (await http.get(answer[name])).status_code == 200


async def test_every_file_of_the_page_is_served_with_its_type_and_may_be_kept(
    http: httpx2.AsyncClient,
) -> None:
    types = {"": "html", "/page.css": "css", "/page.js": "javascript"}
    types |= {"/swagger-ui.css": "css", "/swagger-ui-bundle.js": "javascript"}
    for name, kind in types.items():
        answer = await http.get(f"/api/docs{name}")
        assert answer.headers["content-type"] == f"text/{kind}; charset=utf-8"
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "public, max-age=3600"
        again = await http.get(
            f"/api/docs{name}", headers={"If-None-Match": answer.headers["etag"]}
        )
        assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("environment", "allowed"),
    [
        ("production", "connect-src 'self'"),
        ("development", "connect-src 'self' http://*:5001 http://*:4003"),
    ],
)
async def test_the_page_may_ask_other_roles_only_where_no_front_door_is(
    environment: str, allowed: str
) -> None:
    settings = msgspec.structs.replace(NOWHERE, environment=environment, collector_port=5001)
    app = api.ROLE.app(settings)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://localhost"
    ) as client:
        policy = (await client.get("/api/docs")).headers["content-security-policy"]
    assert allowed in policy.split("; ")


def test_every_file_is_served_and_the_licences_of_what_is_not_ours_lie_beside_it() -> None:
    names = {Path(path).name for path in pages.PAGE}
    files = {Path(str(file)).name for file in pages.FILES.iterdir()}
    assert {name.removesuffix(".gz") for name in files} - names == {
        "page.html",
        "swagger-ui.LICENSE.txt",
    }
    for file in files:
        if file.endswith(".gz"):
            assert gzip.decompress(pages.FILES.joinpath(file).read_bytes())


class Watched:
    """A page in a browser, with all that it asked for and complained of."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked: list[str] = []
        self.complaints: list[str] = []
        receive = page.browser.socket.recv

        def noting(timeout: float | None = None) -> Any:
            text = receive(timeout)
            self._note(json.loads(text))
            return text

        page.browser.socket.recv = noting  # type: ignore[method-assign, assignment]
        for domain in ("Log", "Network", "Runtime"):
            page.call(f"{domain}.enable")

    def _note(self, message: Any) -> None:
        what = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.asked.append(what["request"]["url"])
            case "Log.entryAdded":
                self.complaints.append(what["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(str(what))

    def shows(self, text: str) -> bool:
        # the page puts invisible places to break at into long paths
        shown = "document.body.innerText.replaceAll('\\u200b', '')"
        return bool(self.page.ask(f"{shown}.includes({json.dumps(text)})"))


@pytest.fixture
def address(migrated_url: str, valkey_server: Valkey, tmp_path: Path) -> Iterator[str]:
    with serving(migrated_url, valkey_server, tmp_path) as url:
        yield url


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_the_page_asks_nobody_else_and_has_no_complaint(
    address: str, scheme: str
) -> None:
    with chromium("--window-size=1200,1600") as browser:
        watched = Watched(browser.page("about:blank"))
        watched.page.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        watched.page.go(f"{address}/api/docs")
        wait_for(lambda: watched.shows("/api/trends"), "the questions")
        for path in ("/collect", "/realtime/events", "/health/live", "/api/users/{id}/timeline"):
            assert watched.shows(path), path
        watched.page.run("document.querySelector('#operations-questions-live button').click()")
        wait_for(lambda: watched.shows("X-API-Key") or watched.shows("Parameters"), "details")
        background = watched.page.run("getComputedStyle(document.documentElement).backgroundColor")
        is_dark = watched.page.run("document.documentElement.classList.contains('dark-mode')")
        assert (is_dark, background != "rgba(0, 0, 0, 0)") == (scheme == "dark", scheme == "dark")
        hosts = {urlsplit(url).netloc for url in watched.asked if not url.startswith("data:")}
        assert hosts == {urlsplit(address).netloc}
        assert watched.complaints == []


@needs_browser
def test_a_question_is_tried_on_the_page_with_its_defaults_and_no_examples(address: str) -> None:
    with chromium("--window-size=1200,1600") as browser:
        watched = Watched(browser.page("about:blank"))
        watched.page.go(f"{address}/api/docs#/questions/trends")
        wait_for(lambda: watched.page.ask("!!document.querySelector('.try-out__btn')"), "try it")
        watched.page.run("document.querySelector('.try-out__btn').click()")
        wait_for(lambda: watched.page.ask("!!document.querySelector('.execute')"), "execute")
        watched.page.run("document.querySelector('.execute').click()")
        wait_for(lambda: watched.shows("unauthorized"), "a refusal without a key")
        (asked,) = (url for url in watched.asked if f"{address}/api/trends" in url)
        filled_in = dict(parse_qsl(urlsplit(asked).query))
        assert filled_in.keys() <= {"tz", "event", "interval", "measure", "limit", "rolling"}


EVENT = {"session_id": "s1", "event_type": "page", "event_action": "view"}

FILL = """(field, value) => {
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, value);
  field.dispatchEvent(new Event(field.matches("select") ? "change" : "input", { bubbles: true }));
}"""


def _fill(page: Page, selector: str, value: str) -> None:
    """Fill a field in, once it is there, so that the page hears of it as from a hand."""
    field = f"document.querySelector({json.dumps(selector)})"
    wait_for(lambda: page.ask(f"!!{field}"), selector)
    page.run(f"({FILL})({field}, {json.dumps(value)})")


@needs_browser
def test_an_event_is_sent_from_the_page_to_the_collector_itself_in_development() -> None:
    with (
        temporary_folder("reference") as folder,
        Platform(folder, ENVIRONMENT="development") as platform,
        chromium("--window-size=1200,1600") as browser,
    ):
        collector = platform.role("collector")
        platform.environment["COLLECTOR_PORT"] = str(collector.port)
        watched = Watched(browser.page("about:blank"))
        page = watched.page
        page.go(f"{platform.role('api').url}/api/docs#/collect/collect")
        wait_for(lambda: page.ask("!!document.querySelector('.try-out__btn')"), "try it")
        page.run("document.querySelector('.try-out__btn').click()")
        _fill(page, ".operation-servers select", "http://{host}:{port}")
        _fill(page, ".operation-servers tr:nth-child(2) input", str(collector.port))
        _fill(page, ".body-param textarea", json.dumps(EVENT))
        page.run("document.querySelector('.execute').click()")
        wait_for(lambda: watched.shows('"accepted": 1'), "the collector's answer")
        assert watched.complaints == []
