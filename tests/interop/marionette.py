"""Mozilla's remote control: JSON over TCP, by which a program's own scripts run inside its window."""

from __future__ import annotations

import json
import socket
from typing import Any

LARGEST = 1024 * 1024      # octets of one answer


class ScriptError(Exception):
    """What was asked for failed on the other side; it says what and where."""


class Marionette:
    """One session with a program that runs with ``--marionette``.

    Its messages: https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html.  Raises `ScriptError` when
    a command fails, and `OSError` when there is nobody (any more), or no answer within `patience` seconds.
    """

    def __init__(self, port: int, patience: float) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self._buffer = bytearray()
        self._number = 0
        self._message()                     # who it is
        self.ask("WebDriver:NewSession", {})
        self.ask("Marionette:SetContext", {"value": "chrome"})
        self.ask("WebDriver:SetTimeouts", {"script": int(patience * 1000)})

    def ask(self, command: str, parameters: dict[str, Any]) -> Any:
        """Its answer."""
        self._number += 1
        octets = json.dumps([0, self._number, command, parameters]).encode()
        self._socket.sendall(b"%d:%s" % (len(octets), octets))
        kind, number, error, result = self._message()
        assert (kind, number) == (1, self._number), (kind, number)
        if error is not None:
            raise ScriptError(f"{error.get('message')}\n{error.get('stacktrace', '')}")
        return result

    def run(self, script: str, *words: Any) -> Any:
        """What the body of an async function returns for these `words`, with the rights of the program's own ones."""
        # Marionette's own last argument is what takes the answer.
        wrapped = (
            "const words = Array.from(arguments), answer = words.pop();"
            f"(async (...words) => {{ {script} }})(...words)"
            ".then(value => answer({ value }), error => answer({ error: `${error}\\n${error.stack}` }));"
        )
        answer = self.ask(
            "WebDriver:ExecuteAsyncScript",
            {"script": wrapped, "args": list(words), "newSandbox": False, "sandbox": "system"},
        )["value"]
        if "error" in answer:
            raise ScriptError(answer["error"])
        return answer.get("value")

    def close(self) -> None:
        self._socket.close()

    def _message(self) -> Any:
        while (end := self._buffer.find(b":", 0, 20)) < 0:
            self._more()
        length = int(self._buffer[:end])
        assert length <= LARGEST, length
        while len(self._buffer) < end + 1 + length:
            self._more()
        octets = bytes(self._buffer[end + 1:end + 1 + length])
        del self._buffer[:end + 1 + length]
        return json.loads(octets)

    def _more(self) -> None:
        octets = self._socket.recv(1 << 20)
        if not octets:
            raise ConnectionError("the program closed the connection")
        self._buffer += octets
