"""What senders wish: a column of the spool, and the priority by which it may be ordered"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the tables to this revision."""
    op.add_column("spool", sa.Column("wishes", sa.Text(), nullable=False, server_default=""))
    op.add_column("spool", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
