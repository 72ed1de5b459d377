"""METADATA and LIST-METADATA over sockets (RFC 5464, RFC 9590)."""

from __future__ import annotations

from mailserver.imapmetadata import LARGEST_VALUE, MOST_ENTRIES
from mailserver.service import MailServer
from tests.session.imap.house import Heard, ImapCase, Peer


class MetadataCase(ImapCase):
    server: MailServer

    async def alice(self, *commands: str, extra: str = "") -> Peer:
        self.server = await self.serve(extra)
        return await self.log_in(self.server, "alice", *commands)

    async def told(self, peer: Peer, command: str | bytes) -> list[bytes]:
        """What a command is answered with, in METADATA."""
        return [each.removeprefix(b"* METADATA ") for each in (await peer.ok(command)).of(b"METADATA")]

    async def refused(self, peer: Peer, command: str | bytes) -> bytes:
        heard: Heard = await peer.ask(command)
        self.assertFalse(heard.is_ok, heard)
        self.assertEqual(heard.of(b"METADATA"), [])
        return heard.end


class SettingTests(MetadataCase):
    async def test_set_and_get(self) -> None:
        peer = await self.alice()
        await peer.ok('SETMETADATA INBOX (/private/comment "My own" /shared/comment "For all")')
        self.assertEqual(await self.told(peer, "GETMETADATA INBOX /private/comment"),
                         [b'INBOX (/private/comment "My own")'])
        self.assertEqual(await self.told(peer, 'GETMETADATA "INBOX" (/shared/comment /private/comment)'),
                         [b'INBOX (/shared/comment "For all" /private/comment "My own")'])
        await peer.ok("SETMETADATA INBOX (/private/comment NIL /private/never NIL)")
        self.assertEqual(await self.told(peer, "GETMETADATA INBOX (/private/comment /shared/comment)"),
                         [b'INBOX (/private/comment NIL /shared/comment "For all")'])
        self.assertRegex(await self.refused(peer, 'SETMETADATA Nowhere (/private/comment "x")'), rb"^NO \[NONEXISTENT\]")
        self.assertRegex(await self.refused(peer, "GETMETADATA Nowhere /private/comment"), rb"^NO \[NONEXISTENT\]")

    async def test_entries_have_no_case(self) -> None:
        """And are answered as they were asked for."""
        peer = await self.alice('SETMETADATA inbox (/Private/Comment "one")', 'SETMETADATA INBOX (/PRIVATE/COMMENT "two")')
        self.assertEqual(await self.told(peer, "GETMETADATA INBOX /private/COMMENT"), [b'INBOX (/private/COMMENT "two")'])

    async def test_octets(self) -> None:
        """Lines, UTF-8 and any octets come back as they went; quoted, as a literal, or as a literal8."""
        peer = await self.alice()
        for value, sent, said in (
            (b"a \\ \"b\"", b'"a \\\\ \\"b\\""', b'"a \\\\ \\"b\\""'),
            (b"one\r\ntwo", b"{8+}\r\none\r\ntwo", b"{8}\r\none\r\ntwo"),
            ("月".encode(), b"{3+}\r\n\xe6\x9c\x88", b"{3}\r\n\xe6\x9c\x88"),
            (b"\xff\xfe", b"~{2+}\r\n\xff\xfe", b"{2}\r\n\xff\xfe"),
            (b"\0)\r\n(\0", b"~{6+}\r\n\0)\r\n(\0", b"~{6}\r\n\0)\r\n(\0"),
            (b"", b'""', b'""'), (b"", b"{0+}\r\n", b'""'), (b"NIL", b'"NIL"', b'"NIL"'),
        ):
            await peer.ok(b"SETMETADATA INBOX (/private/comment %b /private/other \"x\")" % sent)
            told = b"INBOX (/private/comment %b)" % said
            self.assertEqual(await self.told(peer, "GETMETADATA INBOX /private/comment"), [told], value)
        await peer.ok("ENABLE IMAP4rev2")
        await peer.ok('SETMETADATA INBOX (/private/comment "月")')
        self.assertEqual(await self.told(peer, "GETMETADATA INBOX /private/comment"),
                         ['INBOX (/private/comment "月")'.encode()])

    async def test_literal_that_waits(self) -> None:
        peer = await self.alice()
        peer.line.say(b"w SETMETADATA INBOX (/private/comment ~{4}\r\n")
        self.assertRegex(await peer.response(), rb"^\+ ")
        peer.line.say(b"\0\1\2\3)\r\n")
        self.assertTrue((await peer.until(b"w")).is_ok)

    async def test_too_large(self) -> None:
        """Whether it is held, or refused before it comes; nothing else is set either."""
        peer = await self.alice()
        says = rb"^NO \[METADATA MAXSIZE %d\]" % LARGEST_VALUE
        for size in (LARGEST_VALUE + 1, 70_000):
            for marker in (b"{%d+}", b"~{%d+}"):
                command = b'SETMETADATA INBOX (/private/a "x" /private/b %b\r\n%b)' % (marker % size, bytes(b"y" * size))
                self.assertRegex(await self.refused(peer, command), says)
        self.assertRegex(await self.refused(peer, "SETMETADATA INBOX (/private/a {4294967296}"), says)
        self.assertEqual(await self.told(peer, "GETMETADATA INBOX /private/a"), [b"INBOX (/private/a NIL)"])
        await peer.ok(b"SETMETADATA INBOX (/private/b {%d+}\r\n%b)" % (LARGEST_VALUE, b"y" * LARGEST_VALUE))

    async def test_too_many(self) -> None:
        peer = await self.alice()
        some = " ".join(f'/private/{number} "x"' for number in range(MOST_ENTRIES))
        await peer.ok(f"SETMETADATA INBOX ({some})")
        self.assertRegex(await self.refused(peer, 'SETMETADATA INBOX (/private/0 "y" /private/more "x")'),
                         rb"^NO \[METADATA TOOMANY\]")
        self.assertEqual(await self.told(peer, "GETMETADATA INBOX /private/0"), [b'INBOX (/private/0 "x")'])

    async def test_hostile(self) -> None:
        """Names that are none, and values that break the language; the session goes on."""
        peer = await self.alice()
        for name in ("comment", "/private", "/shared", "/public/x", "/private/", "/private//x", '"/private/a*"',
                     '"/private/a%"', "/private/vendor", "/private/vendor/me", '"/private/\x01"', "/private/" + "x" * 300,
                     '""', "NIL", "{9+}\r\n/private/", "{12+}\r\n/private/\r\nx", "{10+}\r\n/private/\xe9"):
            self.assertRegex(await self.refused(peer, f'SETMETADATA INBOX ({name} "x")'.encode("latin-1")), b"^BAD ", name)
        for rest in ("", "INBOX", "INBOX ()", "INBOX /private/comment x", "INBOX (/private/comment)",
                     "INBOX (/private/comment x)", 'INBOX (/private/comment "x"', "INBOX (/private/comment ~NIL)",
                     'INBOX (/private/comment "x" /private/b)', '(DEPTH 1) INBOX (/private/comment "x")'):
            self.assertRegex(await self.refused(peer, f"SETMETADATA {rest}"), b"^BAD ", rest)
        for rest in ("", "INBOX", "INBOX ()", "INBOX (/private/x", "(DEPTH 2) INBOX /private/x", "() INBOX /private/x",
                     "(MAXSIZE x) INBOX /private/x", "(WOOL 1) INBOX /private/x", "(MAXSIZE 99999999999) INBOX /private/x",
                     "INBOX /private/x /private/y", "INBOX ~{10+}\r\n/private/x", "INBOX /private/*"):
            self.assertRegex(await self.refused(peer, f"GETMETADATA {rest}"), b"^BAD ", rest)
        deep = "/private" + "/x" * 120
        await peer.ok(f'SETMETADATA INBOX ({deep} "${{run{{}}}} %n {{0}}")')
        self.assertEqual(await self.told(peer, "GETMETADATA (DEPTH infinity) INBOX /private"),
                         [f'INBOX ({deep} "${{run{{}}}} %n {{0}}")'.encode()])
        await peer.ok("NOOP")

    async def test_strangers(self) -> None:
        await self.alice()
        peer = await self.peer(self.server)
        self.assertRegex((await peer.ask("GETMETADATA \"\" /shared/comment")).end, b"^BAD log in")


class AskingTests(MetadataCase):
    async def test_depth(self) -> None:
        peer = await self.alice('SETMETADATA INBOX (/private/a "0" /private/a/b "1" /private/a/b/c "2" /private/ab "no")')
        for options, found in (
            ("", b'/private/a "0"'), ("(DEPTH 0) ", b'/private/a "0"'),
            ("(DEPTH 1) ", b'/private/a "0" /private/a/b "1"'),
            ("(depth infinity MAXSIZE 9) ", b'/private/a "0" /private/a/b "1" /private/a/b/c "2"'),
        ):
            self.assertEqual(await self.told(peer, f"GETMETADATA {options}INBOX (/private/A)"),
                             [b"INBOX (%b)" % found.replace(b'/private/a "', b'/private/A "')])
        self.assertEqual(await self.told(peer, "GETMETADATA INBOX (DEPTH 1) (/private/a/b)"),
                         [b'INBOX (/private/a/b "1" /private/a/b/c "2")'])
        self.assertEqual(await self.told(peer, "GETMETADATA (DEPTH 1) INBOX /private/none"), [b"INBOX (/private/none NIL)"])
        self.assertEqual(await self.told(peer, "GETMETADATA (DEPTH 1) INBOX /private"),
                         [b'INBOX (/private/a "0" /private/ab "no")'])

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
        self.assertEqual(await self.told(peer, 'GETMETADATA "" (/shared/comment /shared/admin /private/comment)'),
                         [b'"" (/shared/comment "Moon base" /shared/admin "tel:+1-201-555-0123" /private/comment NIL)'])
        for entry in ("/shared/comment", "/shared/admin", "/shared/filters/values/x", "/shared/vendor/me/x"):
            for value in ('"ALL"', "NIL"):
                self.assertRegex(await self.refused(peer, f'SETMETADATA "" ({entry} {value})'), rb"^NO \[NOPERM\]")
        await peer.ok('SETMETADATA "" (/private/vendor/me/x "1")')
        self.assertEqual(await self.told(peer, 'GETMETADATA (DEPTH infinity) "" /private'), [b'"" (/private/vendor/me/x "1")'])
        bob = await self.log_in(self.server, "bob")
        self.assertEqual(await self.told(bob, 'GETMETADATA (DEPTH infinity) "" /private'), [b'"" (/private NIL)'])

    async def test_postmaster(self) -> None:
        """Who to ask, where the configuration does not say."""
        peer = await self.alice()
        self.assertEqual(await self.told(peer, 'GETMETADATA (DEPTH infinity) "" /shared'),
                         [b'"" (/shared/admin "mailto:postmaster@example.org")'])

    async def test_special_use(self) -> None:
        """RFC 6154 4."""
        peer = await self.alice()
        self.assertEqual(await self.told(peer, "GETMETADATA Sent /private/specialuse"), [b'Sent (/private/specialuse "\\\\Sent")'])
        self.assertRegex(await self.refused(peer, 'SETMETADATA INBOX (/private/specialuse "\\\\Sent")'), rb"^NO \[USEATTR\]")
        self.assertRegex(await self.refused(peer, 'SETMETADATA INBOX (/private/specialuse "\\\\Wool")'), rb"^NO \[USEATTR\]")
        await peer.ok("SETMETADATA Sent (/private/specialuse NIL)")
        await peer.ok("CREATE Out")
        await peer.ok('SETMETADATA Out (/private/specialuse "\\\\sent")')
        heard = await peer.ok('LIST (SPECIAL-USE) "" "*"')
        self.assertIn(b'* LIST (\\HasNoChildren \\Sent) "/" Out', heard.lines)
        self.assertEqual(len(heard.lines), 5)

    async def test_mailboxes_come_and_go(self) -> None:
        peer = await self.alice("CREATE a", 'SETMETADATA a (/private/comment "x")', "RENAME a b")
        self.assertEqual(await self.told(peer, "GETMETADATA b /private/comment"), [b'b (/private/comment "x")'])
        for command in ("DELETE b", "CREATE b", 'SETMETADATA INBOX (/private/comment "y")', "RENAME INBOX old"):
            await peer.ok(command)
        self.assertEqual(await self.told(peer, "GETMETADATA b /private/comment"), [b"b (/private/comment NIL)"])
        for name in (b"INBOX", b"old"):
            self.assertEqual(await self.told(peer, b"GETMETADATA %b /private/comment" % name),
                             [b'%b (/private/comment "y")' % name])

    async def test_list(self) -> None:
        """RFC 9590: one answer for each mailbox that exists."""
        peer = await self.alice("CREATE a/b", "SUBSCRIBE gone")
        await peer.ok('SETMETADATA a/b (/private/comment "x" /shared/comment "y")')
        heard = await peer.ok('LIST "" (a* INBOX gone) RETURN (METADATA (/shared/Comment /private/comment) STATUS (MESSAGES))')
        self.assertEqual(heard.lines, [
            b'* LIST (\\HasNoChildren) "/" INBOX', b"* STATUS INBOX (MESSAGES 0)",
            b"* METADATA INBOX (/shared/Comment NIL /private/comment NIL)",
            b'* LIST (\\NonExistent \\HasChildren) "/" a',
            b'* LIST (\\HasNoChildren) "/" a/b', b"* STATUS a/b (MESSAGES 0)",
            b'* METADATA a/b (/shared/Comment "y" /private/comment "x")',
        ])
        self.assertEqual(await self.told(peer, 'LIST "" Sent RETURN (METADATA /private/specialuse)'),
                         [b'Sent (/private/specialuse "\\\\Sent")'])
        self.assertEqual(await self.told(peer, 'LIST (SUBSCRIBED) "" gone RETURN (METADATA (/private/comment))'), [])
        for option in ("METADATA", "METADATA ()", "METADATA (comment)", "METADATA (DEPTH 1) (/private/x)"):
            self.assertRegex(await self.refused(peer, f'LIST "" "*" RETURN ({option})'), b"^BAD ")


class NewsTests(MetadataCase):
    """Who has said ENABLE METADATA hears what others change, and not what (RFC 5464 4.4.2)."""

    async def test_told(self) -> None:
        peer = await self.alice("CREATE a", "ENABLE METADATA")
        deaf = await self.log_in(self.server, "alice")
        other = await self.log_in(self.server, "alice")
        bob = await self.log_in(self.server, "bob", "ENABLE METADATA")
        await other.ok('SETMETADATA a (/private/comment "x" /shared/comment "y")')
        await other.ok('SETMETADATA "" (/private/comment "x")')
        self.assertEqual((await peer.ok("NOOP")).lines,
                         [b"* METADATA a /private/comment /shared/comment", b'* METADATA "" /private/comment'])
        self.assertEqual((await peer.ok("NOOP")).lines, [])
        self.assertEqual((await deaf.ok("NOOP")).lines, [])
        self.assertEqual((await bob.ok("NOOP")).lines, [])
        await peer.ok('SETMETADATA a (/private/comment "mine")')
        self.assertEqual((await peer.ok("SELECT INBOX")).of(b"METADATA"), [])
        await other.ok("SETMETADATA a (/private/comment NIL)")
        self.assertEqual((await peer.ok("NOOP")).lines, [b"* METADATA a /private/comment"])

    async def test_operator(self) -> None:
        """Everybody hears of what all share."""
        peer = await self.alice("ENABLE METADATA")
        await self.store(self.server).annotate(None, None, {"/shared/filters/values/boss": b"FROM boss"})
        self.assertEqual((await peer.ok("NOOP")).lines, [b'* METADATA "" /shared/filters/values/boss'])

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
        self.assertEqual((await peer.ok("NOOP")).lines, [])
