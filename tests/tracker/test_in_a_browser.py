"""The tracker in a real Chromium, through to an answer of the api."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from tests.browser import Browser, Page, chromium, needs_browser, site
from tests.faults.platform import Platform, Role
from tests.sdks.gate import Gate
from tests.servers import temporary_folder
from tests.waiting import wait_for

pytestmark = needs_browser

KEY = "shop-pages"
EARLY = (
    "<script>window.analytics = window.analytics || "
    "function () { (analytics.q = analytics.q || []).push(arguments) }</script>"
)
NEVER = "new Promise(() => {})"
UNANSWERED = f"window.send = fetch; window.fetch = (...args) => (send(...args), {NEVER})"
NO_BEACON = "navigator.sendBeacon = () => false"
PRIVATE = "Object.defineProperty(Navigator.prototype, '%s', { get: () => %s })"


class Shop:
    """A platform with a project for the pages' events, and a browser before it."""

    def __init__(self, platform: Platform, browser: Browser) -> None:
        self.browser = browser
        self.platform = platform
        self.collector: Role = platform.role("collector")
        self.api: Role = platform.role("api")
        platform.role("processor")
        platform.run("projects", "create", "shop")
        platform.run("keys", "create", "--project", "shop", "--scope", "ingest", "--token", KEY)

    @contextmanager
    def visit(
        self,
        body: str = "",
        *,
        attributes: str = "",
        head: str = "",
        script: str = "/tracker.js",
        forgotten: int = 0,
        before: str = "",
    ) -> Iterator["Visit"]:
        """Someone opens a page that has the tracker; `before` runs ahead of anything on it."""
        with Gate(self.collector.port) as gate:
            tag = f'<script defer src="{gate.url}{script}" data-key="{KEY}" {attributes}></script>'
            html = (
                f"<!doctype html><title>A page</title>{head}{tag}<body><p>Text</p>{body}".encode()
            )
            pages = dict.fromkeys(("/", "/other", "/a", "/b"), ("text/html", html)) | {
                "/report.pdf": ("application/octet-stream", b"%PDF")
            }
            with site(pages) as url:
                page = self.browser.page("about:blank")
                if before:
                    page.call("Page.addScriptToEvaluateOnNewDocument", source=before)
                page.go(f"{url}/?utm_source=mail")
                yield Visit(self, gate, url, page)
                page.close()


class Visit(msgspec.Struct):
    """One visitor of one site."""

    shop: Shop
    gate: Gate
    url: str
    page: Page

    def events(self, action: str = "*") -> list[dict[str, Any]]:
        """What the api has of this visit, in the order in which it happened."""
        rows = self.shop.platform.get(self.shop.api, "/api/events?project=shop&limit=1000&last=1d")[
            "data"
        ]["rows"]
        ours = [
            row
            for row in rows
            if row["metadata"]["$url"].startswith(self.url) and action in ("*", row["event_action"])
        ]
        return sorted(ours, key=lambda row: row["timestamp"])

    def wait(self, count: int, action: str = "*") -> list[dict[str, Any]]:
        """Exactly so many events, once nothing is on its way."""
        wait_for(lambda: len(self.events(action)) >= count, f"{count} of {action}")
        wait_for(self.shop.platform.drained, "the queue to drain")
        rows = self.events(action)
        assert len(rows) == count, [(row["event_action"], row["metadata"]) for row in rows]
        return rows

    def sent(self) -> list[dict[str, Any]]:
        """Every event in every request, repeats included."""
        return [event for body in self.gate.sent if body for event in json.loads(body)["events"]]

    def quiet(self) -> None:
        """Give whatever the page was about to send the time to leave."""
        self.page.run("new Promise((resolve) => setTimeout(resolve, 200))")


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with (
        temporary_folder("tracker") as folder,
        Platform(folder, TRACKER_PATHS="/js/app.js,/js/in") as platform,
        chromium() as browser,
    ):
        yield Shop(platform, browser)


def test_a_page_view_says_what_was_viewed_and_leaves_nothing_in_the_browser(shop: Shop) -> None:
    with shop.visit() as visit:
        (view,) = visit.wait(1)
        kept = visit.page.run("[document.cookie, localStorage.length, sessionStorage.length]")
    assert (view["event_type"], view["event_action"], view["user_id"]) == ("page", "view", None)
    told = view["metadata"]
    assert told["$url"] == f"{visit.url}/?utm_source=mail"
    assert (told["$path"], told["$title"], told["$referrer"]) == ("/", "A page", "")
    assert told["$screen"].count("x") == 1
    assert told["$language"]
    assert "/" in told["$timezone"] or told["$timezone"] == "UTC"
    assert kept == ["", 0, 0]


def test_a_single_page_application_is_viewed_page_by_page(shop: Shop) -> None:
    with shop.visit() as visit:
        visit.wait(1)
        visit.page.run("history.pushState({}, '', '/a'), document.title = 'Of a'")
        visit.wait(2)
        visit.page.run("history.replaceState({ scrolled: 1 }, '', '/a')")
        visit.page.run("history.pushState({}, '', '/redirect'), history.replaceState({}, '', '/b')")
        visit.wait(3)
        visit.page.run("history.back()")
        views = visit.wait(4)
    assert [view["metadata"]["$path"] for view in views] == ["/", "/a", "/b", "/a"]
    assert views[1]["metadata"]["$title"] == "Of a", "a title is set after the address"
    assert views[2]["metadata"]["$referrer"] == f"{visit.url}/a"
    assert len({view["session_id"] for view in views}) == 1


@pytest.mark.parametrize(("attributes", "paths"), [("", ["/"]), ("data-hash", ["/", "/#/cart"])])
def test_a_fragment_is_a_page_where_that_is_asked_for(
    shop: Shop, attributes: str, paths: list[str]
) -> None:
    with shop.visit(attributes=attributes) as visit:
        visit.wait(1)
        visit.page.run("location.hash = '/cart'")
        visit.quiet()
        visit.page.run("analytics('end')")
        visit.wait(1, "end")
        assert [view["metadata"]["$path"] for view in visit.events("view")] == paths


def test_a_link_that_leads_away_is_told_before_the_page_is_left(shop: Shop) -> None:
    with site({"/there": ("text/html", b"<p>There")}) as elsewhere:
        there = f"{elsewhere.replace('localhost', '127.0.0.1')}/there"
        with shop.visit(
            f'<a href="{there}"><b>away</b></a> <a id="home" href="/other">home</a>'
        ) as visit:
            visit.wait(1)
            visit.page.click("b")
            wait_for(lambda: visit.page.ask("location.href") == there, "the other site")
            (clicked,) = visit.wait(1, "$outbound")
            assert clicked["metadata"]["$href"] == there
            assert clicked["event_type"] == "track"


def test_a_download_is_told_and_a_link_within_the_site_is_not(shop: Shop) -> None:
    with shop.visit(
        '<a id="file" href="/report.pdf" download>report</a> <a id="home" href="/other">home</a>'
    ) as visit:
        visit.wait(1)
        visit.page.click("#file")
        (download,) = visit.wait(1, "$download")
        visit.page.click("#home")
        visit.wait(2, "view")
        assert download["metadata"]["$href"] == f"{visit.url}/report.pdf"
        assert visit.events("$outbound") == []


def test_events_of_ones_own_come_from_script_and_from_attributes(shop: Shop) -> None:
    form = (
        '<form data-analytics="subscribe" onsubmit="event.preventDefault()">'
        '<button id="send">send</button></form>'
    )
    button = (
        '<button id="buy" data-analytics="buy" data-analytics-plan="pro"'
        ' data-analytics-list-price="9"><i>buy</i></button>'
    )
    texts = {
        "9.90": 9.9, "-0": 0, "1e3": 1000, "0.000000000001": 1e-12,
        "123456789012345": 123456789012345, "": "", "007": "007", "+5": "+5", ".5": ".5",
        "12,50": "12,50", "NaN": "NaN", " 5": " 5",
        "1e999": "1e999", "0x10": "0x10", "12345678901234567890": "12345678901234567890",
    }  # fmt: skip
    attributes = " ".join(f'data-analytics-v{n}="{text}"' for n, text in enumerate(texts))
    button += f'<button id="values" data-analytics="values" {attributes}>values</button>'
    with shop.visit(
        form + button, head=f"{EARLY}<script>analytics('early', {{ n: 1 }})</script>"
    ) as visit:
        visit.page.run("analytics('signup', { plan: 'pro', seats: 3, nested: { a: [1] } })")
        visit.page.click("i")
        visit.page.click("#send")
        visit.page.click("#values")
        visit.wait(6)
        assert visit.events("early")[0]["metadata"]["n"] == 1
        told = visit.events("signup")[0]["metadata"]
        assert (told["plan"], told["seats"], told["nested"]) == ("pro", 3, {"a": [1]})
        bought = visit.events("buy")[0]["metadata"]
        assert (bought["plan"], bought["listPrice"]) == ("pro", 9)
        told = visit.events("values")[0]["metadata"]
        assert [told[f"v{n}"] for n in range(len(texts))] == list(texts.values())
        assert len(visit.events("subscribe")) == 1
    total = shop.platform.get(
        shop.api, "/api/trends?project=shop&event=track:signup&where=metadata.plan.eq.pro&last=1d"
    )["data"]["series"][0]["total"]
    assert total == 1


def test_web_vitals_are_one_event_of_the_page_that_was_left(shop: Shop) -> None:
    late = "Object.assign(document.createElement('h1'), { textContent: 'Late' })"
    frame = "requestAnimationFrame(() => setTimeout(done, 100))"
    move = f"setTimeout(() => {{ document.body.prepend({late}); {frame} }}, 700)"
    busy = "const end = performance.now() + 60; while (performance.now() < end);"
    with shop.visit(f'<button onclick="{busy}">work</button>') as visit:
        visit.wait(1)
        visit.page.click("button")
        visit.page.run(f"new Promise((done) => {move})")
        visit.page.go(f"{visit.url}/other")
        (vitals,) = visit.wait(1, "$web_vitals")
        visit.wait(2, "view")
    told = vitals["metadata"]
    assert told["$path"] == "/"
    assert 0 < told["$ttfb"] <= told["$fcp"] <= told["$lcp"] < 30_000
    assert 56 <= told["$inp"] < 30_000
    assert 0 < told["$cls"] < 2


def test_what_meets_503_is_sent_again_with_the_same_ids_and_counts_once(shop: Shop) -> None:
    with shop.visit() as visit:
        visit.wait(1)
        visit.gate.forgotten = 2  # taken, but the page hears 503
        visit.page.run("analytics('bought', { n: 1 })")
        wait_for(
            lambda: visit.gate.heard[-1] == 202 and visit.gate.heard.count(503) == 2,
            "the third try",
        )
        visit.wait(1, "bought")
        tries = [event for event in visit.sent() if event["event_action"] == "bought"]
        assert len(tries) == 3
        assert len({event["id"] for event in tries}) == 1
        assert len({event["timestamp"] for event in tries}) == 1


def test_what_the_network_lost_is_sent_when_it_is_back(shop: Shop) -> None:
    with shop.visit() as visit:
        visit.wait(1)
        there, visit.gate.port = visit.gate.port, 9
        visit.page.run("analytics('first'), analytics('second')")
        visit.quiet()
        assert visit.events("first") == []
        visit.gate.port = there
        visit.page.run("dispatchEvent(new Event('online'))")
        visit.wait(1, "first")
        visit.wait(1, "second")


def test_an_event_that_can_never_be_taken_does_not_hold_up_the_others(shop: Shop) -> None:
    with shop.visit() as visit:
        visit.wait(1)
        visit.page.run("analytics('')")
        wait_for(lambda: visit.gate.heard[-1] == 400, "the refusal")
        visit.page.run("analytics('fine')")
        visit.wait(1, "fine")
        assert visit.gate.heard.count(400) == 1


def test_a_character_that_no_event_may_have_costs_no_event(shop: Shop) -> None:
    with shop.visit(head=r"<script>document.title = 'caf\ud83d'</script>") as visit:
        assert visit.wait(1, "view")[0]["metadata"]["$title"] == "caf\ufffd"
        visit.page.run(r"analytics('cut\udc00', { 'k\0': ['\0', 'a \ud83d\ude00, C:\\ud83d'] })")
        (event,) = visit.wait(1, "cut\ufffd")
        assert event["metadata"]["k\ufffd"] == ["\ufffd", "a \N{GRINNING FACE}, C:\\ud83d"]
        assert set(visit.gate.heard) == {202}


def test_what_happens_while_the_page_goes_away_arrives(shop: Shop) -> None:
    with shop.visit(
        head="<script>addEventListener('pagehide', () => analytics('bye'))</script>",
        attributes='data-off="vitals"',
    ) as visit:
        visit.wait(1)
        big = "for (let n = 0; n < 20; n++) analytics('last', { n, text: 'é'.repeat(1000) })"
        visit.page.run(f"{big}; location.href = '/other'")
        last = visit.wait(20, "last")
        assert sorted(event["metadata"]["n"] for event in last) == list(range(20))
        visit.wait(1, "bye")


def test_an_outage_is_outlived_by_a_page_that_may_store(shop: Shop) -> None:
    with shop.visit(attributes='data-storage="session" data-off="vitals"') as visit:
        visit.wait(1)
        there, visit.gate.port = visit.gate.port, 9
        visit.page.run(f"{NO_BEACON}; analytics('kept', {{ n: 1 }})")
        collect = "document.scripts[0].src.replace('tracker.js', 'collect')"
        tries = f"performance.getEntriesByName({collect}).length"
        wait_for(lambda: visit.page.run(tries) >= 2, "a failure")
        visit.quiet()
        visit.page.run("dispatchEvent(new Event('pagehide'))")
        visit.gate.port = there
        visit.page.go(f"{visit.url}/other")
        visit.wait(1, "kept")


def test_what_two_pages_left_in_doubt_is_kept_for_both(shop: Shop) -> None:
    with shop.visit(attributes='data-storage="local" data-off="vitals"') as visit:
        inner = "Object.assign(document.createElement('iframe'), { src: '/b' })"
        visit.page.run(f"document.body.append({inner})")
        visit.wait(2)
        for window, name in (("frames[0]", "inner"), ("window", "outer")):
            visit.page.run(f"{window}.{NO_BEACON}; {window}.fetch = () => {NEVER}")
            visit.page.run(f"{window}.analytics('{name}')")
            visit.page.run(f"{window}.dispatchEvent(new Event('pagehide'))")
        visit.page.go(f"{visit.url}/other")
        visit.wait(1, "inner")
        visit.wait(1, "outer")


@pytest.mark.parametrize("answers", ["", UNANSWERED], ids=["refused", "unanswered"])
def test_what_a_page_left_in_doubt_is_sent_by_the_next_one_under_the_same_id(
    shop: Shop, answers: str
) -> None:
    with shop.visit(attributes='data-storage="session" data-off="vitals"') as visit:
        visit.wait(1)
        visit.gate.forgotten = 1_000  # all is taken, but the page hears 503
        visit.page.run(f"{answers}; analytics('doubtful', {{ n: 1 }})")
        wait_for(lambda: visit.gate.heard[-1] == 503, "a failure")
        visit.page.go(f"{visit.url}/other")

        def together() -> bool:
            """Whether the next page has sent it beside its own view."""
            requests = [json.loads(body)["events"] for body in visit.gate.sent if body]
            return any(
                {"doubtful", "/other"}
                <= {
                    word
                    for event in events
                    for word in (event["event_action"], event["metadata"]["$path"])
                }
                for events in requests
            )

        wait_for(together, "the next page")
        visit.gate.forgotten = 0
        (row,) = visit.wait(1, "doubtful")
        tries = [event for event in visit.sent() if event["event_action"] == "doubtful"]
        assert len(tries) >= 2
        assert {(event["id"], event["timestamp"], event["session_id"]) for event in tries} == {
            (row["id"], tries[0]["timestamp"], row["session_id"])
        }


@pytest.mark.parametrize(("storage", "lasting"), [("session", True), ("local", True), ("", False)])
def test_a_session_lasts_as_long_as_the_page_may_remember_it(
    shop: Shop, storage: str, lasting: bool
) -> None:
    with shop.visit(attributes=f'data-storage="{storage}"') as visit:
        visit.wait(1)
        visit.page.go(f"{visit.url}/other")
        first, second = visit.wait(2, "view")
    assert (first["session_id"] == second["session_id"]) is lasting
    assert (first["user_id"] is not None and first["user_id"] == second["user_id"]) is (
        storage == "local"
    )


def test_a_person_whom_the_page_knows_is_the_visitor_it_knew(shop: Shop) -> None:
    with shop.visit(attributes='data-storage="local" data-user-id="ada"') as visit:
        (view,) = visit.wait(1)
    assert view["user_id"] == "ada"
    assert len(view["metadata"]["$anonymous_id"]) == 36


@pytest.mark.parametrize(
    ("signal", "value"), [("globalPrivacyControl", "true"), ("doNotTrack", "'1'")]
)
def test_who_asks_not_to_be_tracked_is_not_unless_the_page_says_so(
    shop: Shop, signal: str, value: str
) -> None:
    before = PRIVATE % (signal, value)
    with shop.visit(before=before) as visit:
        visit.page.run("analytics('signup'), analytics.page()")
        visit.quiet()
        visit.page.go(f"{visit.url}/other")
        assert visit.sent() == []
    with shop.visit(before=before, attributes='data-signals="ignore"') as visit:
        visit.wait(1)


def test_features_can_be_turned_off(shop: Shop) -> None:
    with shop.visit(
        '<a href="/report.pdf" download>report</a>', attributes='data-off="pages downloads vitals"'
    ) as visit:
        visit.page.click("a")
        visit.page.run("analytics.page({ section: 'own' })")
        visit.page.go(f"{visit.url}/other")
        visit.page.run("analytics('end')")
        visit.wait(1, "end")
        (view,) = visit.wait(1, "view")
        assert view["metadata"]["section"] == "own"
        assert len(visit.events()) == 2


def test_script_and_endpoint_go_by_other_names(shop: Shop) -> None:
    with shop.visit(script="/js/app.js", attributes='data-endpoint="in"') as visit:
        visit.wait(1)


@pytest.mark.parametrize("path", ["/collect", "/js/in"])
def test_a_page_of_another_origin_may_send_json_by_beacon_and_by_fetch_with_credentials(
    shop: Shop, path: str
) -> None:
    action = f"beacon{path.replace('/', '_')}"
    event = {"session_id": "s", "event_type": "track", "event_action": action}
    body = json.dumps({"events": [event], "write_key": KEY})
    with shop.visit() as visit:
        script = f"""(async () => {{
            const url = {json.dumps(shop.collector.url + path)}, body = {json.dumps(body)}
            const sent = navigator.sendBeacon(url, new Blob([body], {{ type: 'application/json' }}))
            const headers = {{ 'content-type': 'application/json', 'x-of-the-page': '1' }}
            const post = {{ method: 'POST', body, headers, credentials: 'include' }}
            const answer = await fetch(url, post)
            return [sent, answer.status, await answer.json()]
        }})()"""
        assert visit.page.run(script) == [True, 202, {"accepted": 1, "rejected": []}]
        question = f"/api/events?project=shop&last=1d&event=track:{action}"

        def rows() -> list[Any]:
            return list(shop.platform.get(shop.api, question)["data"]["rows"])

        wait_for(lambda: len(rows()) >= 2, "what the beacon sent")
