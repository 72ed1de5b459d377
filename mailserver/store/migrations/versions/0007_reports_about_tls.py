"""How TLS went on the way to others, the reports that we owe them, and theirs about us"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "tls_result",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("domain", sa.Text(), primary_key=True),
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("result", sa.Text(), nullable=False),
        sa.Column("mx", sa.Text(), nullable=False),
        sa.Column("receiving", sa.Text(), nullable=False),
        sa.Column("sending", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("count", big, nullable=False),
    )
    op.create_table(
        "tls_owed",
        sa.Column("day", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("domain", sa.Text(), primary_key=True),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("next_attempt", sa.Double(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("endpoints", sa.Text(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
    )
    undone = sa.text("done = 0")
    op.create_index("tls_owed_due", "tls_owed", ["next_attempt"], sqlite_where=undone, postgresql_where=undone)
    op.create_table(
        "tls_report",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("number", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("received", sa.Double(), nullable=False),
        sa.Column("organization", sa.Text(), nullable=False),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("since", big, nullable=False),
        sa.Column("until", big, nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("successful", big, nullable=False),
        sa.Column("failed", big, nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
    )
    op.create_index("ix_tls_report_received", "tls_report", ["received"])
