"""The tables as SQLAlchemy Core, on which all queries are built.

`alembic/` creates the tables; a test compares the two.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    case,
    literal_column,
)
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()
Instant = DateTime(timezone=True)

FIRST, LAST = datetime(2, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
"""Python's instants, a year from either end, so that any zone has them too.

PostgreSQL also has infinity and the years around these.
"""


class WrittenInstant(TypeDecorator[datetime]):
    """An instant that operators may write by SQL: it is read as FIRST or LAST beyond them."""

    impl = Instant
    cache_ok = True

    def column_expression(self, column: ColumnElement[datetime]) -> ColumnElement[datetime]:
        """What a SELECT or RETURNING reads."""
        first, last = (literal_column(f"'{each.isoformat()}'", Instant) for each in (FIRST, LAST))
        return case((column < first, first), (column > last, last), else_=column)


raw_events = Table(
    "raw_events",
    metadata,
    Column("project", String(64), primary_key=True, server_default="default"),
    Column("id", UUID, primary_key=True, server_default=sql("gen_random_uuid()")),
    Column("session_id", String(64), nullable=False),
    Column("user_id", String(255)),
    Column("event_type", String(100), nullable=False),
    Column("event_action", String(255), nullable=False),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column("timestamp", Instant, primary_key=True, server_default=sql("now()")),
    Column("created_at", Instant, nullable=False, server_default=sql("now()")),
    Index("idx_raw_events_session", "session_id", "project"),
    Index("idx_raw_events_user", "user_id", "project", postgresql_where=sql("user_id IS NOT NULL")),
    Index("idx_raw_events_type", "project", "event_type", "timestamp"),
    Index("idx_raw_events_time", "project", "timestamp"),
    Index(
        "idx_raw_events_metadata",
        "metadata",
        postgresql_using="gin",
        postgresql_ops={"metadata": "jsonb_path_ops"},
    ),
)
"""Every event as sent; all derived data can be rebuilt from it.

Partitioned by timestamp in plain PostgreSQL, a hypertable in TimescaleDB.

The indexes of sessions and users do not begin with the project. In an installation with one project
all rows share it, so comparing it first would cost every insert something for nothing.
"""

daily_metrics = Table(
    "daily_metrics",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("date", Date, primary_key=True),
    Column("metric_name", String(100), primary_key=True),
    Column("dimension_key", String(255), primary_key=True, server_default=""),
    Column("dimension_value", String(255), primary_key=True, server_default=""),
    Column("value", BigInteger, nullable=False, server_default="0"),
)
"""Counts per UTC day, changed in the transaction that stores the rows."""

people = Table(
    "people",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("actor", String(255, collation="C"), primary_key=True),
    Column("number", Integer, nullable=False),
)
"""The number of each actor in a project, counted from 0, so that sets of people are bitmaps.

No number is ever given twice.
"""

people_last = Table(
    "people_last",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("number", Integer, nullable=False),
)
"""The last number given in a project. Transactions that give numbers wait for its row lock."""

people_pruning = Table(
    "people_pruning",
    metadata,
    Column("epoch", BigInteger, nullable=False),
    Column("day", Date, nullable=False),
    Column("project", String(64, collation="C"), nullable=False),
    Column("actor", String(255, collation="C"), nullable=False),
)
"""One row: how far people without events have been removed.

`epoch` counts the removals: numbers remembered in an earlier epoch are looked up again. `day` is
the UTC day of the last whole round; `project` and `actor` are where the round is that goes on.
"""

identity_versions = Table(
    "identity_versions",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("version", BigInteger, nullable=False),
)
"""How often the links of a project have changed; a project without a row has no links.

Transactions that change them wait for its row lock.
"""

identity_claims = Table(
    "identity_claims",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("other", String(255, collation="C"), primary_key=True),
    Column("person", String(255, collation="C"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("event", UUID, nullable=False),
    Index("idx_identity_claims_person", "person", "project"),
)
"""The user (`person`) who claims an anonymous id (`other`), by the earliest event that says so."""

identity_aliases = Table(
    "identity_aliases",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("other", String(255, collation="C"), primary_key=True),
    Column("person", String(255, collation="C"), primary_key=True),
    Index("idx_identity_aliases_person", "person", "project", "other"),
)
"""Pairs of names that alias events say are one person's; `other` is the older name."""

identity_links = Table(
    "identity_links",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("actor", String(255, collation="C"), primary_key=True),
    Column("person", String(255, collation="C"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("person_number", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("rank", SmallInteger),
    Index("idx_identity_links_rank", "person", "project", "rank", "actor"),
    Index("idx_identity_links_changes", "project", "version", postgresql_where=sql("version > 0")),
)
"""The person of each actor in a claim or an alias: a name that stands for it, and its number.

`version` is that of `identity_versions` at the last change of the row. `rank` is there for a person
in `identity_persons`: 0 is a user's name that is nobody's other name, 1 another user's, 2 the rest.
The first name by rank and then by code points is the person's.

The last index is partial, though every row is in it, so that PostgreSQL uses it only where a query
asks for versions above 0. Without statistics it would take it for the names of a project too.
"""

identity_persons = Table(
    "identity_persons",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("person", String(255, collation="C"), primary_key=True),
    Column("name", String(255, collation="C"), nullable=False),
    Column("names", Integer, nullable=False),
)
"""People with many names: the `name` they go by, and how many `names` they have.

`person` is as in `identity_links`. Everybody else goes by that name itself. So a new name of a
person with many does not rewrite the rows of all of them.
"""

identity_splits = Table(
    "identity_splits",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("name", String(255, collation="C"), primary_key=True),
    Column("other", String(255, collation="C"), primary_key=True, server_default=""),
    Column("at", Instant, nullable=False),
)
"""Names that an operator has split off, from one `other` name, or from all where it is empty.

What events with timestamps up to `at` say of them links nobody.
"""

rollup_deltas = Table(
    "rollup_deltas",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("number", BigInteger, Identity(), primary_key=True),
    Column("events", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("stored_at", Instant, nullable=False, server_default=sql("now()")),
)
"""What each storing transaction adds to `rollups`, until compaction moves it there."""

rollups = Table(
    "rollups",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("span", SmallInteger, primary_key=True),
    Column("start", Integer, primary_key=True),
    Column("key", String(255, collation="C"), primary_key=True),
    Column("event_type", String(100, collation="C"), primary_key=True),
    Column("event_action", String(255, collation="C"), primary_key=True),
    Column("part", BigInteger, primary_key=True),
    Column("level", SmallInteger, nullable=False),
    Column("counts", LargeBinary, nullable=False),
    Column("people", LargeBinary, nullable=False),
    Index(
        "idx_rollups_parts",
        "project",
        "span",
        "start",
        postgresql_where=sql("key = '' AND event_type = '' AND event_action = ''"),
    ),
)
"""Counts and people by hour (span 1) and day (span 24), event name and dimension.

An answer is the sum of all rows with the same key, whatever their `part`.
"""

rollup_since = Table(
    "rollup_since",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("start", Integer, nullable=False),
)
"""The hour, the first of a day, from which on `rollups` are complete.

The project '' stands for all projects without a row.
"""

rollup_strays = Table(
    "rollup_strays",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("start", Integer, primary_key=True),
    Column("writer", BigInteger, primary_key=True),
)
"""Days whose raw rows were changed without a delta, and the transaction that did it.

Until a rebuild, only raw rows give right answers for them.
"""

packed_days = Table(
    "packed_days",
    metadata,
    Column("project", String(64, collation="C"), primary_key=True),
    Column("start", Integer, primary_key=True),
    Column("part", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
)
"""The rows of days that are over, as packed columns.

Valid as long as `part` is the only part of the day in `rollups`.
"""

event_ledger_0, event_ledger_1 = (
    Table(
        f"event_ledger_{slot}",
        metadata,
        Column("id", UUID, primary_key=True),
        Column("project", String(64), primary_key=True),
    )
    for slot in (0, 1)
)
"""Ids that clients supplied, so that one id is one event whatever its timestamp.

The two tables take turns; see `ledger_turn`.
"""

ledger_turn = Table(
    "ledger_turn",
    metadata,
    Column("slot", SmallInteger, primary_key=True),
    Column("since", Instant, nullable=False),
)
"""One row: which of the two ledgers is in use, and since when."""

stored_jobs = Table(
    "stored_jobs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("stored", Integer, nullable=False),
    Column("duplicate", Integer, nullable=False),
    Column("dead_lettered", Integer, nullable=False),
    Column("stored_at", Instant, nullable=False),
)
"""The outcomes of committed jobs that may still be in the queue; a redelivery finds them here."""

queue_epoch = Table(
    "queue_epoch",
    metadata,
    Column("epoch", Text, nullable=False),
    Column("turn", BigInteger, nullable=False),
    Column("seen_at", Instant),
    Column("sure_until", Instant),
    Column("lost_from", Instant),
    Column("lost_at", Instant),
    Column("lost_how", Text),
)
"""One row, which says whether Redis still holds what it held: an `epoch.Epoch`.

Who changes it holds its row lock.
"""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("number", BigInteger, Identity(), primary_key=True),
    Column("project", String(64)),
    Column("event_id", UUID),
    Column("job_id", Text, nullable=False),
    Column("events", Integer, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("message", Text, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
)
"""Events that could not be stored, with the reason and their bytes, to be replayed or purged."""

projects = Table(
    "projects",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("created_at", WrittenInstant, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("name", String(100), nullable=False, server_default=""),
    Column("project", String(64)),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("origins", ARRAY(Text), nullable=False),
    Column("created_at", WrittenInstant, nullable=False),
    Column("expires_at", WrittenInstant),
    Column("revoked", Boolean, nullable=False, server_default="false"),
)
"""API keys by the SHA-256 of their text. A key without a project opens every project."""
