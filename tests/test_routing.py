"""Where mail for an address goes, by forwarders that are asked in their order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailserver.address import Address
from mailserver.destination import Destination, Drop, Forward, Mailbox, Refuse, Remote
from mailserver.errors import TemporaryFailure
from mailserver.hooks import Asked, Broken
from mailserver.reply import LOOP, NO_SUCH_USER, Reply
from mailserver.routing import Routed, Router
from mailserver.story import Story
from mailserver.verdict import ACCEPT

FULL = Reply(552, "2.2", "Mailbox full")


def address(text: str) -> Address:
    return Address.parse(text)


class Lists:
    """A forwarder that knows what stands in a dictionary."""

    def __init__(self, **known: Any) -> None:
        self.known = known
        self.asked: list[str] = []

    def forward(self, recipient: Address) -> Any:
        self.asked.append(str(recipient))
        answer = self.known.get(recipient.local if recipient.domain == "example.org" else str(recipient))
        return answer() if callable(answer) else answer


class Domains:
    """As much of an IDirectory as routing asks."""

    def __init__(self, *local: str) -> None:
        self.local = local
        self.changed = False

    async def is_local(self, domain: str) -> bool:
        return domain in self.local

    async def domains(self) -> Sequence[str]:
        return self.local

    async def refreshed(self) -> bool:
        return self.changed


def boxes(*names: str) -> Lists:
    """Who has a mailbox at example.org."""
    return Lists(**{name: (Mailbox(address(f"{name}@example.org")),) for name in names})


def to(*addresses: str) -> tuple[Destination, ...]:
    return tuple(Forward(address(each if "@" in each else f"{each}@example.org")) for each in addresses)


class RoutingCase(SynchronousTestCase):
    """`route` asks forwarders called a, b, c ... in a world where example.org is local."""

    def setUp(self) -> None:
        self.story = Story(1)
        self.domains = Domains("example.org")

    def begin(
        self, recipient: str, *forwarders: Any, hostname: str = "mx.example.org", on_error: str = "defer"
    ) -> Deferred[Routed]:
        clock = Clock()
        asked = [Asked("abcdef"[number], each, clock, on_error) for number, each in enumerate(forwarders)]
        if "@" not in recipient and recipient != "postmaster":
            recipient += "@example.org"
        router = Router(asked, self.domains, hostname)      # type: ignore[arg-type]
        return Deferred.fromCoroutine(router.route(address(recipient), self.story))

    def route(self, recipient: str, *forwarders: Any, **how: Any) -> Routed:
        return self.successResultOf(self.begin(recipient, *forwarders, **how))

    def found(self, recipient: str, *forwarders: Any, **how: Any) -> list[str]:
        """Where it goes, in short."""
        routed = self.route(recipient, *forwarders, **how)
        if routed.refusal is not None:
            return [str(routed.refusal)]
        return [
            str(each.account) if isinstance(each, Mailbox) else each.why if isinstance(each, Drop) else str(each)
            for each in routed.destinations
        ]


class RememberedTests(RoutingCase):
    """A way that follows from the directory alone is taken again."""

    def setUp(self) -> None:
        super().setUp()
        self.domains.version = 1        # type: ignore[attr-defined]

    def router(self, *forwarders: Any, pure: bool = True, on_error: str = "defer") -> Router:
        for each in forwarders:
            each.from_directory = pure
        asked = [Asked("abc"[number], each, Clock(), on_error) for number, each in enumerate(forwarders)]
        return Router(asked, self.domains, "mx.example.org")    # type: ignore[arg-type]

    def ask(self, router: Router, recipient: str = "bob@example.org") -> Routed:
        return self.successResultOf(Deferred.fromCoroutine(router.route(address(recipient), self.story)))

    def test_taken_again(self) -> None:
        """Nobody is asked a second time, and the story tells it all the same; until the directory changes."""
        bob = boxes("bob")
        router = self.router(bob)
        self.assertEqual(self.ask(router), self.ask(router))
        self.assertEqual(len(bob.asked), 1)
        self.assertEqual(len(self.story.destinations), 2)
        for version, times in ((2, 2), (2, 2), (None, 3), (None, 4)):
            self.domains.version = version      # type: ignore[attr-defined]
            self.ask(router)
            self.assertEqual(len(bob.asked), times, version)

    def test_asked_each_time(self) -> None:
        """Where one of them knows more than the directory, and where the answer was no."""
        bob = boxes("bob")
        router = self.router(bob, pure=False)
        nobody = self.router(Lists())
        for _ in range(2):
            self.ask(router)
            self.assertIs(self.ask(nobody).refusal, NO_SUCH_USER)
        self.assertEqual(len(bob.asked), 2)

    def test_not_past_who_was_broken(self) -> None:
        """What was found because somebody could not answer is not kept."""
        aliases = Lists(bob=lambda: 1 / 0)
        router = self.router(aliases, boxes("bob"), on_error="skip")
        self.assertEqual(self.ask(router).destinations, (Mailbox(address("bob@example.org")),))
        self.flushLoggedErrors(ZeroDivisionError)
        aliases.known["bob"] = (Drop("holiday"),)
        self.assertEqual(self.ask(router).destinations, (Drop("holiday"),))


class OrderTests(RoutingCase):
    """The first that knows is the one."""

    def test_mailbox(self) -> None:
        routed = self.route("bob", Lists(), boxes("bob"))
        self.assertEqual(routed, Routed(address("bob@example.org"), (Mailbox(address("bob@example.org")),)))
        self.assertEqual(
            self.story.destinations, [["bob@example.org", "b", "mailbox INBOX of bob@example.org (sql)"]]
        )

    def test_first_who_knows(self) -> None:
        second = boxes("bob")
        self.assertEqual(self.found("bob", Lists(bob=(Drop("holiday"),)), second), ["holiday"])
        self.assertEqual(second.asked, [])

    def test_nobody_knows_and_local(self) -> None:
        self.assertIs(self.route("nobody", Lists(), boxes("bob")).refusal, NO_SUCH_USER)

    def test_nobody_knows_and_elsewhere(self) -> None:
        """It goes to the servers of its domain; whether that is allowed, the session knows."""
        routed = self.route("carol@example.net", boxes("bob"))
        self.assertEqual(routed.destinations, (Remote(address("carol@example.net")),))
        self.assertEqual(self.story.destinations, [["carol@example.net", "", "server of example.net"]])

    def test_smarthost(self) -> None:
        remote = Remote(address("carol@example.net"), "tcp:relay.example.net:587")
        routed = self.route("carol@example.net", Lists(**{"carol@example.net": [remote]}))
        self.assertEqual(routed.destinations, (remote,))

    def test_empty_is_taken_and_dropped(self) -> None:
        self.assertEqual(self.found("bob", Lists(bob=()), boxes("bob")), ["a drops it"])

    def test_refusal(self) -> None:
        self.assertIs(self.route("bob", Lists(bob=[Refuse(FULL)])).refusal, FULL)
        self.assertEqual(self.story.destinations, [["bob@example.org", "a", "refuse: 552 5.2.2 Mailbox full"]])

    def test_somebody_was_just_made(self) -> None:
        """A "no" that may be old is asked again before it is told (rules.md, 16)."""
        answers = iter([None, (Mailbox(address("new@example.org")),)])
        self.domains.changed = True
        self.assertEqual(self.found("new", Lists(new=lambda: next(answers))), ["new@example.org"])
        self.assertEqual(len(self.story.destinations), 1)


class ForwardTests(RoutingCase):
    """Addresses behind addresses."""

    def test_enters_again_at_the_top(self) -> None:
        aliases = Lists(sales=to("team"), team=to("bob", "carol@example.net"))
        self.assertEqual(
            self.found("sales", aliases, boxes("bob")),
            ["bob@example.org", str(Remote(address("carol@example.net")))],
        )
        self.assertEqual([words for _, _, words in self.story.destinations], [
            "forward to team@example.org", "forward to bob@example.org", "mailbox INBOX of bob@example.org (sql)",
            "forward to carol@example.net", "server of example.net",
        ])

    def test_each_once(self) -> None:
        """Whoever is meant twice gets one copy."""
        aliases = Lists(all=to("sales", "team", "BOB"), sales=to("bob"), team=to("alice", "bob"))
        self.assertEqual(
            self.found("all", aliases, boxes("alice", "bob")), ["bob@example.org", "alice@example.org"]
        )

    def test_keeps_a_copy(self) -> None:
        """An address among its own targets means its mailbox."""
        aliases = Lists(bob=to("bob", "carol@example.net"))
        self.assertEqual(
            self.found("bob", aliases, boxes("bob")), [str(Remote(address("carol@example.net"))), "bob@example.org"]
        )

    def test_only_itself(self) -> None:
        self.assertEqual(self.found("bob", Lists(bob=to("bob")), boxes("bob")), ["bob@example.org"])
        self.assertIs(self.route("bob", Lists(bob=to("bob"))).refusal, NO_SUCH_USER)

    def test_circle(self) -> None:
        """Aliases of each other lead nowhere, and nothing that leads nowhere is accepted."""
        self.assertIs(self.route("x", Lists(x=to("y"), y=to("z"), z=to("x"))).refusal, LOOP)

    def test_circle_with_an_exit(self) -> None:
        self.assertEqual(self.found("x", Lists(x=to("y"), y=to("x", "bob")), boxes("bob")), ["bob@example.org"])

    def test_ten_deep(self) -> None:
        chain = Lists(**{f"n{number}": to(f"n{number + 1}") for number in range(20)})
        self.assertEqual(self.found("n0", chain, boxes("n10")), [str(LOOP)])
        reachable = Lists(**{f"n{number}": to(f"n{number + 1}") for number in range(10)})
        self.assertEqual(self.found("n0", reachable, boxes("n10")), ["n10@example.org"])

    def test_one_target_is_gone(self) -> None:
        """The others get their mail; the story says who did not."""
        self.assertEqual(self.found("sales", Lists(sales=to("gone", "bob")), boxes("bob")), ["bob@example.org"])
        self.assertIn(["gone@example.org", "", "refuse: 550 5.1.1 No such user here"], self.story.destinations)

    def test_all_targets_are_gone(self) -> None:
        self.assertIs(self.route("sales", Lists(sales=to("gone", "lost"))).refusal, NO_SUCH_USER)


class PostmasterTests(RoutingCase):
    """RFC 5321 4.5.1: the bare postmaster is somebody here."""

    def test_of_the_host(self) -> None:
        self.domains.local = ("example.org", "mx.example.org")
        routed = self.route("postmaster", Lists(**{"postmaster@mx.example.org": (Drop("found"),)}))
        self.assertEqual(routed, Routed(address("postmaster"), (Drop("found"),)))

    def test_of_the_domain_above(self) -> None:
        self.assertEqual(self.found("postmaster", boxes("postmaster")), ["postmaster@example.org"])

    def test_of_any_domain(self) -> None:
        self.assertEqual(
            self.found("postmaster", boxes("postmaster"), hostname="vm17.provider.example"),
            ["postmaster@example.org"],
        )


class BrokenTests(RoutingCase):
    """Forwarders that fail: mail waits, it is never lost and never bounced for it."""

    def broken(self) -> Any:
        raise KeyError("oh")

    def unsure(self) -> Any:
        raise TemporaryFailure("the directory does not answer")

    def fails(self, expected: type[Exception], *forwarders: Any, **how: Any) -> Exception:
        return self.failureResultOf(self.begin("bob", *forwarders, **how), expected).value

    def test_raises(self) -> None:
        self.assertEqual(
            str(self.fails(Broken, Lists(bob=self.broken), boxes("bob"))), "a failed: KeyError: 'oh'"
        )
        self.flushLoggedErrors(KeyError)

    def test_skip(self) -> None:
        self.assertEqual(self.found("bob", Lists(bob=self.broken), boxes("bob"), on_error="skip"), ["bob@example.org"])
        self.flushLoggedErrors(KeyError)

    def test_not_now_is_never_skipped(self) -> None:
        """It works, and whoever asks the next one instead might be told "no such user"."""
        for policy in ("defer", "skip"):
            self.fails(TemporaryFailure, Lists(bob=self.unsure), boxes("bob"), on_error=policy)

    def test_one_target_is_not_known_now(self) -> None:
        """Then nobody gets it yet, so that nobody gets it twice."""
        self.fails(TemporaryFailure, Lists(bob=to("alice", "carol"), carol=self.unsure), boxes("alice"))

    def test_nonsense(self) -> None:
        carol = address("carol@example.net")
        for answer in (carol, str(carol), [carol], [ACCEPT], 7, [Refuse(Reply(250, "0.0", "Ok"))]):
            self.assertIn("a failed: it ", str(self.fails(Broken, Lists(bob=answer))))


class FromDirectory(Lists):
    """What the directory would say."""

    from_directory = True


class Maker(Lists):
    """Makes what it is asked for."""

    dry = False


class OwnersTests(RoutingCase):
    """Whose an address is."""

    def owners(self, local: str, *forwarders: Any, on_error: str = "defer") -> set[str]:
        asked = [Asked("abcdef"[number], each, Clock(), on_error) for number, each in enumerate(forwarders)]
        router = Router(asked, self.domains, "mx.example.org")      # type: ignore[arg-type]
        return self.successResultOf(Deferred.fromCoroutine(router.owners(address(f"{local}@example.org"))))

    def people(self, *names: str) -> FromDirectory:
        return FromDirectory(**boxes(*names).known)

    def test_over_aliases(self) -> None:
        """All who get its mail; who gets none does not."""
        aliases = FromDirectory(Info=to("sales", "carol@example.net"), sales=to("Bob", "alice"), round=to("round"))
        people = self.people("bob", "alice", "Bob")
        self.assertEqual(self.owners("Info", aliases, people), {"bob@example.org", "alice@example.org"})
        for nobodys in ("round", "nobody"):
            self.assertEqual(self.owners(nobodys, aliases, people), set())

    def test_a_copy(self) -> None:
        """Who gets a copy by another forwarder's decision does not own the address, nor who comes behind it."""
        people, catch_all = self.people("alice", "bob"), FromDirectory(boss=to("alice"))
        for answer in (to("alice"), to("boss", "alice"), (Mailbox(address("alice@example.org")),), (), (Drop("x"),)):
            self.assertEqual(self.owners("boss", Lists(boss=answer), people, catch_all), set())
        self.assertEqual(self.owners("boss", Lists(), people, catch_all), {"alice@example.org"})

    def test_nothing_is_made(self) -> None:
        """A forwarder that makes what it is asked for is not asked."""
        maker = Maker(**boxes("bob").known)
        self.assertEqual(self.owners("bob", self.people("alice"), maker), set())
        self.assertEqual(maker.asked, [])

    def test_broken(self) -> None:
        """Whose it is cannot be known while one is broken, whatever is done with mail meanwhile."""
        def fail() -> None:
            raise ValueError("oops")

        for on_error in ("defer", "skip"):
            with self.assertRaises(self.failureException, msg=on_error):
                self.owners("bob", Lists(bob=fail), FromDirectory(bob=to("alice")), self.people("alice"),
                            on_error=on_error)
            self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_deep(self) -> None:
        """No further than mail goes."""
        chain = FromDirectory(**{f"a{n}": to(f"a{n + 1}") for n in range(30)}, a30=to("alice"))
        people = self.people("alice")
        self.assertEqual(self.owners("a25", chain, people), {"alice@example.org"})
        self.assertEqual(self.owners("a0", chain, people), set())
