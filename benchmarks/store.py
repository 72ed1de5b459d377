"""How many messages a second the store accepts and delivers, with fsync, without any network.

    python benchmarks/store.py [--seconds 3] [--folder DIR] [--postgresql URL]

Prints a line for each way: how many mailboxes the mail is spread over, how many messages one transaction
takes, messages a second, milliseconds of CPU for each message, and the size of the process.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Connection, insert, select, update
from twisted.internet import defer, reactor, task

from mailserver.address import Address
from mailserver.content import Content
from mailserver.ident import Ids
from mailserver.interfaces import INBOX, Account, Delivery
from mailserver.store import directory, messages
from mailserver.store.accepting import Accepting, write_many
from mailserver.store.database import Database
from mailserver.store.schema import content, mailbox, message, trace

BODY = (b"A line of a message as people write them, seventy octets or so long.\r\n" * 60)[:3600]
PREFIX = b"Return-Path: <sender@example.net>\r\nDelivered-To: user@example.org\r\nReceived: " + b"x" * 180 + b"\r\n"
RECORD = '{"id":"0123456789ABC","at":1.5,"client":{"address":"192.0.2.1"},"reply":"250 2.0.0 Ok"}' + " " * 400


def accounts(database: Database, count: int) -> list[Account]:
    with database.transaction() as connection:
        if directory.find_domain(connection, "example.org") is None:
            directory.add_domain(connection, "example.org", 0.0)
        there = {each.address.key: each for each in directory.accounts(connection)}
        made = []
        for number in range(count):
            address = Address(f"user{number}", "example.org")
            made.append(there.get(address.key) or directory.add_account(connection, address, 0.0))
        return made


def accepting(new_id: Ids, account: Account) -> Accepting:
    id = new_id()
    body = Content.of(BODY)
    delivery = Delivery(id, id, account, INBOX, PREFIX, body, 1.0)
    return Accepting(id, body, RECORD, ((messages.insert_deliveries, delivery),), ())


def write_by_core(connection: Connection, batch: Sequence[Accepting]) -> list[None]:
    """The same rows by SQLAlchemy Core, to compare with."""
    connection.execute(
        insert(content),
        [{"id": a.id, "size": a.content.size, "uses": 1, "file": None, "data": a.content.beginning} for a in batch],
    )
    boxes: dict[int, list[Delivery]] = {}
    for each in batch:
        for _, delivery in each.deliveries:
            boxes.setdefault(delivery.account.id, []).append(delivery)
    rows = []
    for account_id, deliveries in boxes.items():
        query = select(mailbox.c.id, mailbox.c.uidnext, mailbox.c.modseq).where(
            mailbox.c.account_id == account_id, mailbox.c.name == INBOX
        )
        box, uid, modseq = connection.execute(query).one()
        for number, one in enumerate(deliveries):
            rows.append({
                "mailbox_id": box, "uid": uid + number, "content_id": one.message, "size": one.content.size,
                "received": one.received, "flags": 0, "prefix": one.prefix, "modseq": modseq + 1, "saved": 0.0,
            })
        connection.execute(update(mailbox).where(mailbox.c.id == box).values(
            uidnext=uid + len(deliveries), modseq=modseq + 1, messages=mailbox.c.messages + len(deliveries),
            unseen=mailbox.c.unseen + len(deliveries),
            octets=mailbox.c.octets + sum(one.content.size for one in deliveries),
        ))
    connection.execute(insert(message), rows)
    connection.execute(insert(trace), [{"id": a.id, "number": 0, "record": a.record} for a in batch])
    return [None] * len(batch)


def report(what: str, boxes: int, batch: int, count: int, seconds: float, cpu: float) -> None:
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{what:24} {boxes:3} mailboxes {batch:4} at once {count / seconds:9,.0f}/s"
        f" {cpu / count * 1000:7.3f} ms CPU {size:6.0f} MiB",
        flush=True,
    )


def batches(
    database: Database, write: Callable[..., object], name: str, boxes: int, size: int, seconds: float
) -> None:
    """Transactions in a row, in this thread."""
    those, new_id, count = accounts(database, boxes), Ids(time.time), 0
    cpu, start = time.process_time(), time.perf_counter()
    while (elapsed := time.perf_counter() - start) < seconds:
        batch = [accepting(new_id, those[(count + n) % boxes]) for n in range(size)]
        with database.transaction() as connection:
            write(connection, batch)
        count += size
    report(name, boxes, size, count, elapsed, time.process_time() - cpu)


async def senders(database: Database, boxes: int, many: int, seconds: float) -> None:
    """So many senders, each of which waits for its commit before it sends again: the writer as it is used."""
    those, new_id = accounts(database, boxes), Ids(time.time)
    database.start(reactor)
    count = 0
    cpu, start = time.process_time(), time.perf_counter()

    async def send(number: int) -> None:
        nonlocal count
        while time.perf_counter() - start < seconds:
            await database.write_with(write_many, accepting(new_id, those[number % boxes]), len(BODY))
            count += 1

    await defer.gatherResults([defer.Deferred.fromCoroutine(send(number)) for number in range(many)])
    elapsed = time.perf_counter() - start
    mean = database.writer.jobs / database.writer.batches
    await database.stop()
    report(f"writer, mean batch {mean:.1f}", boxes, many, count, elapsed, time.process_time() - cpu)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each line")
    parser.add_argument("--folder", default=".", help="where the database is made, on the disk to be measured")
    parser.add_argument("--postgresql", metavar="URL", help="an empty database, instead of SQLite")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="store-benchmark-", dir=options.folder))
    database = Database(options.postgresql, folder)

    async def run(_: object) -> None:
        for boxes in (1, 20):
            for size in (1, 20, 100):
                batches(database, write_many, "text below Core", boxes, size, options.seconds)
            batches(database, write_by_core, "SQLAlchemy Core", boxes, 20, options.seconds)
            batches(database, write_by_core, "SQLAlchemy Core", boxes, 100, options.seconds)
            for many in (20, 100):
                await senders(database, boxes, many, options.seconds)

    try:
        database.open(migrate=True)
        task.react(lambda reactor: defer.Deferred.fromCoroutine(run(reactor)))
    finally:
        database.close()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
