"""A consignment as a server can take it: with less than 8 bits, or without anything binary, where it must be so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from mailserver.delivery.consignment import Consignment
from mailserver.delivery.result import Unroutable
from mailserver.smtp.sevenbit import Conversion, NotConvertible, Plan, Survey, converted


class Limit(NamedTuple):
    """Whether octets beyond ASCII may stay in it, and whether it came as binary."""

    eight: bool
    binary: bool


def limit(load: Consignment, offered: Mapping[str, str]) -> Limit | None:
    """What the content has to be for a server that offers this; None where it may go as it is.

    RFC 3030 3 and RFC 6152 3; who takes header fields beyond ASCII takes 8 bits (RFC 6531 3.1).
    """
    if load.body == "BINARYMIME":
        if "BINARYMIME" in offered and "CHUNKING" in offered:
            return None
        return Limit("8BITMIME" in offered, True)
    if "8BITMIME" in offered or load.utf8_header:
        return None
    return Limit(False, False)


def converted_at_hand(load: Consignment, limit: Limit) -> Consignment:
    """The same with a content that fits, which is at hand; raises `Unroutable`."""
    assert load.whole is not None
    try:
        found = converted(load.whole, limit.eight, limit.binary)
    except NotConvertible as reason:
        raise _refused(limit, reason) from None
    if found is None:
        return replace(load, body="8BITMIME" if limit.eight and not load.whole.isascii() else "7BIT")
    return replace(load, whole=found[0], size=len(found[0]), body=found[1])


async def converted_in_pieces(load: Consignment, limit: Limit) -> Consignment:
    """The same, of a content that has to be read: now, to see what there is to do, and again when it is sent."""
    survey, content = Survey(limit.eight, limit.binary), load.content()
    try:
        async for octets in content:
            survey.feed(octets)
    finally:
        if isinstance(content, AsyncGenerator):
            await content.aclose()
    try:
        plan = survey.end()
    except NotConvertible as reason:
        raise _refused(limit, reason) from None
    if plan is None:
        return replace(load, body="8BITMIME" if survey.has_eight else "7BIT")
    return replace(load, content=_changed(load.content, plan), size=0, body=plan.body)


def _refused(limit: Limit, reason: NotConvertible) -> Unroutable:
    """RFC 3463 3.7: conversion required but not supported."""
    if limit.eight:
        return Unroutable(f"the server does not take binary content (BINARYMIME), and {reason}", "6.3")
    return Unroutable(f"the server does not take octets beyond ASCII (8BITMIME), and {reason}", "6.3")


def _changed(content: Callable[[], AsyncIterator[bytes]], plan: Plan) -> Callable[[], AsyncIterator[bytes]]:
    async def pieces() -> AsyncIterator[bytes]:
        conversion, original = Conversion(plan), content()
        try:
            async for octets in original:
                if given := conversion.feed(octets):
                    yield given
            yield conversion.end()
        finally:
            if isinstance(original, AsyncGenerator):
                await original.aclose()

    return pieces
