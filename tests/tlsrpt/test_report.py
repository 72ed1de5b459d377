"""A report as JSON: what we write has the form of RFC 8460's own example, and what others write is read."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailserver.tlsrpt.reading import LARGEST, MOST_FAILURES, MOST_SESSIONS, BadReport, read_report
from mailserver.tlsrpt.report import RESULTS, Failure, Policy, Report, Section, range_of, write

EXAMPLE = (Path(__file__).parent / "appendix_b.json").read_bytes()
REPORT = Report(
    "example.org", "postmaster@example.org", "20000.example.com.1@mx.example.org", *range_of(20000),
    (
        Section(
            Policy("sts", "example.com", ("version: STSv1", "mode: enforce"), ("*.example.com",)), 10, 3,
            (
                Failure("certificate-expired", 2, "192.0.2.1", "mx.example.com", "198.51.100.1", "expired"),
                Failure("starttls-not-supported", 1, mx="mx2.example.com"),
            ),
        ),
        Section(Policy("no-policy-found", "example.com"), 1, 0),
    ),
)


def shape(value: Any) -> Any:
    """Its form: keys and kinds, without values."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        merged: Any = {}
        for each in value:
            merged = both(merged, shape(each))
        return [merged]
    return type(value).__name__


def both(one: Any, other: Any) -> Any:
    """The form of a list's item that has all that some of them have."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one | {key: both(one[key], other[key]) if key in one else other[key] for key in other}
    return other


def beyond(ours: Any, theirs: Any) -> list[str]:
    """What one form has that the other has not."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [key for key in ours if key not in theirs] + [
            f"{key}.{each}" for key in ours if key in theirs for each in beyond(ours[key], theirs[key])
        ]
    if isinstance(ours, list) and isinstance(theirs, list):
        return beyond(ours[0], theirs[0])
    return [] if ours == theirs else [f"{ours} is no {theirs}"]


class WriteTests(SynchronousTestCase):
    def test_as_in_the_rfc(self) -> None:
        """RFC 8460 appendix B: every key of ours is there, of the same kind, and none that it has always is missing."""
        ours, theirs = shape(json.loads(write(REPORT))), shape(json.loads(EXAMPLE))
        self.assertEqual(beyond(ours, theirs), [])
        self.assertEqual(beyond(theirs, ours), ["policies.failure-details.additional-information"])

    def test_their_example_again(self) -> None:
        """Read and written again it says the same."""
        self.assertEqual(json.loads(write(read_report(EXAMPLE))), json.loads(EXAMPLE))

    def test_no_empty_values(self) -> None:
        [first, second] = json.loads(write(REPORT))["policies"]
        self.assertEqual(
            first["failure-details"][1],
            {"result-type": "starttls-not-supported", "receiving-mx-hostname": "mx2.example.com",
             "failed-session-count": 1},
        )
        self.assertEqual(second["policy"], {"policy-type": "no-policy-found", "policy-domain": "example.com"})
        self.assertNotIn("failure-details", second)

    def test_a_day(self) -> None:
        dates = json.loads(write(REPORT))["date-range"]
        self.assertEqual(dates, {"start-datetime": "2024-10-04T00:00:00Z", "end-datetime": "2024-10-04T23:59:59Z"})

    def test_words_of_the_rfc(self) -> None:
        self.assertIn("certificate-host-mismatch", RESULTS)
        self.assertEqual(len(RESULTS), 11)


class ReadTests(SynchronousTestCase):
    def refused(self, octets: bytes) -> str:
        return str(self.assertRaises(BadReport, read_report, octets))

    def test_round(self) -> None:
        self.assertEqual(read_report(gzip.compress(write(REPORT))), REPORT)

    def test_bomb(self) -> None:
        """A gigabyte in a megabyte is not unpacked."""
        bomb = gzip.compress(b" " * (1 << 26))
        tracemalloc.start()
        self.assertIn("larger", self.refused(bomb))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(peak, 4 * LARGEST)

    def test_broken_gzip(self) -> None:
        packed = gzip.compress(write(REPORT))
        self.assertIn("cut off", self.refused(packed[:-12]))
        self.assertIn("no gzip", self.refused(packed[:10] + b"\xff" * 100))

    def test_many_values(self) -> None:
        """A list of a million lists would take a hundred megabytes."""
        self.assertIn("values", self.refused(b'{"policies":[' + b"[]," * 1_000_000 + b"[]]}"))

    def test_deep(self) -> None:
        self.assertIn("deeply", self.refused(b'{"policies":' + b"[" * 100_000))

    def test_no_report(self) -> None:
        for octets in (b"", b"[]", b"null", b"{}", b'{"policies":{}}', b'{"policies":[]}', b'{"policies":[1,null]}',
                       b"\xff", b'{"policies":[' + b"9" * 5000 + b"]}", b"<html>"):
            self.refused(octets)

    def test_mistakes_of_others(self) -> None:
        """Texts in place of lists, numbers that are none, dates that are none: what is left is of use."""
        [section] = read_report(json.dumps({
            "organization-name": 5, "date-range": {"start-datetime": "yesterday", "end-datetime": [1]},
            "policies": [{
                "policy": {
                    "policy-type": "sts", "policy-string": "mode: none", "mx-host": "mx.x", "policy-domain": "X.",
                },
                "summary": {"total-successful-session-count": -5, "total-failure-session-count": 1e3},
                "failure-details": [None, {"failed-session-count": 10**30, "receiving-mx-hostname": "a\0b" * 500}],
            }],
        }).encode()).sections
        self.assertEqual(section.policy, Policy("sts", "x", ("mode: none",), ("mx.x",)))
        self.assertEqual((section.successful, section.failed), (0, 0))
        [failure] = section.failures
        self.assertEqual(failure.count, MOST_SESSIONS)
        self.assertNotIn("\0", failure.mx)
        self.assertLessEqual(len(failure.mx), 300)

    def test_half_of_a_pair(self) -> None:
        """A lone surrogate is no text for a database."""
        told = json.dumps({"organization-name": "\ud800", "policies": [{}]}).encode()
        self.assertEqual(read_report(told).organization, "?")

    def test_many_failures(self) -> None:
        [section, _] = REPORT.sections
        many = replace(section, failures=section.failures * MOST_FAILURES)
        [read] = read_report(write(replace(REPORT, sections=(many,)))).sections
        self.assertEqual(len(read.failures), MOST_FAILURES)

    @settings(max_examples=300, deadline=None)
    @given(st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
            st.sampled_from(["policies", "policy", "summary", "failure-details", "date-range", "start-datetime",
                             "policy-string", "mx-host", "result-type", "failed-session-count", "policy-domain"]),
            inner, max_size=6,
        ),
    ))
    def test_whatever(self, told: Any) -> None:
        """It is a report that can be written again, or a `BadReport`, and nothing else."""
        for value in (told, {"policies": told}, {"policies": [told]}):
            try:
                report = read_report(json.dumps(value).encode())
            except BadReport:
                continue
            read_report(write(report))
