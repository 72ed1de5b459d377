"""Answers about mailboxes (RFC 9051 7.3, RFC 9208 5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mailserver.imap.names import SEPARATOR
from mailserver.imap.strings import NIL, astring, literal8, mailbox, string

_SEPARATOR = f'"{SEPARATOR}"'.encode("ascii")


def listed(
    name: str, attributes: Iterable[str] = (), utf8: bool = False, child_info: Iterable[str] = (),
    old_name: str | None = None, verb: bytes = b"LIST",
) -> bytes:
    """A line of LIST, or of LSUB by its `verb`.

    `attributes` such as ``\\HasNoChildren``; `child_info` says by which selections mailboxes below it were found
    (RFC 5258 3.5), `old_name` what it was called before (RFC 9051 6.3.9.7).
    """
    extended = []
    if child := " ".join(f'"{each}"' for each in child_info):
        extended.append(b'"CHILDINFO" (%b)' % child.encode("ascii"))
    if old_name is not None:
        extended.append(b'"OLDNAME" (%b)' % mailbox(old_name, utf8))
    words = " ".join(attributes).encode("ascii")
    more = b" (%b)" % b" ".join(extended) if extended else b""
    return b"* %b (%b) %b %b%b\r\n" % (verb, words, _SEPARATOR, mailbox(name, utf8), more)


def separator() -> bytes:
    """The answer to an empty pattern (RFC 9051 6.3.9)."""
    return b'* LIST (\\Noselect) %b ""\r\n' % _SEPARATOR


def counted(name: str, items: Mapping[str, int | str], utf8: bool = False) -> bytes:
    """STATUS: numbers as they are, and ids (MAILBOXID) in brackets."""
    words = " ".join(
        f"{item} ({value})" if isinstance(value, str) else f"{item} {value}" for item, value in items.items()
    )
    return b"* STATUS %b (%b)\r\n" % (mailbox(name, utf8), words.encode("ascii"))


def annotated(name: str, values: Mapping[str, bytes | None], utf8: bool = False) -> bytes:
    """METADATA with values (RFC 5464 4.4.1); a name of "" is the server."""
    pairs = b" ".join(
        b"%b %b" % (astring(entry.encode("ascii")), _value(value, utf8)) for entry, value in values.items()
    )
    return b"* METADATA %b (%b)\r\n" % (mailbox(name, utf8), pairs)


def _value(value: bytes | None, utf8: bool) -> bytes:
    if value is None:
        return NIL
    return literal8(value) if b"\0" in value else string(value, utf8)


def annotations_changed(name: str, entries: Iterable[str], utf8: bool = False) -> bytes:
    """METADATA without values, which nobody asked for (RFC 5464 4.4.2)."""
    return b"* METADATA %b %b\r\n" % (mailbox(name, utf8), b" ".join(astring(each.encode("ascii")) for each in entries))


def namespaces(
    personal: Sequence[str] = ("",), others: Sequence[str] = (), shared: Sequence[str] = (), utf8: bool = False
) -> bytes:
    """The prefixes of each kind (RFC 9051 7.3.4); they end with the separator."""
    kinds = [_namespace(prefixes, utf8) for prefixes in (personal, others, shared)]
    return b"* NAMESPACE %b\r\n" % b" ".join(kinds)


def _namespace(prefixes: Sequence[str], utf8: bool) -> bytes:
    if not prefixes:
        return NIL
    # A prefix is always a string, RFC 9051 9.
    return b"(%b)" % b"".join(
        b"(%b %b)" % (prefix if prefix[:1] in b'"{' else b'"%b"' % prefix, _SEPARATOR)
        for prefix in (mailbox(each, utf8) for each in prefixes)
    )


def acl(name: str, pairs: Iterable[tuple[str, str]], utf8: bool = False) -> bytes:
    """Who, and with which rights (RFC 4314 3.6)."""
    words = [string(each.encode(), True) for pair in pairs for each in pair]
    return b"* ACL %b\r\n" % b" ".join([mailbox(name, utf8), *words])


def list_rights(name: str, who: str, required: str, optional: Iterable[str], utf8: bool = False) -> bytes:
    """What somebody has in any case, and what he can be given, each by itself (RFC 4314 3.7)."""
    words = [string(each.encode(), True) for each in (who, required)]
    return b"* LISTRIGHTS %b\r\n" % b" ".join([mailbox(name, utf8), *words, *(each.encode() for each in optional)])


def my_rights(name: str, rights: str, utf8: bool = False) -> bytes:
    """RFC 4314 3.8."""
    return b"* MYRIGHTS %b %b\r\n" % (mailbox(name, utf8), rights.encode("ascii"))


def quota(root: str, usage: Mapping[str, tuple[int, int]]) -> bytes:
    """For each resource what is used and how much there may be (RFC 9208 4.2.1)."""
    words = " ".join(f"{resource} {used} {limit}" for resource, (used, limit) in usage.items())
    return b"* QUOTA %b (%b)\r\n" % (astring(root.encode(), True), words.encode("ascii"))


def quota_roots(name: str, roots: Iterable[str], utf8: bool = False) -> bytes:
    """RFC 9208 4.2.2."""
    return b"* QUOTAROOT %b\r\n" % b" ".join([mailbox(name, utf8), *(string(each.encode(), True) for each in roots)])
