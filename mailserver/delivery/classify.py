"""What the result of an attempt is about."""

from __future__ import annotations

from mailserver.delivery.result import Result
from mailserver.feedback.classify import classify_words
from mailserver.feedback.kinds import Kind

__all__ = ["Kind", "classify", "classify_words"]


def classify(result: Result) -> Kind:
    """`Kind.UNKNOWN` when nothing that was said tells."""
    if result.reply is None:
        status = f"4.{result.detail}" if result.detail else ""
        return classify_words(0, status, result.words)
    return classify_words(result.reply.code, result.reply.status, result.reply.text)
