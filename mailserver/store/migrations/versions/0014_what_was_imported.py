"""Which messages of which source an account has been given: none of them comes twice."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "imported",
        sa.Column("account_id", big, sa.ForeignKey("account.id"), primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text(), primary_key=True),
        sa.Column("item", sa.Text(), primary_key=True),
        sqlite_with_rowid=False,
    )
