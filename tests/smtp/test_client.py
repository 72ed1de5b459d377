"""Replies as servers send them, and as they should not; commands as servers want them."""

import base64
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.reply import Reply
from mailserver.smtp import client, xtext
from mailserver.smtp.client import LARGEST, LONGEST_LINE, NotSmtp, ReplyReader
from mailserver.wishes import NONE, Wishes

ANN = Address.parse("ann@example.org")


def replies(*chunks: bytes) -> list[Reply]:
    reader = ReplyReader()
    found = []
    for chunk in chunks:
        reader.receive(chunk)
        while (reply := reader.next()) is not None:
            found.append(reply)
    return found


class ReplyTests(SynchronousTestCase):
    def test_plain(self) -> None:
        """Code, enhanced status and text; a reply may be a code alone, or be ended by a lone LF."""
        self.assertEqual(replies(b"250 2.1.0 Sender ok\r\n"), [Reply(250, "1.0", "Sender ok")])
        self.assertEqual(replies(b"354 Go on\r\n221\r\n"), [Reply(354, "", "Go on"), Reply(221, "", "")])
        self.assertEqual(replies(b"250 Ok\n"), [Reply(250, "", "Ok")])

    def test_several_lines(self) -> None:
        """The status that each line repeats stands once."""
        self.assertEqual(
            replies(b"550-5.1.1 No such user\r\n550-5.1.1 here,\r\n550 5.1.1 sorry\r\n"),
            [Reply(550, "1.1", "No such user\nhere,\nsorry")],
        )
        [reply] = replies(b"250-mx greets\r\n250-SIZE 5\r\n250 HELP\r\n")
        self.assertEqual(reply, Reply(250, "", "mx greets\nSIZE 5\nHELP"))

    def test_another_classs_status_is_text(self) -> None:
        """A status that contradicts its code is none."""
        self.assertEqual(replies(b"450 5.1.1 Hm\r\n"), [Reply(450, "", "5.1.1 Hm")])
        self.assertEqual(replies(b"250 2.0.0.1 x\r\n"), [Reply(250, "", "2.0.0.1 x")])

    @given(st.lists(st.integers(0, 60), max_size=8))
    def test_any_cut(self, places: list[int]) -> None:
        octets = b"220 mx ESMTP\r\n250-a\r\n250-b c\r\n250 d\r\n550 5.7.1 no\r\n"
        edges = [0, *sorted(place % len(octets) for place in places), len(octets)]
        chunks = [octets[start:end] for start, end in pairwise(edges)]
        self.assertEqual(replies(*chunks), replies(octets))

    def test_control_characters(self) -> None:
        """Nothing of a server's reaches a terminal, or begins a line of its own in the queue's record."""
        [reply] = replies(b"451 \x1b]0;x\x07 a\rb \x00\xff\xe2\x80\xa8 {log_time} %n \x7f\r\n")
        self.assertEqual(reply.text, "?]0;x? a?b ?\ufffd? {log_time} %n ?")
        self.assertTrue(reply.text.isprintable())

    def test_not_replies(self) -> None:
        for octets in (
            b"hello\r\n", b"\r\n", b"25 x\r\n", b"2500 x\r\n", b"650 x\r\n", b"150 x\r\n", b"250_x\r\n",
            b"\x16\x03\x01\n", b"HTTP/1.1 200 OK\r\n", b" 250 x\r\n", b"250-a\r\n251 b\r\n", b"250-a\r\nb\r\n",
        ):
            self.assertRaises(NotSmtp, replies, octets)

    def test_without_end(self) -> None:
        """Ten megabytes of continuation, or of one line: given up at once, and nothing of it is kept."""
        for octets in (b"250-more\r\n" * 1000, b"250 " + b"x" * 65536, b"250-" + b"x" * 4000 + b"\r\n", b"x" * 65536):
            reader = ReplyReader()
            fed = 0
            with self.assertRaises(NotSmtp):
                while fed < 10_000_000:
                    reader.receive(octets)
                    fed += len(octets)
                    while reader.next() is not None:
                        pass
            self.assertLessEqual(fed, LARGEST + 2 * len(octets))

    def test_longest(self) -> None:
        """A line of the longest length is read; one more octet is too many."""
        text = b"x" * (LONGEST_LINE - 6)
        self.assertEqual(replies(b"250 " + text + b"\r\n"), [Reply(250, "", text.decode())])
        self.assertRaises(NotSmtp, replies, b"250 " + text + b"x\r\n")

    def test_buffered(self) -> None:
        """What was not asked for is noticed, the lines of an unfinished reply too."""
        reader = ReplyReader()
        reader.receive(b"220 go\r\n250-injected\r\n")
        self.assertEqual(reader.next(), Reply(220, "", "go"))
        self.assertIsNone(reader.next() if reader.buffered else Reply(0, "", ""))
        self.assertGreater(reader.buffered, 0)

    @given(st.binary(max_size=200))
    def test_anything(self, octets: bytes) -> None:
        """Whatever comes is replies, or not SMTP."""
        try:
            for reply in replies(octets):
                self.assertIn(reply.severity, (2, 3, 4, 5))
                self.assertTrue(reply.text.replace("\n", "").isprintable())
        except NotSmtp:
            pass


class CommandTests(SynchronousTestCase):
    alice = Address.parse("alice@example.org")

    def test_extensions(self) -> None:
        [reply] = replies(b"250-mx at your service\r\n250-size 1000\r\n250-Auth PLAIN login\r\n250 8BITMIME\r\n")
        self.assertEqual(client.extensions(reply), {"SIZE": "1000", "AUTH": "PLAIN login", "8BITMIME": ""})

    def test_mail(self) -> None:
        """Only what the server offers is used."""
        offered = {"SIZE": "", "8BITMIME": "", "SMTPUTF8": ""}
        for arguments, octets in (
            ((self.alice, 100, "8BITMIME", {}), b"MAIL FROM:<alice@example.org>\r\n"),
            ((self.alice, 100, "8BITMIME", offered), b"MAIL FROM:<alice@example.org> SIZE=100 BODY=8BITMIME\r\n"),
            ((None, 0, "7BIT", offered), b"MAIL FROM:<>\r\n"),
        ):
            self.assertEqual(client.mail(*arguments), octets)

    def test_addresses_beyond_ascii(self) -> None:
        """A domain has A-labels for every server; a local part has not, and needs SMTPUTF8."""
        domain, local = Address.parse("a@bücher.example"), Address.parse("jörg@bücher.example")
        self.assertEqual(client.rcpt(domain), b"RCPT TO:<a@xn--bcher-kva.example>\r\n")
        self.assertEqual((client.needs_utf8([None, domain]), client.needs_utf8([domain, local])), (False, True))
        self.assertEqual(
            client.mail(local, 0, "7BIT", {"SMTPUTF8": ""}, utf8=True),
            "MAIL FROM:<jörg@xn--bcher-kva.example> SMTPUTF8\r\n".encode(),
        )

    def test_quoted(self) -> None:
        """What a local part holds cannot end the command's argument."""
        self.assertEqual(
            client.rcpt(Address.parse(r'"a> \"b"@example.org')), b'RCPT TO:<"a> \\"b"@example.org>\r\n'
        )

    def test_logins(self) -> None:
        self.assertEqual(base64.b64decode(client.auth_plain("ann", "sëcret").split()[2]), "\0ann\0sëcret".encode())
        self.assertEqual(client.base64_line("ann"), b"YW5u\r\n")


class WishTests(SynchronousTestCase):
    """What is passed on of a sender's wishes, to a server that knows of them."""

    wishes = Wishes(
        ret="HDRS", envid="a+b", require_tls=True, priority=-3, deliver_by=1060.0, by_mode="N", notify="NEVER"
    )

    def test_each(self) -> None:
        offered = {"DSN": "", "REQUIRETLS": "", "MT-PRIORITY": "", "DELIVERBY": "", "SIZE": ""}
        wished = ["RET=HDRS", "ENVID=a+2Bb", "REQUIRETLS", "MT-PRIORITY=-3", "BY=60;N"]
        self.assertEqual(client.wished(self.wishes, offered, 1000.0), wished)
        self.assertEqual(client.wished(self.wishes, {"MT-PRIORITY": ""}, 1000.0), ["MT-PRIORITY=-3"])
        self.assertEqual(client.wished(NONE, offered, 1000.0), [])
        self.assertEqual(
            client.mail(ANN, 7, "8BITMIME", offered | {"8BITMIME": ""}, False, wished),
            b"MAIL FROM:<ann@example.org> SIZE=7 BODY=8BITMIME RET=HDRS ENVID=a+2Bb REQUIRETLS MT-PRIORITY=-3"
            b" BY=60;N\r\n",
        )

    def test_of_recipients(self) -> None:
        """Whatever stood in ORCPT, no line end and no parameter comes of it; beyond ASCII it has its own type."""
        for notify, orcpt, said in (
            ("", "", b""), ("NEVER", "", b" NOTIFY=NEVER"),
            ("SUCCESS,DELAY", "rfc822;b=c+d e@x", b" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;b+3Dc+2Bd+20e@x"),
            ("", "utf-8;\u4f8b@x", b" ORCPT=utf-8;\\x{4F8B}@x"), ("", "rfc822;\u4f8b@x", b" ORCPT=utf-8;\\x{4F8B}@x"),
        ):
            self.assertEqual(client.rcpt(ANN, notify, orcpt), b"RCPT TO:<ann@example.org>" + said + b"\r\n")

    def test_xtext_of_postfix(self) -> None:
        """Which writes the octets of UTF-8; what is none, or no line, is refused."""
        self.assertEqual(xtext.decode("+E4+BE+8B@x"), "\u4f8b@x")
        for wrong in ("+E4@x", "+0D+0A", "+C2+85", "+e4"):
            self.assertRaises(ValueError, xtext.decode, wrong)
