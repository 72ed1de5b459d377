"""The rooms furnished: every plugin that a configuration names, built and in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mailserver.authentication import Authentication
from mailserver.config import Config, Mistake, Use
from mailserver.contracts import unknown_kinds
from mailserver.errors import MailserverError, StartRefused
from mailserver.hooks import Asked
from mailserver.interfaces import IListener, IMailboxStore, IResident, IServer, NoOptions
from mailserver.options import OptionError, structure_all
from mailserver.pipeline import Pipeline
from mailserver.plugin import PluginError, Registry
from mailserver.routing import Router


@dataclass(frozen=True)
class Rooms:
    """The plugins of one server, where the core asks them."""

    registry: Registry
    built: Mapping[str, Sequence[tuple[Use, Any]]]      # by kind
    stores: Mapping[str, IMailboxStore]
    router: Router
    authentication: Authentication
    pipeline: Pipeline
    listeners: Sequence[Asked]

    def residents(self) -> list[Any]:
        """The plugins that work by themselves (`mailserver.interfaces.IResident`)."""
        return [plugin for pairs in self.built.values() for _, plugin in pairs if IResident.providedBy(plugin)]


def find_plugins(config: Config) -> Registry:
    """The registry over the configuration's folders; raises `StartRefused` with everything that cannot be read."""
    registry = Registry(config.folders).load()
    if registry.errors:
        raise StartRefused("\n".join(map(str, registry.errors)))
    return registry


def mistakes(config: Config, registry: Registry) -> list[Mistake]:
    """What is wrong with the plugins that are wanted, without building any."""
    found = []
    for kind, uses in _kinds(config).items():
        for use in uses:
            try:
                cls = registry.load_class(kind, use.name)
            except PluginError as error:
                found.append(_mistake(use, error))
                continue
            _, wrong = structure_all(getattr(cls, "Options", NoOptions), use.table)
            found += [_mistake(use, each) for each in wrong]
    return found


def furnish(config: Config, registry: Registry, server: IServer, before: Rooms | None = None) -> Rooms:
    """Build everything; raises `StartRefused` with all that cannot be built, a line each.

    What stands in the rooms as they were `before`, and is wanted as it is, goes on: with what it has counted and
    remembers.  Mailbox stores always do.
    """
    wrong: list[Mistake] = []
    built: dict[str, list[tuple[Use, Any]]] = {}
    for kind, uses in _kinds(config).items():
        built[kind] = []
        there = list(before.built[kind]) if before is not None else []
        if kind == "mailbox" and before is not None:
            built[kind] = there
            continue
        for use in uses:
            try:
                plugin = _still_good(there, use, registry.load_class(kind, use.name))
                if plugin is None:
                    plugin = registry.build(kind, use.name, use.table, server)
                    _check_kinds(plugin)
                built[kind].append((use, plugin))
            except MailserverError as error:
                wrong.append(_mistake(use, error))
    if wrong:
        raise StartRefused("\n".join(map(str, wrong)))
    asked = {
        kind: [Asked(use.name, plugin, server.clock, use.on_error, use.budget) for use, plugin in pairs]
        for kind, pairs in built.items()
        if kind not in ("mailbox", "listener")
    }
    return Rooms(
        registry,
        built,
        {use.name: plugin for use, plugin in built["mailbox"]},
        Router(
            asked["forward"], server.directory, config.hostname,
            [domain for domain, host in config.outbound.route.items() if host == "none"],
        ),
        Authentication(asked["auth"], server.directory, server.limits, server.clock),
        Pipeline(asked["filter"], server.clock),
        # Apart from what else they do: one that cannot listen may well judge.
        [
            Asked(use.name, plugin, server.clock, use.on_error, use.budget)
            for pairs in built.values() for use, plugin in pairs if IListener.providedBy(plugin)
        ],
    )


def _check_kinds(plugin: Any) -> None:
    if IListener.providedBy(plugin):
        for wrong in unknown_kinds(plugin.kinds):
            raise PluginError(wrong)


def _still_good(there: list[tuple[Use, Any]], use: Use, cls: type) -> Any:
    """A plugin of this class that was built from the same table; it is taken from `there`.  None: there is none."""
    for pair in there:
        if pair[0].name == use.name and pair[0].table == use.table and type(pair[1]) is cls:
            there.remove(pair)
            return pair[1]
    return None


def _kinds(config: Config) -> dict[str, tuple[Use, ...]]:
    return {
        "mailbox": config.mailbox, "auth": config.auth, "forward": config.forward, "filter": config.filters,
        "listener": config.listeners,
    }


def _mistake(use: Use, error: MailserverError) -> Mistake:
    if isinstance(error, OptionError):
        return Mistake(use.keys.get(error.key, use.place), f"{use.name}: {error.sentence}", error.suggestion)
    return Mistake(use.place, str(error))


def data_folder(config: Config) -> Path:
    """The server's folder; it is made when it is missing.  Raises `StartRefused`."""
    try:
        config.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise StartRefused(f"cannot make {config.data}: {error.strerror}") from None
    return config.data
