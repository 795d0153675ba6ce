"""Packed days: the rows of days that are over as columns.

The table starts empty: the upkeep of the processor packs the newest days first, and until it has
come to a day, that day's raw rows answer.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE packed_days (
    project varchar(64) COLLATE "C",
    start integer,
    part bigint NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (project, start)
)
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute(
        "ALTER TABLE packed_days ALTER COLUMN data SET STORAGE EXTERNAL"
    )  # it is compressed already


def downgrade() -> None:
    op.execute("DROP TABLE packed_days")
