"""PLAIN and LOGIN as exchanges, and what no peer can make them do."""

from __future__ import annotations

import base64
import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.sasl import MECHANISMS, Challenge, Credentials, Login, Plain, SaslError
from mailserver.sasl.scram import prepare, read_verifier, verifier

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


class PlainTests(SynchronousTestCase):
    def test_at_once(self) -> None:
        """RFC 4616 4: everything in the initial response."""
        self.assertEqual(Plain().start(b"\0tim\0tanstaaftanstaaf"), Credentials("tim", "tanstaaftanstaaf"))

    def test_for_somebody_else(self) -> None:
        """RFC 4616 4: the authorization identity comes first."""
        self.assertEqual(Plain().start(b"Ursel\0Kurt\0xipj3plmq"), Credentials("Kurt", "xipj3plmq", "Ursel"))

    def test_after_a_challenge(self) -> None:
        """Without an initial response there is an empty challenge."""
        plain = Plain()
        self.assertEqual(plain.start(None), Challenge(b""))
        self.assertEqual(plain.step(b"\0a\0b"), Credentials("a", "b"))

    def test_malformed(self) -> None:
        """Each of these is no message of PLAIN."""
        for response in (b"", b"a", b"a\0b", b"a\0b\0c\0d", b"\0\0b", b"\0a\0", b"\0\xff\0b"):
            with self.assertRaises(SaslError, msg=repr(response)):
                Plain().start(response)

    @given(st.one_of(st.just(""), texts), texts, texts)
    def test_round_trip(self, authorize_as: str, name: str, password: str) -> None:
        """What is sent is what is understood."""
        response = "\0".join((authorize_as, name, password)).encode()
        self.assertEqual(Plain().start(response), Credentials(name, password, authorize_as))


class LoginTests(SynchronousTestCase):
    def test_exchange(self) -> None:
        """Two questions."""
        login = Login()
        self.assertEqual(login.start(None), Challenge(b"Username:"))
        self.assertEqual(login.step(b"alice"), Challenge(b"Password:"))
        self.assertEqual(login.step(b"secret"), Credentials("alice", "secret"))

    def test_initial_response(self) -> None:
        """It is the name."""
        self.assertEqual(Login().start(b"alice"), Challenge(b"Password:"))

    def test_empty(self) -> None:
        """Nobody is called nothing."""
        self.assertRaises(SaslError, Login().start, b"")


class AnyTests(SynchronousTestCase):
    @given(st.sampled_from(sorted(MECHANISMS)), st.one_of(st.none(), st.binary(max_size=40)), st.binary(max_size=40))
    def test_anything(self, name: str, initial: bytes | None, response: bytes) -> None:
        """Whatever comes raises nothing but `SaslError`, and no repr shows a password."""
        mechanism = MECHANISMS[name]()
        try:
            said = mechanism.start(initial)
            if isinstance(said, Challenge):
                said = mechanism.step(response)
        except SaslError:
            return
        if isinstance(said, Credentials):
            self.assertNotIn("password", repr(said))


class ScramTests(SynchronousTestCase):
    def test_rfc_5802(self) -> None:
        """The example of RFC 5802 5: its server signature follows from our verifier."""
        salt = base64.b64decode("QSXCR+Q6sek8bf92")
        stored = read_verifier(verifier("pencil", "sha1", salt, 4096))
        self.assertEqual(stored.iterations, 4096)

        message = (
            b"n=user,r=fyko+d2lbbFgONRv9qkxdawL,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
            b"s=QSXCR+Q6sek8bf92,i=4096,c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"
        )
        proof = base64.b64decode("v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=")
        signature = hmac.digest(stored.stored_key, message, "sha1")
        client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=True))
        self.assertEqual(hashlib.sha1(client_key).digest(), stored.stored_key)
        self.assertEqual(
            base64.b64encode(hmac.digest(stored.server_key, message, "sha1")), b"rmF9pqV8S7suAoZWja4dJRkFsKQ="
        )

    def test_salted(self) -> None:
        """The same password is never stored the same way twice."""
        self.assertNotEqual(verifier("pencil", "sha256"), verifier("pencil", "sha256"))

    @given(st.text(max_size=20), st.binary(max_size=20), st.integers(1, 3))
    def test_round_trip(self, password: str, salt: bytes, iterations: int) -> None:
        """What is stored is what is read, and no password is in it."""
        try:
            prepared = prepare(password)
        except ValueError:
            return
        for algorithm, length in (("sha1", 20), ("sha256", 32)):
            stored = read_verifier(verifier(prepared, algorithm, salt, iterations))
            self.assertEqual((stored.iterations, stored.salt), (iterations, salt))
            self.assertEqual((len(stored.stored_key), len(stored.server_key)), (length, length))

    @given(st.one_of(st.binary(max_size=60), st.from_regex(rb"\A[0-9]{0,3}\$[A-z=]{0,9}\$[A-z=]{0,9}:[A-z=]{0,9}\Z")))
    def test_damaged(self, stored: bytes) -> None:
        """A row that was damaged is a `ValueError`, nothing worse."""
        try:
            read_verifier(stored)
        except ValueError:
            pass

    @given(st.text(max_size=20))
    def test_prepared_once(self, text: str) -> None:
        """Whatever is written is refused with a `ValueError`, or prepared for good."""
        try:
            prepared = prepare(text)
        except ValueError:
            return
        self.assertEqual(prepare(prepared), prepared)

    def test_prepared(self) -> None:
        """RFC 4013 3, and two spellings of one word."""
        for given_, wanted in (("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"),
                               ("\u2168", "IX"), ("e\u0301", "\u00e9"), ("a\u00a0b", "a b")):
            self.assertEqual(prepare(given_), wanted)
        for forbidden in ("\u0007", "\u0627\u0031", "a\ue000"):
            self.assertRaises(ValueError, prepare, forbidden)
