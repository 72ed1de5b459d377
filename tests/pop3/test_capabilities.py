"""What a server says that it can do."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailserver.pop3.capabilities import capabilities


class CapabilityTests(SynchronousTestCase):
    def lines(self, *arguments: object) -> list[str]:
        octets = capabilities(("PLAIN", "LOGIN"), *arguments)  # type: ignore[arg-type]
        self.assertTrue(octets.endswith(b"\r\n.\r\n"))
        return octets.decode().split("\r\n")[:-2]

    def test_stranger(self) -> None:
        """Outside of TLS there is no login, and no mechanism for it."""
        lines = self.lines(False, True, 0.0, None)
        self.assertIn("STLS", lines)
        self.assertFalse({"USER", "SASL PLAIN LOGIN"} & set(lines))

    def test_inside_tls(self) -> None:
        lines = self.lines(True, False, 0.0, None)
        self.assertNotIn("STLS", lines)
        self.assertLessEqual({"USER", "SASL PLAIN LOGIN", "UTF8 USER", "LANG", "EXPIRE NEVER"}, set(lines))
        self.assertNotIn("LOGIN-DELAY", "".join(lines))

    def test_by_the_operator(self) -> None:
        """A delay is told in whole seconds, and never less than it is."""
        lines = self.lines(True, False, 0.2, 7)
        self.assertLessEqual({"LOGIN-DELAY 1", "EXPIRE 7"}, set(lines))
