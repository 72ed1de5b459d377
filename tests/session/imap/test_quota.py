"""A mailbox with a limit of its own, as IMAP and SMTP clients hear of it (RFC 9208)."""

from __future__ import annotations

from typing import Any

from mailserver.imap.names import to_utf7
from mailserver.store import directory, mailboxes, mailboxquotas
from tests.session.imap.house import ImapCase

NAME = "日本"


class MailboxQuotaTests(ImapCase):
    async def limit(self, server: Any, name: str, octets: int, messages: int) -> None:
        alice = await self.account(server)

        def change(connection: Any) -> None:
            row = mailboxes.ensure_mailbox(connection, alice.id, name, 1.0)
            mailboxquotas.set_mailbox_quota(connection, row, octets, messages)
            directory.changed(connection)

        await server.database.write(change)
        await server.directory.refreshed()

    async def test_a_root_of_its_own(self) -> None:
        """Called as the mailbox is; beside that of the account, where there is one."""
        server = await self.serve()
        await self.limit(server, "Work", 10240, 0)
        await self.limit(server, NAME, 0, 7)
        peer = await self.log_in(server)
        heard = await peer.ok("GETQUOTAROOT Work")
        self.assertEqual(heard.lines, [b'* QUOTAROOT Work "Work"', b"* QUOTA Work (STORAGE 0 10)"])
        self.assertEqual((await peer.ok("GETQUOTA Work")).lines, [b"* QUOTA Work (STORAGE 0 10)"])
        self.assertEqual((await peer.ok("GETQUOTAROOT INBOX")).lines, [b"* QUOTAROOT INBOX"])
        for root in ('""', "INBOX", "None", '"a//b"', '"&bad"', '"..\\\\x"'):
            self.assertRegex((await peer.ask(f"GETQUOTA {root}")).end, b"^(NO|BAD) ")
        alice = await self.account(server)
        await server.database.write(directory.set_quota, alice.id, 20480, 100)
        heard = await peer.ok("GETQUOTAROOT Work")
        self.assertEqual(heard.lines, [
            b'* QUOTAROOT Work "Work" ""', b"* QUOTA Work (STORAGE 0 10)",
            b'* QUOTA "" (STORAGE 0 20 MESSAGE 0 100)',
        ])
        spelled = to_utf7(NAME)
        heard = await peer.ok(b'GETQUOTAROOT "%b"' % spelled)
        self.assertEqual(heard.of(b"QUOTA")[:1], [b"* QUOTA %b (MESSAGE 0 7)" % spelled])
        self.assertEqual((await peer.ok(b'GETQUOTA "%b"' % spelled)).lines, [b"* QUOTA %b (MESSAGE 0 7)" % spelled])
        await peer.ok("ENABLE UTF8=ACCEPT")
        self.assertEqual(
            (await peer.ok(f'GETQUOTA "{NAME}"')).lines, [f'* QUOTA "{NAME}" (MESSAGE 0 7)'.encode()]
        )

    async def test_full(self) -> None:
        """APPEND, COPY and MOVE hear OVERQUOTA; the mailbox stays as it was, and others are not concerned."""
        server = await self.serve()
        await self.numbered(server, range(3))
        await self.limit(server, "Work", 0, 1)
        peer = await self.log_in(server, "alice", "SELECT INBOX", "COPY 1 Work")
        for command in ("COPY 2 Work", "MOVE 2:3 Work", "APPEND Work {4+}\r\na: b"):
            self.assertRegex((await peer.ask(command)).end, rb"^NO \[OVERQUOTA\]")
        self.assertIn(b"* STATUS Work (MESSAGES 1)", await peer.ok("STATUS Work (MESSAGES)"))
        await peer.ok("APPEND INBOX {4+}\r\na: b")

    async def test_full_for_mail(self) -> None:
        """Whose INBOX is full gets no more, though the account has room; other people do."""
        server = await self.serve()
        await self.limit(server, "INBOX", 0, 1)
        await self.numbered(server, range(1))
        line = await self.connect(server, "smtp")
        await line.reply()
        await line.ask("EHLO x")
        await line.ask("MAIL FROM:<carol@example.net>")
        self.assertRegex(await line.ask("RCPT TO:<alice@example.org>"), r"^452 4\.2\.2 ")
        self.assertRegex(await line.ask("RCPT TO:<bob@example.org>"), "^250 ")
        await self.limit(server, "INBOX", 0, 2)
        self.assertRegex(await line.ask("RCPT TO:<alice@example.org>"), "^250 ")

    async def test_expired_and_brought_back(self) -> None:
        """A session that has the mailbox open sees both happen."""
        server = await self.serve()
        await self.numbered(server, range(3))
        peer = await self.log_in(server, "alice", "SELECT INBOX", "STORE 1:2 +FLAGS (\\Deleted \\Seen)")
        heard = await peer.ok("EXPUNGE")
        self.assertEqual(len(heard.of(b"EXPUNGE")), 2)
        store, alice = self.store(server), await self.account(server)
        found = await store.removed(alice)
        self.assertEqual([each.why for each in found], ["expunge", "expunge"])
        await store.restore(alice, found, "Restored")
        heard = await peer.ok("NOOP")
        self.assertIn(b"* 3 EXISTS", heard)
        heard = await peer.ok("UID FETCH 4:5 (FLAGS BODY.PEEK[TEXT])")
        self.assertEqual(heard.lines, [
            b"* 2 FETCH (FLAGS (\\Seen \\Recent) UID 4 BODY[TEXT] {8}\r\nbody 0\r\n)",
            b"* 3 FETCH (FLAGS (\\Seen \\Recent) UID 5 BODY[TEXT] {8}\r\nbody 1\r\n)",
        ])
