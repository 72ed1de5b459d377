"""Orders and answers as lines of JSON, without a socket and over one."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mailserver.control.client import NoServer, Refused, ask
from mailserver.control.door import Door
from mailserver.control.lines import LONGEST, Asker, Desk, Order, OrderFailed


async def double(value: Mapping[str, Any]) -> Any:
    if "what" not in value:
        raise OrderFailed('the order needs "what"')
    return value["what"] * 2


async def broken(value: Mapping[str, Any]) -> Any:
    raise RuntimeError("as asked")


ORDERS: dict[str, Order] = {"double": double, "broken": broken}


class DeskTests(SynchronousTestCase):
    """Where orders are taken."""

    def setUp(self) -> None:
        self.transport = StringTransport()
        self.desk = Desk(ORDERS)
        self.desk.makeConnection(self.transport)

    def say(self, octets: bytes) -> list[Any]:
        self.transport.clear()
        self.desk.dataReceived(octets)
        return [json.loads(line) for line in self.transport.value().split(b"\n")[:-1]]

    def test_an_order(self) -> None:
        self.assertEqual(self.say(b'{"order": "double", "what": 4}\n'), [{"done": 8}])

    def test_in_pieces_and_several_at_once(self) -> None:
        self.assertEqual(self.say(b'{"order": "dou'), [])
        self.assertEqual(
            self.say(b'ble", "what": 1}\n{"order": "double", "what": 2, "number": 7}\n'),
            [{"done": 2}, {"number": 7, "done": 4}],
        )

    def test_what_nobody_knows(self) -> None:
        """The answer says what there is."""
        self.assertEqual(
            self.say(b'{"order": "dance"}\n'), [{"error": "there is no order 'dance'; there are broken, double"}]
        )
        for octets in (b'{}\n', b'{"order": ["double"]}\n', b'{"order": null}\n'):
            self.assertIn("there is no order", self.say(octets)[0]["error"])

    def test_no_json(self) -> None:
        for octets in (b"double 4\n", b"[1]\n", b"\n", b"\xff\xfe\n", b"[" * 20_000 + b"\n", b'"order"\n'):
            self.assertEqual(self.say(octets), [{"error": "this is no JSON object"}], octets[:20])

    def test_details_that_are_missing(self) -> None:
        self.assertEqual(self.say(b'{"order": "double"}\n'), [{"error": 'the order needs "what"'}])

    def test_an_order_that_breaks(self) -> None:
        self.assertEqual(
            self.say(b'{"order": "broken"}\n'), [{"error": "the order 'broken' failed; the log says how"}]
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.say(b'{"order": "double", "what": 4}\n'), [{"done": 8}])

    def test_a_line_without_end(self) -> None:
        """It is not kept."""
        [said] = self.say(b"x" * (LONGEST + 1))
        self.assertIn("a line may have", said["error"])
        self.assertTrue(self.transport.disconnecting)


class AskerTests(SynchronousTestCase):
    """Who gives orders."""

    def setUp(self) -> None:
        self.told: list[Any] = []
        self.asker = Asker(self.told.append, lambda: self.told.append("lost"))
        self.transport = StringTransport()
        self.asker.makeConnection(self.transport)

    def test_answers_find_their_questions(self) -> None:
        first, second = self.asker.ask("double", what=1), self.asker.ask("double", what=2)
        self.assertEqual(
            [json.loads(line)["number"] for line in self.transport.value().split(b"\n")[:-1]], [1, 2]
        )
        self.asker.dataReceived(b'{"number": 2, "done": 4}\n{"event": "news"}\n{"number": 1, "error": "no"}\n')
        self.assertEqual(self.successResultOf(second), 4)
        self.assertEqual(str(self.failureResultOf(first, OrderFailed).value), "no")
        self.assertEqual(self.told, [{"event": "news"}])

    def test_the_other_side_ends(self) -> None:
        waiting = self.asker.ask("double", what=1)
        self.asker.connectionLost()
        self.failureResultOf(waiting, OrderFailed)
        self.failureResultOf(self.asker.ask("double", what=1), OrderFailed)
        self.assertEqual(self.told, ["lost"])


class DoorTests(TestCase):
    """The socket in the data folder."""

    timeout = 20

    def setUp(self) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="control-"))
        self.addCleanup(shutil.rmtree, self.data)

    def open(self, data: Path) -> Door:
        door = Door(reactor, data, ORDERS)
        door.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(door.close()))
        return door

    async def test_asked(self) -> None:
        self.open(self.data)
        self.assertEqual(await deferToThread(ask, self.data, "double", what=21), 42)
        with self.assertRaises(Refused) as refused:
            await deferToThread(ask, self.data, "dance")
        self.assertIn("there is no order", str(refused.exception))

    async def test_nobody_else_may(self) -> None:
        self.open(self.data)
        self.assertEqual((self.data / "control").stat().st_mode & 0o777, 0o600)

    async def test_a_folder_with_a_long_name(self) -> None:
        """Names of sockets end at 108 octets; names of folders do not."""
        data = self.data / ("x" * 100) / ("y" * 100)
        data.mkdir(parents=True)
        self.open(data)
        self.assertEqual(await deferToThread(ask, data, "double", what=2), 4)

    async def test_nobody_is_there(self) -> None:
        with self.assertRaises(NoServer) as nobody:
            ask(self.data, "double")
        self.assertEqual(str(nobody.exception), f"no server works on {self.data}")
        # One that died left its file.
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(str(self.data / "control"))
        dead.close()
        self.assertRaises(NoServer, ask, self.data, "double")
        self.open(self.data)
        self.assertEqual(await deferToThread(ask, self.data, "double", what=2), 4)

    async def test_closed(self) -> None:
        door = self.open(self.data)
        await door.close()
        self.assertFalse((self.data / "control").exists())
        self.assertRaises(NoServer, ask, self.data, "double")
