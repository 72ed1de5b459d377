"""Which mailboxes there are: made, named, listed, counted."""

from __future__ import annotations

from typing import Any

from mailserver.errors import TemporaryFailure
from mailserver.mailbox.sql import Sql
from mailserver.session.imap import listed
from tests.session.imap.house import ImapCase, Peer

USUAL = ("Archive", "Drafts", "Junk", "Sent", "Trash")


class FolderCase(ImapCase):
    async def plain(self, *commands: str) -> Peer:
        """A peer whose account has INBOX and the usual ones."""
        self.server = await self.serve()
        return await self.log_in(self.server, "alice", *commands)

    async def listed(self, peer: Peer, command: str) -> list[str]:
        """What a LIST says, without what all lines have."""
        heard = await peer.ok(command)
        return [each.decode().removeprefix("* LIST ").replace(' "/"', "") for each in heard.lines]


class NamingTests(FolderCase):
    async def test_create(self) -> None:
        peer = await self.plain()
        self.assertRegex((await peer.ask("CREATE a/b/c")).end, rb"^OK \[MAILBOXID \([^)]+\)\] made$")
        self.assertRegex((await peer.ask("CREATE a/b/c")).end, rb"^NO \[ALREADYEXISTS\]")
        self.assertRegex((await peer.ask("CREATE inbox")).end, rb"^NO \[ALREADYEXISTS\]")
        await peer.ok("CREATE a/")
        self.assertRegex((await peer.ask("CREATE a")).end, rb"^NO \[ALREADYEXISTS\]")
        await peer.ok("CREATE &ZeVnLIqe-")
        self.assertRegex((await peer.ask("CREATE Mine (USE (\\Nonsense))")).end, rb"^NO \[USEATTR\]")
        self.assertRegex((await peer.ask("CREATE Mine (USE (\\Sent \\Junk))")).end, rb"^NO \[USEATTR\]")
        self.assertRegex((await peer.ask("CREATE Mine (USE (\\Sent))")).end, rb"^NO \[USEATTR\] Sent has this use")
        self.assertRegex((await peer.ask("CREATE Sent (USE (\\Sent))")).end, rb"^NO \[ALREADYEXISTS\]")
        for name in ('""', '"a//b"', '"/a"', '"a\x01b"', "&nonsense", "&Jjo!", "&-&-&", "x" * 256, "y/" * 600 + "z",
                     "{3+}\r\na\0b"):
            heard = await peer.ask(f"CREATE {name}")
            self.assertRegex(heard.end, rb"^(NO|BAD) ", name[:20])
        await peer.ok("CREATE ../../etc/passwd")
        await peer.ok("ENABLE UTF8=ACCEPT")
        self.assertRegex((await peer.ask('CREATE "日本語"')).end, rb"^NO \[ALREADYEXISTS\]")
        self.assertIn('() "日本語"', [each.replace("\\HasNoChildren", "") for each in await self.listed(
            peer, 'LIST "" "日*"')])

    async def test_delete(self) -> None:
        """What lies below stays, and its parent is a name without a mailbox then."""
        peer = await self.plain("CREATE a", "CREATE a/b", "SUBSCRIBE a")
        await peer.ok("DELETE a")
        self.assertEqual(await self.listed(peer, 'LIST "" a*'), [
            "(\\Noselect \\HasChildren) a", "(\\HasNoChildren) a/b",
        ])
        self.assertRegex((await peer.ask("SELECT a")).end, rb"^NO \[NONEXISTENT\]")
        self.assertRegex((await peer.ask("DELETE a")).end, rb"^NO \[NONEXISTENT\]")
        self.assertRegex((await peer.ask("DELETE inbox")).end, rb"^NO \[CANNOT\]")
        await peer.ok("DELETE a/b")
        self.assertEqual(await self.listed(peer, 'LIST "" a*'), [])
        self.assertEqual((await peer.ok('LSUB "" a*')).lines, [b'* LSUB () "/" a'])
        await peer.ok("CREATE a")
        await peer.ok("SELECT a")
        await peer.ok("DELETE a")
        self.assertRegex((await peer.ask("FETCH 1 FLAGS")).end, rb"^BAD choose")

    async def test_delete_fails(self) -> None:
        """A mailbox that is chosen and cannot be deleted now is still chosen."""
        peer = await self.plain("CREATE a", "SELECT a")

        async def delete(*arguments: Any) -> None:
            raise TemporaryFailure("the disk is full")

        self.patch(Sql, "delete", delete)
        self.assertRegex((await peer.ask("DELETE a")).end, rb"^NO \[UNAVAILABLE\]")
        await peer.ok("CHECK")

    async def test_rename(self) -> None:
        peer = await self.plain("CREATE a/b", "CREATE taken")
        await self.numbered(self.server, range(2))
        await peer.ok("RENAME a/b x/y/z")
        self.assertRegex((await peer.ask("RENAME x/y/z taken")).end, rb"^NO \[ALREADYEXISTS\]")
        self.assertRegex((await peer.ask("RENAME nothing other")).end, rb"^NO \[NONEXISTENT\]")
        self.assertRegex((await peer.ask("RENAME taken inbox")).end, rb"^NO \[ALREADYEXISTS\]")
        await peer.ok("RENAME x X")
        self.assertEqual(await self.listed(peer, 'LIST "" X*'), [
            "(\\Noselect \\HasChildren) X", "(\\Noselect \\HasChildren) X/y", "(\\HasNoChildren) X/y/z",
        ])
        await peer.ok("RENAME INBOX old")
        self.assertEqual((await peer.ok("STATUS old (MESSAGES)")).lines, [b"* STATUS old (MESSAGES 2)"])
        self.assertEqual((await peer.ok("STATUS INBOX (MESSAGES)")).lines, [b"* STATUS INBOX (MESSAGES 0)"])

    async def test_another_user(self) -> None:
        """No name leads to somebody else's mail."""
        peer = await self.plain("CREATE secret")
        bob = await self.log_in(self.server, "bob")
        for name in ("secret", "alice/secret", "../alice/secret", "~alice/secret", "#user/alice/secret", "/alice",
                     "alice@example.org/INBOX", "user.alice.secret", "*", "%"):
            for command in (f'SELECT "{name}"', f'EXAMINE "{name}"', f'STATUS "{name}" (MESSAGES)', f'DELETE "{name}"',
                            f'RENAME "{name}" "mine"', f'GETQUOTAROOT "{name}"'):
                self.assertRegex((await bob.ask(command)).end, rb"^(NO|BAD) ", command)
            self.assertEqual((await bob.ok(f'LIST "" "{name}/secret"')).lines, [])
        self.assertRegex((await bob.ask('GETQUOTA "alice@example.org"')).end, rb"^NO ")
        await bob.ok("SELECT INBOX")
        self.assertIn(b"* 0 EXISTS", await bob.ok("SELECT INBOX"))
        await peer.ok("SELECT secret")

    async def test_other_spelling(self) -> None:
        """A name is normalised (RFC 9051 5.1); who speaks IMAP4rev2 hears how it is called (6.3.9.7)."""
        peer = await self.plain()
        composed, apart = "caf\u00e9", "cafe\u0301"
        self.assertEqual((await peer.ok("CREATE cafe&AwE-")).lines, [])
        await peer.ok("ENABLE IMAP4rev2")
        last = f'LIST () "/" "{composed}" ("OLDNAME" ("{apart}"))'
        self.assertIn(f"* {last}".encode(), (await peer.ok(f'SELECT "{apart}"'.encode())).lines)
        self.assertIn(f'* LIST () "/" "{composed}"'.encode(), (await peer.ok(f'EXAMINE "{composed}"'.encode())).lines)
        await peer.ok("CLOSE")
        heard = await peer.ok(f'DELETE "{apart}"'.encode())
        self.assertEqual(heard.lines, [f"* {last}".replace("()", "(\\NonExistent)", 1).encode()])
        self.assertEqual((await peer.ok(f'CREATE "{apart}"'.encode())).lines, [f"* {last}".encode()])
        self.assertEqual((await peer.ok(f'RENAME "{composed}" x'.encode())).lines, [])
        self.assertEqual((await peer.ok(f'RENAME x "{apart}"'.encode())).lines, [f"* {last}".encode()])
        self.assertEqual((await peer.ok("CREATE inbox/x")).lines, [b'* LIST () "/" INBOX/x ("OLDNAME" (inbox/x))'])
        self.assertIn(b'* LIST () "/" INBOX', (await peer.ok("SELECT inbox")).lines)


class ListTests(FolderCase):
    async def test_far_too_many(self) -> None:
        """Many names are looked at beside everything else; of levels there may be only so many in all."""
        peer = await self.plain("CREATE a/b/c/d", "SUBSCRIBE a/b/x")
        said = [await peer.ask(each) for each in ('LIST "" (a* %/%)', 'LSUB "" %', 'LIST (SUBSCRIBED) "" a/*')]
        self.patch(listed, "MOST_INLINE", 0)
        self.assertEqual(
            [await peer.ask(each) for each in ('LIST "" (a* %/%)', 'LSUB "" %', 'LIST (SUBSCRIBED) "" a/*')], said
        )
        self.patch(listed, "MOST_ABOVE", len("a/b/ca/ba") - 1)
        self.assertEqual((await peer.ask('LIST "" *')).end, b"NO [LIMIT] there are too many levels in those names")
        await peer.ok("DELETE a/b/c/d")
        await peer.ok('LIST "" *')

    async def test_usual(self) -> None:
        peer = await self.plain()
        self.assertEqual(await self.listed(peer, 'LIST "" "*"'), [
            "(\\HasNoChildren) INBOX", *(f"(\\HasNoChildren \\{name}) {name}" for name in USUAL),
        ])
        self.assertEqual(await self.listed(peer, 'LIST "" ""'), ['(\\Noselect) ""'])
        self.assertEqual(await self.listed(peer, 'LIST (SPECIAL-USE) "" "*"'), [
            f"(\\HasNoChildren \\{name}) {name}" for name in USUAL
        ])
        self.assertEqual(await self.listed(peer, 'LIST "" "inb*"'), ["(\\HasNoChildren) INBOX"])

    async def test_patterns(self) -> None:
        peer = await self.plain("CREATE a/b/c", "CREATE a/d")
        for pattern, names in (
            ("a%", ["a"]), ("a/%", ["a/b", "a/d"]), ("%/%", ["a/b", "a/d"]), ("a*", ["a", "a/b", "a/b/c", "a/d"]),
            ("a/*", ["a/b", "a/b/c", "a/d"]), ("*c", ["a/b/c"]), ("%c", ["Archive"][:0]), ("a/%/c", ["a/b/c"]),
            ("*%*%*%*%*%*%*%*%*%*%d", ["a/d"]), ("", None),
        ):
            if names is not None:
                found = [each.rpartition(" ")[2] for each in await self.listed(peer, f'LIST "" "{pattern}"')]
                self.assertEqual(found, names, pattern)
        self.assertEqual(await self.listed(peer, 'LIST "a/" "%"'), [
            "(\\Noselect \\HasChildren) a/b", "(\\HasNoChildren) a/d"])
        self.assertEqual([each.rpartition(" ")[2] for each in await self.listed(peer, 'LIST "" ("a/d" "I%" "Sent")')],
                         ["INBOX", "Sent", "a/d"])

    async def test_subscribed(self) -> None:
        peer = await self.plain("CREATE a/b/c", "SUBSCRIBE a/b/c", "SUBSCRIBE gone", *(
            f"UNSUBSCRIBE {name}" for name in ("INBOX", "Archive", "Drafts", "Junk", "Trash")
        ))
        self.assertEqual(await self.listed(peer, 'LIST (SUBSCRIBED) "" "*"'), [
            "(\\HasNoChildren \\Subscribed \\Sent) Sent", "(\\HasNoChildren \\Subscribed) a/b/c",
            "(\\NonExistent \\HasNoChildren \\Subscribed) gone",
        ])
        self.assertEqual(await self.listed(peer, 'LIST (SUBSCRIBED) "" "%"'), [
            "(\\HasNoChildren \\Subscribed \\Sent) Sent", "(\\NonExistent \\HasNoChildren \\Subscribed) gone",
        ])
        self.assertEqual(await self.listed(peer, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" "%"'), [
            "(\\HasNoChildren \\Subscribed \\Sent) Sent",
            '(\\NonExistent \\HasChildren) a ("CHILDINFO" ("SUBSCRIBED"))',
            "(\\NonExistent \\HasNoChildren \\Subscribed) gone",
        ])
        self.assertEqual(await self.listed(peer, 'LIST "" "Sent" RETURN (SUBSCRIBED CHILDREN)'), [
            "(\\HasNoChildren \\Subscribed \\Sent) Sent",
        ])
        self.assertRegex((await peer.ask('LIST (RECURSIVEMATCH) "" "*"')).end, rb"^BAD ")
        self.assertRegex((await peer.ask('LIST (NONSENSE) "" "*"')).end, rb"^BAD ")
        self.assertEqual((await peer.ok('LSUB "" "*"')).lines, [
            b'* LSUB () "/" Sent', b'* LSUB () "/" a/b/c', b'* LSUB () "/" gone',
        ])
        self.assertEqual((await peer.ok('LSUB "" "%"')).lines, [
            b'* LSUB () "/" Sent', b'* LSUB (\\Noselect) "/" a', b'* LSUB () "/" gone',
        ])
        await peer.ok("UNSUBSCRIBE gone")
        await peer.ok("UNSUBSCRIBE never")
        self.assertNotIn(b'* LSUB () "/" gone', await peer.ok('LSUB "" "*"'))

    async def test_options(self) -> None:
        server = await self.serve()
        await self.play_file(await self.connect(server, "imap"), "imap_list_extended.txt")

    async def test_status(self) -> None:
        peer = await self.plain("CREATE a/b")
        await self.numbered(self.server, range(3))
        await (await self.log_in(self.server, "alice", "SELECT INBOX", "STORE 1 +FLAGS (\\Deleted \\Seen)")).ok("NOOP")
        heard = await peer.ok(
            "STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED DELETED-STORAGE SIZE HIGHESTMODSEQ MAILBOXID"
            " APPENDLIMIT)"
        )
        self.assertRegex(heard.lines[0], rb"^\* STATUS INBOX \(MESSAGES 3 UIDNEXT 4 UIDVALIDITY \d+ UNSEEN 2 DELETED 1"
                         rb" DELETED-STORAGE 68 SIZE 204 HIGHESTMODSEQ 5 MAILBOXID \([^)]+\) APPENDLIMIT 67108864\)$")
        self.assertRegex((await peer.ask("STATUS Nowhere (MESSAGES)")).end, rb"^NO \[NONEXISTENT\]")
        self.assertRegex((await peer.ask("STATUS INBOX ()")).end, rb"^BAD ")
        self.assertRegex((await peer.ask("STATUS INBOX (NONSENSE)")).end, rb"^BAD ")
        lines = await self.listed(peer, 'LIST "" (INBOX a%) RETURN (STATUS (MESSAGES UNSEEN))')
        self.assertEqual(lines, [
            "(\\HasNoChildren) INBOX", "* STATUS INBOX (MESSAGES 3 UNSEEN 2)", "(\\NonExistent \\HasChildren) a",
        ])
        self.assertEqual((await peer.ok("GETQUOTAROOT INBOX")).lines, [b"* QUOTAROOT INBOX"])
        self.assertRegex((await peer.ask("GETQUOTAROOT Nowhere")).end, rb"^NO \[NONEXISTENT\]")
