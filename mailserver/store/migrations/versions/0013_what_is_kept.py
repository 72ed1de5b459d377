"""What was removed and may be brought back; what a mailbox may hold, and for how long; who was told of his quota."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "removed",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double(), primary_key=True),
        sa.Column("uid", big, primary_key=True, autoincrement=False),
        sa.Column("content_id", big, nullable=False),
        sa.Column("size", big, nullable=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("flags", big, nullable=False),
        sa.Column("prefix", sa.LargeBinary(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "removed_from",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("account_id", big, sa.ForeignKey("account.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, server_default=""),
        sa.Column("keywords", sa.Text(), nullable=False, server_default=""),
        sa.Column("oldest", sa.Double(), nullable=False),
        sa.Column("messages", big, nullable=False),
        sa.Column("octets", big, nullable=False),
    )
    op.create_index("ix_removed_from_account_id", "removed_from", ["account_id"])
    op.create_table(
        "mailbox_quota",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("octets", big, nullable=False),
        sa.Column("messages", big, nullable=False),
    )
    op.create_table(
        "mailbox_retention",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("older_than", sa.Double(), nullable=False),
        sa.Column("at_most", big, nullable=False),
    )
    op.create_table(
        "quota_told",
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column("id", big, primary_key=True, autoincrement=False),
        sa.Column("percent", sa.Integer(), nullable=False),
    )
