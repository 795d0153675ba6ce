"""The questions give the same answers on a hypertable."""

import asyncpg

from analytics.derived.deltas import Dimensions
from analytics.queries.database.snapshot import open_engine
from analytics.settings import Settings
from analytics.stores.upkeep import packer, rebuild
from tests.queries.asker import Asker
from tests.queries.simple import DAYS, row

QUESTIONS = [
    (
        "/trends",
        [
            ("by", "metadata.k"),
            ("measure", "users"),
            ("rolling", "2"),
            ("compare", "previous"),
            ("limit", "1"),
        ],
    ),
    (
        "/trends",
        [
            ("measure", "p90:metadata.n"),
            ("tz", "Asia/Kathmandu"),
            ("where", "metadata.k.re.^[ab]$"),
        ],
    ),
    ("/events", [("limit", "3"), ("event", "e")]),
    ("/schema", []),
    (
        "/funnel",
        [("step", "e"), ("step", "*:a"), ("by", "metadata.k"), ("where", "metadata.n.lt.4")],
    ),
    ("/retention", [("start", "e"), ("period", "day"), ("periods", "2")]),
    ("/paths", [("by", "metadata.n"), ("end", "e"), ("unit", "session")]),
]


async def test_a_hypertable_answers_like_a_table(asker: Asker, timescale_url: str) -> None:
    rows = [
        row(f"2026-11-0{day}T12:00", f"u{day % 2}", k=key, n=day)
        for day in range(1, 5)
        for key in ("a", "b", None)
    ]
    await asker.hold(rows)
    writer = await asyncpg.connect(timescale_url)
    await Asker(writer, asker.engine).add(rows)
    await writer.close()  # this server takes one connection at a time
    engine = open_engine(Settings(database_url=timescale_url))
    for path, parameters in QUESTIONS:
        answers = [
            (await Asker(asker.connection, which).ask(path, *DAYS, *parameters))["data"]
            for which in (asker.engine, engine)
        ]
        assert answers[0] == answers[1]
        assert answers[0]
    await engine.dispose()


async def test_days_of_a_hypertable_are_packed_too(asker: Asker, timescale_url: str) -> None:
    rows = [
        row(f"2026-11-0{day}T{hour}:00", f"u{day % 2}", f"s{day}", event)
        for day in range(1, 5)
        for hour, event in ((11, "e:a"), (12, "e:b"))
    ]
    await asker.hold(rows)
    writer = await asyncpg.connect(timescale_url)
    await Asker(writer, asker.engine).add(rows)
    assert [day async for day in rebuild.missing(writer, "default", Dimensions(()))]
    await packer.pack_days(writer)
    await writer.close()
    engine = open_engine(Settings(database_url=timescale_url))
    for path, parameters in [
        ("/funnel", [("step", "*:a"), ("step", "*:b")]),
        ("/paths", []),
        ("/sessions", []),
        ("/trends", [("measure", "sessions")]),
    ]:
        plain, packed = [
            await Asker(asker.connection, which).ask(path, *DAYS, *parameters)
            for which in (asker.engine, engine)
        ]
        assert plain["data"] == packed["data"]
        assert (plain["meta"]["source"], packed["meta"]["source"]) == ("raw", "rollup")
    await engine.dispose()
