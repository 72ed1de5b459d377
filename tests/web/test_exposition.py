"""What Prometheus reads, read by its own parser."""

from __future__ import annotations

from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from mailserver.figures import Spread
from mailserver.web.exposition import exposition


def read(octets: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples, by name and labels."""
    found = {}
    for family in text_string_to_metric_families(octets.decode()):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


class ExpositionTests(SynchronousTestCase):
    def told(self, **told: Any) -> Any:
        return read(exposition(told))

    def test_counter(self) -> None:
        found = self.told(commands=[["smtp", "MAIL", 250, 3]])
        labels = (("code", "250"), ("service", "smtp"), ("verb", "MAIL"))
        self.assertEqual(found, {("mailserver_commands_total", labels): 3.0})

    def test_gauge(self) -> None:
        found = self.told(queue_messages=[["held", 2]], storage_bytes=[[5]])
        self.assertEqual(found["mailserver_queue_messages", (("state", "held"),)], 2.0)
        self.assertEqual(found["mailserver_storage_bytes", ()], 5.0)

    def test_summary(self) -> None:
        found = self.told(plugin_seconds=[["dnsbl", "connected", "count", 4], ["dnsbl", "connected", "sum", 0.5]])
        labels = (("plugin", "dnsbl"), ("stage", "connected"))
        self.assertEqual(found["mailserver_plugin_seconds_count", labels], 4.0)
        self.assertEqual(found["mailserver_plugin_seconds_sum", labels], 0.5)

    def test_histogram(self) -> None:
        spread = Spread((1.0, 10.0))
        for value in (0.5, 2.0, 99.0):
            spread.add(value)
        found = self.told(delivery_seconds=spread.told())
        buckets = [found["mailserver_delivery_seconds_bucket", (("le", each),)] for each in ("1.0", "10.0", "+Inf")]
        self.assertEqual(buckets, [1.0, 2.0, 3.0])
        self.assertEqual(found["mailserver_delivery_seconds_count", ()], 3.0)
        self.assertEqual(found["mailserver_delivery_seconds_sum", ()], 101.5)

    def test_hostile_labels(self) -> None:
        """Nothing that a label holds makes another line."""
        found = self.told(plugin_errors=[['a"} 1\nmailserver_x 5', 1]])
        self.assertEqual(len(found), 1)
