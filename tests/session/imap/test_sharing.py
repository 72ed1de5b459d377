"""Mailboxes of others: who is told of them, what each may do there, and what each has read (RFC 4314)."""

from __future__ import annotations

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint

from mailserver.address import Address
from mailserver.store import postings, publics, sharing
from tests.serving import reactor
from tests.session.imap.house import SMALL
from tests.session.imap.sharinghouse import ALICE, NO_SUCH, SharingCase

LISTED = b"lrswipkxteacd"
ANYONE = '[imap]\nshare_with = "anyone"\n'


class ListTests(SharingCase):
    async def test_dialogue(self) -> None:
        server = await self.serve()
        await self.play_file(await self.connect(server, "imap"), "imap_sharing.txt")

    async def test_acl(self) -> None:
        """Who has which rights: given, added, taken, denied, and gone."""
        alice = await self.begin(ANYONE, "CREATE Plans")
        self.assertIn(b" ACL RIGHTS=kxte LIST-MYRIGHTS", (await alice.ok("CAPABILITY")).lines[0])
        for command, told in (
            ("SETACL Plans bob@example.org lr", b'"bob@example.org" "lr"'),
            ("SETACL Plans bob@EXAMPLE.org +sd", b'"bob@example.org" "lrsted"'),
            ("SETACL Plans bob@example.org +c", b'"bob@example.org" "lrsktecd"'),
            ("SETACL Plans bob@example.org -tr", b'"bob@example.org" "lskecd"'),
            ("SETACL Plans -bob@example.org w", b'"-bob@example.org" "w" "bob@example.org" "lskecd"'),
            ("DELETEACL Plans bob@example.org", b'"-bob@example.org" "w"'),
            ("DELETEACL Plans bob@example.org", b'"-bob@example.org" "w"'),
            ("SETACL Plans ANYONE l", b'"-bob@example.org" "w" "anyone" "l"'),
            ("SETACL Plans @example.org r", b'"-bob@example.org" "w" "@example.org" "r" "anyone" "l"'),
        ):
            await alice.ok(command)
            self.assertEqual(
                (await alice.ok("GETACL Plans")).lines, [b'* ACL Plans "alice@example.org" "%b" %b' % (LISTED, told)],
            )
        self.assertEqual((await alice.ok("MYRIGHTS Plans")).lines, [b"* MYRIGHTS Plans " + LISTED])
        self.assertEqual((await alice.ok("LISTRIGHTS Plans Anyone")).lines, [
            b'* LISTRIGHTS Plans "Anyone" "" l r s w i p k x t e a c d'])
        self.assertEqual((await alice.ok("LISTRIGHTS Plans alice@example.org")).lines, [
            b'* LISTRIGHTS Plans "alice@example.org" "%b"' % LISTED])

    async def test_acl_refused(self) -> None:
        alice = await self.begin("", "CREATE Plans")
        for command, words in (
            ("SETACL Plans alice@example.org l", rb"^NO \[CANNOT\]"), ("SETACL Plans -alice@example.org l", rb"^NO "),
            ("DELETEACL Plans alice@example.org", rb"^NO "), ("SETACL Plans nobody@example.org l", rb"^NO "),
            ("SETACL Plans $team l", rb"^NO there are no groups"), ("SETACL Plans @example.com l", rb"^NO "),
            ('SETACL Plans """"@example.org l', rb"^BAD "), ('SETACL Plans "\\"\\"@example.org" l', rb"^NO "),
            ("SETACL Plans bob@example.org lq", rb"^BAD "), ("SETACL Plans bob@example.org lR", rb"^BAD "),
            ("SETACL Plans bob@example.org l1", rb"^BAD "), ('SETACL Plans "" l', rb"^BAD "),
            ("SETACL Plans - l", rb"^BAD "), ("SETACL Plans bob", rb"^BAD "), ("SETACL", rb"^BAD "),
            (f"SETACL Plans {'x' * 600} l", rb"^BAD "), ("SETACL Plans {3+}\r\n\xff\xfe\x1b l", rb"^BAD "),
            ("SETACL Nowhere bob@example.org l", rb"^NO \[NONEXISTENT\]"), ("GETACL Nowhere", rb"^NO \[NONEXISTENT\]"),
            ("MYRIGHTS Nowhere", rb"^NO \[NONEXISTENT\]"), ("LISTRIGHTS Plans nobody@example.org", rb"^NO "),
        ):
            await self.refused(alice, command, words)
        self.assertEqual(len((await alice.ok("GETACL Plans")).lines[0].split()), 5)

    async def test_share_with(self) -> None:
        """Unless it is configured, nobody fills the lists of people of other domains; taking and denying is free."""
        alice = await self.begin("", "CREATE Plans", "SETACL Plans @example.org l")
        for who in ("anyone", "Anyone", "@example.net", "@EXAMPLE.net"):
            await self.refused(alice, f"SETACL Plans {who} l")
            await self.refused(alice, f"SETACL Plans {who} +pl")
            for change in (f"-{who} l", f"{who} p", f"{who} -l", f'{who} ""', f'-{who} ""'):
                await alice.ok(f"SETACL Plans {change}")
        self.assertEqual((await alice.ok("GETACL Plans")).lines[0].split(b'cd" ')[1], b'"@example.org" "l"')

    async def test_names(self) -> None:
        """What is shared is listed under its owner's name, without a special use; the roots are shown."""
        alice = await self.begin(
            ANYONE, "CREATE Plans/2026", "SETACL Plans/2026 bob@example.org lr", "SETACL Sent anyone l"
        )
        await self.public("team")
        bob = await self.bob()
        self.assertEqual((await bob.ok("NAMESPACE")).lines, [
            b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))'])
        self.assertEqual((await bob.ok('LIST "" "%" RETURN (CHILDREN)')).lines[1:2], [
            b'* LIST (\\HasNoChildren \\Archive) "/" Archive'])
        self.assertEqual((await bob.ok('LIST "" ("Other%" "Shared")')).lines, [
            b'* LIST (\\NonExistent \\HasChildren) "/" "Other Users"',
            b'* LIST (\\NonExistent \\HasChildren) "/" Shared'])
        self.assertEqual((await bob.ok('LIST "Other Users/" "*"')).lines, [
            b'* LIST (\\Noselect \\HasChildren) "/" "Other Users/alice@example.org"',
            b'* LIST (\\Noselect \\HasChildren) "/" "Other Users/alice@example.org/Plans"',
            b'* LIST (\\HasNoChildren) "/" "Other Users/alice@example.org/Plans/2026"',
            b'* LIST (\\HasNoChildren) "/" "Other Users/alice@example.org/Sent"'])
        self.assertEqual((await bob.ok('LIST "" ("Sent" "Shared/*" "*2026") RETURN (MYRIGHTS)')).lines, [
            b'* LIST (\\HasNoChildren) "/" "Other Users/alice@example.org/Plans/2026"',
            b'* MYRIGHTS "Other Users/alice@example.org/Plans/2026" lr',
            b'* LIST (\\HasNoChildren \\Sent) "/" Sent', b"* MYRIGHTS Sent lrswipkxteacd",
            b'* LIST (\\HasNoChildren) "/" Shared/team', b"* MYRIGHTS Shared/team lrs"])
        await bob.ok('SUBSCRIBE "Other Users/alice@example.org/Plans/2026"')
        await self.refused(bob, 'SUBSCRIBE "Other Users/alice@example.org/Drafts"', NO_SUCH)
        await self.refused(bob, 'SUBSCRIBE "Shared/nothing"', NO_SUCH)
        self.assertEqual((await bob.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "Other Users"')).lines, [
            b'* LIST (\\NonExistent \\HasChildren) "/" "Other Users" ("CHILDINFO" ("SUBSCRIBED"))'])
        self.assertEqual((await bob.ok('LSUB "Other Users/" "*"')).lines, [
            b'* LSUB () "/" "Other Users/alice@example.org/Plans/2026"'])
        await alice.ok("DELETEACL Plans/2026 bob@example.org")
        self.assertEqual(await self.listed(bob, 'LIST "" "*2026"'), [])
        await bob.ok('UNSUBSCRIBE "Other Users/alice@example.org/Plans/2026"')
        carol = await self.carol()
        self.assertEqual(await self.listed(carol, 'LIST "" "Shared*"'), [])
        await self.server.database.write(_share_team)
        self.assertEqual(await self.listed(carol, 'LIST "" "*team"'), ["Other Users/@example.org/team"])
        await carol.ok('SELECT "Other Users/@example.org/team"')
        await self.refused(bob, 'SELECT "Other Users/@example.org/team"', NO_SUCH)     # it has one name for him

    async def test_inherited(self) -> None:
        """What is made below a shared mailbox has its list; what is renamed keeps its own."""
        alice = await self.begin("", "CREATE Plans", "SETACL Plans bob@example.org lrik", "CREATE Plans/a", "CREATE b")
        bob = await self.bob(f'CREATE {ALICE}Plans/mine"')
        names = ["Other Users/alice@example.org/Plans/a", "Other Users/alice@example.org/Plans/mine"]
        self.assertEqual(await self.listed(bob, f'LIST "" {ALICE}Plans/%"'), names)
        await self.refused(bob, f'CREATE {ALICE}Plans/mine"', rb"^NO \[ALREADYEXISTS\]")
        await self.refused(bob, f'CREATE {ALICE}new"')
        await self.refused(bob, 'CREATE "Other Users/nobody@example.org/new"')
        await self.refused(bob, 'CREATE "Other Users"')
        await self.refused(bob, 'CREATE "Shared/new"')
        await self.refused(bob, f'DELETE {ALICE}Plans/mine"')
        await alice.ok("SETACL Plans/mine bob@example.org +x")
        await bob.ok(f'RENAME {ALICE}Plans/mine" {ALICE}Plans/a/ours"')
        await self.refused(bob, f'RENAME {ALICE}Plans/a/ours" {ALICE}ours"')
        await self.refused(bob, f'RENAME {ALICE}Plans/a/ours" mine', rb"^NO \[CANNOT\]")
        await self.refused(bob, f'RENAME Sent {ALICE}Plans/Sent"', rb"^NO \[CANNOT\]")
        self.assertIn(b'"bob@example.org" "lrikxc"', (await alice.ok("GETACL Plans/a/ours")).lines[0])
        await alice.ok("RENAME Plans b/Plans")
        await bob.ok(f'SELECT {ALICE}b/Plans/a"')
        await alice.ok("DELETE b/Plans/a/ours")
        await alice.ok("CREATE ours")
        self.assertEqual((await alice.ok("GETACL ours")).lines, [b'* ACL ours "alice@example.org" "%b"' % LISTED])


class SeenTests(SharingCase):
    async def shared(self, extra: str = "", rights: str = "lrs") -> None:
        self.alice = await self.begin(extra, "CREATE Plans", f"SETACL Plans bob@example.org {rights}")
        await self.fill(self.server, *(SMALL % (number, number) for number in range(4)), name="Plans")
        self.there = f'{ALICE}Plans"'

    async def test_own(self) -> None:
        """What bob reads is seen for bob alone, wherever he looks; and alice's is hers."""
        await self.shared()
        await self.alice.ok("SELECT Plans")
        await self.alice.ok("STORE 1 +FLAGS (\\Seen \\Flagged $Important)")
        bob = await self.bob()
        heard = await bob.ok(f"SELECT {self.there}")
        self.assertIn(b"* OK [UNSEEN 1] the first that is not seen", heard)
        self.assertIn(b"* OK [PERMANENTFLAGS (\\Seen)] these stay", heard)
        self.assertRegex(heard.end, rb"^OK \[READ-ONLY\]")
        self.assertEqual((await bob.ok("FETCH 1 FLAGS")).lines, [b"* 1 FETCH (FLAGS (\\Flagged $Important))"])
        self.assertIn(b"* 2 FETCH (FLAGS (\\Seen))", await bob.ok("FETCH 2 BODY[TEXT]"))
        self.assertEqual((await bob.ok("STORE 3 +FLAGS (\\Seen)")).lines, [b"* 3 FETCH (FLAGS (\\Seen))"])
        self.assertEqual((await bob.ok("SEARCH SEEN")).lines, [b"* SEARCH 2 3"])
        self.assertEqual((await bob.ok("FETCH 1:* (FLAGS RFC822.SIZE)")).lines[1],
                         b"* 2 FETCH (FLAGS (\\Seen) RFC822.SIZE 68)")
        other = await self.bob()
        self.assertEqual((await other.ok(f"STATUS {self.there} (MESSAGES UNSEEN)")).lines, [
            b'* STATUS "Other Users/alice@example.org/Plans" (MESSAGES 4 UNSEEN 2)'])
        self.assertEqual((await self.alice.ok("SEARCH SEEN")).lines, [b"* SEARCH 1"])
        self.assertEqual((await self.alice.ok("STATUS Plans (UNSEEN)")).lines, [b"* STATUS Plans (UNSEEN 3)"])
        await bob.ok("STORE 1:4 -FLAGS.SILENT (\\Seen)")
        self.assertEqual((await other.ok(f'LIST "" {self.there} RETURN (STATUS (UNSEEN))')).lines[1:], [
            b'* STATUS "Other Users/alice@example.org/Plans" (UNSEEN 4)'])
        self.assertEqual((await self.alice.ok("SEARCH SEEN")).lines, [b"* SEARCH 1"])

    async def test_own_modseq(self) -> None:
        """A change of it has a mod-sequence as any change, for who has seen it alone (RFC 7162)."""
        await self.shared()
        bob = await self.bob("ENABLE QRESYNC", f"SELECT {self.there}")
        before = int((await bob.ok(f"STATUS {self.there} (HIGHESTMODSEQ)")).lines[0].rstrip(b")").split()[-1])
        self.assertEqual((await bob.ok("STORE 2 +FLAGS (\\Seen)")).lines, [
            b"* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (%d))" % (before + 1)])
        heard = await bob.ok(f"STORE 1:2 (UNCHANGEDSINCE {before}) -FLAGS.SILENT (\\Seen)")
        self.assertRegex(heard.end, rb"^OK \[MODIFIED 2\]")
        self.assertEqual((await bob.ok(f"UID FETCH 1:* (UID FLAGS) (CHANGEDSINCE {before})")).lines, [
            b"* 2 FETCH (UID 2 FLAGS (\\Seen) MODSEQ (%d))" % (before + 1)])
        await self.alice.ok("ENABLE QRESYNC")
        await self.alice.ok("SELECT Plans")
        self.assertEqual((await self.alice.ok(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {before})")).lines, [])

    async def test_news(self) -> None:
        """Two sessions of bob and one of alice hear of each other, as far as it is their business."""
        await self.shared("", "lrswte")
        bob, other = [await self.bob(f"SELECT {self.there}") for _ in range(2)]
        await self.alice.ok("SELECT Plans")
        idle = other.say("IDLE")
        await other.response()
        await bob.ok("STORE 1 +FLAGS (\\Seen)")
        self.assertEqual(await other.response(), b"* 1 FETCH (FLAGS (\\Seen))")
        await self.alice.ok("STORE 2 +FLAGS (\\Answered)")
        self.assertEqual(await other.response(), b"* 2 FETCH (FLAGS (\\Answered))")
        await bob.ok("STORE 4 +FLAGS (\\Deleted)")
        await bob.ok("EXPUNGE")
        self.assertEqual(await other.response(), b"* 4 FETCH (FLAGS (\\Deleted))")
        self.assertEqual(await other.response(), b"* 4 EXPUNGE")
        other.line.say(b"DONE\r\n")
        await other.until(idle)
        self.assertEqual((await self.alice.ok("NOOP")).lines, [b"* 4 EXPUNGE"])
        self.assertEqual((await self.alice.ok("FETCH 1:* FLAGS")).lines[0], b"* 1 FETCH (FLAGS (\\Recent))")

    async def test_common(self) -> None:
        """As configured, what one has read is seen for all."""
        await self.shared('[imap]\nshared_seen = "common"\n')
        bob = await self.bob(f"SELECT {self.there}")
        await bob.ok("FETCH 2 BODY[TEXT]")
        await self.alice.ok("SELECT Plans")
        self.assertEqual((await self.alice.ok("SEARCH SEEN")).lines, [b"* SEARCH 2"])
        self.assertEqual((await bob.ok(f"STATUS {self.there} (UNSEEN)")).lines, [
            b'* STATUS "Other Users/alice@example.org/Plans" (UNSEEN 3)'])

    async def test_put(self) -> None:
        """Copied, moved and appended messages have the flags that may be set there, and whose \\Seen it is."""
        await self.shared("", "lrswite")
        bob = await self.bob("CREATE mine", f"SELECT {self.there}", "STORE 1:2 +FLAGS (\\Seen)",
                             "STORE 1 +FLAGS (\\Flagged)", "COPY 1:3 mine", "MOVE 4 mine", "SELECT mine")
        self.assertEqual([each.split(b"FLAGS ")[1] for each in (await bob.ok("FETCH 1:* FLAGS")).lines], [
            b"(\\Seen \\Flagged \\Recent))", b"(\\Seen \\Recent))", b"(\\Recent))", b"(\\Recent))"])
        self.assertEqual((await bob.ok("STATUS mine (UNSEEN)")).lines, [b"* STATUS mine (UNSEEN 2)"])
        await bob.ok("STORE 2 +FLAGS (\\Deleted $Work)")
        await self.alice.ok("SETACL Plans bob@example.org lrsi")
        await bob.ok(f"COPY 1:2 {self.there}")
        self.assertRegex((await self.append(bob, self.there, "(\\Seen \\Deleted $Work)")).end, rb"^OK \[APPENDUID")
        await bob.ok(f"SELECT {self.there}")
        self.assertEqual([each.split(b"FLAGS ")[1] for each in (await bob.ok("FETCH 4:* FLAGS")).lines],
                         [b"(\\Seen \\Recent))"] * 3)
        await self.alice.ok("SELECT Plans")
        self.assertEqual([each.split(b"FLAGS ")[1] for each in (await self.alice.ok("FETCH 4:* FLAGS")).lines],
                         [b"(\\Recent))"] * 3)
        self.assertEqual((await self.alice.ok("STATUS Plans (UNSEEN)")).lines, [b"* STATUS Plans (UNSEEN 6)"])
        await self.alice.ok("SETACL Plans bob@example.org lri")
        await self.append(bob, self.there, "(\\Seen)")
        self.assertEqual((await bob.ok("FETCH 7 FLAGS")).lines[-1], b"* 7 FETCH (FLAGS ())")

    async def test_quota(self) -> None:
        """What others put into a mailbox counts for its owner."""
        await self.shared("[[mailbox]]\nuse = \"sql\"\nquota_messages = 5\n", "lri")
        bob = await self.bob()
        self.assertTrue((await self.append(bob, self.there)).is_ok)
        self.assertRegex((await self.append(bob, self.there)).end, rb"^NO \[OVERQUOTA\]")
        self.assertTrue((await self.append(bob, "INBOX")).is_ok)
        self.assertEqual((await bob.ok(f"GETQUOTAROOT {self.there}")).lines, [
            b'* QUOTAROOT "Other Users/alice@example.org/Plans" "alice@example.org"',
            b'* QUOTA alice@example.org (MESSAGE 5 5)'])
        self.assertEqual((await bob.ok("GETQUOTA alice@example.org")).lines, [
            b"* QUOTA alice@example.org (MESSAGE 5 5)"])
        await self.alice.ok("DELETEACL Plans bob@example.org")
        await self.refused(bob, "GETQUOTA alice@example.org", NO_SUCH)
        await self.refused(bob, f"GETQUOTAROOT {self.there}", NO_SUCH)


class PostTests(SharingCase):
    async def test_post(self) -> None:
        """Mail by SMTP goes into a mailbox where anyone may post, and who waits there is told of it."""
        await self.begin("")
        await self.public("team")
        await self.server.database.write(_post_team)
        bob = await self.bob('SELECT "Shared/team"')
        idle = bob.say("IDLE")
        await bob.response()
        where = self.where(self.server, "smtp")
        line = await self.over_tcp(TCP4ClientEndpoint(reactor, where.host, where.port))
        await line.reply()
        said = [await line.ask(each) for each in (
            "EHLO x.example.net", "MAIL FROM:<carol@example.com>", "RCPT TO:<team@example.org>",
            'RCPT TO:<""@example.org>', "RCPT TO:<alice+Sent@example.org>", "DATA", "Subject: x\r\n\r\nHello.\r\n.",
        )]
        self.assertEqual([each[:3] for each in said], ["250", "250", "250", "550", "250", "354", "250"])
        self.assertEqual(await bob.response(), b"* 1 EXISTS")
        self.assertEqual(await bob.response(), b"* 1 RECENT")
        bob.line.say(b"DONE\r\n")
        await bob.until(idle)
        [told] = (await bob.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT Delivered-To)]")).lines
        self.assertIn(b"Subject: x", told)
        alice = await self.log_in(self.server, "alice")
        self.assertEqual((await alice.ok("STATUS Sent (MESSAGES)")).lines, [b"* STATUS Sent (MESSAGES 0)"])


def _post_team(connection: Any) -> None:
    owner = publics.public_account(connection, "example.org")
    assert owner is not None
    postings.add(connection, Address("team", "example.org"), owner.id, "team")


def _share_team(connection: Any) -> None:
    owner = publics.public_account(connection, "example.org")
    assert owner is not None
    sharing.change(connection, owner.id, "team", "carol@example.net", "=", "lr")
