"""What commands show of what strangers wrote."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.cli.shown import show_json, show_json_array


class JsonTests(SynchronousTestCase):
    def said(self, show: Any, value: Any) -> str:
        written = io.StringIO()
        with redirect_stdout(written):
            show(value)
        return written.getvalue()

    def test_nothing_that_a_terminal_obeys(self) -> None:
        """JSON leaves characters beyond ASCII as they are, and some of these command (C1), or turn lines around."""
        hostile = str(Address.parse("a\x9b31mb\x85\u202ec\u2028@example.org")) + "\x7f\ud800"
        for show, value in ((show_json, {"sender": hostile}), (show_json_array, [{"sender": hostile}])):
            said = self.said(show, value)
            self.assertTrue(said.replace("\n", "").isprintable(), said)
            found = json.loads(said)
            self.assertEqual(found["sender"] if isinstance(found, dict) else found[0]["sender"], hostile)

    def test_words_stay_words(self) -> None:
        words = "J\u00f6rg \u65e5\u672c\u3000\U0001f600"
        self.assertIn(words, self.said(show_json, words))
