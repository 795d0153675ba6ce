"""Packed days: the rows of days that are over, as columns.

The table starts empty. The processor's upkeep packs the newest days first; until a day is packed,
its raw rows answer.
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
    # the data is compressed already
    op.execute("ALTER TABLE packed_days ALTER COLUMN data SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.execute("DROP TABLE packed_days")
