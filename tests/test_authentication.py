"""Whose a login is, by authenticators that are asked in their order."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.authentication import GUESSER_WAITS, Authentication
from mailserver.errors import TemporaryFailure
from mailserver.hooks import Asked, Broken
from mailserver.interfaces import Account
from mailserver.net.limits import Allowance, Limits
from mailserver.net.tally import Private
from mailserver.testing import a_client

BOB = Account(1, Address("bob", "example.org"))
EVE = Account(2, Address("eve", "example.org"), enabled=False)
FROM_AFAR = Address("carol", "example.net")


class Knows:
    """An authenticator that knows one password for everybody in its list."""

    def __init__(self, *known: Address, password: str = "secret") -> None:
        self.known = {str(each): each for each in known}
        self.password = password
        self.asked: list[tuple[str, str]] = []

    def check(self, name: str, password: str, client: Any) -> Any:
        self.asked.append((name, password))
        return self.known.get(name) if password == self.password else None


class Fails:
    """One that does what it was told to."""

    def __init__(self, how: Any) -> None:
        self.how = how

    def check(self, name: str, password: str, client: Any) -> Any:
        if isinstance(self.how, Exception):
            raise self.how
        return self.how


class People:
    """As much of an IDirectory as logins need; `new` is known from the second look on."""

    def __init__(self, *accounts: Account, new: Account | None = None) -> None:
        self.accounts = {each.address.key: each for each in accounts}
        self.new = new

    async def account(self, address: Address) -> Account | None:
        return self.accounts.get(address.key)

    async def refreshed(self) -> bool:
        if self.new is not None:
            self.accounts[self.new.address.key] = self.new
        return self.new is not None


class AuthenticationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.limits = Limits(Allowance(failed_logins=3), Private(self.clock.seconds))

    def begin(
        self, name: str, password: str, *authenticators: Any, people: People | None = None, on_error: str = "defer"
    ) -> Deferred[Account | None]:
        asked = [Asked("abc"[number], each, self.clock, on_error) for number, each in enumerate(authenticators)]
        authentication = Authentication(
            asked, people or People(BOB, EVE), self.limits, self.clock      # type: ignore[arg-type]
        )
        return Deferred.fromCoroutine(authentication.check(name, password, a_client()))

    def check(self, *args: Any, **how: Any) -> Account | None:
        return self.successResultOf(self.begin(*args, **how))

    def test_right(self) -> None:
        self.assertEqual(self.check("bob@example.org", "secret", Knows(BOB.address)), BOB)

    def test_guesses(self) -> None:
        """After some wrong ones even the right password is wrong for a while, and late; others are not concerned."""
        for _ in range(3):
            self.assertIsNone(self.check("bob@example.org", "wrong", Knows(None)))
        late = self.begin("bob@example.org", "secret", Knows(BOB.address))
        self.assertNoResult(late)
        self.clock.advance(GUESSER_WAITS)
        self.assertIsNone(self.successResultOf(late))
        self.assertTrue(self.limits.may_log_in("192.0.2.99"))
        self.clock.advance(200)
        self.assertEqual(self.check("bob@example.org", "secret", Knows(BOB.address)), BOB)

    def test_wrong(self) -> None:
        self.assertIsNone(self.check("bob@example.org", "guess", Knows(BOB.address)))
        self.assertIsNone(self.check("nobody@example.org", "secret", Knows(BOB.address)))

    def test_first_who_says_yes(self) -> None:
        first, second, third = Knows(), Knows(BOB.address), Knows(BOB.address)
        self.assertEqual(self.check("bob@example.org", "secret", first, second, third), BOB)
        self.assertEqual((len(first.asked), len(second.asked), len(third.asked)), (1, 1, 0))

    def test_nobody_can_say(self) -> None:
        self.assertIsNone(self.check("bob@example.org", "secret"))

    def test_prepared(self) -> None:
        """What a keyboard made of name and password does not matter (RFC 4013)."""
        knows = Knows(BOB.address, password="caf\u00e9")
        self.check("bob@example.org", "cafe\u0301", knows)
        self.assertEqual(knows.asked, [("bob@example.org", "caf\u00e9")])

    def test_forbidden_characters(self) -> None:
        """They are wrong, not an error, and nobody is asked."""
        knows = Knows(BOB.address)
        self.assertIsNone(self.check("bob@example.org", "secret\x00", knows))
        self.assertIsNone(self.check("bob\x07", "secret", knows))
        self.assertEqual(knows.asked, [])

    def test_disabled(self) -> None:
        self.assertIsNone(self.check("eve@example.org", "secret", Knows(EVE.address)))

    def test_without_account(self) -> None:
        """Somebody else's user directory may know more people than live here."""
        with capturedLogs() as logged:
            self.assertIsNone(self.check("carol@example.net", "secret", Knows(FROM_AFAR)))
        self.assertIn("carol@example.net", [each.get("address") for each in logged])

    def test_account_was_just_made(self) -> None:
        carol = Account(3, FROM_AFAR)
        self.assertEqual(self.check("carol@example.net", "secret", Knows(FROM_AFAR), people=People(new=carol)), carol)

    def test_not_now(self) -> None:
        """Wrong and not known are different things: the client asks its user for a password only when it is wrong."""
        unsure = Fails(TemporaryFailure("the LDAP server does not answer"))
        self.failureResultOf(self.begin("bob@example.org", "guess", unsure, Knows(BOB.address)), TemporaryFailure)

    def test_another_says_yes(self) -> None:
        unsure = Fails(TemporaryFailure("the LDAP server does not answer"))
        self.assertEqual(self.check("bob@example.org", "secret", unsure, Knows(BOB.address)), BOB)

    def test_broken(self) -> None:
        broken = Fails(KeyError("oh"))
        self.failureResultOf(self.begin("bob@example.org", "guess", broken), Broken)
        self.assertEqual(self.check("bob@example.org", "secret", broken, Knows(BOB.address)), BOB)
        self.assertIsNone(self.check("bob@example.org", "guess", broken, on_error="skip"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 3)

    def test_never_answers(self) -> None:
        checking = self.begin("bob@example.org", "secret", Fails(Deferred()))
        self.clock.advance(10)
        self.failureResultOf(checking, Broken)

    def test_nonsense_opens_no_door(self) -> None:
        """True is not somebody; and whatever it answered is not repeated, since it might be the password."""
        for answer in (True, "bob@example.org", BOB, ["secret"]):
            failure = self.failureResultOf(self.begin("bob@example.org", "secret", Fails(answer)), Broken)
            self.assertRegex(str(failure.value), r"^a failed: it answered with a \w+, not with an Address$")
