"""LOGIN-REFERRALS: accounts, and servers, that are elsewhere (RFC 2221)."""

from __future__ import annotations

from base64 import b64encode

from mailserver.imap.referrals import Referral, of_account, of_anybody
from mailserver.service import MailServer
from mailserver.store import referring
from tests.session.imap.house import ImapCase

HOME = "imap://alice%40example.org;AUTH=*@imap.example.net/"


class ReferralTests(ImapCase):
    async def refer(self, referral: Referral | None) -> MailServer:
        server = await self.serve()
        alice = await self.account(server)
        await server.database.write(referring.put, alice.id, referral)
        return server

    async def test_elsewhere(self) -> None:
        """Who has proved who she is hears where; by either way to log in; and stays outside."""
        server = await self.refer(Referral(HOME))
        peer = await self.peer(server)
        plain = b64encode(b"\0alice@example.org\0secret").decode()
        for command in ("LOGIN alice@example.org secret", f"AUTHENTICATE PLAIN {plain}"):
            self.assertEqual((await peer.ask(command)).end,
                             f"NO [REFERRAL {HOME}] your mailboxes are on another server".encode())
        self.assertRegex((await peer.ask("SELECT INBOX")).end, b"^BAD log in first")
        await peer.ok("LOGIN bob@example.org secret")

    async def test_strangers_learn_nothing(self) -> None:
        """A wrong password, and a name that nobody has, are answered alike (RFC 2221 6)."""
        server = await self.refer(Referral(HOME))
        heard = [
            (await (await self.peer(server)).ask(f"LOGIN {name}@example.org {password}")).end
            for name, password in (("alice", "wrong"), ("nobody", "secret"), ("bob", "wrong"))
        ]
        self.assertEqual(set(heard), {b"NO [AUTHENTICATIONFAILED] name or password is wrong"})

    async def test_here_too(self) -> None:
        peer = await self.peer(await self.refer(Referral(HOME, may_log_in=True)))
        heard = await peer.ok("LOGIN alice@example.org secret")
        self.assertEqual(heard.end, f"OK [REFERRAL {HOME}] your own mailboxes are elsewhere".encode())
        self.assertIn(b" IDLE ", heard.of(b"CAPABILITY")[0])
        await peer.ok("SELECT INBOX")

    async def test_back_again(self) -> None:
        server = await self.refer(Referral(HOME))
        alice = await self.account(server)
        await server.database.write(referring.put, alice.id, None)
        await self.log_in(server)

    async def test_whole_server(self) -> None:
        """It greets with where it has gone, and hangs up."""
        server = await self.serve('[imap]\nreferral = "imap://IMAP.example.net:1143"\n')
        await self.play(await self.connect(server, "imap"), """
            S: * BYE [REFERRAL imap://;AUTH=*@imap.example.net:1143/] this server has moved
            S: (closed)
        """)


class UrlTests(ImapCase):
    def test_written_out(self) -> None:
        """A client is never left to log in as nobody (RFC 2221 3)."""
        self.assertEqual(of_account("imap://imap.example.net", "a@example.org"),
                         "imap://a%40example.org;AUTH=*@imap.example.net/")
        self.assertEqual(of_account("IMAP://bob;AUTH=PLAIN@Imap.example.net:1430/", "a@example.org"),
                         "imap://bob;AUTH=PLAIN@imap.example.net:1430/")
        self.assertEqual(of_anybody("imap://host"), "imap://;AUTH=*@host/")

    def test_hostile(self) -> None:
        for url in (
            "", "imap.example.net", "imaps://h/", "http://h/", "imap:///", "imap://[::1]/", "imap://h/INBOX",
            "imap://h/?x", "imap://h:0/", "imap://h:65536/", "imap://h]x/", "imap://h\r\n* OK/", "imap://a b@h/",
            "imap://" + "h" * 300 + "/", "imap://u;AUTH=@h/", "imap://" + "u" * 2000 + "@h/",
        ):
            with self.assertRaises(ValueError, msg=url):
                of_anybody(url)
