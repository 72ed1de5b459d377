"""METADATA and LIST-METADATA over sockets (RFC 5464, RFC 9590)."""

from __future__ import annotations

from mailserver.imapmetadata import LARGEST_VALUE, MOST_ENTRIES
from mailserver.service import MailServer
from tests.session.imap.house import ImapCase, Peer

COMMENT = "GETMETADATA INBOX /private/comment"


class MetadataCase(ImapCase):
    server: MailServer

    async def alice(self, *commands: str, extra: str = "") -> Peer:
        self.server = await self.serve(extra)
        return await self.log_in(self.server, "alice", *commands)

    async def tells(self, peer: Peer, command: str | bytes, *lines: bytes) -> None:
        """A command is answered with these METADATA, and no others."""
        heard = (await peer.ok(command)).of(b"METADATA")
        self.assertEqual([each.removeprefix(b"* METADATA ") for each in heard], list(lines), command)

    async def refuses(self, peer: Peer, command: str | bytes, words: bytes) -> None:
        """It is not done, and answered so."""
        heard = await peer.ask(command)
        self.assertRegex(heard.end, b"^" + words, command)
        self.assertEqual(heard.of(b"METADATA"), [])


class SettingTests(MetadataCase):
    async def test_set_and_get(self) -> None:
        peer = await self.alice()
        await peer.ok('SETMETADATA INBOX (/private/comment "My own" /shared/comment "For all")')
        await self.tells(peer, COMMENT, b'INBOX (/private/comment "My own")')
        await self.tells(peer, 'GETMETADATA "INBOX" (/shared/comment /private/comment)',
                         b'INBOX (/shared/comment "For all" /private/comment "My own")')
        await peer.ok("SETMETADATA INBOX (/private/comment NIL /private/never NIL)")
        await self.tells(peer, "GETMETADATA INBOX (/private/comment /shared/comment)",
                         b'INBOX (/private/comment NIL /shared/comment "For all")')
        await self.refuses(peer, 'SETMETADATA Nowhere (/private/comment "x")', rb"NO \[NONEXISTENT\]")
        await self.refuses(peer, "GETMETADATA Nowhere /private/comment", rb"NO \[NONEXISTENT\]")

    async def test_entries_have_no_case(self) -> None:
        """And are answered as they were asked for."""
        peer = await self.alice('SETMETADATA inbox (/Private/Comment "1")', 'SETMETADATA INBOX (/PRIVATE/COMMENT "2")')
        await self.tells(peer, "GETMETADATA INBOX /private/COMMENT", b'INBOX (/private/COMMENT "2")')

    async def test_octets(self) -> None:
        """Lines, UTF-8 and any octets come back as they went; quoted, as a literal, or as a literal8."""
        peer = await self.alice()
        for sent, said in (
            (b'"a \\\\ \\"b\\""', b'"a \\\\ \\"b\\""'), (b"{8+}\r\none\r\ntwo", b"{8}\r\none\r\ntwo"),
            (b"{3+}\r\n\xe6\x9c\x88", b"{3}\r\n\xe6\x9c\x88"), (b"~{2+}\r\n\xff\xfe", b"{2}\r\n\xff\xfe"),
            (b"~{6+}\r\n\0)\r\n(\0", b"~{6}\r\n\0)\r\n(\0"), (b'""', b'""'), (b"{0+}\r\n", b'""'), (b'"NIL"', b'"NIL"'),
        ):
            await peer.ok(b'SETMETADATA INBOX (/private/comment %b /private/other "x")' % sent)
            # The peer that tests use knows no literal8: its octets are on the line that follows.
            tag = peer.say(COMMENT)
            await self._comes(peer, b"* METADATA INBOX (/private/comment %b)\r\n" % said)
            self.assertTrue((await peer.until(tag)).is_ok)
        await peer.ok("ENABLE IMAP4rev2")
        await peer.ok('SETMETADATA INBOX (/private/comment "月")'.encode())
        await self.tells(peer, COMMENT, 'INBOX (/private/comment "月")'.encode())

    async def _comes(self, peer: Peer, octets: bytes) -> None:
        self.assertEqual(await peer.octets(len(octets)), octets)

    async def test_literal_that_waits(self) -> None:
        peer = await self.alice()
        peer.line.say(b"w SETMETADATA INBOX (/private/comment ~{4}\r\n")
        self.assertRegex(await peer.response(), rb"^\+ ")
        peer.line.say(b"\0\1\2\3)\r\n")
        self.assertTrue((await peer.until(b"w")).is_ok)

    async def test_too_large(self) -> None:
        """Whether it is held, or refused before it comes; nothing else is set either."""
        peer = await self.alice()
        says = rb"NO \[METADATA MAXSIZE %d\]" % LARGEST_VALUE
        for size in (LARGEST_VALUE + 1, 70_000):
            for marker in (b"{%d+}", b"~{%d+}"):
                value = marker % size + b"\r\n" + b"y" * size
                await self.refuses(peer, b'SETMETADATA INBOX (/private/a "x" /private/b %b)' % value, says)
        await self.refuses(peer, "SETMETADATA INBOX (/private/a {4294967296}", says)
        await self.tells(peer, "GETMETADATA INBOX /private/a", b"INBOX (/private/a NIL)")
        await peer.ok(b"SETMETADATA INBOX (/private/b {%d+}\r\n%b)" % (LARGEST_VALUE, b"y" * LARGEST_VALUE))

    async def test_too_many(self) -> None:
        peer = await self.alice()
        some = " ".join(f'/private/{number} "x"' for number in range(MOST_ENTRIES))
        await peer.ok(f"SETMETADATA INBOX ({some})")
        await self.refuses(peer, 'SETMETADATA INBOX (/private/0 "y" /private/more "x")', rb"NO \[METADATA TOOMANY\]")
        await self.tells(peer, "GETMETADATA INBOX /private/0", b'INBOX (/private/0 "x")')

    async def test_hostile_names(self) -> None:
        peer = await self.alice()
        for name in (
            "comment", "/private", "/shared", "/public/x", "/private/", "/private//x", '"/private/a*"', '"/private/a%"',
            "/private/vendor", "/private/vendor/me", '"/private/\x01"', "/private/" + "x" * 300, '""', "NIL",
            "{9+}\r\n/private/", "{12+}\r\n/private/\r\nx", "{10+}\r\n/private/\xe9",
        ):
            await self.refuses(peer, f'SETMETADATA INBOX ({name} "x")'.encode("latin-1"), b"BAD ")
        for mailbox in ("&Jjo!", '"a//b"', '"/a"', '"\x01"'):
            await self.refuses(peer, f'SETMETADATA {mailbox} (/private/comment "x")', b"BAD |NO ")
        await self.refuses(peer, 'SETMETADATA ../x (/private/comment "x")', rb"NO \[NONEXISTENT\]")
        deep = "/private" + "/x" * 120
        await peer.ok(f'SETMETADATA INBOX ({deep} "${{run{{}}}} %n {{0}}")')
        await self.tells(peer, "GETMETADATA (DEPTH infinity) INBOX /private",
                         f'INBOX ({deep} "${{run{{}}}} %n {{0}}")'.encode())

    async def test_hostile_commands(self) -> None:
        """What breaks the language is said to do so, and the session goes on."""
        peer = await self.alice()
        for rest in (
            "", "INBOX", "INBOX ()", "INBOX /private/comment x", "INBOX (/private/comment)",
            "INBOX (/private/comment x)", 'INBOX (/private/comment "x"', "INBOX (/private/comment ~NIL)",
            'INBOX (/private/comment "x" /private/b)', '(DEPTH 1) INBOX (/private/comment "x")',
        ):
            await self.refuses(peer, f"SETMETADATA {rest}", b"BAD ")
        for rest in (
            "", "INBOX", "INBOX ()", "INBOX (/private/x", "(DEPTH 2) INBOX /private/x", "() INBOX /private/x",
            "(MAXSIZE x) INBOX /private/x", "(WOOL 1) INBOX /private/x", "(MAXSIZE 99999999999) INBOX /private/x",
            "INBOX /private/x /private/y", "INBOX ~{10+}\r\n/private/x", "INBOX /private/*",
        ):
            await self.refuses(peer, f"GETMETADATA {rest}", b"BAD ")
        await peer.ok("NOOP")

    async def test_strangers(self) -> None:
        await self.alice()
        await self.refuses(await self.peer(self.server), 'GETMETADATA "" /shared/comment', b"BAD log in")


class AskingTests(MetadataCase):
    async def test_depth(self) -> None:
        entries = '/private/a "0" /private/a/b "1" /private/a/b/c "2" /private/ab "no"'
        peer = await self.alice(f"SETMETADATA INBOX ({entries})")
        for options, found in (
            ("", b'/private/A "0"'), ("(DEPTH 0) ", b'/private/A "0"'),
            ("(DEPTH 1) ", b'/private/A "0" /private/a/b "1"'),
            ("(depth infinity MAXSIZE 9) ", b'/private/A "0" /private/a/b "1" /private/a/b/c "2"'),
        ):
            await self.tells(peer, f"GETMETADATA {options}INBOX (/private/A)", b"INBOX (%b)" % found)
        await self.tells(peer, "GETMETADATA INBOX (DEPTH 1) (/private/a/b)",
                         b'INBOX (/private/a/b "1" /private/a/b/c "2")')
        await self.tells(peer, "GETMETADATA (DEPTH 1) INBOX /private/none", b"INBOX (/private/none NIL)")
        await self.tells(peer, "GETMETADATA (DEPTH 1) INBOX /private", b'INBOX (/private/a "0" /private/ab "no")')

    async def test_largest(self) -> None:
        """RFC 5464 4.2.1."""
        peer = await self.alice('SETMETADATA INBOX (/private/a "four" /private/b "fifteen" /private/c "seventeen!")')
        heard = await peer.ok("GETMETADATA (MAXSIZE 6) INBOX (/private/a /private/b /private/c)")
        self.assertEqual(heard.lines, [b'* METADATA INBOX (/private/a "four")'])
        self.assertRegex(heard.end, rb"^OK \[METADATA LONGENTRIES 10\]")
        heard = await peer.ok("GETMETADATA INBOX (MAXSIZE 3) (/private/a)")
        self.assertEqual((heard.lines, heard.end), ([], b"OK [METADATA LONGENTRIES 4] that is all"))
        heard = await peer.ok("GETMETADATA (MAXSIZE 10) INBOX /private/c")
        self.assertNotIn(b"LONGENTRIES", heard.end)

    async def test_server(self) -> None:
        """What the configuration says cannot be set; nor anything that all share, but by the operator."""
        peer = await self.alice(extra='[imap]\ncomment = "Moon base"\nadmin = "tel:+1-201-555-0123"\n')
        await self.tells(peer, 'GETMETADATA "" (/shared/comment /shared/admin /private/comment)',
                         b'"" (/shared/comment "Moon base" /shared/admin "tel:+1-201-555-0123" /private/comment NIL)')
        for entry in ("/shared/comment", "/shared/admin", "/shared/filters/values/x", "/shared/vendor/me/x"):
            for value in ('"ALL"', "NIL"):
                await self.refuses(peer, f'SETMETADATA "" ({entry} {value})', rb"NO \[NOPERM\]")
        await peer.ok('SETMETADATA "" (/private/vendor/me/x "1")')
        everything = 'GETMETADATA (DEPTH infinity) "" /private'
        await self.tells(peer, everything, b'"" (/private/vendor/me/x "1")')
        await self.tells(await self.log_in(self.server, "bob"), everything, b'"" (/private NIL)')

    async def test_postmaster(self) -> None:
        """Who to ask, where the configuration does not say."""
        peer = await self.alice()
        await self.tells(peer, 'GETMETADATA (DEPTH infinity) "" /shared',
                         b'"" (/shared/admin "mailto:postmaster@example.org")')

    async def test_special_use(self) -> None:
        """RFC 6154 4."""
        peer = await self.alice()
        await self.tells(peer, "GETMETADATA Sent /private/specialuse", b'Sent (/private/specialuse "\\\\Sent")')
        for use in ("\\\\Sent", "\\\\Wool", "\\\\Junk \\\\Trash"):
            await self.refuses(peer, f'SETMETADATA INBOX (/private/specialuse "{use}")', rb"NO \[USEATTR\]")
        await peer.ok("SETMETADATA Sent (/private/specialuse NIL)")
        await peer.ok("CREATE Out")
        await peer.ok('SETMETADATA Out (/private/specialuse "\\\\sent")')
        heard = await peer.ok('LIST (SPECIAL-USE) "" "*"')
        self.assertIn(b'* LIST (\\HasNoChildren \\Sent) "/" Out', heard.lines)
        self.assertEqual(len(heard.lines), 5)

    async def test_mailboxes_come_and_go(self) -> None:
        peer = await self.alice("CREATE a", 'SETMETADATA a (/private/comment "x")', "RENAME a b")
        await self.tells(peer, "GETMETADATA b /private/comment", b'b (/private/comment "x")')
        for command in ("DELETE b", "CREATE b", 'SETMETADATA INBOX (/private/comment "y")', "RENAME INBOX old"):
            await peer.ok(command)
        await self.tells(peer, "GETMETADATA b /private/comment", b"b (/private/comment NIL)")
        for name in (b"INBOX", b"old"):
            await self.tells(peer, b"GETMETADATA %b /private/comment" % name, b'%b (/private/comment "y")' % name)

    async def test_list(self) -> None:
        """RFC 9590: one answer for each mailbox that exists."""
        peer = await self.alice("CREATE a/b", "SUBSCRIBE gone")
        await peer.ok('SETMETADATA a/b (/private/comment "x" /shared/comment "y")')
        options = "METADATA (/shared/Comment /private/comment) STATUS (MESSAGES)"
        heard = await peer.ok(f'LIST "" (a* INBOX gone) RETURN ({options})')
        self.assertEqual(heard.lines, [
            b'* LIST (\\HasNoChildren) "/" INBOX', b"* STATUS INBOX (MESSAGES 0)",
            b"* METADATA INBOX (/shared/Comment NIL /private/comment NIL)",
            b'* LIST (\\NonExistent \\HasChildren) "/" a',
            b'* LIST (\\HasNoChildren) "/" a/b', b"* STATUS a/b (MESSAGES 0)",
            b'* METADATA a/b (/shared/Comment "y" /private/comment "x")',
        ])
        await self.tells(peer, 'LIST "" Sent RETURN (METADATA /private/specialuse)',
                         b'Sent (/private/specialuse "\\\\Sent")')
        await self.tells(peer, 'LIST (SUBSCRIBED) "" gone RETURN (METADATA (/private/comment))')
        for option in ("METADATA", "METADATA ()", "METADATA (comment)", "METADATA (DEPTH 1) (/private/x)"):
            await self.refuses(peer, f'LIST "" "*" RETURN ({option})', b"BAD ")


class NewsTests(MetadataCase):
    """Who has said ENABLE METADATA hears what others change, and not what (RFC 5464 4.4.2)."""

    async def test_told(self) -> None:
        peer = await self.alice("CREATE a", "ENABLE METADATA")
        deaf = await self.log_in(self.server, "alice")
        other = await self.log_in(self.server, "alice")
        bob = await self.log_in(self.server, "bob", "ENABLE METADATA")
        await other.ok('SETMETADATA a (/private/comment "x" /shared/comment "y")')
        await other.ok('SETMETADATA "" (/private/comment "x")')
        await self.tells(peer, "NOOP", b"a /private/comment /shared/comment", b'"" /private/comment')
        for each in (peer, deaf, bob):
            await self.tells(each, "NOOP")
        await peer.ok('SETMETADATA a (/private/comment "mine")')
        await self.tells(peer, "SELECT INBOX")
        await other.ok("SETMETADATA a (/private/comment NIL)")
        await self.tells(peer, "NOOP", b"a /private/comment")

    async def test_operator(self) -> None:
        """Everybody hears of what all share."""
        peer = await self.alice("ENABLE METADATA")
        await self.store(self.server).annotate(None, None, {"/shared/filters/values/boss": b"FROM boss"})
        await self.tells(peer, "NOOP", b'"" /shared/filters/values/boss')

    async def test_idle(self) -> None:
        peer = await self.alice("ENABLE METADATA", "SELECT INBOX")
        other = await self.log_in(self.server, "alice")
        tag = peer.say("IDLE")
        self.assertRegex(await peer.response(), rb"^\+ ")
        await other.ok('SETMETADATA INBOX (/private/comment "x")')
        self.assertEqual(await peer.response(), b"* METADATA INBOX /private/comment")
        peer.line.say(b"DONE\r\n")
        self.assertTrue((await peer.until(tag)).is_ok)

    async def test_another_login(self) -> None:
        """Nothing of it stays."""
        peer = await self.alice("ENABLE METADATA", "UNAUTHENTICATE", "LOGIN alice@example.org secret")
        other = await self.log_in(self.server, "alice")
        await other.ok('SETMETADATA INBOX (/private/comment "x")')
        await self.tells(peer, "NOOP")
