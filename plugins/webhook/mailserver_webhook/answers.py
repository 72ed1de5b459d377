"""What a judge answers: ``{"verdict": "reject", "reply": "550 5.7.1 No"}``, or a list of such objects."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from mailserver import verdict
from mailserver.reply import Reply
from mailserver.verdict import ACCEPT, Verdict

MOST = 50               # verdicts of one answer
_REPLY = re.compile(r"([45]\d\d) (?:([45])\.(\d{1,3}\.\d{1,3}) )?(.+)")


def read_answer(body: bytes) -> list[Verdict]:
    """The verdicts; ``{}`` and ``{"verdict": "none"}`` are none.  Raises `ValueError` for what is no answer."""
    try:
        said = json.loads(body)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    answers = said if isinstance(said, list) else [said]
    if len(answers) > MOST:
        raise ValueError(f"these are more than {MOST} verdicts")
    found = [each for each in map(_verdict, answers) if each is not None]
    verdict.check(found)
    return found


def _verdict(said: Any) -> Verdict | None:
    if not isinstance(said, dict):
        raise ValueError(f"{said!r:.80} is no object")
    name = said.get("verdict", "none")
    if name in ("none", None):
        return None
    make = _MAKERS.get(name) if isinstance(name, str) else None
    if make is None:
        raise ValueError(f"there is no verdict {name!r:.80}; there are none, {', '.join(_MAKERS)}")
    return make(said)


def _text(said: Mapping[str, Any], key: str, usual: str | None = None) -> str:
    text = said.get(key, usual)
    if not isinstance(text, str) or any(not each.isprintable() for each in text):
        raise ValueError(f"{key!r} needs to be a text in one line")
    return text


def _reply(said: Mapping[str, Any], usual: str) -> Reply:
    """"550 5.7.1 words", "550 words" or words."""
    text = _text(said, "reply", usual)
    found = _REPLY.fullmatch(text)
    if found is None:
        return Reply(int(usual[:3]), "7.1", text)
    code, severity, detail, words = found.groups()
    if severity not in (None, code[0]):
        raise ValueError(f"{text!r:.80} contradicts itself")
    return Reply(int(code), detail or "7.1", words)


def _points(said: Mapping[str, Any]) -> float:
    points = said.get("points")
    if isinstance(points, bool) or not isinstance(points, (int, float)) or not abs(points) < 1e6:
        raise ValueError("\"points\" needs to be a number")
    return float(points)


_WHY = "a webhook says so"
_MAKERS: Mapping[str, Callable[[Mapping[str, Any]], Verdict]] = {
    "accept": lambda said: ACCEPT,
    "reject": lambda said: verdict.reject(_reply(said, "550 5.7.1 This message is not wanted")),
    "defer": lambda said: verdict.defer(_reply(said, "451 4.7.1 Please try again later")),
    "discard": lambda said: verdict.discard(_text(said, "why", _WHY)),
    "quarantine": lambda said: verdict.quarantine(_text(said, "why", _WHY)),
    "score": lambda said: verdict.score(_points(said), _text(said, "why", _WHY)),
    "add_header": lambda said: verdict.add_header(_text(said, "name"), _text(said, "value")),
    "remove_header": lambda said: verdict.remove_header(_text(said, "name")),
}
