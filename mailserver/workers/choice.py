"""One process or several: what the configuration says."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service

from mailserver.config import Config
from mailserver.service import MailServer
from mailserver.workers.master import Master


def server(config: Config, reactor: Any, logs_events: bool = True) -> Service:
    """The service that a configuration describes; `logs_events` is for `Master`."""
    if config.workers > 1:
        return Master(config, reactor, logs_events)
    return MailServer(config, reactor)
