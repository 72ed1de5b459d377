"""What a password becomes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.store.credentials import ARGON2ID, HASHER, derive


class DeriveTest(SynchronousTestCase):
    def test_each_kind(self) -> None:
        """A hash as strong as rules.md wants it, and the verifiers of both SCRAMs; never the password itself."""
        made = dict(derive("correct horse"))
        self.assertEqual(sorted(made), ["argon2id", "scram-sha-1", "scram-sha-256"])
        self.assertTrue(made[ARGON2ID].startswith(b"$argon2id$v=19$m=19456,t=2,p=1$"))
        self.assertTrue(HASHER.verify(made[ARGON2ID].decode(), "correct horse"))
        for data in made.values():
            self.assertNotIn(b"correct", data)

    def test_two_spellings_of_one_password(self) -> None:
        """RFC 4013: a full-width letter and a soft hyphen are what the keyboard made of it."""
        made = dict(derive("\uff41b\u00adc"))
        self.assertTrue(HASHER.verify(made[ARGON2ID].decode(), "abc"))

    def test_no_password(self) -> None:
        for nothing in ("", "\u00ad"):
            with self.assertRaises(ValueError):
                derive(nothing)
