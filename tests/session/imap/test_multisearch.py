"""ESEARCH in several mailboxes (RFC 7377)."""

from __future__ import annotations

from mailserver.session.imap import several
from tests.session.imap.house import ImapCase, Peer


class MultisearchTests(ImapCase):
    async def folders(self) -> Peer:
        """folder1, folder2, folder2/banana, folder2/banana/split, folder2/salmon; each name is in a message there."""
        self.server = server = await self.serve()
        account, store = await self.account(server), self.store(server)
        names = ("folder1", "folder2", "folder2/banana", "folder2/banana/split", "folder2/salmon", "folder22")
        for name in names:
            await store.create(account, name)
            for subject in ("chad", name, "frobozz"):
                await self.fill(server, f"Subject: {subject}\r\n\r\n{name}\r\n".encode(), name=name)
        self.validity = {each.name: each.uidvalidity for each in await store.status(account)}
        return await self.log_in(server)

    def line(self, tag: str, name: str, found: str) -> bytes:
        return f'* ESEARCH (TAG "{tag}" MAILBOX {name} UIDVALIDITY {self.validity[name]}) UID {found}'.encode()

    async def test_mailboxes(self) -> None:
        """The example of section 3; who finds nothing says nothing, whatever is to be counted."""
        peer = await self.folders()
        one, two = (peer.say(f"ESEARCH IN ({each}) {key}") for each, key in (
            ('mailboxes "folder1" subtree "folder2"', "unseen"),
            ('mailboxes "folder1" subtree-one "folder2"', 'subject "chad"'),
        ))
        self.assertEqual((await peer.until(one)).lines, [
            self.line("t2", each, "ALL 1:3")
            for each in ("folder1", "folder2", "folder2/banana", "folder2/banana/split", "folder2/salmon")
        ])
        self.assertEqual((await peer.until(two)).lines, [
            self.line("t3", each, "ALL 1") for each in ("folder1", "folder2", "folder2/banana", "folder2/salmon")
        ])
        heard = await peer.ok("ESEARCH IN (personal) RETURN (MIN MAX COUNT) CHARSET UTF-8 BODY split")
        self.assertEqual(heard.lines, [self.line("t4", "folder2/banana/split", "MIN 1 MAX 3 COUNT 3")])
        heard = await peer.ok("ESEARCH IN (mailboxes (folder1 folder1 Nowhere) inboxes) RETURN (PARTIAL 2:9) 1:2")
        self.assertEqual(heard.lines[0], self.line("t5", "folder1", "PARTIAL (2:9 2)"))
        self.assertEqual(len(heard.lines), 6)
        await peer.ok("SUBSCRIBE folder22")
        heard = await peer.ok("ESEARCH IN (subscribed) ALL")
        self.assertEqual(heard.lines, [self.line("t7", "folder22", "ALL 1:3")])
        self.assertEqual((await peer.ok("ESEARCH IN (personal) SUBJECT nothing")).lines, [])

    async def test_filter(self) -> None:
        """A search with a name (RFC 5466) means the same in each of them."""
        peer = await self.folders()
        await peer.ok('SETMETADATA "" (/private/filters/values/rare "SUBJECT frobozz")')
        heard = await peer.ok("ESEARCH IN (mailboxes (folder1 folder2)) FILTER rare")
        self.assertEqual(heard.lines, [self.line("t3", each, "ALL 3") for each in ("folder1", "folder2")])
        self.assertRegex((await peer.ask("ESEARCH IN (personal) FILTER none")).end, rb"^NO \[UNDEFINED-FILTER")

    async def test_selected(self) -> None:
        """It stays selected, and is searched as its session sees it, whatever else is."""
        peer = await self.folders()
        self.assertRegex((await peer.ask("ESEARCH ALL")).end, b"^BAD")
        self.assertRegex((await peer.ask("ESEARCH IN (selected personal) ALL")).end, b"^BAD")
        await peer.ok("SELECT folder1")
        self.assertEqual((await peer.ok("ESEARCH SUBJECT chad")).lines, [self.line("t5", "folder1", "ALL 1")])
        heard = await peer.ok("ESEARCH IN (selected subtree folder2/banana) RETURN (COUNT) SUBJECT chad")
        self.assertEqual(heard.lines, [
            self.line("t6", each, "COUNT 1") for each in ("folder1", "folder2/banana", "folder2/banana/split")
        ])
        await peer.ok("ESEARCH IN (selected) RETURN (SAVE) SUBJECT frobozz")
        self.assertEqual((await peer.ok("FETCH $ UID")).lines, [b"* 3 FETCH (UID 3)"])
        self.assertEqual((await peer.ok("ESEARCH RETURN (MIN) $")).lines, [self.line("t9", "folder1", "MIN 3")])
        for words in ("IN (personal) RETURN (SAVE) ALL", "IN (selected personal) RETURN (SAVE) ALL",
                      "IN (personal) $", "IN (personal) NOT OR UID $ ALL"):
            self.assertRegex((await peer.ask(f"ESEARCH {words}")).end, b"^BAD", words)

    async def test_updates(self) -> None:
        """Only of what is selected (2.2); the answers go on to name it."""
        peer = await self.folders()
        self.assertRegex((await peer.ask("ESEARCH IN (personal) RETURN (UPDATE COUNT) ALL")).end, b"^BAD")
        await peer.ok("SELECT folder1")
        heard = await peer.ok("ESEARCH IN (personal) RETURN (UPDATE COUNT) FLAGGED")
        self.assertEqual(heard.lines, [])
        heard = await peer.ok("STORE 1 +FLAGS (\\Flagged)")
        self.assertEqual(heard.lines[-1], self.line("t4", "folder1", "ADDTO (0 1)"))
        heard = await peer.ok("ESEARCH IN (mailboxes folder2) RETURN (UPDATE COUNT) ALL")
        self.assertEqual(heard.lines[-1], b'* NO [NOUPDATE "t6"] that is not kept up to date')

    async def test_words(self) -> None:
        peer = await self.folders()
        self.assertRegex((await peer.ok("CAPABILITY")).lines[0], rb" MULTISEARCH\b")
        await peer.ok("SELECT folder1")
        for words in ("", "IN () ALL", 'IN ("selected") ALL', "IN (selected-delayed) ALL", "IN (subtree-one) ALL",
                      "IN (subtree-one ()) ALL", "IN (subtree-one (a) ) ALL", "IN (personal (x 1)) ALL",
                      "IN (selected)", "IN (nowhere) ALL", "IN personal ALL",
                      "IN (" + "personal " * 101 + "personal) ALL"):
            self.assertRegex((await peer.ask(f"ESEARCH {words}".rstrip())).end, b"^BAD", words)
        self.assertRegex((await peer.ask("ESEARCH IN (personal) CHARSET no ALL")).end, rb"^NO \[BADCHARSET ")

    async def test_too_many(self) -> None:
        """2.4."""
        self.patch(several, "MOST_MAILBOXES", 3)
        peer = await self.folders()
        self.assertRegex((await peer.ask("ESEARCH IN (personal) ALL")).end, rb"^NO \[LIMIT\]")
        await peer.ok("ESEARCH IN (subtree folder2/banana) ALL")

    async def test_only_ones_own(self) -> None:
        await self.folders()
        peer = await self.log_in(self.server, "bob")
        self.assertEqual((await peer.ok("ESEARCH IN (personal mailboxes folder1) ALL")).lines, [])


class DoubtTests(ImapCase):
    async def test_closed(self) -> None:
        """A SELECT that fails closes the mailbox that was selected, and says so (RFC 9051 6.3.2, 7.1)."""
        server = await self.serve()
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        heard = await peer.ask("SELECT Nowhere")
        self.assertEqual(heard.lines, [b"* OK [CLOSED] the one before is closed"])
        self.assertRegex(heard.end, rb"^NO \[NONEXISTENT\]")
        self.assertEqual((await peer.ask("SELECT Nowhere")).lines, [])

    async def test_unknown_charset(self) -> None:
        """A search that was to be saved and fails leaves nothing saved (RFC 5182 2.1)."""
        server = await self.serve()
        await self.numbered(server, range(2))
        peer = await self.log_in(server, "alice", "SELECT INBOX")
        for command in ("SEARCH RETURN (SAVE) CHARSET none ALL", "SORT RETURN (SAVE) (DATE) none TEXT {1+}\r\n\xff"):
            await peer.ok("SEARCH RETURN (SAVE) ALL")
            self.assertRegex((await peer.ask(command.encode("latin-1"))).end, rb"^NO \[BADCHARSET \(US-ASCII")
            self.assertEqual((await peer.ok("FETCH $ UID")).lines, [])
        await peer.ok("SEARCH RETURN (SAVE) ALL")
        await peer.ask("SEARCH CHARSET none ALL")
        self.assertEqual(len((await peer.ok("FETCH $ UID")).lines), 2)
