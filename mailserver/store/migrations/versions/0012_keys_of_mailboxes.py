"""The keys of mailboxes, of which URLs that carry their authorization are made"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "access_key",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("account_id", big, primary_key=True, autoincrement=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("made", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("access_key_account", "access_key", ["account_id"])
