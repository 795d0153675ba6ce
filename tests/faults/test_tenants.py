"""What one project sends holds up no other: neither its events nor the watermark of its answers."""

from datetime import UTC, datetime
from itertools import groupby, pairwise
from typing import Any

import msgspec

from analytics.stores.identity import persons
from tests.faults.load import Load, event, post, send
from tests.faults.platform import Platform, Role, http_get
from tests.waiting import wait_for

POISON = """
CREATE FUNCTION never_ends() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep(60); RETURN NEW; END
$$;
CREATE TRIGGER never_ends BEFORE INSERT ON raw_events FOR EACH ROW
WHEN (NEW.metadata ? 'poison') EXECUTE FUNCTION never_ends()
"""


def write_key(platform: Platform, project: str) -> str:
    """A new project's key."""
    platform.run("projects", "create", project)
    made = platform.run("keys", "create", "--scope", "ingest", "--project", project, "--json")
    return str(msgspec.json.decode(made)["key"])


def meta(platform: Platform, api: Role, project: str) -> tuple[datetime, bool]:
    """The watermark of an answer, and whether it is partial."""
    answer: Any = platform.get(api, f"/api/trends?last=1h&project={project}")["meta"]
    return datetime.fromisoformat(answer["watermark"]), answer["partial"]


def test_an_event_that_never_ends_holds_up_its_own_project_only_and_becomes_a_dead_letter(
    platform: Platform,
) -> None:
    platform.sql(POISON)
    key = write_key(platform, "slow")
    platform.role("processor")
    collector, api = platform.role("collector"), platform.role("api")
    batch = [event(number) for number in range(20)]
    batch.insert(10, event(99, metadata={"poison": True}))
    body = msgspec.json.encode({"write_key": key, "events": batch})
    assert post(collector.port, body)[0] == 202
    sent = datetime.now(UTC)
    with Load(collector, pause=0.05) as load:

        def moved_on() -> bool:
            return meta(platform, api, "default")[0] > sent

        wait_for(moved_on, "the watermark of the other project")
        watermark, partial = meta(platform, api, "slow")
        assert (watermark < sent, partial) == (True, True)
        wait_for(
            lambda: platform.sql("select count(*) from dead_letters") == "1", "the dead letter"
        )
        assert platform.sql("select project, reason, events from dead_letters") == "slow|too_slow|1"
        wait_for(lambda: meta(platform, api, "slow")[0] > sent, "the watermark of the project")
        load.wait_for_more(20)
    wait_for(platform.drained, "an empty queue")
    assert platform.sql("select count(*) from raw_events where project = 'slow'") == "20"
    platform.sql("DROP TRIGGER never_ends ON raw_events")
    platform.run("dead-letters", "replay", "--reason", "too_slow")
    wait_for(platform.drained, "the replay")
    assert platform.sql("select count(*) from raw_events where metadata ? 'poison'") == "1"
    assert platform.books()["dead_lettered"] == 0


def test_a_very_long_chain_of_aliases_is_stored_and_so_is_what_others_send(
    platform: Platform,
) -> None:
    """Every alias joins the next name to the same person, unless they would have too many."""
    processor = platform.role("processor")
    collector, api = platform.role("collector"), platform.role("api")
    names = 3 * persons.MAX_NAMES
    with Load(collector, pause=0.1) as load:
        for first in range(0, names, 1000):
            send(
                collector.port,
                [
                    event(
                        number,
                        user_id=f"n{number + 1}",
                        event_type="alias",
                        metadata={"$previous_id": f"n{number}"},
                    )
                    for number in range(first, first + 1000)
                ],
            )
        sent = datetime.now(UTC)
        wait_for(lambda: meta(platform, api, "default")[0] > sent, "the watermark")
        load.wait_for_more(20)
    wait_for(platform.drained, "an empty queue")
    assert platform.sql("select count(*) from raw_events where event_type = 'alias'") == str(names)
    sizes = chain(platform, names)
    # which batch is stored first decides where the chain is cut; it is cut only if it must be
    assert max(sizes) <= persons.MAX_NAMES
    assert all(sum(neighbours) > persons.MAX_NAMES for neighbours in pairwise(sizes))
    assert platform.sql("select max(names) from identity_persons") == str(max(sizes))
    assert platform.books()["dead_lettered"] == 0
    refused = [line for line in metrics(processor) if line.startswith("analytics_names_not_linked")]
    assert float(refused[-1].rpartition(" ")[2]) >= 2


def chain(platform: Platform, last: int) -> list[int]:
    """How many names each person of the chain from n0 to n`last` has, in the order of the chain."""
    links = platform.sql("select actor, person from identity_links where actor ~ '^n[0-9]+$'")
    linked = dict(line.split("|") for line in links.splitlines())
    names = (f"n{number}" for number in range(last + 1))
    return [len([*group]) for _, group in groupby(linked.get(name, name) for name in names)]


def metrics(role: Role) -> list[str]:
    return http_get(f"{role.url}/metrics")[1].decode().splitlines()
