"""The classic interface; the server does not run, and what it takes is there all the same."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.cli.sendmail import header_recipients, lines, with_from, without_bcc
from tests.cli.commands import HouseTestCase


class HandInTests(HouseTestCase):
    """What programs do with it."""

    def box(self) -> dict[str, int]:
        """What is said of INBOX; in all others there is nothing."""
        about = self.done("user", "show", "alice@example.org", "--json").json
        boxes = {each["name"]: each for each in about["mailboxes"]}
        inbox: dict[str, int] = boxes.pop("INBOX")
        self.assertEqual([each["messages"] for each in boxes.values()], [0] * len(boxes))
        return inbox

    def inbox(self) -> int:
        return self.box()["messages"]

    def test_to_an_account(self) -> None:
        said = self.say(
            "sendmail", "-i", "-f", "bob@example.net", "alice@example.org", stdin="Subject: x\n\nhi\n.\nyes\n"
        )
        self.assertEqual((said.code, said.out, said.err), (0, "", ""))
        self.assertEqual(self.inbox(), 1)
        (found,) = self.done("trace", "--to", "alice", "--json").json
        self.assertEqual((found["sender"], found["origin"]), ("bob@example.net", "submission"))

    def test_header_says_to_whom(self) -> None:
        self.done(
            "sendmail", "-t", "-oi", "-oem",
            stdin="To: Al <alice@example.org>,\n\tx@example.net\nBcc: y@example.net\nSubject: x\n\nhi\n",
        )
        self.assertEqual(self.inbox(), 1)
        waiting = self.done("queue", "list", "--json").json
        self.assertEqual({each["recipient"] for each in waiting}, {"x@example.net", "y@example.net"})
        self.assertEqual({each["state"] for each in waiting}, {"ready"})

    def test_exit_codes(self) -> None:
        """67 nobody there, 64 nobody named, 65 no address, 78 no configuration."""
        said = self.say("sendmail", "nobody@example.org", "alice@example.org", stdin="\nhi\n")
        self.assertEqual(said.code, 67)
        self.assertIn("<nobody@example.org>: 550 5.1.1", said.err)
        self.assertEqual(self.inbox(), 0)
        self.assertEqual(self.say("sendmail", stdin="\nhi\n").code, 64)
        self.assertEqual(self.say("sendmail", "a b@example.org", stdin="\nhi\n").code, 65)
        self.config.write_text("hostname = 1\n")
        self.assertEqual(self.say("sendmail", "alice@example.org", stdin="\nhi\n").code, 78)

    def test_smtp_on_standard_input(self) -> None:
        said = self.done("sendmail", "-bs", stdin=(
            "EHLO me\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<alice@example.org>\r\nRCPT TO:<no@example.org>\r\n"
            "DATA\r\nSubject: x\r\n\r\nhi\r\n.\r\nQUIT\r\n"
        ))
        codes = [each[:3] for each in said.out.split("\r\n") if each[3:4] == " "]
        self.assertEqual(codes, ["220", "250", "250", "250", "550", "354", "250", "221"])
        self.assertEqual(self.inbox(), 1)

    def test_end_of_input_ends_the_conversation(self) -> None:
        said = self.done("sendmail", "-bs", stdin="EHLO me\r\nMAIL FROM:<a@example.net>\r\n")
        self.assertEqual(said.out.count("250 "), 2)

    def test_large(self) -> None:
        self.done("sendmail", "alice@example.org", stdin=b"Subject: x\n\n" + b"0123456789\n" * 50_000)
        self.assertGreater(self.box()["octets"], 600_000)


class MessageTests(SynchronousTestCase):
    """What becomes of the octets."""

    def test_line_ends(self) -> None:
        self.assertEqual(lines(b"A: b\n\nc\rd\r\ne", True), b"A: b\r\n\r\nc\r\nd\r\ne\r\n")

    def test_dot(self) -> None:
        self.assertEqual(lines(b"A: b\n\nc\n.\nd\n", False), b"A: b\r\n\r\nc\r\n")
        self.assertEqual(lines(b"A: b\n\nc\n.\nd\n", True), b"A: b\r\n\r\nc\r\n.\r\nd\r\n")

    def test_mbox_line(self) -> None:
        self.assertEqual(lines(b"From bob Mon Nov 24\nA: b\n\nc\n", True), b"A: b\r\n\r\nc\r\n")

    def test_no_header(self) -> None:
        self.assertEqual(lines(b"hello there\n", True), b"\r\nhello there\r\n")

    def test_recipients(self) -> None:
        message = (
            b"To: =?utf-8?q?J=C3=B6?= <jo@example.net>, \"a, b\" <ab@example.net>\r\n"
            b"Cc: root,\r\n\tjo@example.net\r\nbcc: group: c@example.net;\r\n\r\nTo: not@example.net\r\n"
        )
        self.assertEqual(
            [str(each) for each in header_recipients(message, "mx.example.org")],
            ["jo@example.net", "ab@example.net", "root@mx.example.org", "c@example.net"],
        )

    def test_resent(self) -> None:
        message = b"To: old@example.net\r\nResent-To: new@example.net\r\n\r\n"
        self.assertEqual(header_recipients(message, "h"), [Address("new", "example.net")])

    def test_bcc_is_taken_away(self) -> None:
        message = b"To: a@b.test\r\nBCC: c@d.test,\r\n e@f.test\r\nSubject: x\r\n\r\nBcc: stays\r\n"
        self.assertEqual(without_bcc(message), b"To: a@b.test\r\nSubject: x\r\n\r\nBcc: stays\r\n")

    def test_from(self) -> None:
        message = b"Subject: x\r\n\r\n"
        sender = Address("a", "b.test")
        self.assertEqual(with_from(message, "A B", sender, "h"), b"From: A B <a@b.test>\r\n" + message)
        there = b"FROM: x@y.test\r\n\r\n"
        self.assertEqual(with_from(there, None, sender, "h"), there)
