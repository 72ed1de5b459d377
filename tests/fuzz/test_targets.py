"""Every target, over what is kept and over a little more."""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.targets import CORPUS, NAMES, cases, target

EXAMPLES = 150          # of each target; the hours are for atheris


def inputs(name: str, words: tuple[bytes, ...]) -> st.SearchStrategy[bytes]:
    """Words of the language, odd octets, and cases of the corpus with something in the middle."""
    part = st.one_of(st.sampled_from(words), st.sampled_from(words), st.binary(max_size=12))
    said = st.lists(part, max_size=25).map(b"".join)
    choices = st.binary(max_size=12).map(lambda octets: octets.replace(b"\n", b"") + b"\n")
    kept = st.sampled_from([path.read_bytes() for path in cases(name)])
    place = st.integers(0, 200)
    changed = st.builds(
        lambda case, at, size, more: case[:at] + more + case[at + size:], kept, place, st.integers(0, 9), said
    )
    return st.one_of(st.builds(bytes.__add__, choices, said), changed)


class TargetTests(SynchronousTestCase):
    names: ClassVar[tuple[str, ...]] = NAMES

    def test_corpus(self) -> None:
        """Every target has one, and nothing in it breaks anything (any more)."""
        for name in self.names:
            run, _ = target(name)
            kept = cases(name)
            self.assertNotEqual(kept, [], name)
            for path in kept:
                try:
                    run(path.read_bytes())
                except Exception as error:
                    raise AssertionError(f"{path.relative_to(CORPUS)}: {error!r}") from error

    def test_little_more(self) -> None:
        """Whatever Hypothesis thinks of in a moment."""
        for name in self.names:
            run, words = target(name)

            holds = given(inputs(name, words))(run)
            settings(
                max_examples=EXAMPLES, deadline=2000, suppress_health_check=list(HealthCheck), database=None
            )(holds)()
