"""What POP3 counts is counted for all workers together."""

from __future__ import annotations

import poplib

from tests.workers.cases import WorkersCase


class DelayTests(WorkersCase):
    def test_login_delay(self) -> None:
        """Who has just been at one worker waits at the other, too."""
        self.write(end="\n[pop3]\nlogin_delay = 600\n")
        self.start()
        boxes = self.boxes()
        first = boxes.pop()
        first.user("alice@example.org")
        first.pass_("secret")
        first.quit()
        for box in boxes:
            box.user("alice@example.org")
            error = self.assertRaises(poplib.error_proto, box.pass_, "secret")
            self.assertIn("[LOGIN-DELAY]", str(error))

    def boxes(self) -> list[poplib.POP3]:
        """Connections, of which each worker has one at the least."""
        made: list[poplib.POP3] = []
        while {each["worker"] for each in self.ask("who") if each["service"] == "pop3"} != {0, 1}:
            self.assertLess(len(made), 45)          # fewer than one address may have
            box = poplib.POP3("127.0.0.1", self.base + 110, timeout=20)
            self.addCleanup(box.close)
            made.append(box)
        return made
