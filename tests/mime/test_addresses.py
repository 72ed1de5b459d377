"""Lists of addresses, as the RFCs write them and as others do."""

from __future__ import annotations

from email.utils import getaddresses

from hypothesis import given, settings
from hypothesis import strategies as some
from twisted.trial.unittest import SynchronousTestCase

from mailserver.mime.addresses import MOST_ADDRESSES, parse

LOCALS = some.sampled_from(["a", "a.b", "x+y", "postmaster", "O'Neil"])
DOMAINS = some.sampled_from(["example.org", "b.example", "[192.0.2.1]"])
NAMES = some.sampled_from(["", "Bob", "Bob B. Example", '"B, O B"', '"a \\"b\\" c"', "=?utf-8?Q?B=C3=B6b?="])


def read(value: str) -> list[tuple[str | None, ...]]:
    """Without the routes, which nobody has."""
    return [
        tuple(None if each is None else each.decode() for each in (found.name, found.local, found.domain))
        for found in parse(value.encode())
    ]


class AddressTests(SynchronousTestCase):
    def check(self, value: str, *expected: tuple[str | None, ...]) -> None:
        self.assertEqual(read(value), list(expected), value)

    def test_usual(self) -> None:
        self.check("bob@example.org", (None, "bob", "example.org"))
        self.check("Bob <bob@example.org>", ("Bob", "bob", "example.org"))
        self.check(' "Bob, B." <bob@example.org> ,c@d', ("Bob, B.", "bob", "example.org"), (None, "c", "d"))
        self.check("<bob@example.org>", (None, "bob", "example.org"))
        self.check("=?utf-8?Q?B=C3=B6b?= <b@c>", ("=?utf-8?Q?B=C3=B6b?=", "b", "c"))
        self.check("山田 太郎 <taro@例え.jp>", ("山田 太郎", "taro", "例え.jp"))

    def test_rfc_5322(self) -> None:
        """Its appendix A."""
        self.check(
            'Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>',
            ("Mary Smith", "mary", "x.test"), (None, "jdoe", "example.org"), ("Who?", "one", "y.test"),
        )
        self.check(
            '<boss@nil.test>, "Giant; \\"Big\\" Box" <sysservices@example.net>',
            (None, "boss", "nil.test"), ('Giant; "Big" Box', "sysservices", "example.net"),
        )
        self.check(
            "A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
            (None, "A Group", None), ("Ed Jones", "c", "a.test"), (None, "joe", "where.test"),
            ("John", "jdoe", "one.test"), (None, None, None),
        )
        self.check("Undisclosed recipients:;", (None, "Undisclosed recipients", None), (None, None, None))
        self.check(
            "Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>", ("Pete", "pete", "silly.test"),
        )
        self.check(
            "A Group(Some people)\t:Chris Jones <c@(Chris's host.)public.example>,\t joe@example.org,  "
            "John <jdoe@one.test> (my dear friend); (the end of the group)",
            (None, "A Group", None), ("Chris Jones", "c", "public.example"), (None, "joe", "example.org"),
            ("John", "jdoe", "one.test"), (None, None, None),
        )
        self.check("(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
                   (None, "Hidden recipients", None), (None, None, None))
        self.check("Joe Q. Public <john.q.public@example.com>", ("Joe Q. Public", "john.q.public", "example.com"))
        self.check(
            "Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
            ("Mary Smith", "mary", "example.net"), (None, "jdoe", "test.example"),
        )
        mary = (b"Mary Smith", b"@node.test,@b", b"mary", b"example.net")
        self.assertEqual(parse(b"Mary Smith <@node.test,@b:mary@example.net>"), [mary])

    def test_obsolete(self) -> None:
        """A comment is the name where there is no other, and a local part in quotes has none."""
        self.check("bob@example.org (Bob (the) Builder)", ("Bob (the) Builder", "bob", "example.org"))
        self.check("bob@example.org (Bob), x@y", ("Bob", "bob", "example.org"), (None, "x", "y"))
        self.check('"a b"@example.org', (None, "a b", "example.org"))
        self.check('"a@b" <"c d"@[192.0.2.1]>', ("a@b", "c d", "[192.0.2.1]"))

    def test_broken(self) -> None:
        """Whatever it is, something comes of it, and what stands behind is found as long as that can be."""
        self.check("MAILER-DAEMON", (None, "MAILER-DAEMON", ""))
        self.check("Bob <bob>", ("Bob", "bob", ""))
        self.check("Bob <>, a@b", ("Bob", "", ""), (None, "a", "b"))
        self.check("Bob <bob@c, a@b", ("Bob", "bob", "c"), (None, "a", "b"))
        self.check("Us: a@b", (None, "Us", None), (None, "a", "b"), (None, None, None))
        self.check("a@b@c", (None, "a@b", "c"))
        self.check("a@b; c@d", (None, "a", "b"), (None, "c", "d"))
        self.check('"open <a@b>', (None, "open <a@b>", ""))
        self.check("a@b>, c@d", (None, "a", "b"), (None, "c", "d"))
        self.check("x (open, a@b", ("open, a@b", "x", ""))
        for nothing in ("", " ", ",", ",,;", "()", "<>", "("):
            self.check(nothing)

    def test_bounded(self) -> None:
        """10^6 of them, and comments within comments without end."""
        self.assertEqual(len(parse(b"a@b, " * 10**6)), MOST_ADDRESSES)
        self.assertEqual(len(parse(b"a (x)@b, " * 10**5)), MOST_ADDRESSES)
        self.assertEqual(parse(b"(" * 10**5), [])
        self.assertEqual(len(parse(b"a@b (" + b"(" * 10**5 + b")" * 10**5 + b"), c@d")), 2)

    @settings(deadline=None)
    @given(some.lists(some.tuples(NAMES, LOCALS, DOMAINS), min_size=1, max_size=5))
    def test_as_python(self, people: list[tuple[str, str, str]]) -> None:
        """Usual lists are read as Python reads them."""
        value = ", ".join(f"{name} <{local}@{at}>" if name else f"{local}@{at}" for name, local, at in people)
        found = [(each[0] or "", f"{each[1]}@{each[2]}") for each in read(value)]
        self.assertEqual(found, getaddresses([value]))

    @given(some.lists(some.sampled_from([*'abc"<>@,;:()[].\\ \t', "a@b", "é"]), max_size=40).map("".join))
    def test_nothing_raises(self, value: str) -> None:
        for each in parse(value.encode()):
            self.assertTrue(each.domain is not None or each.name is None)
