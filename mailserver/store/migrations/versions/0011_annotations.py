"""Annotations of mailboxes and of the server (RFC 5464), and accounts that are elsewhere (RFC 2221)"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "annotation",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("account_id", big, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text(), primary_key=True),
        sa.Column("owner_id", big, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
    )
    op.create_index("ix_annotation_owner_id", "annotation", ["owner_id"])
    op.create_table(
        "annotated",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("account_id", big, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text(), primary_key=True),
        sa.Column("owner_id", big, nullable=False),
        sa.Column("number", big, nullable=False),
        sa.Column("session_id", big, nullable=False),
    )
    op.create_index("annotated_number", "annotated", ["owner_id", "number"])
    op.create_table(
        "referral",
        sa.Column("account_id", big, primary_key=True, autoincrement=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("may_log_in", sa.Integer(), nullable=False),
    )
