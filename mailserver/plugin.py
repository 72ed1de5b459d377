"""Finding plugins and building them: one registry over three sources.

Plugins are offered by a pointer that imports nothing until it is asked for.  Offers are found in
``twisted/plugins/*.py`` anywhere on the path (as for every twistd plugin), in ``.py`` files of the folders that the
configuration names, and under the entry-point group ``mailserver.plugins`` of installed packages.
"""

from __future__ import annotations

import difflib
import importlib.metadata
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from twisted.plugin import IPlugin, getPlugins
from zope.interface import Attribute, Interface, implementer

from mailserver.contracts import faults
from mailserver.errors import MailserverError
from mailserver.imports import PluginError, failed, import_class, import_file, import_module, place_of
from mailserver.interfaces import IAuthenticator, IFilter, IForwarder, IListener, IMailboxStore, NoOptions
from mailserver.options import OptionError, structure

__all__ = [
    "KINDS",
    "AuthenticatorOffer",
    "FilterOffer",
    "ForwarderOffer",
    "Found",
    "IOffer",
    "ListenerOffer",
    "MailboxOffer",
    "Offer",
    "OptionError",
    "PluginError",
    "Registry",
    "structure",
]

GROUP = "mailserver.plugins"


class IOffer(Interface):
    """A pointer to a plugin."""

    kind: str = Attribute("mailbox, auth, forward, filter or listener.")
    name: str = Attribute("What ``use = `` says in the configuration.")
    description: str = Attribute("What it does, in a sentence.")


@dataclass(frozen=True, slots=True)
class Offer:
    """`target` is "package.module.Class", or the class itself in a file of a plugin folder."""

    name: str
    target: str | type
    description: str

    kind: ClassVar[str]
    interface: ClassVar[Any]


@implementer(IPlugin, IOffer)
class MailboxOffer(Offer):
    """Offers an `mailserver.interfaces.IMailboxStore`."""

    kind = "mailbox"
    interface = IMailboxStore


@implementer(IPlugin, IOffer)
class AuthenticatorOffer(Offer):
    """Offers an `mailserver.interfaces.IAuthenticator`."""

    kind = "auth"
    interface = IAuthenticator


@implementer(IPlugin, IOffer)
class ForwarderOffer(Offer):
    """Offers an `mailserver.interfaces.IForwarder`."""

    kind = "forward"
    interface = IForwarder


@implementer(IPlugin, IOffer)
class FilterOffer(Offer):
    """Offers an `mailserver.interfaces.IFilter`."""

    kind = "filter"
    interface = IFilter


@implementer(IPlugin, IOffer)
class ListenerOffer(Offer):
    """Offers an `mailserver.interfaces.IListener`."""

    kind = "listener"
    interface = IListener


KINDS = ("mailbox", "auth", "forward", "filter", "listener")


@dataclass(frozen=True, slots=True)
class Found:
    """An offer and the file that makes it."""

    offer: Offer
    file: str


class Registry:
    """All offers; `errors` says what could not be read."""

    def __init__(self, folders: Iterable[Path] = ()) -> None:
        self._folders = tuple(dict.fromkeys(folder.absolute() for folder in folders))
        self._found: dict[tuple[str, str], Found] = {}
        self._empty: list[Path] = []        # files of the folders that offer nothing
        self.errors: list[PluginError] = []

    def load(self) -> Registry:
        """Look into the three sources; returns itself."""
        for found in self._sources():
            key = (found.offer.kind, found.offer.name)
            there = self._found.get(key)
            if there is None:
                self._found[key] = found
            elif there.offer != found.offer:
                self.errors.append(_clash(there, found))
        return self

    def offers(self, kind: str | None = None) -> list[Found]:
        """What is offered, by kind and name."""
        return [found for key, found in sorted(self._found.items()) if kind in (None, key[0])]

    def find(self, kind: str, name: str) -> Found:
        """The offer of this name; raises `PluginError` with the nearest other name."""
        found = self._found.get((kind, name))
        if found is None:
            names = [each.offer.name for each in self.offers(kind)]
            near = difflib.get_close_matches(name, names, 1)
            hint = f'; did you mean "{near[0]}"?' if near else f" (there are: {', '.join(names) or 'none'})"
            if self._empty:
                hint += f" (no Offer stands in {', '.join(map(str, self._empty))})"
            raise PluginError(f"there is no {kind} plugin called {name!r}{hint}")
        return found

    def load_class(self, kind: str, name: str) -> type:
        """Import a plugin's class and verify it; raises `PluginError` with everything that is wrong with it."""
        found = self.find(kind, name)
        target = found.offer.target
        cls = import_class(target, found.file) if isinstance(target, str) else target
        wrong = faults(found.offer.interface, cls)
        if wrong:
            what = getattr(cls, "__qualname__", target)
            raise PluginError(f"{what} is no {kind} plugin: {'; '.join(wrong)}", *place_of(cls))
        return cls

    def build(self, kind: str, name: str, table: Mapping[str, Any], server: Any) -> Any:
        """Make a plugin from its table in the configuration.

        Raises `PluginError` when it cannot be had, and `OptionError` when its table is wrong.
        """
        cls = self.load_class(kind, name)
        options = structure(getattr(cls, "Options", NoOptions), table)
        try:
            return cls(options, server)
        except MailserverError:
            raise
        except Exception as error:
            raise failed(error, place_of(cls)[0] or self.find(kind, name).file) from error

    # -- the three sources

    def _sources(self) -> Iterator[Found]:
        yield from self._drop_ins()
        for folder in self._folders:
            yield from self._folder(folder)
        yield from self._entry_points()

    def _drop_ins(self) -> Iterator[Found]:
        import twisted.plugins

        # twisted.plugin trusts a cache, which may be stale, and only logs a drop-in that cannot be imported.  So
        # what it found is not taken for all there is: the files are looked at as well.
        cached: list[Any] = [offer for offer in getPlugins(IOffer, twisted.plugins) if isinstance(offer, Offer)]
        known = set(map(id, cached))
        for offer in cached:
            yield Found(offer, _file_of(offer, twisted.plugins))
        shadowed = set()
        for folder in twisted.plugins.__path__:
            for path in sorted(Path(folder).glob("*.py")):
                # Of two drop-ins of one name Python imports the first on the path.
                if path.stem in shadowed:
                    continue
                shadowed.add(path.stem)
                if "mailserver" not in path.read_text("utf-8", "replace"):
                    continue
                try:
                    module = import_module(f"twisted.plugins.{path.stem}", str(path))
                except PluginError as error:
                    self.errors.append(error)
                    continue
                for offer in _offers(module):
                    if id(offer) not in known:
                        yield Found(offer, str(path))

    def _folder(self, folder: Path) -> Iterator[Found]:
        if not folder.is_dir():
            self.errors.append(PluginError("this folder of plugins does not exist", str(folder)))
            return
        for path in sorted(folder.glob("*.py")):
            if path.name.startswith(("_", "test_")):
                continue
            try:
                module = import_file(f"mailserver_plugin_{path.stem}_{zlib.crc32(str(path).encode()):08x}", path)
            except PluginError as error:
                self.errors.append(error)
                continue
            offers = _offers(module)
            if not offers:
                self._empty.append(path)
            for offer in offers:
                yield Found(offer, str(path))

    def _entry_points(self) -> Iterator[Found]:
        for point in importlib.metadata.entry_points(group=GROUP):
            asks = f"entry point {point.name} = {point.value}"
            try:
                import_module(point.module, asks)
                offer = point.load()
            except PluginError as error:
                self.errors.append(error)
            except AttributeError:
                self.errors.append(PluginError(f"there is no {point.attr} in {point.module}", asks))
            else:
                if isinstance(offer, Offer):
                    yield Found(offer, getattr(sys.modules[point.module], "__file__", None) or point.module)
                else:
                    self.errors.append(PluginError(f"this is no offer: {offer!r}", asks))


def _offers(module: ModuleType) -> list[Offer]:
    return [value for value in vars(module).values() if isinstance(value, Offer)]


def _clash(one: Found, other: Found) -> PluginError:
    kind, name = one.offer.kind, one.offer.name
    if one.file == other.file:
        return PluginError(f"two {kind} plugins are called {name!r} here", one.file)
    return PluginError(f"two {kind} plugins are called {name!r}: one in {one.file}, one in {other.file}")


def _file_of(offer: Offer, package: ModuleType) -> str:
    """The drop-in that holds an offer: getPlugins does not say."""
    for name, module in list(sys.modules.items()):
        if name.startswith(f"{package.__name__}.") and any(value is offer for value in vars(module).values()):
            return getattr(module, "__file__", None) or name
    return package.__name__
