"""Messages that are put together of parts, as they are read (RFC 4469), and the URLs of parts (RFC 5092)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.commands.append import Append, Draft, Replace
from mailserver.imap.commands.sections import Section
from mailserver.imap.commands.table import State
from mailserver.imap.error import ImapError
from mailserver.imap.events import Announced, Event, Joining, Joint, Linked, Piece, Request, Wanted
from mailserver.imap.flags import collect
from mailserver.imap.urls import Access, BadUrl, ImapUrl, parse
from mailserver.imap.wire import ServerWire

NONE = Draft(0, False)


def heard(octets: bytes, cut: int) -> list[object]:
    """What a wire says of octets that come in pieces of a size; every literal is granted."""
    wire = ServerWire()
    wire.state = State.SELECTED
    found: list[object] = []
    for start in range(0, len(octets), cut):
        wire.receive(octets[start : start + cut])
        while (event := _next(wire, found)) is not None:
            if isinstance(event, (Wanted, Announced)):
                wire.grant()
            if isinstance(event, Piece) and found and isinstance(found[-1], bytes):
                found[-1] += event.octets
            elif isinstance(event, Piece):
                found.append(event.octets)
            elif event is not _ERROR:
                found.append(event)
    return found


_ERROR = Joint()


def _next(wire: ServerWire, found: list[object]) -> Event | None:
    try:
        return wire.next()
    except ImapError as error:
        found.append((error.tag, str(error)))
        return _ERROR


class CatenateTests(SynchronousTestCase):
    def hear(self, octets: bytes) -> list[object]:
        """The same however the octets come."""
        found = heard(octets, len(octets))
        for cut in (1, 2, 3, 5, 11):
            self.assertEqual(heard(octets, cut), found)
        return found

    def test_parts(self) -> None:
        drafts = "a", Append("Drafts")
        text = Draft(3, False)
        self.assertEqual(self.hear(
            b'a APPEND Drafts (\\Seen) CATENATE (URL "/x/;UID=1" TEXT {3+}\r\nabc URL {5+}\r\nhello URL y'
            b" TEXT {2}\r\nhi)\r\n"
        ), [
            Joining(*drafts, Draft(0, False, collect(["\\Seen"]))), Linked(b"/x/;UID=1"),
            Announced(*drafts, text, True),
            b"abc", Linked(b"hello"), Linked(b"y"), Announced(*drafts, Draft(2, True), True), b"hi", Joint(),
            Request(*drafts),
        ])
        self.assertEqual(self.hear(b"a APPEND Drafts CATENATE (URL x)\r\n"), [
            Joining(*drafts, NONE), Linked(b"x"), Joint(), Request(*drafts),
        ])
        self.assertEqual(self.hear(
            b"a APPEND Drafts {3+}\r\nabc CATENATE (TEXT {3+}\r\nxyz URL {1}\r\nu) {3+}\r\nend \r\n"
        ), [
            Announced(*drafts, text), b"abc", Joining(*drafts, NONE), Announced(*drafts, text, True), b"xyz",
            Wanted("a", 1), Linked(b"u"), Joint(), Announced(*drafts, text), b"end", Request(*drafts),
        ])
        self.assertEqual(self.hear(b"a REPLACE 4 Drafts CATENATE (UTF8 (~{3+}\r\nabc) URL x)\r\n"), [
            Joining("a", Replace(4, "Drafts"), NONE),
            Announced("a", Replace(4, "Drafts"), Draft(3, False, is_binary=True, is_utf8=True), True), b"abc",
            Linked(b"x"), Joint(), Request("a", Replace(4, "Drafts")),
        ])

    def test_wrong(self) -> None:
        """What is no such list is refused, and what follows is read."""
        for octets in (
            b"CATENATE ()", b"CATENATE (FOO {3+}\r\nabc)", b"CATENATE (TEXT {3+}\r\nabc", b"CATENATE (TEXT abc)",
            b"CATENATE (URL)", b"CATENATE (URL x", b"CATENATE (URL x)) ", b"CATENATE (URL x)x", b"CATENATE URL x",
            b"CATENATE (URL x TEXT {3+}\r\nabcURL y)", b"CATENATE (UTF8 ({3+}\r\nabc))", b"CATENATE (URL ~{3+}\r\nabc)",
            b"CATENATE (UTF8 (~{3+}\r\nabc URL x)", b"CATENATE (URL x) () {3+}\r\nabc x",
        ):
            found = self.hear(b"a APPEND Drafts " + octets + b"\r\nb NOOP\r\n")
            errors = [each for each in found if isinstance(each, tuple)]
            self.assertEqual(len(errors), 1, (octets, found))
            self.assertEqual(errors[0][0], "a", octets)
            self.assertIsInstance(found[-1], Request, octets)
            self.assertEqual(found[-1].tag, "b", octets)                    # type: ignore[attr-defined]
        found = self.hear(b"a REPLACE 1 x CATENATE (URL u) CATENATE (URL v)\r\n")
        self.assertEqual(found, [("a", "there is an argument too many")])

    def test_too_much_is_held(self) -> None:
        """The URLs of one command are held, and no more than a command may be."""
        urls = b" ".join([b"URL {60000+}\r\n" + b"x" * 60_000] * 5)
        found = heard(b"a APPEND x CATENATE (" + urls + b")\r\nb NOOP\r\n", 4096)
        self.assertEqual([type(each) for each in found], [tuple, Request])


class UrlTests(SynchronousTestCase):
    def test_forms(self) -> None:
        for octets, url in (
            (b"/INBOX/;UID=1", ImapUrl("INBOX", 1)), (b"/inbox/;uid=1", ImapUrl("INBOX", 1)),
            (b"/a%2Fb;UIDVALIDITY=7/;UID=4294967295", ImapUrl("a/b", 4294967295, uidvalidity=7)),
            (b"/%E6%97%A5/x/;UID=2/;SECTION=1.2.MIME", ImapUrl("日/x", 2, section=Section((1, 2), "MIME"))),
            (b"/x/;UID=1/;SECTION=HEADER.FIELDS.NOT%20(%22A%22%20b)/;PARTIAL=5.6",
             ImapUrl("x", 1, section=Section((), "HEADER.FIELDS.NOT", ("A", "b")), partial=(5, 6))),
            (b"/x/;UID=1/;PARTIAL=5", ImapUrl("x", 1, partial=(5, 0))),
            (b"IMAP://a%40b;AUTH=*@Host.example:143/x/;UID=1", ImapUrl("x", 1, "a@b", "host.example")),
            (b"imap://[::1]/x/;UID=1", ImapUrl("x", 1, host="[::1]")),
            (b"imap://a@h/x/;UID=1;EXPIRE=1970-01-01T01:00:00+00:30;URLAUTH=submit+a%40b:internal:" + b"Ab" * 16,
             ImapUrl("x", 1, "a", "h", access=Access(
                 "submit", "a@b", 1800.0, "imap://a@h/x/;UID=1;EXPIRE=1970-01-01T01:00:00+00:30;URLAUTH=submit+a%40b",
                 "INTERNAL", "ab" * 16,
             ))),
            (b"imap://a@h/x/;UID=1;URLAUTH=anonymous",
             ImapUrl("x", 1, "a", "h", access=Access("anonymous", "", None, "imap://a@h/x/;UID=1;URLAUTH=anonymous"))),
        ):
            self.assertEqual(parse(octets), url)

    def test_none(self) -> None:
        """Whatever is no URL of a message is refused, quickly."""
        for octets in (
            b"", b"/", b"//", b"x", b"/x", b"/;UID=1", b"x/;UID=1", b";UID=1", b"//h/x/;UID=1", b"/x/;UID=0",
            b"/x/;UID=4294967296", b"/x/;UID=-1", b"/x/;UID=", b"/x;UID=1", b"/x/;UIDVALIDITY=1/;UID=1", b"/x/;UID=1/",
            b"/x/;UID=1/;SECTION=", b"/x/;UID=1/;SECTION=0", b"/x/;UID=1/;SECTION=1%5D%20x",
            b"/x/;UID=1/;SECTION=%0D%0A",
            b"/x/;UID=1/;PARTIAL=1.0", b"/x/;UID=1/;PARTIAL=1.2.3", b"/x/;UID=1/;PARTIAL=9999999999999999999",
            b"/x?A/;UID=1",
            b"/%/;UID=1", b"/%2/;UID=1", b"/%GG/;UID=1", b"/%00/;UID=1", b"/%0a/;UID=1", b"/%FF/;UID=1",
            b"/\xff/;UID=1",
            b"/x /;UID=1", b"/x\r\n/;UID=1", b"/a//b/;UID=1", b"/x/;UID=1;URLAUTH=", b"/x/;UID=1;URLAUTH=me",
            b"/x/;UID=1;URLAUTH=user+", b"/x/;UID=1;URLAUTH=authuser:INTERNAL",
            b"/x/;UID=1;URLAUTH=authuser:INTERNAL:1",
            b"/x/;UID=1;EXPIRE=2001-01-01T00:00:00Z", b"/x/;UID=1;URLAUTH=user+%FF", b"/x/;UID=1;URLAUTH=user+%0A",
            b"/x/;UID=1;EXPIRE=2001-13-01T00:00:00Z;URLAUTH=authuser", b"imap://h:65536/x/;UID=1", b"imap://h",
            b"imap:///x/;UID=1", b"imap://h/", b"imap://h/x", b"imap://a:b@h/x/;UID=1", b"imaps://h/x/;UID=1",
            b"http://h/x/;UID=1", b"imap://h h/x/;UID=1", b"/" + b"a/;UID=1" * 400, b"imap://" + b"a@" * 2000,
            b"/x/;UID=1" + b"/;SECTION=1" * 300, b"/" + b"%41" * 1200 + b"/;UID=1",
            b"/x/;UID=1/;SECTION=" + b"1." * 1000,
            b"a" * 100_000, b"/" + b"%" * 4000,
        ):
            self.assertRaises(BadUrl, parse, octets)
