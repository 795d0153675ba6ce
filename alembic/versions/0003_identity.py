"""Identity: what events say about it, and the person behind each name that follows.

The tables start empty: events stored before link nobody.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE identity_versions (
    project varchar(64) COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE identity_claims (
    project varchar(64) COLLATE "C",
    other varchar(255) COLLATE "C",
    person varchar(255) COLLATE "C" NOT NULL,
    at timestamptz NOT NULL,
    event uuid NOT NULL,
    PRIMARY KEY (project, other)
);

CREATE INDEX idx_identity_claims_person ON identity_claims (person, project);

CREATE TABLE identity_aliases (
    project varchar(64) COLLATE "C",
    other varchar(255) COLLATE "C",
    person varchar(255) COLLATE "C",
    PRIMARY KEY (project, other, person)
);

CREATE INDEX idx_identity_aliases_person ON identity_aliases (person, project);

CREATE TABLE identity_links (
    project varchar(64) COLLATE "C",
    actor varchar(255) COLLATE "C",
    person varchar(255) COLLATE "C" NOT NULL,
    number integer NOT NULL,
    person_number integer NOT NULL,
    version bigint NOT NULL,
    PRIMARY KEY (project, actor)
);

CREATE INDEX idx_identity_links_person ON identity_links (person, project);

CREATE INDEX idx_identity_links_version ON identity_links (project, version)
"""

NAMES = ("identity_links", "identity_aliases", "identity_claims", "identity_versions")


def upgrade() -> None:
    for statement in TABLES.split(";"):
        op.execute(statement)


def downgrade() -> None:
    for name in NAMES:
        op.execute(f"DROP TABLE {name}")
