"""Who has nearly used up a quota is told so, once for each threshold that he crosses, and so is the log."""

from __future__ import annotations

from sqlalchemy import Connection
from twisted.logger import Logger

from mailserver.acceptance import Acceptance
from mailserver.address import Address
from mailserver.errors import BadAddress, PermanentFailure
from mailserver.ident import spell
from mailserver.received import mail_date
from mailserver.store import crossings
from mailserver.store.accepting import Accepting, write_many
from mailserver.store.crossings import Used
from mailserver.store.database import Database
from mailserver.world import World

log = Logger()

BELOW = 5.0                 # percent that use must fall below a threshold before its next crossing counts


def threshold(percent: float, told: int, thresholds: tuple[int, ...]) -> int:
    """The threshold that somebody knows of, or ought to, when so much is used and this was the last."""
    crossed = max((each for each in thresholds if each <= percent), default=0)
    if crossed >= told:
        return crossed
    return max(crossed, max((each for each in thresholds if each <= told and each - BELOW <= percent), default=0))


class Crossings:
    """Looks at all quotas, and writes to those who have to know."""

    def __init__(self, database: Database, acceptance: Acceptance, world: World, hostname: str) -> None:
        self._database = database
        self._acceptance = acceptance
        self._world = world
        self._hostname = hostname

    async def look(self, thresholds: tuple[int, ...], usual: tuple[int, int]) -> int:
        """One round; how many were told.  `usual` is what an account may have of which nothing is said."""
        count = 0
        for kind in crossings.KINDS if thresholds else ():
            after = 0
            while some := await self._database.read(crossings.used, kind, after, usual):
                after = some[-1].id
                for each in some:
                    now = threshold(each.percent, each.told, thresholds)
                    if now > each.told:
                        await self._tell(each, now)
                        count += 1
                    elif now < each.told:
                        await self._database.write(crossings.tell, each.kind, each.id, now)
        return count

    async def _tell(self, used: Used, percent: int) -> None:
        """The letter, and that it was written, in one transaction."""
        log.warn(
            "quota: {kind} {name} of {account} has used {percent} % or more",
            kind=used.kind, name=used.name, account=used.address, percent=percent,
        )
        report: Accepting | None = None
        try:
            words = letter(used, percent, self._hostname, self._world.now(), spell(self._world.new_id()))
            report = await self._acceptance.report(Address.parse(used.address), words)
        except (BadAddress, PermanentFailure) as failure:
            log.warn("nobody can be told of a quota: {why}", why=str(failure))
        await self._database.write(_write, used, percent, report)
        if report is not None:
            self._acceptance.spooled(report)


def _write(connection: Connection, used: Used, percent: int, report: Accepting | None) -> None:
    crossings.tell(connection, used.kind, used.id, percent)
    if report is not None:
        write_many(connection, [report])


def letter(used: Used, percent: int, hostname: str, now: float, id: str) -> bytes:
    """A whole message, in plain English."""
    name = _word(used.name)
    whose = {
        "account": f"The public mailboxes of {name} have" if used.is_public else "Your mailboxes have",
        "mailbox": f"{'The public' if used.is_public else 'Your'} mailbox {name} has",
        "domain": f"All accounts of {used.name} together have",
    }[used.kind]
    quota = used.quota
    lines = [
        f"From: Mail Delivery System <postmaster@{hostname}>",
        f"To: <{used.address}>",
        f"Date: {mail_date(now)}",
        f"Message-ID: <{id}.quota@{hostname}>",
        f"Subject: {percent} % of the quota are used",
        "Auto-Submitted: auto-generated",               # RFC 3834 5
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        f"{whose} used {used.percent:.0f} % of what they may hold:" if used.kind != "mailbox"
        else f"{whose} used {used.percent:.0f} % of what it may hold:",
        "",
    ]
    if quota.most_octets:
        lines.append(f"    {quota.octets} of {quota.most_octets} octets")
    if quota.most_messages:
        lines.append(f"    {quota.messages} of {quota.most_messages} messages")
    lines += [
        "",
        "When all of it is used, new mail is not taken any more: its senders are asked to",
        "come back later, and hear after some days that it could not be delivered.",
        "Please delete what is not needed, or ask for more room.",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


def _word(name: str) -> str:
    """A mailbox's name in a line of text."""
    return "".join(each if each.isprintable() else "?" for each in name[:200])
