"""Reverse-paths that nobody can make but us."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import LONGEST_LOCAL_PART, Address
from mailserver.errors import BadAddress
from mailserver.feedback.verp import decode, encode
from mailserver.ident import Ids

KEY = b"k" * 32
ID = Ids(lambda: 1_800_000_000.0)()
NEWS = Address.parse("news@example.org")
BOB = Address.parse("bob@example.com")


class VerpTests(SynchronousTestCase):
    def test_readable(self) -> None:
        """It says whom it was for, to people too, and is an address."""
        path = encode(NEWS, BOB, ID, KEY)
        self.assertRegex(str(path), r"^news\+[a-z2-7]{10}=[0-9a-z]{13}=bob=example\.com@example\.org$")
        self.assertEqual(Address.parse(str(path)), path)
        found = decode(path, KEY)
        assert found is not None
        self.assertEqual((found.sender, found.message, found.recipient), (NEWS, ID, BOB))
        self.assertTrue(found.is_for(BOB))
        self.assertFalse(found.is_for(NEWS))

    def test_long_ones(self) -> None:
        """A local part has 64 octets: a digest says the same, to whoever knows the recipients."""
        for recipient in (
            Address.parse("somebody.with.a.long.name@subsidiary.example.com"), Address.parse('"bob b"@example.com'),
            Address.parse("j\u00f6rg@example.com"), Address.parse("b@b\u00fccher.example"),
        ):
            path = encode(NEWS, recipient, ID, KEY)
            self.assertLessEqual(len(path.local), LONGEST_LOCAL_PART)
            self.assertTrue(str(path).isascii())
            found = decode(path, KEY)
            assert found is not None
            self.assertIsNone(found.recipient)
            self.assertTrue(found.is_for(recipient))

    def test_too_long_a_sender(self) -> None:
        """Then it leaves as it is."""
        sender = Address("n" * 40, "example.org")
        self.assertEqual(encode(sender, BOB, ID, KEY), sender)

    def test_case(self) -> None:
        """Servers on the way may change it."""
        path = encode(NEWS, BOB, ID, KEY)
        self.assertIsNotNone(decode(Address(path.local.upper(), path.domain), KEY))

    def test_forged(self) -> None:
        """Another key, another recipient, another message, another sender: nothing of ours."""
        path = encode(NEWS, BOB, ID, KEY)
        self.assertIsNone(decode(path, b"x" * 32))
        for before, after in (("=bob=", "=eve="), ("news+", "list+"), ("=example.com", "=example.net")):
            self.assertIsNone(decode(Address(path.local.replace(before, after), path.domain), KEY))
        self.assertIsNone(decode(Address(path.local, "example.net"), KEY))
        head, _, rest = path.local.partition("=")
        self.assertIsNone(decode(Address(f"{head}={Ids(lambda: 1.0)()}=bob=example.com"[:64], "example.org"), KEY))
        self.assertIsNone(decode(Address(f"{head}=zzzzzzzzzzzzz={rest[14:]}", "example.org"), KEY))
        self.assertIsNone(decode(NEWS, KEY))

    @given(some.text(max_size=70))
    def test_anything(self, local: str) -> None:
        decode(Address(local, "example.org"), KEY)

    @given(
        some.from_regex(r"[a-zA-Z0-9.+=_-]{1,30}", fullmatch=True), some.from_regex(r"[a-z+=.]{1,20}", fullmatch=True)
    )
    def test_there_and_back(self, local: str, sender: str) -> None:
        """Whatever stands in front of the @."""
        try:
            recipient, mine = Address.parse(f"{local}@example.com"), Address.parse(f"{sender}@example.org")
        except BadAddress:
            return
        path = encode(mine, recipient, ID, KEY)
        found = decode(path, KEY)
        if path != mine:
            assert found is not None and found.is_for(recipient) and found.sender.key == mine.key, path
