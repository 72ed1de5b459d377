"""Content for servers that take less: converted or refused, whatever it is and however it is cut."""

from __future__ import annotations

from mailserver.smtp.sevenbit import NotConvertible, Plan, Survey, changed
from tests.fuzz.choices import Choices, split

WORDS = (
    b"\r\n--b\r\n", b"\r\n--b--\r\n", b"\r\n\r\n", b"\r\n", b"--", b"=",
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
    b"Content-Type: message/rfc822\r\n\r\n", b"Content-Type: a/b\r\n", b"Content-Transfer-Encoding: binary\r\n",
    b"multipart/signed", b"x", b"\0", b"\r", b"\n", b"\xff", b"\xc3\xbc",
)


def run(octets: bytes) -> None:
    """Nothing beyond 7 bits is left, and every cut gives the same."""
    choices, content = split(octets)
    choose = Choices(choices)
    for binary in (False, True):
        plans: list[Plan | str | None] = []
        for pieces in ([content], list(choose.cut(content))):
            survey = Survey(False, binary)
            for each in pieces:
                survey.feed(each)
            try:
                plans.append(survey.end())
            except NotConvertible as error:
                plans.append(str(error))
        assert plans[0] == plans[1], plans
        if isinstance(plan := plans[0], Plan):
            sent = b"".join(changed([content], plan))
            assert sent.isascii(), sent
            assert b"".join(changed(choose.cut(content), plan)) == sent
