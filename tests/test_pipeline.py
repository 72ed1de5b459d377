"""The filters as the session asks them, and what becomes of those that do not answer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.content import Content
from mailserver.envelope import Origin
from mailserver.errors import TemporaryFailure
from mailserver.hooks import FAILURES, REST, Asked
from mailserver.pipeline import NOTHING, Outcome, Pipeline
from mailserver.reply import NOT_NOW, Reply
from mailserver.story import Story
from mailserver.testing import a_client, an_envelope
from mailserver.verdict import (
    ACCEPT,
    Defer,
    Reject,
    add_header,
    defer,
    discard,
    quarantine,
    reject,
    remove_header,
    rewrite,
    score,
)

GREYLISTED = Reply(451, "7.1", "Come back later")


class Says:
    """A filter whose `content` answers what it was told to."""

    def __init__(self, said: Any, origins: Any = frozenset(Origin)) -> None:
        self.said = said
        self.origins = origins
        self.calls = 0

    def content(self, client: Any, envelope: Any, content: Any) -> Any:
        self.calls += 1
        return self.said() if callable(self.said) else self.said


class PipelineCase(SynchronousTestCase):
    """`ask` runs the stage content over filters called a, b, c ..."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.story = Story(1)

    def pipeline(self, *filters: Any, **policy: Any) -> Pipeline:
        return Pipeline(
            [Asked("abcdefg"[number], each, self.clock, **policy) for number, each in enumerate(filters)], self.clock
        )

    def begin(self, pipeline: Pipeline, **how: Any) -> Deferred[Outcome]:
        return Deferred.fromCoroutine(pipeline.run(
            "content", Origin.ARRIVAL, self.story, a_client(), an_envelope(), Content.of(b"x"), **how
        ))

    def ask(self, *said: Any, **policy: Any) -> Outcome:
        return self.successResultOf(self.begin(self.pipeline(*map(Says, said), **policy)))

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(plugin, said) for _, plugin, _, said, _ in self.story.verdicts]


class VerdictTests(PipelineCase):
    """What the filters say, put together."""

    def test_no_opinion(self) -> None:
        """Nobody says anything, and that stands in the story too."""
        self.assertIs(self.ask(None, []), NOTHING)
        self.assertEqual(self.told, [("a", "no opinion"), ("b", "no opinion")])

    def test_first_refusal_ends_the_stage(self) -> None:
        self.assertEqual(self.ask(None, reject("no"), reject("not asked")).refusal, Reply(550, "7.1", "no"))
        self.assertEqual(self.told, [("a", "no opinion"), ("b", "reject 550 5.7.1 no")])

    def test_defer(self) -> None:
        self.assertEqual(self.ask(defer(GREYLISTED), reject("no")).refusal, GREYLISTED)

    def test_accept_ends_the_stage_only(self) -> None:
        """What was said before it still counts (rules.md, 15)."""
        outcome = self.ask(add_header("X-A", "1"), ACCEPT, reject("no"))
        self.assertEqual(outcome, Outcome(add=(add_header("X-A", "1"),)))

    def test_discard(self) -> None:
        self.assertEqual(self.ask(discard("unwanted"), reject("no")), Outcome(discard="unwanted"))

    def test_many(self) -> None:
        """Scores are summed, headers gathered, the first reason for quarantine is the reason."""
        outcome = self.ask(
            [score(2, "shouts"), add_header("X-A", "1")],
            [score(-0.5, "known"), quarantine("looks bad"), remove_header("X-B", 0)],
            (quarantine("looks worse"), rewrite(Address("junk", "example.org"))),
        )
        self.assertEqual(outcome, Outcome(
            quarantine="looks bad", rewrite=Address("junk", "example.org"), score=1.5,
            add=(add_header("X-A", "1"),), remove=(remove_header("X-B", 0),),
        ))
        self.assertEqual(self.told, [
            ("a", "score +2: shouts, add header X-A: 1"),
            ("b", "score -0.5: known, quarantine: looks bad, remove header X-B number 0"),
            ("c", "quarantine: looks worse, rewrite to junk@example.org"),
        ])

    def test_counts(self) -> None:
        pipeline = self.pipeline(Says([score(1, "x"), reject("no")]))
        for _ in range(3):
            self.successResultOf(self.begin(pipeline))
        [(name, counts)] = pipeline.counts()
        self.assertEqual((name, counts.calls, counts.errors), ("a", 3, 0))
        self.assertEqual(dict(counts.verdicts), {"score": 3, "reject": 3})


class AskedTests(PipelineCase):
    """Who is asked at all."""

    def test_stages_without_hooks(self) -> None:
        pipeline = self.pipeline(Says(None, {Origin.SUBMISSION}))
        self.assertFalse(pipeline.asks("sender", Origin.SUBMISSION))
        self.assertTrue(pipeline.asks("content", Origin.SUBMISSION))
        self.assertFalse(pipeline.asks("content", Origin.ARRIVAL))

    def test_before_the_origin_is_known(self) -> None:
        """Whoever wants to see connections sees all of them."""

        class Doorman:
            origins = frozenset({Origin.SUBMISSION})

            def connected(self, client: Any) -> Any:
                return reject("no")

        pipeline = self.pipeline(Doorman())
        self.assertTrue(pipeline.asks("connected"))
        outcome = self.successResultOf(
            Deferred.fromCoroutine(pipeline.run("connected", None, self.story, a_client()))
        )
        self.assertEqual(outcome.refusal, Reply(550, "7.1", "no"))

    def test_origins(self) -> None:
        theirs, ours = Says(reject("no"), {Origin.SUBMISSION}), Says(None, {Origin.ARRIVAL})
        self.assertIs(self.successResultOf(self.begin(self.pipeline(theirs, ours))), NOTHING)
        self.assertEqual((theirs.calls, ours.calls), (0, 1))

    def test_dry(self) -> None:
        """Those that cannot be asked without consequences are not (rules.md, 19)."""
        counting, harmless = Says(None), Says(reject("no"))
        harmless.dry = True     # type: ignore[attr-defined]
        outcome = self.successResultOf(self.begin(self.pipeline(counting, harmless), dry=True))
        self.assertEqual(self.told, [("a", "not asked"), ("b", "reject 550 5.7.1 no")])
        self.assertEqual((counting.calls, outcome.refusal), (0, Reply(550, "7.1", "no")))


class SlowTests(PipelineCase):
    """Hooks that take their time."""

    def test_all_ways_of_answering(self) -> None:
        async def coroutine() -> Any:
            return score(1, "coroutine")

        class Awaitable:
            def __await__(self) -> Any:
                return (yield from succeed(score(1, "awaitable")).__await__())

        outcome = self.ask(coroutine, lambda: succeed(score(1, "Deferred")), Awaitable, score(1, "plain"))
        self.assertEqual(outcome.score, 4)

    def test_at_once_needs_no_timer(self) -> None:
        async def coroutine() -> Any:
            self.assertEqual(self.clock.getDelayedCalls(), [])

        self.ask(coroutine, None)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_answers_in_time(self) -> None:
        waiting: Deferred[Any] = Deferred()
        asking = self.begin(self.pipeline(Says(waiting), Says(score(1, "after"))))
        self.clock.advance(9.9)
        self.assertNoResult(asking)
        waiting.callback(score(1, "late"))
        self.assertEqual(self.successResultOf(asking).score, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.story.verdicts[0][2], 9900.0)

    def test_never_answers(self) -> None:
        """451 after its budget, and the filters after it are not asked."""
        after = Says(None)
        asking = self.begin(self.pipeline(Says(Deferred), after))
        self.clock.advance(10)
        self.assertIs(self.successResultOf(asking).refusal, NOT_NOW)
        self.assertEqual(self.told, [("a", "a did not answer within 10 s")])
        self.assertEqual(after.calls, 0)

    def test_swallows_its_cancellation(self) -> None:
        """A hook that goes on all the same is left to itself; what it says later, nobody hears."""
        gates: list[Deferred[None]] = [Deferred(), Deferred()]

        async def stubborn() -> Any:
            for gate in gates:
                try:
                    await gate
                except CancelledError:
                    pass
            raise RuntimeError("nobody hears this")

        asking = self.begin(self.pipeline(Says(stubborn)), )
        self.clock.advance(10)
        self.assertIs(self.successResultOf(asking).refusal, NOT_NOW)
        gates[1].callback(None)
        self.assertEqual(self.told, [("a", "a did not answer within 10 s")])

    def test_skip(self) -> None:
        """The others are asked as if it had no opinion."""
        asking = self.begin(self.pipeline(Says(Deferred), Says(score(1, "x")), on_error="skip", budget=2))
        self.clock.advance(2)
        self.assertEqual(self.successResultOf(asking), Outcome(score=1))
        self.assertEqual(self.told[0], ("a", "a did not answer within 2 s"))

    def test_whoever_asked_has_gone(self) -> None:
        """The hook is told, no timer stays, and it is not the plugin's fault."""
        waiting: Deferred[Any] = Deferred()
        pipeline = self.pipeline(Says(waiting))
        asking = self.begin(pipeline)
        asking.addErrback(lambda failure: None)
        asking.cancel()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(waiting.called)
        self.assertEqual(pipeline.counts()[0][1].errors, 0)

    def test_blocks_the_server(self) -> None:
        """It cannot be interrupted, but it is named."""

        def block() -> None:
            self.clock.rightNow += 11

        async def block_first() -> None:
            self.clock.rightNow += 12

        with capturedLogs() as logged:
            self.assertIs(self.ask(block, block_first), NOTHING)
        blocked = [(each["name"], each["seconds"]) for each in logged if "blocked" in each["log_format"]]
        self.assertEqual(blocked, [("a", 11.0), ("b", 12.0)])


class BrokenTests(PipelineCase):
    """Hooks that fail."""

    def broken(self) -> None:
        raise KeyError("oh")

    def test_raises(self) -> None:
        self.assertIs(self.ask(self.broken, reject("not asked")).refusal, NOT_NOW)
        self.assertEqual(self.told, [("a", "a failed: KeyError: 'oh'")])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

    def test_raises_later(self) -> None:
        async def later() -> None:
            await succeed(None)
            self.broken()

        self.assertIs(self.ask(later).refusal, NOT_NOW)
        self.assertIs(self.ask(lambda: fail(KeyError("oh"))).refusal, NOT_NOW)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 2)

    def test_raises_but_is_skipped(self) -> None:
        self.assertEqual(self.ask(self.broken, score(1, "x"), on_error="skip"), Outcome(score=1))
        self.flushLoggedErrors(KeyError)

    def test_says_not_now(self) -> None:
        """A plugin that cannot know is not broken: it is not counted among the errors."""

        def unsure() -> None:
            raise TemporaryFailure("the list does not answer")

        pipeline = self.pipeline(Says(unsure))
        self.assertIs(self.successResultOf(self.begin(pipeline)).refusal, NOT_NOW)
        self.assertEqual(self.told, [("a", "not now: the list does not answer")])
        self.assertEqual(pipeline.counts()[0][1].errors, 0)

    def test_nonsense(self) -> None:
        """What is no verdict is a failure of the plugin, whatever else it said with it."""
        for said, words in (
            ("yes", "it answered 'yes', which is no verdict"),
            (True, "it answered True, which is no verdict"),
            ([score(1, "x"), 3], "it answered 3, which is no verdict"),
            (Reject(GREYLISTED), "which is no 5xx reply"),
            (Defer(Reply(250, "0.0", "Ok")), "which is no 4xx reply"),
            (Reject("no"), "it rejects with 'no', which is no 5xx reply"),      # type: ignore[arg-type]
            (rewrite("bob"), "it rewrites to 'bob', which is no Address"),      # type: ignore[arg-type]
            (add_header("X-A: 1\r\nX-B", "2"), "is no name of a header field"),
            (add_header("X-A", 2), "the value of X-A is 2, which is no text"),  # type: ignore[arg-type]
        ):
            self.story = Story(1)
            pipeline = self.pipeline(Says(said))
            self.assertEqual(self.successResultOf(self.begin(pipeline)), Outcome(refusal=NOT_NOW))
            self.assertIn(words, self.told[0][1])
            self.assertEqual(pipeline.counts()[0][1].errors, 1)

    def test_rests(self) -> None:
        """After failing again and again it is left alone for a while (rules.md, 18)."""
        broken = Says("yes")
        pipeline = self.pipeline(broken, on_error="skip")
        for _ in range(FAILURES + 5):
            self.successResultOf(self.begin(pipeline))
        self.assertEqual(broken.calls, FAILURES)
        self.assertEqual(self.told[-1], ("a", f"a is at rest after {FAILURES} failures"))
        broken.said = reject("well again")
        self.clock.advance(REST)
        self.assertEqual(self.successResultOf(self.begin(pipeline)).refusal, Reply(550, "7.1", "well again"))

    def test_rest_defers_by_default(self) -> None:
        pipeline = self.pipeline(Says("yes"))
        for _ in range(FAILURES):
            self.successResultOf(self.begin(pipeline))
        self.assertIs(self.successResultOf(self.begin(pipeline)).refusal, NOT_NOW)

    def test_one_answer_starts_anew(self) -> None:
        sometimes = Says("yes")
        pipeline = self.pipeline(sometimes)
        for _ in range(3):
            sometimes.said = "yes"
            for _ in range(FAILURES - 1):
                self.successResultOf(self.begin(pipeline))
            sometimes.said = None
            self.successResultOf(self.begin(pipeline))
        self.assertEqual(sometimes.calls, 3 * FAILURES)

    def test_id_in_the_log(self) -> None:
        with capturedLogs() as logged:
            self.ask("yes")
        self.assertIn("0000000000001", [each.get("id") for each in logged])
