"""The built-in authenticators, each by the public contract and by what it is for."""

from __future__ import annotations

import time
from pathlib import Path

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.defer import Deferred, DeferredList

from mailserver.address import Address
from mailserver.auth.cred import Cred
from mailserver.auth.passwords import Passwords
from mailserver.errors import MailserverError
from mailserver.plugin import OptionError
from mailserver.store import credentials, directory
from mailserver.testing import AuthenticatorContract, PluginCase, a_client


class PasswordsTests(AuthenticatorContract, PluginCase):
    plugin = Passwords
    right = ("alice@example.org", "secret and long", "alice@example.org")

    def setUp(self) -> None:
        super().setUp()
        self.server.add_domain("example.org")
        self.alice = self.server.add_account("alice@example.org", "secret and long")

    async def test_names(self) -> None:
        """In whatever case; a name without a domain, and an account without a password, are nobody."""
        passwords = self.build()
        self.assertEqual(
            await passwords.check("ALICE@Example.org", "secret and long", a_client()), Address("alice", "example.org")
        )
        self.assertIsNone(await passwords.check("alice", "secret and long", a_client()))
        self.assertIsNone(await passwords.check("postmaster@example.org", "", a_client()))

    async def test_remembered(self) -> None:
        """The second right login costs no hash, for a while, and only with the same password."""
        passwords = self.build(remember=60.0)
        await passwords.check("alice@example.org", "secret and long", a_client())
        began = time.perf_counter()
        for _ in range(20):
            await passwords.check("alice@example.org", "secret and long", a_client())
        self.assertEqual(len(passwords._right), 1)
        self.assertLess((time.perf_counter() - began) / 20, 0.05)
        self.assertIsNone(await passwords.check("alice@example.org", "secret and lon", a_client()))
        self.server.clock.advance(61)
        self.assertFalse(passwords._remembers(next(iter(passwords._right))))

    async def test_changed(self) -> None:
        """A new password ends what was remembered of the old one at once."""
        passwords = self.build()
        await passwords.check("alice@example.org", "secret and long", a_client())
        with self.server.database.transaction() as connection:
            directory.set_credentials(connection, self.alice.id, credentials.derive("another"))
        self.assertIsNone(await passwords.check("alice@example.org", "secret and long", a_client()))
        self.assertIsNotNone(await passwords.check("alice@example.org", "another", a_client()))

    async def test_many_at_once(self) -> None:
        """More than can be hashed are told to come back; nobody waits for ever."""
        passwords = self.build(threads=1, queue=3)
        asked = [
            Deferred.fromCoroutine(passwords.check(f"nobody{n}@example.org", "x", a_client())) for n in range(8)
        ]
        results = await DeferredList(asked, consumeErrors=True)
        self.assertEqual([fine for fine, _ in results].count(False), 4)

    async def test_given_up(self) -> None:
        """Who stops waiting makes no room for more threads than there may be, and takes no room for ever."""
        passwords = self.build(threads=1, queue=3)
        (stored,) = await self.server.directory.credentials(self.alice, credentials.ARGON2ID)
        asked = [Deferred.fromCoroutine(passwords._is_of(stored, "secret and long")) for _ in range(3)]
        for each, waiting in zip(asked[:2], (2, 1), strict=True):
            each.addErrback(lambda failure: None)
            each.cancel()
            self.assertEqual(len(passwords._turn.waiting), waiting)
        self.assertTrue(await asked[2])
        self.assertEqual((passwords._turn.tokens, passwords._turn.waiting), (1, []))

    async def test_disabled(self) -> None:
        """An account that is switched off opens to no password, not even to one that is remembered."""
        passwords = self.build()
        self.assertIsNotNone(await passwords.check("alice@example.org", "secret and long", a_client()))
        with self.server.database.transaction() as connection:
            directory.set_enabled(connection, self.alice.id, False)
        self.server.directory.forget()
        self.assertIsNone(await passwords.check("alice@example.org", "secret and long", a_client()))

    def test_nobody(self) -> None:
        """Names that nobody has cost what the others cost."""
        theirs = credentials.derive("secret")[0][1].split(b"$")
        self.assertEqual(self.build()._nobody.split(b"$")[:4], theirs[:4])
        self.assertEqual([len(each) for each in self.build()._nobody.split(b"$")], [len(each) for each in theirs])


checker = InMemoryUsernamePasswordDatabaseDontUse()
checker.addUser(b"alice", b"secret and long")


class CredTests(AuthenticatorContract, PluginCase):
    plugin = Cred
    table = {"checker": "tests.auth.test_authenticators.checker", "domain": "example.org"}
    right = ("alice", "secret and long", "alice@example.org")

    async def test_file(self) -> None:
        """What ``twistd --auth`` takes."""
        path = Path(self.mktemp())
        path.write_text("bob@example.org:hunter2\n")
        cred = self.build(checker=f"file:{path}")
        self.assertEqual(await cred.check("bob@example.org", "hunter2", a_client()), Address("bob", "example.org"))
        self.assertIsNone(await cred.check("bob@example.org", "hunter3", a_client()))

    async def test_without_domain(self) -> None:
        """A bare name is nobody's where no domain is given."""
        self.table = {"checker": self.table["checker"]}
        self.assertIsNone(await self.build().check("alice", "secret and long", a_client()))
        self.assertRaises(OptionError, self.build, domain="example org")

    def test_no_checker(self) -> None:
        """Each is refused when the server starts, with a sentence."""
        for description in ("nosuch:x", "no.such.module", "os.path.join", "tests.auth.test_authenticators.CredTests"):
            with self.assertRaises(MailserverError, msg=description):
                self.build(checker=description)
