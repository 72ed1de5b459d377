"""A consignment as a server can take it: with less than 8 bits, or without anything binary, where it must be so."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from mailserver.delivery.consignment import Consignment
from mailserver.delivery.result import Unroutable
from mailserver.smtp.sevenbit import Conversion, NotConvertible, Plan, Survey, converted

SMALL = 8 * 1024        # octets that are converted at once; each KiB of what a stranger has thought out takes 3 ms

InThread = Callable[..., Awaitable[Any]]


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


def takes_long(load: Consignment, offered: Mapping[str, str]) -> bool:
    """Whether a conversion is for a thread: of a content that is not at hand, or is large and has to be looked into."""
    wanted = limit(load, offered)
    if wanted is None or load.whole is None:
        return wanted is not None
    return len(load.whole) > SMALL and (wanted.binary or not load.whole.isascii())


async def converted_elsewhere(load: Consignment, offered: Mapping[str, str], in_thread: InThread) -> Consignment:
    """The same with a content that fits a server, made in a thread; raises `Unroutable`."""
    wanted = limit(load, offered)
    if wanted is None:
        return load
    if load.whole is None:
        return await _converted_in_pieces(load, wanted, in_thread)
    made: Consignment = await in_thread(converted_at_hand, load, wanted)
    return made


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


async def _converted_in_pieces(load: Consignment, limit: Limit, in_thread: InThread) -> Consignment:
    """The same, of a content that has to be read: now, to see what there is to do, and again when it is sent."""
    survey, content = Survey(limit.eight, limit.binary), load.content()
    try:
        async for octets in content:
            await in_thread(survey.feed, octets)
    finally:
        if isinstance(content, AsyncGenerator):
            await content.aclose()
    try:
        plan = await in_thread(survey.end)
    except NotConvertible as reason:
        raise _refused(limit, reason) from None
    if plan is None:
        return replace(load, body="8BITMIME" if survey.has_eight else "7BIT")
    return replace(load, content=_changed(load.content, plan, in_thread), size=0, body=plan.body)


def _refused(limit: Limit, reason: NotConvertible) -> Unroutable:
    """RFC 3463 3.7: conversion required but not supported."""
    if limit.eight:
        return Unroutable(f"the server does not take binary content (BINARYMIME), and {reason}", "6.3")
    return Unroutable(f"the server does not take octets beyond ASCII (8BITMIME), and {reason}", "6.3")


def _changed(
    content: Callable[[], AsyncIterator[bytes]], plan: Plan, in_thread: InThread
) -> Callable[[], AsyncIterator[bytes]]:
    async def pieces() -> AsyncIterator[bytes]:
        conversion, original = Conversion(plan), content()
        try:
            async for octets in original:
                if given := await in_thread(conversion.feed, octets):
                    yield given
            yield await in_thread(conversion.end)
        finally:
            if isinstance(original, AsyncGenerator):
                await original.aclose()

    return pieces
