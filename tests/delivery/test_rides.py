"""Connections that stay: what is said over one, and when there is another."""

from __future__ import annotations

from twisted.internet.defer import Deferred, gatherResults

from tests.delivery.house import HouseCase


class RideTests(HouseCase):
    async def test_many(self) -> None:
        """Hundreds of messages at once go over as many connections as there may be, and all arrive once."""
        peer = self.peer()
        self.route(to=peer)
        await gatherResults([Deferred.fromCoroutine(self.send(f"u{number}@example.com")) for number in range(400)])
        await self.until(self._is_empty, 20)
        self.assertEqual(len({each[1][0] for each in peer.messages}), 400)
        self.assertEqual(len(peer.messages), 400)
        self.assertLessEqual(len(peer.talks), 10)
