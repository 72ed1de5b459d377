"""Mechanisms of SASL, and the preparation of names and passwords."""

from __future__ import annotations

import base64

from mailserver.sasl import MECHANISMS, Challenge, Credentials, SaslError
from mailserver.sasl.scram import prepare, read_verifier
from tests.fuzz.choices import Choices, split

WORDS = (
    b"\0alice\0secret", b"alice@example.org", b"\n", b"\0", b"=", b"\xe3\x80\x80", b"\xd8\xa7", b"\xcc\x81", b"\xff",
    b"4096$c2FsdA==$",
)


def run(octets: bytes) -> None:
    """A message is a step or no message; who says nothing proves nothing; a login has one spelling."""
    choices, said = split(octets)
    choose = Choices(choices)
    for make in MECHANISMS.values():
        mechanism = make()
        steps = said.split(b"\n")
        try:
            step = mechanism.start(None if choose.below(2) else steps.pop(0))
            while isinstance(step, Challenge) and steps:
                base64.b64encode(step.octets)
                step = mechanism.step(steps.pop(0))
        except SaslError as error:
            assert str(error).isprintable()
            continue
        if isinstance(step, Credentials):
            assert step.name and step.password
            assert "\0" not in step.name + step.password + step.authorize_as
            assert repr(step) == repr(Credentials(step.name, "another", step.authorize_as))
    try:
        read_verifier(said)
    except ValueError:
        pass
    text = said.decode("utf-8", "replace")
    try:
        prepared = prepare(text)
    except ValueError:
        return
    assert not any(each in prepared for each in "\0\r\n\x7f\x1b"), prepared
