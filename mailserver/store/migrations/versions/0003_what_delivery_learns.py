"""What delivery learns of destinations; whose login an entry is from; entries by domain and by priority"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column("spool", sa.Column("login", sa.Text(), nullable=False, server_default=""))
    op.add_column("spool", sa.Column("told", sa.Integer(), nullable=False, server_default="0"))
    free = sa.text("held = 0")
    op.drop_index("spool_due", "spool")
    op.create_index(
        "spool_due", "spool", ["priority", "next_attempt"], sqlite_where=free, postgresql_where=free
    )
    op.create_index("spool_domain", "spool", ["domain", "held", "next_attempt"])
    op.create_table(
        "destination",
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("until", sa.Double(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("connections", sa.Integer(), nullable=False),
    )
