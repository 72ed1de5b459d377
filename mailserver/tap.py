"""``twistd mailserver`` and ``twist mailserver``: the options and the service."""

from __future__ import annotations

from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from mailserver.config import Config, ConfigErrors, find, load


class Options(usage.Options):
    """What may stand behind ``twistd mailserver``."""

    synopsis = "[options]"
    longdesc = "A mail server whose every decision can be a plugin."
    optParameters = [  # noqa: RUF012
        ["config", "c", None, "The configuration; else $MAILSERVER_CONFIG, ./mailserver.toml, /etc/mailserver/."],
    ]

    config: Config

    def postOptions(self) -> None:
        """Read the configuration; every mistake in it is one line of the error."""
        try:
            self.config = load(find(self["config"]))
        except ConfigErrors as errors:
            raise usage.UsageError(str(errors)) from None


def makeService(options: Options, reactor: Any = None) -> IService:
    """The server that the configuration describes; nothing is opened before it is started."""
    from mailserver.workers.choice import server

    if reactor is None:
        from twisted.internet import reactor
    return server(options.config, reactor)
