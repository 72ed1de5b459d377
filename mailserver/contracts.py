"""Whether a class is the plugin that its offer promises, found out before anybody asks it."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from zope.interface import Interface
from zope.interface.exceptions import BrokenImplementation, BrokenMethodImplementation, DoesNotImplement, Invalid
from zope.interface.verify import verifyClass

from mailserver.envelope import Origin
from mailserver.events import KINDS
from mailserver.interfaces import IFilter, IFilterHooks, IListener, IMailboxStore, ITransactionalStore

HOOKS: tuple[str, ...] = tuple(IFilterHooks.names())


def faults(interface: Any, cls: Any) -> list[str]:
    """What is wrong with a class that should implement `interface`; empty when nothing is."""
    if not isinstance(cls, type):
        return [f"{cls!r} is no class"]
    found = list(_verified(interface, cls))
    if interface is IFilter:
        found += _filter_faults(cls)
    if interface is IListener:
        found += _listener_faults(cls)
    elif IListener.implementedBy(cls):
        found += [*_verified(IListener, cls), *_listener_faults(cls)]
    if interface is IMailboxStore and ITransactionalStore.implementedBy(cls):
        found += _verified(ITransactionalStore, cls)
    try:
        inspect.signature(cls).bind(None, None)
    except TypeError:
        found.append("it cannot be built with (options, server)")
    except ValueError:
        pass        # written in C: nobody knows
    return found


def _verified(interface: type[Interface], cls: type) -> Iterator[str]:
    try:
        verifyClass(interface, cls)
    except Invalid as error:
        # Several are one MultipleInvalid, which the type stubs do not know.
        yield from (_in_words(interface, each) for each in getattr(error, "exceptions", (error,)))


def _in_words(interface: Any, error: Any) -> str:
    match error:
        case DoesNotImplement():
            return f"it is not marked with @implementer({interface.__name__})"
        case BrokenImplementation():
            return f"it has no {getattr(error.name, '__name__', error.name)}"
        case BrokenMethodImplementation():
            method = getattr(error.method, "__name__", error.method)
            return f"its {method} should be {method}{interface[method].getSignatureString()}: {error.mess}"
    return str(error)


def _filter_faults(cls: type) -> Iterator[str]:
    origins = getattr(cls, "origins", None)
    if origins is None:
        # An instance may set it; a class that says nothing would be asked about nothing.
        yield "it has no origins: which mail does it judge?"
    elif not isinstance(origins, property) and (
        not isinstance(origins, (set, frozenset, tuple, list)) or not all(isinstance(each, Origin) for each in origins)
    ):
        yield f"its origins are {origins!r}, not a set of Origin"
    hooks = [name for name in HOOKS if hasattr(cls, name)]
    if not hooks:
        others = [name for name in vars(cls) if callable(getattr(cls, name)) and not name.startswith("_")]
        pairs = [(name, difflib.get_close_matches(name, HOOKS, 1)) for name in others]
        near = [f"{name} (did you mean {close[0]}?)" for name, close in pairs if close]
        yield f"it has none of the hooks {', '.join(HOOKS)}" + (f", but {', '.join(near)}" if near else "")
    for name in hooks:
        wanted = IFilterHooks[name].getSignatureInfo()["positional"]
        try:
            inspect.signature(getattr(cls, name)).bind(None, *wanted)
        except (TypeError, ValueError):
            yield f"its {name} cannot be called with ({', '.join(wanted)})"


def _listener_faults(cls: type) -> Iterator[str]:
    kinds = getattr(cls, "kinds", None)
    if kinds is None:
        # An instance may set it; a class that says nothing would hear nothing.
        yield "it has no kinds: which events does it want to hear of?"
    elif not isinstance(kinds, property) and type(kinds).__name__ != "member_descriptor":
        yield from unknown_kinds(kinds)


def unknown_kinds(kinds: Any) -> Iterator[str]:
    """What is wrong with the kinds of events that a listener wants to hear of."""
    if not isinstance(kinds, (set, frozenset, tuple, list)):
        yield f"its kinds are {kinds!r}, not a set of names"
        return
    for each in sorted(map(str, kinds)):
        if each not in KINDS:
            near = difflib.get_close_matches(each, KINDS, 1)
            yield f"there are no events of the kind {each!r}" + (f"; did you mean {near[0]!r}?" if near else "")
