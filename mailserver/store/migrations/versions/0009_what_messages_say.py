"""The index of what messages say: pieces of mailboxes, and pages of words"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "search_piece",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("first", big, primary_key=True, autoincrement=False),
        sa.Column("last", big, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("octets", big, nullable=False),
        sa.Column("uids", sa.LargeBinary(), nullable=False),
        sa.Column("unsure", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "search_page",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("first", big, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("words", sa.LargeBinary(), nullable=False),
        sa.Column("lists", sa.LargeBinary(), nullable=False),
    )
