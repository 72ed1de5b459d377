"""What is sent back to senders, and whether."""

from __future__ import annotations

import email
import email.header
from email.message import Message
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.content import Content
from mailserver.delivery.reports.action import Action
from mailserver.delivery.reports.compose import compose
from mailserver.delivery.reports.languages import languages
from mailserver.delivery.reports.original import MOST_HEADER, MOST_WHOLE, Original
from mailserver.delivery.reports.sentences import LANGUAGES
from mailserver.delivery.reports.wanted import is_reportable, wanted
from mailserver.delivery.result import DEFERRED, DELIVERED, FAILED, Result, by_error, by_reply
from mailserver.envelope import Origin
from mailserver.errors import TemporaryFailure
from mailserver.feedback.kinds import Kind
from mailserver.ident import spell
from mailserver.reply import Reply
from mailserver.wishes import Wishes
from tests.store.cases import NOW, make_entry

REPLY = Reply(550, "1.1", "No such user here\nask somebody else")
OK = by_reply(Reply(250, "2.0", "queued"), "mx.example.com:25")


def original(octets: bytes) -> Original:
    return Original.of(Content.of(octets))


def report(
    *ended: Any, header: bytes = b"Subject: hello\r\n", action: Action = Action.FAILED, body: bytes = b"\r\nhi\r\n",
    following: Any = None,
) -> tuple[bytes, list[Message]]:
    octets = compose(action, ended, original(header + body), "mx.example.org", NOW, "BOUNDARY", following)
    message = email.message_from_bytes(octets)
    assert not message.defects, message.defects
    for line in octets.split(b"\r\n"):
        assert b"\n" not in line and len(line) < 998, line
    return octets, message.get_payload()                    # type: ignore[return-value]


def words(parts: list[Message]) -> str:
    """What people read, without line ends."""
    return " ".join(parts[0].get_payload(decode=True).decode().split())             # type: ignore[union-attr]


def fields(part: Message) -> list[Message]:
    return part.get_payload()                               # type: ignore[return-value]


def asks(notify: str = "", **others: Any) -> Any:
    named = ("orcpt", "envid", "ret", "require_tls")
    wishes = Wishes(notify=notify, **{key: others.pop(key) for key in named if key in others})
    return make_entry(1, 1, others.pop("target", "bob@example.com"), wishes=wishes, **others)


class ReportTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A multipart/report of three parts, to the sender, by the postmaster, automatic."""
        octets, parts = report((make_entry(1, 1, "bob@example.com"), by_reply(REPLY, "mx.example.com:25")))
        message = email.message_from_bytes(octets)
        self.assertEqual(message.get_content_type(), "multipart/report")
        self.assertEqual(message.get_param("report-type"), "delivery-status")
        self.assertEqual(message["To"], "<alice@example.net>")
        self.assertEqual(message["Auto-Submitted"], "auto-replied")
        for name in ("From", "Date", "Message-ID", "Subject", "MIME-Version"):
            self.assertEqual(len(message.get_all(name, [])), 1, name)
        self.assertEqual(
            [part.get_content_type() for part in parts],
            ["text/plain", "message/delivery-status", "text/rfc822-headers"],
        )
        self.assertTrue(octets.isascii())

    def test_fields(self) -> None:
        """RFC 3464 2.2 and 2.3, with the remote's words."""
        prefix = b"Received: from mua.example.net (host.example.net [192.0.2.7])\r\n\tby us\r\n"
        entry = asks(envid="QQ 17", orcpt="rfc822;robert@example.com", prefix=prefix)
        _, parts = report((entry, by_reply(REPLY, "mx.example.com:25")))
        whole, recipient = fields(parts[1])
        date = "Fri, 15 Jan 2027 08:00:00 +0000"
        self.assertEqual(
            dict(whole.items()),
            {"Original-Envelope-Id": "QQ 17", "Reporting-MTA": "dns; mx.example.org", "Arrival-Date": date,
             "Received-From-MTA": "dns; mua.example.net ([192.0.2.7])"},
        )
        self.assertEqual(
            dict(recipient.items()),
            {
                "Original-Recipient": "rfc822; robert@example.com",
                "Final-Recipient": "rfc822; bob@example.com", "Action": "failed", "Status": "5.1.1",
                "Remote-MTA": "dns; mx.example.com",
                "Diagnostic-Code": "smtp; 550 5.1.1 No such user here / ask somebody else",
                "Last-Attempt-Date": date, "Final-Log-ID": spell(1),
            },
        )
        self.assertIn("<bob@example.com> There is no such address. Look whether it is written correctly. "
                      "mx.example.com:25 said: 550 5.1.1 No such user here / ask somebody else", words(parts))

    def test_several(self) -> None:
        """Each has its fields; a forwarded one is known by the address that the sender wrote."""
        forwarded = make_entry(2, 1, "eve@example.net", recipient=Address.parse("sales@example.org"))
        why = "given up after 5 days: connection refused by 192.0.2.1:25"
        given_up = Result(FAILED, why, None, "mx:25", "192.0.2.1", given_up=True)
        _, parts = report((make_entry(1, 1), by_reply(REPLY)), (forwarded, given_up))
        _, first, second = fields(parts[1])
        self.assertNotIn("Original-Recipient", first)
        self.assertNotIn("Remote-MTA", first)
        self.assertEqual(second["Original-Recipient"], "rfc822; sales@example.org")
        self.assertEqual(second["Final-Recipient"], "rfc822; eve@example.net")
        self.assertEqual(second["Status"], "4.4.7")
        self.assertIn("x-mailserver; given up after 5 days: connection refused", second["Diagnostic-Code"])
        text = words(parts)
        self.assertIn("<sales@example.org> (which is forwarded to <eve@example.net>) "
                      "Their server could not be reached.", text)
        self.assertIn(why, text)
        self.assertNotIn("mx:25 said", text)

    def test_ours(self) -> None:
        """What nobody refused but this server is not laid at another's door."""
        held = Result(FAILED, "suppressed: bob@example.com is not written to since yesterday", detail="7.1")
        _, parts = report((asks(), held))
        self.assertIn("This server does not send it: suppressed: bob@example.com is not written to", words(parts))
        self.assertNotIn("Their server", words(parts))
        self.assertEqual(fields(parts[1])[1]["Status"], "5.7.1")

    def test_delayed(self) -> None:
        """Why, until when it is tried, and when next; nobody needs to do anything."""
        full = by_reply(Reply(452, "2.2", "Mailbox full"), "mx:25")
        octets, parts = report((asks(), full), action=Action.DELAYED, following={1: NOW + 3600})
        [_, recipient] = fields(parts[1])
        self.assertEqual((recipient["Action"], recipient["Status"]), ("delayed", "4.2.2"))
        self.assertEqual(recipient["Will-Retry-Until"], "Wed, 20 Jan 2027 08:00:00 +0000")
        self.assertIn("The recipient's mailbox is full.", words(parts))
        self.assertIn("next at 2027-01-15 09:00 UTC, and until 2027-01-20 08:00 UTC at the latest", words(parts))
        self.assertIn("You need not do anything", words(parts))
        self.assertIn(b"Subject: Your mail is delayed", octets)

    def test_successes(self) -> None:
        """Delivered, handed on, expanded: the status is a good one, and nothing is to be done."""
        member = asks(target="eve@example.net", recipient=Address.parse("list@example.org"))
        for action, entry, final in (
            (Action.DELIVERED, asks(), "bob@example.com"), (Action.RELAYED, asks(), "bob@example.com"),
            (Action.EXPANDED, member, "list@example.org"),
        ):
            _, parts = report((entry, OK), action=action)
            recipient = fields(parts[1])[1]
            self.assertEqual((recipient["Action"], recipient["Status"][:2]), (action.value, "2."))
            self.assertEqual(recipient["Final-Recipient"], f"rfc822; {final}")
            self.assertNotIn("tried again", words(parts))

    def test_what_comes_back(self) -> None:
        """All of it when that was asked for with a failure, and it is small; else the header (RFC 3461 4.3)."""
        def back(entry: Any, body: bytes = b"\r\nhi\r\n", **others: Any) -> tuple[str, bytes]:
            _, parts = report((entry, by_reply(REPLY)), body=body, **others)
            part = parts[2]
            octets = part.get_payload()[0].as_bytes() if part.is_multipart() else part.get_payload(decode=True)
            return part.get_content_type(), octets          # type: ignore[return-value]

        type, octets = back(asks(ret="FULL"))
        self.assertEqual(type, "message/rfc822")
        self.assertTrue(octets.rstrip().endswith(b"hi"))
        self.assertEqual(back(asks(ret="HDRS"))[0], "text/rfc822-headers")
        self.assertEqual(back(asks(ret=""))[0], "text/rfc822-headers")
        self.assertEqual(back(asks(ret="FULL"), action=Action.DELAYED)[0], "text/rfc822-headers")
        self.assertEqual(back(asks(ret="FULL", require_tls=True))[0], "text/rfc822-headers")        # RFC 8689 5
        large = b"\r\n" + b"x\r\n" * MOST_WHOLE
        self.assertEqual(back(asks(ret="FULL"), body=large)[0], "text/rfc822-headers")
        self.assertEqual(back(asks(ret="FULL"), body=b"\r\n--BOUNDARY--\r\n")[0], "text/rfc822-headers")

    def test_binary_does_not_come_back(self) -> None:
        """BODY=BINARYMIME may hold anything (RFC 3030 3); a report is lines, and no server has to take others."""
        entry = asks(ret="FULL")
        for hostile in (b"a\0b", b"a\nb", b"a\rb", b"x" * 999):
            octets, parts = report((entry, by_reply(REPLY)), body=b"\r\nhi\r\n" + hostile + b"\r\n")
            self.assertEqual(parts[2].get_content_type(), "text/rfc822-headers")
            octets, parts = report((entry, by_reply(REPLY)), header=b"A: b\r\nX: " + hostile + b"\r\nC: d\r\n")
            self.assertEqual(parts[2].get_payload(decode=True), b"A: b\r\nC: d\r\n")
            self.assertNotIn(b"\0", octets)

    def test_belongs_to_the_original(self) -> None:
        """A mail program shows it beside what it is about."""
        octets, _ = report((asks(), by_reply(REPLY)), header=b"Message-ID:\r\n <a.b@example.net>\r\n")
        self.assertEqual(email.message_from_bytes(octets)["In-Reply-To"], "<a.b@example.net>")
        octets, _ = report((asks(), by_reply(REPLY)), header=b"Message-ID: <a b>,<c>\r\n")
        self.assertNotIn(b"In-Reply-To", octets)

    def test_hostile_words(self) -> None:
        """What a remote says is not a field, a boundary or a line that is too long."""
        reply = Reply(550, "", "x\nFinal-Recipient: rfc822; a@b\n--BOUNDARY--\n" + "y" * 4000 + " \u65e5\u672c")
        _, parts = report((make_entry(1, 1), by_reply(reply, "mx:25")))
        self.assertEqual(len(parts), 3)
        self.assertEqual(len(fields(parts[1])), 2)
        self.assertTrue(parts[1].as_bytes().isascii())

    def test_hostile_header(self) -> None:
        """Only its beginning, in whole lines, and nothing that would end our part."""
        lines = b"".join(b"X-%d: %s\r\n" % (number, b"z" * 50) for number in range(2000))
        _, parts = report((make_entry(1, 1), by_reply(REPLY)), header=b"A: b\r\n--BOUNDARY--\r\n" + lines)
        self.assertEqual(len(parts), 3)
        sent_back = parts[2].get_payload(decode=True)
        assert isinstance(sent_back, bytes)
        self.assertLess(len(sent_back), MOST_HEADER + 100)
        self.assertTrue(sent_back.rstrip(b"\r\n").endswith(b"zzz"))
        _, parts = report((make_entry(1, 1), by_reply(REPLY)), header=b"X: " + b"z" * 100_000)
        self.assertEqual(parts[2].get_payload(decode=True).strip(), b"")            # type: ignore[union-attr]

    def test_many_recipients(self) -> None:
        """However many, and whatever their servers said, it stays within bounds, and names each."""
        long = by_reply(Reply(550, "1.1", "x" * 900))
        ended = [(make_entry(number, 1, f"b{number}@example.com"), long) for number in range(1, 1001)]
        octets, parts = report(*ended)
        self.assertLess(len(octets), 512 * 1024)
        self.assertEqual(len(fields(parts[1])), 1001)
        self.assertIn("and 900 more.", words(parts))


class BeyondAsciiTests(SynchronousTestCase):
    def test_an_address(self) -> None:
        """The forms of RFC 6533, in UTF-8."""
        octets, parts = report((make_entry(1, 1, "j\u00f6rg@example.com"), by_reply(REPLY)))
        self.assertEqual(email.message_from_bytes(octets).get_param("report-type"), "global-delivery-status")
        self.assertEqual(parts[1].get_content_type(), "message/global-delivery-status")
        self.assertEqual(parts[2].get_content_type(), "message/global-headers")
        self.assertIn("Final-Recipient: utf-8; j\u00f6rg@example.com\r\n".encode(), octets)
        self.assertIn("<j\u00f6rg@example.com>".encode(), octets)

    def test_a_header(self) -> None:
        octets, parts = report((asks(ret="FULL"), by_reply(REPLY)), header="Subject: \u65e5\u672c\r\n".encode())
        self.assertEqual(parts[2].get_content_type(), "message/global")
        self.assertIn("Subject: \u65e5\u672c".encode(), octets)

    def test_no_utf8(self) -> None:
        """Octets of some other charset make nothing global of it."""
        _, parts = report((asks(), by_reply(REPLY)), header=b"Subject: \xff\xfe\r\n")
        self.assertEqual(parts[1].get_content_type(), "message/delivery-status")
        self.assertEqual(parts[2].get_content_type(), "text/rfc822-headers")
        self.assertEqual(parts[2]["Content-Transfer-Encoding"], "8bit")

    def test_japanese(self) -> None:
        """Japanese above, English below, in ASCII on the wire; the subject is Japanese."""
        for action in Action:
            octets, parts = report((asks(), by_reply(REPLY)), header=b"Accept-Language: ja, en\r\n", action=action)
            self.assertTrue(octets.isascii())
            subject = email.header.make_header(email.header.decode_header(email.message_from_bytes(octets)["Subject"]))
            self.assertEqual(str(subject), LANGUAGES["ja"].subjects[action])
            text = words(parts)
            japanese, english = (" ".join(LANGUAGES[each].openings[action].split()) for each in ("ja", "en"))
            self.assertLess(text.index(japanese), text.index(english))

    def test_every_language_says_all(self) -> None:
        for name, sentences in LANGUAGES.items():
            self.assertEqual(set(sentences.reasons), set(Kind), name)
            for each in (sentences.subjects, sentences.openings, sentences.closings):
                self.assertEqual(set(each), set(Action), name)

    def test_languages(self) -> None:
        """What the message tells of its writer's language."""
        both, english = ("ja", "en"), ("en",)
        for header, sender, spoken in (
            (b"", "a@example.net", english),
            (b"", "a@example.co.jp", both),
            (b"Accept-Language: en\r\n", "a@example.co.jp", english),
            (b"Accept-Language: de, fr\r\n", "a@example.net", english),
            (b"Content-Language: ja-JP\r\n", "a@example.net", both),
            (b"Accept-Language: en;q=0.5, ja;q=0.9\r\n", "a@example.net", both),
            (b"Accept-Language: ja;q=1.2.3, en\r\n", "a@example.net", english),
            (b"Content-Type: text/plain; charset=ISO-2022-JP\r\n", "a@example.net", both),
            (b"Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\n", "a@example.net", both),
            (b"Subject: =?utf-8?B?44GT44KT44Gr44Gh44Gv?=\r\n", "a@example.net", both),
            (b"Subject: =?utf-8?B?5pel5pys?=\r\n", "a@example.net", english),      # Chinese writes this too
            (b"Subject: =?utf-8?B?!!!?= =?x?Q?=ff=?=\r\n", "a@example.net", english),
            (b"Subject: \xe3\x81\x82\r\n", "a@example.net", both),
        ):
            self.assertEqual(languages(original(header), Address.parse(sender)), spoken, (header, sender))


class WantedTests(SynchronousTestCase):
    def test_the_null_path(self) -> None:
        """Never (RFC 5321 4.5.5), nor whoever signs as a reporter."""
        self.assertFalse(is_reportable(None))
        self.assertTrue(is_reportable(Address.parse("a@b.example")))
        for action in Action:
            for sender in (None, Address.parse("MAILER-DAEMON@example.net"), Address.parse("postmaster")):
                entry = asks("SUCCESS,FAILURE,DELAY", sender=sender, origin=Origin.SUBMISSION)
                self.assertFalse(wanted(entry, action), (sender, action))

    def test_asked(self) -> None:
        """RFC 3461 4.1."""
        def told(notify: str) -> set[str]:
            return {each.value for each in Action if wanted(asks(notify, origin=Origin.SUBMISSION), each)}

        self.assertEqual(told(""), {"failed", "delayed"})
        self.assertEqual(told("NEVER"), set())
        self.assertEqual(told("FAILURE"), {"failed"})
        self.assertEqual(told("success"), {"delivered", "relayed", "expanded"})
        self.assertEqual(told("DELAY,FAILURE"), {"failed", "delayed"})

    def test_strangers_cause_nothing(self) -> None:
        """Their sender may be anybody: only a failure is told, since we took it upon us."""
        for origin in (Origin.ARRIVAL, Origin.INTERNAL):
            entry = asks("SUCCESS,FAILURE,DELAY", origin=origin)
            self.assertEqual([each for each in Action if wanted(entry, each)], [Action.FAILED])
            self.assertFalse(wanted(asks(origin=origin), Action.DELAYED))

    def test_lists(self) -> None:
        """Where a list counts its failures, nobody reads of delays."""
        for local in ("owner-list", "list-request", "list-bounces+bob=example.com", "news-return-17"):
            entry = asks(sender=Address(local, "example.net"), origin=Origin.SUBMISSION)
            self.assertTrue(wanted(entry, Action.FAILED), local)
            self.assertFalse(wanted(entry, Action.DELAYED), local)


class ResultTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        for code, kind in ((250, DELIVERED), (354, DEFERRED), (451, DEFERRED), (550, FAILED)):
            self.assertEqual(by_reply(Reply(code, "", "x")).kind, kind)

    def test_words_are_bounded(self) -> None:
        self.assertEqual(len(by_reply(Reply(451, "", "x" * 30_000)).words), 1000)

    def test_errors(self) -> None:
        """A temporary one waits, with its reply if there was one."""
        result = by_error(TemporaryFailure("connection refused by 192.0.2.1:25"), "mx:25", "192.0.2.1")
        self.assertEqual((result.kind, result.status, result.host), (DEFERRED, "4.0.0", "mx:25"))
