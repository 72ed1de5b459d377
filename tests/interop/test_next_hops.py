"""Postfix and Exim as next hops: what our wishes become there, and what comes back of them."""

from __future__ import annotations

import email
import time
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from mailserver.wishes import Wishes
from tests.cli.commands import STANDARD, free_base
from tests.cli.running import PATIENCE
from tests.delivery.house import HouseCase
from tests.interop.exim_hop import EximHop
from tests.interop.postfix import Postfix
from tests.interop.test_bounces import BACK, MORE
from tests.interop.test_relay import House
from tests.plain import Client


class KeptTests(HouseCase):
    """Over one connection to Postfix, which sends what it takes on to a peer of ours."""

    timeout = 120

    async def begin(self, more: str = "", **outbound: Any) -> Any:
        self.last = self.peer()
        self.last.extensions += ["SMTPUTF8", "DSN"]
        self.postfix = Postfix("127.0.0.1", self.last.port, more)
        self.addCleanup(deferToThread, self.postfix.stop)
        await deferToThread(self.postfix.start)
        return self.work(
            route={"example.com": f"tcp:127.0.0.1:{self.postfix.port}"}, connections_per_host=1, **outbound
        )

    async def test_twenty(self) -> None:
        """Pipelined, the envelopes ahead: all arrive, each whole and for whom it was."""
        wanted = {}
        for number in range(20):
            body = f"I am {number}\r\n.\r\n..\r\nMAIL FROM:<x@y>\r\n" + ("x" * 90 + "\r\n") * (number * 7)
            to = f"u{number}@example.com"
            wanted[to] = body.encode()
            await self.send(to, content=b"From: a@b.example\r\nSubject: x\r\n\r\n" + wanted[to])
        scheduler = await self.begin()
        await self.until(self._is_empty, 30)
        await self.until(lambda: len(self.last.messages) >= 20, 30)
        arrived = {to: octets.partition(b"\r\n\r\n")[2] for _, [to], octets in self.last.messages}
        self.assertEqual(arrived, wanted)
        await scheduler.stop()
        await self.until(lambda: "data=" in self.postfix.log())
        self.assertRegex(self.postfix.log(), r"disconnect from .* ehlo=1 mail=20 rcpt=20 data=20 ")

    async def test_seven_bits(self) -> None:
        """To one that takes nothing beyond ASCII: all of it arrives, and decoded it is what was sent.

        Small and large, text and parts; what cannot be sent like that comes back, and Postfix never saw it.
        """
        texts = ["gr\u00fc\u00dfe\r\n", "\u2028.\r\n.\r\n\u00e9" * 3000, "hello\r\n", "\u00fc" * 300_000 + "\r\n"]
        head = "From: a@b.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n"
        plain = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        parts = "Content-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        for number, text in enumerate(texts):
            await self.send(f"u{number}@example.com", content=(head + plain + text).encode())
            whole = f"{head}{parts}--b\r\n{plain}{text}\r\n--b\r\n{plain}{text}\r\n--b--\r\n"
            await self.send(f"v{number}@example.com", content=whole.encode())
        await self.send("no@example.com", content=b"Subject: \xff\r\n\r\nx\r\n")
        await self.begin("smtpd_discard_ehlo_keywords = 8bitmime, chunking, smtputf8\n")
        await self.until(self._is_empty, 60)
        [report] = await self.reports()
        self.assertIn(b"\r\nFinal-Recipient: rfc822; no@example.com\r\nAction: failed\r\nStatus: 5.6.3\r\n", report)
        await self.until(lambda: len(self.last.messages) >= 2 * len(texts), 60)
        self.assertEqual(len(self.last.messages), 2 * len(texts))
        for _, [to], octets in self.last.messages:
            self.assertTrue(octets.isascii(), to)
            message: Any = email.message_from_bytes(octets)
            text = texts[int(to[1])]
            leaves = message.get_payload() if message.is_multipart() else [message]
            self.assertEqual(len(leaves), 2 if to[0] == "v" else 1)
            for leaf in leaves:
                self.assertEqual(leaf.get_payload(decode=True).replace(b"\r\n", b"\n").rstrip(b"\n"),
                                 text.replace("\r\n", "\n").rstrip("\n").encode())
        self.assertNotIn("no@example.com", self.postfix.log())

    async def test_wishes(self) -> None:
        """RET, ENVID, NOTIFY and ORCPT arrive, and an address beyond ASCII: Postfix passes on what it was told."""
        await self.begin()
        await self.send(
            "b\u00f6b@example.com", wishes=Wishes(utf8=True, ret="HDRS", envid="QQ 3+1"), notify="FAILURE,DELAY",
            orcpt="rfc822;Old@x.example", content="Subject: gr\u00fc\u00dfe\r\n\r\nx\r\n".encode(),
        )
        await self.until(lambda: self.last.messages, 30)
        [mail] = [each for each in self.last.heard if each.startswith("MAIL")]
        [rcpt] = [each for each in self.last.heard if each.startswith("RCPT")]
        for each in ("SMTPUTF8", "RET=HDRS", "ENVID=QQ+203+2B1"):
            self.assertIn(each, mail)
        self.assertIn("<b\u00f6b@example.com>", rcpt)
        self.assertRegex(rcpt, "NOTIFY=(FAILURE,DELAY|DELAY,FAILURE)")
        self.assertIn("ORCPT=rfc822;Old@x.example", rcpt)


class EximTests(HouseCase):
    timeout = 120

    async def test_twenty(self) -> None:
        """Over one connection, each with its wishes, which Exim writes into its log."""
        exim = EximHop()
        self.addCleanup(deferToThread, exim.stop)
        await deferToThread(exim.start)
        wanted = []
        for number in range(20):
            text = f"I am {number}\n.\n..\n" + ("y" * 90 + "\n") * number
            wanted.append(text.encode())
            await self.send(
                f"u{number}@example.com", content=f"Subject: x\n\n{text}".replace("\n", "\r\n").encode(),
                wishes=Wishes(ret="HDRS", envid=f"E{number}"), notify="FAILURE,DELAY", orcpt="rfc822;old@x.example",
            )
        scheduler = self.work(route={"example.com": f"tcp:127.0.0.1:{exim.port}"}, connections_per_host=1)
        await self.until(self._is_empty, 30)
        await scheduler.stop()
        self.assertEqual(sorted(exim.bodies()), sorted(wanted))
        headers = [path.read_text() for path in (exim.folder / "spool/input").rglob("*-H")]
        for number in range(20):
            self.assertEqual(len([each for each in headers if f"-dsn_envid E{number}\n" in each]), 1)
        self.assertEqual(len([each for each in headers if "rfc822;old@x.example" in each]), 20)
        self.assertEqual(len([each for each in headers if "-dsn_ret 1" in each or "-dsn_ret 2" in each]), 20)


class SuccessTests(SynchronousTestCase):
    """From ann@one.example by Postfix to two.example."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        base = free_base((*STANDARD, *(1000 + port for port in STANDARD)))
        self.one = House(folder / "one", "one.example", "ann", base)
        more = "mydestination = two.example\nlocal_recipient_maps =\nlocal_transport = discard\n"
        postfix = self.postfix = Postfix("127.0.0.1", base + 1025, BACK.format(port=base + 25) + "\n" + more)
        with open(self.one.config, "a") as file:
            file.write(MORE.format(port=postfix.port))
        self.one.config.write_text(self.one.config.read_text().replace("networks = []", 'networks = ["127.0.0.1"]'))
        for each in (self.one, postfix):
            self.addCleanup(each.stop)
            each.start()

    def test_a_success_comes_back(self) -> None:
        """From Postfix, which had the wish from us: the sender's ENVID and ORCPT are in it; booked as a delivery."""
        with Client(self.one.base + 25) as client:
            client.say("EHLO desk.one.example")
            client.say("MAIL FROM:<ann@one.example> ENVID=QQ314 RET=HDRS")
            client.say("RCPT TO:<bob@two.example> NOTIFY=SUCCESS ORCPT=rfc822;Bobby@two.example")
            client.say("DATA", 354)
            said = client.say("From: ann@one.example\r\nSubject: hello\r\n\r\nHello.\r\n.")
        id = said.rpartition(" ")[2]
        until = time.monotonic() + PATIENCE
        while not (found := self.one.mail()):
            assert time.monotonic() < until, self.postfix.log()
            time.sleep(0.2)
        [arrived] = found
        parts: Any = email.message_from_bytes(arrived).get_payload()
        whole, recipient = parts[1].get_payload()
        self.assertEqual((whole["Reporting-MTA"], whole["Original-Envelope-Id"]), ("dns; postfix.example.net", "QQ314"))
        self.assertEqual(recipient["Original-Recipient"], "rfc822;Bobby@two.example")
        self.assertIn(recipient["Action"], ("delivered", "relayed"))
        [booked] = self.one.json("feedback", "list")
        self.assertEqual(
            [booked[each] for each in ("sort", "recipient", "message", "proof", "reporter")],
            ["delivered", "bob@two.example", id, "trace", "postfix.example.net"],
        )
        self.assertEqual(booked["status"][:2], "2.")
        self.assertIn("feedback", [each.get("event") for each in self.one.json("trace", id)])
        self.assertEqual(self.one.json("suppression", "list"), [])
