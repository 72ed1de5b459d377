"""Who listens hears in time and in order, or loses what it could not hear; nobody else notices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from mailserver import listeners
from mailserver.errors import TemporaryFailure
from mailserver.events import Event
from mailserver.hooks import Asked
from mailserver.interfaces import IListener
from mailserver.listeners import GATHER, Events


@implementer(IListener)
class Ear:
    """Notes what it hears; `answers` are what it does each time: a Deferred, or an error that it raises."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = frozenset(kinds or ("delivered",))
        self.heard: list[list[int]] = []
        self.answers: list[Any] = []

    def happened(self, events: Sequence[Event]) -> Any:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        self.heard.append([each.id for each in events])
        return answer


class EventsCase(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()

    def asked(self, ear: Ear, on_error: str = "defer") -> Asked:
        return Asked("ear", ear, self.clock, on_error, 5.0)

    def events(self, *ears: Ear, on_error: str = "defer") -> Events:
        return Events(self.clock, [self.asked(each, on_error) for each in ears])

    def tell(self, events: Events, *ids: int, kind: str = "delivered") -> None:
        for id in ids:
            events.tell(Event(kind, id, 0.0, "", "bob@example.org"))


class HearingTests(EventsCase):
    def test_nobody_listens(self) -> None:
        """Then nothing is kept, and no timer runs."""
        events = self.events()
        self.assertFalse(events.wanted("delivered"))
        self.tell(events, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_happens_together_is_heard_together(self) -> None:
        ear = Ear()
        events = self.events(ear)
        self.assertTrue(events.wanted("delivered"))
        self.tell(events, 1, 2)
        self.assertEqual(ear.heard, [])
        self.clock.advance(GATHER)
        self.assertEqual(ear.heard, [[1, 2]])
        self.tell(events, 3)
        self.clock.advance(GATHER)
        self.assertEqual(ear.heard, [[1, 2], [3]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_only_what_it_wants(self) -> None:
        one, two = Ear("bounced"), Ear("bounced", "accepted")
        events = self.events(one, two)
        self.tell(events, 1, kind="accepted")
        self.tell(events, 2, kind="bounced")
        self.tell(events, 3, kind="deferred")
        self.clock.advance(GATHER)
        self.assertEqual((one.heard, two.heard), ([[2]], [[1, 2]]))

    def test_a_hundred_at_a_time(self) -> None:
        ear = Ear()
        self.tell(self.events(ear), *range(250))
        self.clock.advance(GATHER)
        self.assertEqual([len(each) for each in ear.heard], [100, 100, 50])

    def test_one_batch_after_the_other(self) -> None:
        """While it is busy with one, what happens waits."""
        ear, busy = Ear(), Deferred[None]()
        ear.answers = [busy]
        events = self.events(ear)
        self.tell(events, 1)
        self.clock.advance(GATHER)
        self.tell(events, 2)
        self.clock.advance(1)
        self.assertEqual(ear.heard, [[1]])
        busy.callback(None)
        self.assertEqual(ear.heard, [[1], [2]])


class TroubleTests(EventsCase):
    def test_it_breaks(self) -> None:
        """It hears the same again, later and later, and the others hear theirs."""
        ear, other = Ear(), Ear()
        ear.answers = [ZeroDivisionError(), TemporaryFailure("not now")]
        events = self.events(ear, other)
        self.tell(events, 1)
        self.clock.advance(GATHER)
        self.tell(events, 2)
        self.clock.advance(GATHER)
        self.assertEqual((ear.heard, other.heard), ([], [[1], [2]]))
        self.clock.advance(1.0)
        self.assertEqual(ear.heard, [])
        self.clock.advance(2.0)
        self.assertEqual(ear.heard, [[1, 2]])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(events.lost, 0)

    def test_skip(self) -> None:
        """It misses what it could not hear."""
        ear = Ear()
        ear.answers = [TemporaryFailure("not now")]
        events = self.events(ear, on_error="skip")
        self.tell(events, 1)
        self.clock.advance(GATHER)
        self.tell(events, 2)
        self.clock.advance(GATHER)
        self.assertEqual((ear.heard, events.lost), ([[2]], 1))

    def test_too_slow(self) -> None:
        """Its budget is over: it hears the same again, and what was late does no harm."""
        ear, late = Ear(), Deferred[None]()
        ear.answers = [late]
        events = self.events(ear)
        self.tell(events, 1)
        self.clock.advance(GATHER)
        self.clock.advance(5.0)
        self.clock.advance(1.0)
        self.assertEqual(ear.heard, [[1], [1]])

    def test_its_queue_is_bounded(self) -> None:
        self.patch(listeners, "MOST_WAITING", 5)
        ear, busy = Ear(), Deferred[None]()
        ear.answers = [busy]
        events = self.events(ear)
        self.tell(events, 0)
        self.clock.advance(GATHER)
        self.tell(events, *range(1, 9))
        self.assertEqual(events.lost, 3)
        busy.callback(None)
        self.assertEqual(ear.heard, [[0], [1, 2, 3, 4, 5]])


class ChangeTests(EventsCase):
    async def test_stop(self) -> None:
        """What is left is heard, and nothing later."""
        ear = Ear()
        events = self.events(ear)
        self.tell(events, 1)
        await events.stop()
        self.tell(events, 2)
        self.clock.advance(10)
        self.assertEqual(ear.heard, [[1]])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_does_not_wait_for_ever(self) -> None:
        ear = Ear()
        ear.answers = [Deferred()]
        events = self.events(ear)
        self.tell(events, 1)
        stopped = Deferred.fromCoroutine(events.stop())
        self.clock.advance(listeners.PATIENCE)
        self.successResultOf(stopped)

    def test_renewed(self) -> None:
        """Who goes on listening misses nothing; who does not hears nothing; who is new hears from now on."""
        stays, goes, comes = Ear(), Ear(), Ear("bounced")
        events = self.events(stays)
        events.renew([self.asked(stays), Asked("another", goes, self.clock)])
        self.tell(events, 1)
        events.renew([self.asked(stays), self.asked(comes)])
        self.tell(events, 2)
        self.tell(events, 3, kind="bounced")
        self.clock.advance(GATHER)
        self.assertEqual((stays.heard, goes.heard, comes.heard), ([[1, 2]], [], [[3]]))

    def test_built_anew(self) -> None:
        """What one has not heard yet is heard by who has its name now."""
        old, new = Ear(), Ear()
        events = self.events(old)
        self.tell(events, 1)
        events.renew([self.asked(new)])
        self.clock.advance(GATHER)
        self.assertEqual((old.heard, new.heard), ([], [[1]]))
