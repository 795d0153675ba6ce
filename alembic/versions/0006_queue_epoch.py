"""The epoch that Redis must hold too, so that a Redis that lost its data is noticed.

The one row is of an epoch that Redis was not given yet: the first processor gives it, whatever
waits in the queue.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE queue_epoch (
            epoch text NOT NULL,
            turn bigint NOT NULL,
            seen_at timestamptz,
            sure_until timestamptz,
            lost_from timestamptz,
            lost_at timestamptz,
            lost_how text
        )
    """)
    op.execute("INSERT INTO queue_epoch (epoch, turn) VALUES (gen_random_uuid(), 1)")


def downgrade() -> None:
    op.execute("DROP TABLE queue_epoch")
