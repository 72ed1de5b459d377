"""Commands of other extensions, where mailboxes belong to others: rights hold there as well (RFC 4314 4)."""

from __future__ import annotations

import contextlib  # trial takes a `suppress` in a module for its own

from tests.session.imap.house import SMALL, Peer
from tests.session.imap.sharinghouse import ALICE, NO_SUCH, SharingCase

PLANS = f'{ALICE}Plans"'
WHOLE = "UID FETCH %d (FLAGS BODY.PEEK[])"


class ElsewhereTests(SharingCase):
    async def shared(self, rights: str = "lr", *commands: str) -> Peer:
        """alice shares Plans, with four messages, and not Secret, with one; bob has said these commands."""
        self.alice = await self.begin("", "CREATE Plans", "CREATE Secret", f"SETACL Plans bob@example.org {rights}")
        await self.fill(self.server, *(SMALL % (number, number) for number in range(1, 5)), name="Plans")
        await self.fill(self.server, SMALL % (1, 1), name="Secret")
        return await self.bob(*commands)

    async def rest(self, peer: Peer) -> list[bytes]:
        """All that is said until the line is closed."""
        heard = []
        with contextlib.suppress(ConnectionError):
            while True:
                heard.append(await peer.response())
        return heard

    async def test_said_ahead(self) -> None:
        """FETCHes that are answered together tell bob of his own \\Seen; when he may not read any more, of nothing."""
        bob = await self.shared("lrs", f"SELECT {PLANS}", "STORE 2 +FLAGS (\\Seen)")
        await self.alice.ok("SELECT Plans")
        await self.alice.ok("STORE 1 +FLAGS (\\Seen)")
        tags = [bob.say(WHOLE % uid) for uid in (1, 2, 3)]
        flags = [(await bob.until(each)).lines[0].partition(b" BODY[]")[0].partition(b"FLAGS ")[2] for each in tags]
        self.assertEqual(flags, [b"() UID 1", b"(\\Seen) UID 2", b"() UID 3"])
        await self.alice.ok("SETACL Plans bob@example.org -r")
        bob.line.say(b"".join(b"x%d UID FETCH %d (BODY.PEEK[])\r\n" % (uid, uid) for uid in (1, 2, 3)))
        self.assertEqual([each[:5] for each in await self.rest(bob)], [b"* BYE"])

    async def test_search(self) -> None:
        """ESEARCH finds what bob may read, if he names it or has subscribed to it; with his own \\Seen."""
        bob = await self.shared("lrs", f"SELECT {PLANS}", "STORE 2 +FLAGS (\\Seen)", "UNSELECT")
        await self.alice.ok("SETACL Secret bob@example.org l")

        async def found(scopes: str, key: str = "ALL") -> list[bytes]:
            lines = (await bob.ok(f"ESEARCH IN ({scopes}) {key}")).lines
            return [each.partition(b"Plans")[2].partition(b"UID ALL ")[2] or each for each in lines]

        for scopes in ('subtree "Other Users"', f"mailboxes {PLANS}", f"mailboxes {PLANS} subtree {PLANS}"):
            self.assertEqual(await found(scopes), [b"1:4"], scopes)
            self.assertEqual(await found(scopes, "SEEN"), [b"2"], scopes)
        for scopes in ("personal", "inboxes", "subscribed", f'mailboxes {ALICE}Secret"', "mailboxes Plans"):
            self.assertEqual(await found(scopes), [], scopes)
        await bob.ok(f"SUBSCRIBE {PLANS}")
        self.assertEqual(await found("subscribed", "BODY body"), [b"1:4"])
        await bob.ok(f"SELECT {PLANS}")
        self.assertEqual(await found("selected subscribed", "UNSEEN"), [b"1,3:4"])
        await self.alice.ok("DELETEACL Plans bob@example.org")
        other = await self.bob()
        self.assertEqual((await other.ok("ESEARCH IN (subscribed) ALL")).lines, [])

    async def test_ones_own_only(self) -> None:
        """Annotations, and URLs, are those of one's own mailboxes."""
        bob = await self.shared("lrswipkxtea", "CREATE mine")
        url = "imap://bob@mx.example.org/Other%20Users/alice@example.org/Plans/;UID=1"
        for command in (
            f"GETMETADATA {PLANS} /shared/comment", f'SETMETADATA {PLANS} (/shared/comment "x")',
            f'SETMETADATA {PLANS} (/private/comment "x")', f"RESETKEY {PLANS}",
        ):
            await self.refused(bob, command, NO_SUCH)
        self.assertRegex((await bob.ask(f'GENURLAUTH "{url};URLAUTH=anonymous" INTERNAL')).end, b"^BAD ")
        for each in ("/Other%20Users/alice@example.org/Plans/;UID=1", url.replace("bob@", "alice@").replace(
                "Other%20Users/alice@example.org/", "")):
            self.assertRegex((await bob.ask(f'APPEND mine CATENATE (URL "{each}")')).end, rb"^NO \[BADURL ")

    async def test_notify(self) -> None:
        """Who wants to hear hears of his own; of another's, when he has selected it, and as long as he may read it."""
        bob = await self.shared("lr", "NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))"
                                " (personal (MessageNew MessageExpunge MailboxName))", f"SELECT {PLANS}")
        await self.alice.ok("SELECT Plans")
        await self.alice.ok("STORE 1 +FLAGS (\\Flagged)")
        self.assertEqual(await bob.response(), b"* 1 FETCH (UID 1 FLAGS (\\Flagged))")
        await self.alice.ok("CREATE Plans/new")
        await self.alice.ok("SETACL Plans bob@example.org -r")
        self.assertEqual([each[:5] for each in await self.rest(bob)], [b"* BYE"])

    async def test_one_uidvalidity(self) -> None:
        """Two owners may have mailboxes of one UIDVALIDITY: what goes into one does not go into the other."""
        bob = await self.shared("lri", "CREATE mine", "SELECT mine",
                                "NOTIFY SET (selected (MessageNew (BODY.PEEK[TEXT]) MessageExpunge))")
        await self.alice.ok("CREATE Plans/empty")
        [mine] = await self.store(self.server).status(await self.account(self.server, "bob"), {"mine"})
        await self.server.database.write(lambda connection: connection.exec_driver_sql(
            f"UPDATE mailbox SET uidvalidity = {mine.uidvalidity} WHERE name = 'Plans/empty'"
        ))
        await self.fill(self.server, b"Subject: x\r\n\r\nHello.\r\n", name="mine", local="bob")
        heard = await self.append(bob, f'{ALICE}Plans/empty"')
        self.assertRegex(heard.end, rb"APPENDUID %d 1\]" % mine.uidvalidity)
        self.assertEqual(heard.lines, [
            b"* 1 EXISTS", b"* 1 RECENT", b"* 1 FETCH (UID 1 BODY[TEXT] {8}\r\nHello.\r\n)"])
