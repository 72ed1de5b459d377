"""Everything that can be wrong with a configuration, found without starting anything."""

from __future__ import annotations

from pathlib import Path

from mailserver.config import Config, ConfigErrors, Mistake, load
from mailserver.plugin import Registry
from mailserver.rooms import mistakes


def mistakes_of(path: Path) -> list[Mistake]:
    """The mistakes of the file and those of the plugins' tables in it, as one list in the order of the file."""
    found: list[Mistake] = []
    config: Config | None
    try:
        config = load(path)
    except ConfigErrors as errors:
        found += errors.mistakes
        config = errors.partial
    if config is not None:
        found += plugin_mistakes(config)
    return sorted(found, key=lambda each: (each.place.line, each.place.column))


def plugin_mistakes(config: Config) -> list[Mistake]:
    """What is wrong with the plugins: files that cannot be read, names that nobody offers, keys that none knows."""
    registry = Registry(config.folders).load()
    return [Mistake(config.places["folders"], str(error)) for error in registry.errors] + mistakes(config, registry)
