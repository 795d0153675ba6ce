"""docs/sdks/matrix.md: what the libraries did, in a table."""

from collections.abc import Mapping

from tests.sdks.runs import FORGOTTEN, MOST, OUTAGE_SECONDS, STAGES, Run
from tests.sdks.sdks import EVENTS, SDKS, Sdk

_COLUMNS = (
    "library",
    "version",
    "found",
    "told 400: requests",
    "kept in an outage",
    "storm: requests",
    "storm: doubled",
)
_HEAD = f"""# The matrix

`make sdk-matrix` writes this page; do not edit it. It runs the published libraries against a
collector, a processor and an api. Each library is its own process with its default settings, and
has its own token; keys were required. Each sent {EVENTS} events in each of four runs.

- **found**: how many of the events the api then had, each once and with its properties.
- **told 400**: the events were made unreadable on their way, so the collector refused them for
  good. The column shows the number of requests in all. Some libraries add events of their own.
- **kept in an outage**: for {OUTAGE_SECONDS:g} seconds from the first request on, the collector
  answered 503, because Redis was over its limit.
  The column says whether the events arrived afterwards, each once.
- **storm**: the collector took the first {FORGOTTEN} requests, but the library got 503.
  The columns show the number of requests in all, and how many events were doubled.

| {" | ".join(_COLUMNS)} |
{"|---" * len(_COLUMNS)}|
"""


def written(results: Mapping[tuple[str, str], Run]) -> str:
    """The whole page."""
    notes = [sdk for sdk in SDKS if sdk.note]
    rows = "".join(_row(sdk, results, notes) for sdk in SDKS)
    return _HEAD + rows + "\n" + "".join(f"{n}. {sdk.note}.\n" for n, sdk in enumerate(notes, 1))


def _row(sdk: Sdk, results: Mapping[tuple[str, str], Run], notes: list[Sdk]) -> str:
    plain, refused, outage, storm = (results[stage, sdk.name] for stage in STAGES)
    mark = f" ({notes.index(sdk) + 1})" if sdk in notes else ""
    kept = {EVENTS: "yes", 0: "no"}.get(
        len(set(outage.events)), f"{len(set(outage.events))} of {EVENTS}"
    )
    doubled = str(storm.repeated) if sdk.named else f"{storm.repeated} (it sends no ids)"
    arrivals = f"{len(plain.events)} of {EVENTS}"
    tries = str(len(refused.heard)) if len(refused.heard) <= MOST else "no end"
    cells = (*named(sdk), arrivals, tries, kept + mark, str(len(storm.heard)), doubled)
    return f"| {' | '.join(cells)} |\n"


def named(sdk: Sdk) -> tuple[str, str]:
    """The first cells of a library's row."""
    return f"[`{sdk.package}`]({sdk.docs}.md){sdk.label}", sdk.version
