"""Mailboxes that are shared, what each has read in them, the addresses that lead there, and who sends for whom"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

    def key(name: str) -> "sa.Column[int]":
        return sa.Column(name, big, primary_key=True, autoincrement=False)

    op.create_table(
        "share", key("mailbox_id"), key("account_id"), key("domain_id"),
        sa.Column("denied", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("share_whom", "share", ["account_id", "domain_id"])
    op.create_table(
        "sight", key("mailbox_id"), key("account_id"), key("uid"),
        sa.Column("seen", sa.Integer(), nullable=False),
        sa.Column("modseq", big, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("sight_modseq", "sight", ["mailbox_id", "account_id", "modseq"])
    op.create_table(
        "posting",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("mailbox_id", big, nullable=False),
    )
    op.create_index("ix_posting_mailbox_id", "posting", ["mailbox_id"])
    op.create_table("delegate", key("account_id"), key("delegate_id"))
    op.create_index("ix_delegate_delegate_id", "delegate", ["delegate_id"])
