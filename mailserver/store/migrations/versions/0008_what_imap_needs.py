"""What IMAP asks: changes in their order, what is gone, counts, special uses, quotas, and what messages are made of"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SPECIAL = [(name, f"\\{name}") for name in ("Archive", "Drafts", "Junk", "Sent", "Trash")]


def upgrade() -> None:
    """Bring the tables to this revision."""
    big = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    for table in ("domain", "account"):
        op.add_column(table, sa.Column("quota_octets", big))
        op.add_column(table, sa.Column("quota_messages", big))
    op.add_column("account", sa.Column("uidvalidity", big, nullable=False, server_default="0"))
    for name, default in (
        ("modseq", "1"), ("forgotten", "0"), ("messages", "0"), ("unseen", "0"), ("octets", "0"), ("recent", "1")
    ):
        op.add_column("mailbox", sa.Column(name, big, nullable=False, server_default=default))
    op.add_column("mailbox", sa.Column("special_use", sa.Text(), nullable=False, server_default=""))
    op.add_column("mailbox", sa.Column("keywords", sa.Text(), nullable=False, server_default=""))
    op.add_column("message", sa.Column("modseq", big, nullable=False, server_default="1"))
    op.add_column("message", sa.Column("saved", sa.Double(), nullable=False, server_default="0"))
    if op.get_context().dialect.name == "postgresql":
        op.alter_column("message", "flags", type_=sa.BigInteger())
    op.create_index("message_modseq", "message", ["mailbox_id", "modseq"])
    op.create_table(
        "subscription",
        sa.Column("account_id", big, sa.ForeignKey("account.id"), primary_key=True, autoincrement=False),
        sa.Column("name", sa.Text(), primary_key=True),
    )
    op.create_table(
        "shared",
        sa.Column("content_id", big, primary_key=True, autoincrement=False),
        sa.Column("more", big, nullable=False),
    )
    op.create_table(
        "expunged",
        sa.Column("mailbox_id", big, primary_key=True, autoincrement=False),
        sa.Column("modseq", big, primary_key=True, autoincrement=False),
        sa.Column("uid", big, primary_key=True, autoincrement=False),
        sa.Column("at", sa.Double(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "digest",
        sa.Column("content_id", big, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("parts", sa.LargeBinary(), nullable=False),
        sa.Column("header_size", big, nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("sent", sa.Double()),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("is_reply", sa.Integer(), nullable=False),
        sa.Column("by_from", sa.Text(), nullable=False),
        sa.Column("by_to", sa.Text(), nullable=False),
        sa.Column("by_cc", sa.Text(), nullable=False),
        sa.Column("display_from", sa.Text(), nullable=False),
        sa.Column("display_to", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("refs", sa.Text(), nullable=False),
        sa.Column("find_subject", sa.Text(), nullable=False),
        sa.Column("find_from", sa.Text(), nullable=False),
        sa.Column("find_to", sa.Text(), nullable=False),
        sa.Column("find_cc", sa.Text(), nullable=False),
        sa.Column("find_bcc", sa.Text(), nullable=False),
        sa.Column("thread", big, nullable=False),
    )
    _of_what_is_there()
    if op.get_context().dialect.name == "sqlite":
        for table in ("account", "mailbox"):        # the last numbers of rows: see `mailserver.store.numbers`
            op.execute(
                f"INSERT INTO revision (name, number) SELECT '{table} number', COALESCE(MAX(id), 0) FROM {table}"
            )


def _of_what_is_there() -> None:
    """Accounts get the mailboxes that new ones have, and see them all; the counts are those of the messages."""
    accounts = sa.table("account", sa.column("id"), sa.column("uidvalidity"), sa.column("created"))
    boxes = sa.table(
        "mailbox", sa.column("id"), sa.column("account_id"), sa.column("name"), sa.column("uidvalidity"),
        sa.column("uidnext"), sa.column("created"), sa.column("special_use"), sa.column("messages"),
        sa.column("unseen"), sa.column("octets"),
    )
    messages = sa.table("message", sa.column("mailbox_id"), sa.column("size"), sa.column("flags"))
    for name, use in SPECIAL:
        op.execute(boxes.update().where(boxes.c.name == name).values(special_use=use))
        there = sa.select(boxes.c.id).where(boxes.c.account_id == accounts.c.id, boxes.c.name == name)
        op.execute(boxes.insert().from_select(
            ["account_id", "name", "uidvalidity", "uidnext", "created", "special_use"],
            sa.select(
                accounts.c.id, sa.literal(name), sa.cast(accounts.c.created, sa.BigInteger()), sa.literal(1),
                accounts.c.created, sa.literal(use),
            ).where(~sa.exists(there.correlate(accounts))),
        ))
    op.execute("INSERT INTO subscription (account_id, name) SELECT account_id, name FROM mailbox")
    own = messages.c.mailbox_id == boxes.c.id
    unseen = sa.case((messages.c.flags.op("&")(1) == 0, 1), else_=0)
    for name, value in (
        ("messages", sa.func.count()),
        ("unseen", sa.func.coalesce(sa.func.sum(unseen), 0)),
        ("octets", sa.func.coalesce(sa.func.sum(messages.c.size), 0)),
    ):
        counted = sa.select(value).select_from(messages).where(own).correlate(boxes).scalar_subquery()
        op.execute(boxes.update().values({name: counted}))
    last = sa.select(sa.func.coalesce(sa.func.max(boxes.c.uidvalidity), 0)).where(boxes.c.account_id == accounts.c.id)
    op.execute(accounts.update().values(uidvalidity=last.correlate(accounts).scalar_subquery()))
