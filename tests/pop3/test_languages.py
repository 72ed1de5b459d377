"""What people are told: in each language, and nothing in it that a program could mistake."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.pop3 import phrases
from mailserver.pop3.languages import LANGUAGES, Voice, chosen
from mailserver.pop3.phrases import Phrase

ALL = {name: each for name, each in vars(phrases).items() if isinstance(each, Phrase)}


class PhraseTests(SynchronousTestCase):
    def test_each(self) -> None:
        """English is ASCII, the other language is another, and both have the same places for values."""
        self.assertGreater(len(ALL), 30)
        for name, phrase in ALL.items():
            self.assertTrue(phrase.en.isascii() and phrase.en.isprintable() and phrase.ja.isprintable(), name)
            self.assertEqual(phrase.en.count("{}"), phrase.ja.count("{}"), name)
            self.assertNotIn("[", phrase.en + phrase.ja, name)
            if phrase is not phrases.NOTHING:
                self.assertFalse(phrase.ja.isascii(), name)
                self.assertLess(len(phrase.ja.encode()), 250, name)

    def test_codes(self) -> None:
        """Those that are registered (RFC 2449 8, RFC 3206 4, RFC 6856 5)."""
        self.assertEqual(
            {phrase.code for phrase in ALL.values()},
            {"", "AUTH", "IN-USE", "LOGIN-DELAY", "SYS/PERM", "SYS/TEMP", "UTF8"},
        )

    def test_used(self) -> None:
        """None is left over, and what is sent has values for all places."""
        from pathlib import Path

        import mailserver

        root = Path(mailserver.__file__).parent
        text = "".join(path.read_text() for path in (*root.glob("pop3/*.py"), *root.glob("session/*.py")))
        for name in ALL:
            self.assertRegex(text, rf"phrases\.{name}\b|import .*\b{name}\b", name)


class ChoiceTests(SynchronousTestCase):
    def test_chosen(self) -> None:
        for range, tag in (
            ("en", "en"), ("EN", "en"), ("en-GB", "en"), ("ja", "ja"), ("ja-JP", "ja"), ("Ja-Hira-JP", "ja"),
            ("*", "ja"), ("de", None), ("jap", None), ("", None), ("ja-", None), ("ja_JP", None), ("**", None),
            ("ja *", None), ("日本語", None), ("ja-" + "x" * 9, None), ("\x1b]0;x\x07", None),
        ):
            self.assertEqual(chosen(range, "ja"), tag, range)

    @given(st.text(max_size=300))
    def test_anything(self, range: str) -> None:
        self.assertIn(chosen(range, "en"), (None, *LANGUAGES))

    def test_voice(self) -> None:
        voice = Voice()
        self.assertEqual(voice.ok(), b"+OK\r\n")
        self.assertEqual(voice.err(phrases.NOT_NOW, "{0}"), b"-ERR [SYS/TEMP] not now, try again later ({0})\r\n")
        voice.language = "ja"
        self.assertTrue(re.fullmatch("-ERR \\[AUTH\\] .*\r\n", voice.err(phrases.WRONG).decode()))
