"""What a server lends to its plugins."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from zope.interface import implementer

from mailserver.events import Event
from mailserver.feedback.rules import Rules
from mailserver.interfaces import IDirectory, IResolver, IServer
from mailserver.keeping import Keeping
from mailserver.net.limits import Limits
from mailserver.world import World

T = TypeVar("T")


@implementer(IServer)
@dataclass(frozen=True)
class Lent:
    """The `IServer` of a running server, or of a command that asks its plugins."""

    hostname: str
    data: Path
    directory: IDirectory
    database: Any
    world: World
    limits: Limits
    rules: Callable[[], Rules] = Rules      # as they are now: a reload may change them
    listening: Callable[[Event], None] = lambda event: None
    keeps: Callable[[], Keeping] = Keeping

    @property
    def suppression(self) -> Rules:
        return self.rules()

    @property
    def keeping(self) -> Keeping:
        return self.keeps()

    @property
    def resolver(self) -> IResolver:
        return self.world.resolver

    @property
    def clock(self) -> Any:
        return self.world.clock

    @property
    def reactor(self) -> Any:
        return self.world.reactor

    @property
    def random(self) -> Any:
        return self.world.random

    def now(self) -> float:
        return self.world.now()

    def tell(self, event: Event) -> None:
        self.listening(event)

    def in_thread(self, work: Callable[..., T], *args: Any, **kwargs: Any) -> Awaitable[T]:
        return self.world.in_thread(work, *args, **kwargs)
