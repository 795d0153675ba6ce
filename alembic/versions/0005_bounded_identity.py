"""Identity at a bounded cost, a way back, and people who leave with their last event.

Nothing is rewritten: a person without a row in `identity_persons` goes by `identity_links.person`,
as before.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UPGRADE = """
CREATE TABLE identity_persons (
    project varchar(64) COLLATE "C",
    person varchar(255) COLLATE "C",
    name varchar(255) COLLATE "C" NOT NULL,
    names integer NOT NULL,
    PRIMARY KEY (project, person)
);

CREATE TABLE identity_splits (
    project varchar(64) COLLATE "C",
    name varchar(255) COLLATE "C",
    other varchar(255) COLLATE "C" DEFAULT '',
    at timestamptz NOT NULL,
    PRIMARY KEY (project, name, other)
);

ALTER TABLE identity_links ADD rank smallint;

CREATE INDEX idx_identity_links_rank ON identity_links (person, project, rank, actor);

DROP INDEX idx_identity_links_person;

CREATE INDEX idx_identity_links_changes ON identity_links (project, version) WHERE version > 0;

DROP INDEX idx_identity_links_version;

DROP INDEX idx_identity_aliases_person;

CREATE INDEX idx_identity_aliases_person ON identity_aliases (person, project, other);

CREATE TABLE people_pruning (
    epoch bigint NOT NULL,
    day date NOT NULL,
    project varchar(64) COLLATE "C" NOT NULL,
    actor varchar(255) COLLATE "C" NOT NULL
);

INSERT INTO people_pruning VALUES (0, (now() AT TIME ZONE 'UTC')::date, '', '')
"""

DOWNGRADE = """
DROP TABLE people_pruning;

DROP INDEX idx_identity_aliases_person;

CREATE INDEX idx_identity_aliases_person ON identity_aliases (person, project);

CREATE INDEX idx_identity_links_version ON identity_links (project, version);

DROP INDEX idx_identity_links_changes;

CREATE INDEX idx_identity_links_person ON identity_links (person, project);

DROP INDEX idx_identity_links_rank;

ALTER TABLE identity_links DROP rank;

DROP TABLE identity_splits;

DROP TABLE identity_persons
"""


def upgrade() -> None:
    for statement in UPGRADE.split(";"):
        op.execute(statement)


def downgrade() -> None:
    for statement in DOWNGRADE.split(";"):
        op.execute(statement)
