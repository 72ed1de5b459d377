"""What IMAP's wire costs, without any network: commands read, and answers written.

    python -m benchmarks.imap_wire [--rounds 7]

Prints microseconds for a command of each kind, and milliseconds for 10,000 answers of FETCH; the best of some rounds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

from mailserver.imap import dates, flags
from mailserver.imap.commands.table import State
from mailserver.imap.events import Announced
from mailserver.imap.fetched import Rows
from mailserver.imap.wire import ServerWire

MESSAGES = 10_000
COMMANDS = (
    b"a NOOP", b"a UID FETCH 1:* (FLAGS UID)", b"a UID FETCH 17 (UID RFC822.SIZE BODY.PEEK[])",
    b"a UID STORE 17 +FLAGS.SILENT (\\Seen)", b"a STATUS INBOX (MESSAGES UNSEEN UIDNEXT)",
    b'a SEARCH UNSEEN SINCE 1-Feb-2020 OR FROM "bob" SUBJECT x',
    b"a UID FETCH %b FLAGS" % b",".join(b"%d" % uid for uid in range(1, 2000, 2)),
)
ENVELOPE = (
    b'("Mon, 7 Feb 1994 21:52:25 -0800" "A subject as people write them" (("Bob" NIL "bob" "example.org"))'
    b' (("Bob" NIL "bob" "example.org")) (("Bob" NIL "bob" "example.org")) ((NIL NIL "ann" "example.org"))'
    b' NIL NIL NIL "<0123456789@example.org>")'
)


def best(work: Callable[[], object], rounds: int) -> float:
    """Seconds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def read(octets: bytes) -> None:
    """All commands of what came in one piece."""
    wire = ServerWire()
    wire.state = State.SELECTED
    wire.receive(octets)
    while wire.next() is not None:
        pass


def receive(size: int) -> None:
    """One message, in pieces of 64 KiB."""
    wire = ServerWire()
    wire.state = State.SELECTED
    wire.receive(b"a APPEND x {%d+}\r\n" % size)
    if isinstance(wire.next(), Announced):
        wire.grant()
    piece = bytes(65536)
    for _ in range(size // len(piece)):
        wire.receive(piece)
        wire.next()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imap_wire", description="Time IMAP's wire.")
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    for line in COMMANDS:
        count = 100 if len(line) > 1000 else 2000
        took = best(lambda octets=(line + b"\r\n") * count: read(octets), rounds) / count      # type: ignore[misc]
        print(f"{took * 1e6:8.1f} us   {line[:60].decode()}{' ...' * (len(line) > 60)}")
    print(f"{best(lambda: receive(64 << 20), rounds) * 1000:8.1f} ms   64 MiB of APPEND")
    rows = Rows([b"UID", b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE", b"ENVELOPE"])
    numbers = range(1, MESSAGES + 1)
    words = [flags.spell(number % 32) for number in numbers]
    moments = [dates.spell_date_time(1.7e9 + 1000 * number) for number in numbers]
    envelopes = [ENVELOPE] * MESSAGES

    def ready() -> bytes:
        return rows.lines(numbers, numbers, words, moments, numbers, envelopes)

    def stored() -> bytes:
        bits = (number % 32 for number in numbers)
        seconds = (1.7e9 + 1000 * number for number in numbers)
        return rows.lines(
            numbers, numbers, map(flags.spell, bits), map(dates.spell_date_time, seconds), numbers, envelopes
        )

    print(f"{best(ready, rounds) * 1000:8.1f} ms   {MESSAGES:,} answers, of octets that are ready to send")
    print(f"{best(stored, rounds) * 1000:8.1f} ms   the same, of flags and dates as they are stored")


if __name__ == "__main__":
    main()
