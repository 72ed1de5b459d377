"""``feedback``: reports about our mail are read and booked (``mailserver feedback``), and delivered all the same."""

from __future__ import annotations

from collections.abc import Sequence

from zope.interface import implementer

from mailserver.address import Address
from mailserver.content import Content
from mailserver.envelope import Client, Envelope, Origin
from mailserver.errors import BadAddress
from mailserver.events import Event
from mailserver.feedback import verp
from mailserver.feedback.classify import classify_words
from mailserver.feedback.kinds import Kind
from mailserver.feedback.parse import parse
from mailserver.feedback.rules import Rules
from mailserver.feedback.told import Feedback as Report
from mailserver.feedback.told import Sort, Told
from mailserver.feedback.verp import Path
from mailserver.ident import read
from mailserver.interfaces import IFilter, IServer, Maybe, NoOptions
from mailserver.store import feedback as book
from mailserver.store.feedback import Booking
from mailserver.store.key import load_key
from mailserver.verdict import Verdicts, score

MOST_IDS = 5            # ids of one report that are looked up
_SIGNS = (b"multipart/report", b"x-failed-recipients", b"subject: complaint about message from")      # in small letters
_EVENTS = {Sort.COMPLAINT: "complained", Sort.BOUNCE: "bounced"}      # what listeners hear of
KEY = "verp.key"        # in the data folder, as for the forwarder ``bounces``


@implementer(IFilter)
class Feedback:
    """Books what is proven to be about mail of ours: by a keyed reverse-path, or by the id of a message that we know.

    What is not, is said to be "not ours" in the trace, and changes nothing.
    """

    Options = NoOptions
    origins = frozenset({Origin.ARRIVAL, Origin.SUBMISSION})       # a smarthost sends them back, whom we trust

    def __init__(self, options: NoOptions, server: IServer) -> None:
        self._server = server
        try:
            self._key = load_key(server.data / KEY)
        except OSError:
            self._key = b""

    def content(self, client: Client, envelope: Envelope, content: Content) -> Maybe[Verdicts]:
        paths = [path for each in envelope.recipients if (path := self._decoded(each)) is not None]
        if not paths and envelope.sender is not None:
            header = content.header.lower()
            if not any(each in header for each in _SIGNS):
                return None
        return self._read(content, paths)

    async def _read(self, content: Content, paths: Sequence[Path]) -> Verdicts:
        report = await self._server.in_thread(parse, content.beginning)
        if report is None:
            return score(0.0, "no report, so it is not booked") if paths else None
        path = paths[0] if paths else self._of_sender(report)
        bookings = await self._bookings(report, path)
        if not bookings:
            return score(0.0, "a report, but not ours: it proves no message that was sent here")
        rules: Rules = self._server.suppression
        booked = await self._server.database.write(book.book, bookings, rules)
        for booking, is_new in zip(bookings, booked, strict=True):
            if is_new and (kind := _EVENTS.get(booking.sort)) is not None:
                self._server.tell(Event(kind, booking.message_id, booking.at, "", str(booking.recipient), {
                    "class": str(booking.kind), "status": booking.status, "reply": booking.text,
                    "reporter": booking.reporter, "proof": booking.proof,
                }))
        first = bookings[0]
        what = f"{first.sort} of {first.recipient} ({first.kind})"
        others = f" and {len(bookings) - 1} more" if len(bookings) > 1 else ""
        return score(0.0, f"a report, {'booked' if any(booked) else 'known already'}: {what}{others}")

    def _decoded(self, address: Address) -> Path | None:
        return verp.decode(address, self._key) if self._key else None

    def _of_sender(self, report: Report) -> Path | None:
        """The keyed reverse-path that a complaint names (RFC 5965 3.2), or that comes back in the original's header."""
        address = _address(report.sender)
        return self._decoded(address) if address is not None else None

    async def _bookings(self, report: Report, path: Path | None) -> Sequence[Booking]:
        if path is not None:
            known = await self._server.database.read(book.recipients_of, path.message)
            mine = path.recipient or next((each for each in known if path.is_for(each)), None)
            if mine is None:
                return ()
            # A keyed path is for one recipient: whatever else the report says, it speaks of that one.
            told = next((each for each in report.recipients if mine.key in _keys(each)), None)
            told = told or next(iter(report.recipients), None)
            return (self._booking(report, told, mine, path.message, book.VERP),) if told is not None else ()
        for id in self._ids(report):
            known = await self._server.database.read(book.sent_to, id)
            # Of a thousand recipients each is looked for among the thousand who got the message.
            found = await self._server.in_thread(self._named, report, known, id)
            if found:
                return found
        return ()

    def _named(self, report: Report, known: Sequence[Address], id: int) -> Sequence[Booking]:
        """What is said of those who got the message, as the first of its names for them."""
        places = {each.key: place for place, each in enumerate(known)}
        found = []
        for told in report.recipients:
            place = min((places[key] for key in _keys(told) if key in places), default=None)
            if place is not None:
                found.append(self._booking(report, told, known[place], id, book.TRACE))
        return found

    def _booking(self, report: Report, told: Told, recipient: Address, id: int, proof: str) -> Booking:
        kind = Kind.UNKNOWN
        if told.sort in (Sort.BOUNCE, Sort.DELAY):
            kind = classify_words(told.code, told.status, told.text)
        return Booking(
            self._server.now(), told.sort, recipient, kind, told.status, id, proof, report.reporter, told.text
        )

    def _ids(self, report: Report) -> Sequence[int]:
        """What may be the id of a message of ours: ENVID, our Received field, a Message-ID that we made."""
        ours = self._server.hostname.lower()
        words = [report.envelope_id, *(id for by, id in report.received if by == ours)]
        local, _, host = report.message_id.strip("<>").rpartition("@")
        if host.lower() == ours:
            words.append(local)
        ids: dict[int, None] = {}
        for word in words:
            try:
                ids[read(word)] = None
            except ValueError:
                continue
        return list(ids)[:MOST_IDS]


def _keys(told: Told) -> Sequence[str]:
    """The keys of the addresses by which it names the recipient."""
    named = (_address(told.recipient), _address(told.original))
    return [each.key for each in named if each is not None]


def _address(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except BadAddress:
        return None
