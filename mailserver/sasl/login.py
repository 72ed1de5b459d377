"""LOGIN: two questions and two answers; never standardised, and still what some clients speak."""

from __future__ import annotations

from mailserver.sasl.mechanism import Challenge, Credentials, SaslError, Step, text


class Login:
    """Asks for a name and a password; an initial response is the name."""

    def __init__(self) -> None:
        self._name: str | None = None

    def start(self, initial: bytes | None) -> Step:
        return Challenge(b"Username:") if initial is None else self.step(initial)

    def step(self, response: bytes) -> Step:
        answer = text(response)
        if not answer:
            raise SaslError("a name and a password are needed")
        if self._name is None:
            self._name = answer
            return Challenge(b"Password:")
        return Credentials(self._name, answer)
