"""What is measured, in the format that Prometheus reads (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from mailserver.figures import Told

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# name: kind, labels, what it is
MEASURES: dict[str, tuple[str, tuple[str, ...], str]] = {
    "connections": ("gauge", ("service",), "Connections that are open."),
    "commands": ("counter", ("service", "verb", "code"), "Commands that were answered."),
    "messages_received": ("counter", ("service", "result"), "Messages whose content was here, by what became of them."),
    "rejections": ("counter", ("stage", "plugin", "code"), "Refusals by filters, and of recipients."),
    "queue_messages": ("gauge", ("state",), "Entries of the queue: a recipient each."),
    "queue_oldest_seconds": ("gauge", (), "Age of the oldest entry of the queue."),
    "delivery_attempts": ("counter", ("result", "tls"), "Recipients that were tried, by the TLS that there was."),
    "delivery_seconds": ("histogram", (), "From the acceptance of a message to its delivery to a recipient elsewhere."),
    "plugin_seconds": ("summary", ("plugin", "stage"), "Time that filters took."),
    "plugin_errors": ("counter", ("plugin",), "Failures of plugins."),
    "auth": ("counter", ("service", "mechanism", "result"), "Logins that were tried."),
    "commit_batch_size": ("summary", (), "Jobs that the database committed together."),
    "events_lost": ("counter", (), "Events that a listener should have heard and did not."),
    "reactor_lag_seconds": ("gauge", (), "How late the reactor was, at its worst in the last minute."),
    "tls_expiry_seconds": ("gauge", ("name",), "How long a certificate is good yet."),
    "storage_bytes": ("gauge", (), "Octets of the database and of the contents beside it."),
}


def exposition(told: Told) -> bytes:
    """All of it as text."""
    registry = CollectorRegistry()
    registry.register(_Once(told))
    return generate_latest(registry)


class _Once(Collector):
    """Collects what was told."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def collect(self) -> Iterator[Metric]:
        for name, (kind, labels, about) in MEASURES.items():
            lines = self._told.get(name)
            if lines is not None:
                yield _FAMILIES[kind](f"mailserver_{name}", about, labels, lines)


def _gauge(name: str, about: str, labels: tuple[str, ...], lines: list[list[Any]]) -> Metric:
    family = GaugeMetricFamily(name, about, labels=labels)
    for *values, value in lines:
        family.add_metric(list(map(str, values)), value)
    return family


def _counter(name: str, about: str, labels: tuple[str, ...], lines: list[list[Any]]) -> Metric:
    family = CounterMetricFamily(name, about, labels=labels)
    for *values, value in lines:
        family.add_metric(list(map(str, values)), value)
    return family


def _summary(name: str, about: str, labels: tuple[str, ...], lines: list[list[Any]]) -> Metric:
    """Lines end with "count" or "sum", and the value."""
    family = SummaryMetricFamily(name, about, labels=labels)
    found: dict[tuple[str, ...], dict[str, float]] = defaultdict(dict)
    for *values, what, value in lines:
        found[tuple(map(str, values))][what] = value
    for labelled, numbers in found.items():
        family.add_metric(list(labelled), int(numbers.get("count", 0)), numbers.get("sum", 0.0))
    return family


def _histogram(name: str, about: str, labels: tuple[str, ...], lines: list[list[Any]]) -> Metric:
    """Lines are those of `mailserver.figures.Spread.told`; Prometheus wants each bucket with all below it."""
    family = HistogramMetricFamily(name, about)
    total, below = 0.0, 0
    buckets: list[tuple[str, float]] = []
    for bound, value in lines:
        if bound == "sum":
            total = value
            continue
        below += value
        buckets.append(("+Inf" if bound == "inf" else bound, below))
    family.add_metric([], buckets, total)
    return family


_FAMILIES = {"gauge": _gauge, "counter": _counter, "summary": _summary, "histogram": _histogram}
