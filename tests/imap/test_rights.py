"""Rights as they are read, changed and told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.imap.error import ImapError
from mailserver.imap.rights import RIGHTS, changeable, changed, ordered, parse, parse_change, spelled

LETTERS = st.text("lrswipkxteacd", max_size=20)


class RightsTests(SynchronousTestCase):
    @given(LETTERS)
    def test_read_again(self, text: str) -> None:
        """What is told means the same when it is read, each letter once and in one order."""
        rights = parse(text)
        self.assertEqual(rights, "".join(each for each in RIGHTS if each in rights))
        self.assertEqual(parse(spelled(rights)), ordered({*rights, *("te" if set(rights) & {"t", "e"} else "")}))
        self.assertEqual(len(set(spelled(rights))), len(spelled(rights)))

    @given(LETTERS, LETTERS)
    def test_change(self, before: str, text: str) -> None:
        have, letters = parse(before), parse(text)
        self.assertEqual(set(changed(have, *parse_change(f"+{text}"))), {*have, *letters})
        self.assertEqual(set(changed(have, *parse_change(f"-{text}"))), set(have) - set(letters))
        self.assertEqual(changed(have, *parse_change(text)), letters)

    def test_no_rights(self) -> None:
        for text in ("L", "lq", "l r", "0", "++l", "+-", "l+", "é", "\0"):
            with self.assertRaises(ImapError):
                parse_change(text)
        self.assertEqual([parse_change(each) for each in ("", "+", "-")], [("=", ""), ("+", ""), ("-", "")])

    def test_flags(self) -> None:
        """Each right is for its own flags, and the three for all (RFC 4314 4)."""
        self.assertEqual([changeable(each) for each in ("", "s", "t", "st", "lrikxa")], [0, 1, 8, 9, 0])
        self.assertEqual(changeable("wst"), -1)
        self.assertEqual(changeable("w") & 0xFFF, 0xFF6)
