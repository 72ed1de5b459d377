"""``cred``: any checker of twisted.cred."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.cred import error, strcred
from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword, UsernamePassword
from twisted.internet.defer import maybeDeferred
from twisted.python.reflect import namedAny
from zope.interface import implementer

from mailserver.address import Address, parse_domain
from mailserver.envelope import Client
from mailserver.errors import BadAddress, MailserverError
from mailserver.interfaces import IAuthenticator, IServer


def _domain(instance: Any, attribute: Any, value: str) -> None:
    try:
        parse_domain(value)
    except BadAddress as error:
        raise ValueError(f"'{attribute.name}' is no domain: {error}") from None


@attrs.frozen
class CredOptions:
    """`checker` is what twistd's ``--auth`` takes ("file:/etc/mail.passwd"), or the dotted name of a checker.

    A dotted name may be a checker, or something to call without arguments for one.  `domain` is put behind
    names that have none.
    """

    checker: str
    domain: str | None = attrs.field(default=None, validator=attrs.validators.optional(_domain))


@implementer(IAuthenticator)
class Cred:
    """The checker says whether name and password belong together; the account must exist in the directory."""

    Options = CredOptions

    def __init__(self, options: CredOptions, server: IServer) -> None:
        self._domain = options.domain
        self._checker = _checker(options.checker)

    async def check(self, name: str, password: str, client: Client) -> Address | None:
        credentials = UsernamePassword(name.encode(), password.encode())
        try:
            avatar = await maybeDeferred(self._checker.requestAvatarId, credentials)
        except (error.UnauthorizedLogin, error.LoginFailed):
            return None
        if not avatar:                      # cred's ANONYMOUS
            return None
        who = avatar.decode("utf-8", "replace") if isinstance(avatar, bytes) else str(avatar)
        if "@" not in who and self._domain is not None:
            who = f"{who}@{self._domain}"
        try:
            return Address.parse(who)
        except BadAddress:
            return None


def _checker(description: str) -> Any:
    if ":" in description or "." not in description:
        try:
            checker = strcred.makeChecker(description)  # type: ignore[no-untyped-call]
        except (strcred.InvalidAuthType, strcred.InvalidAuthArgumentString) as problem:
            raise MailserverError(f"cred: {description!r} is no checker: {problem or type(problem).__name__}") from None
    else:
        try:
            checker = namedAny(description)  # type: ignore[no-untyped-call]
        except Exception as problem:
            raise MailserverError(f"cred: cannot import {description!r}: {problem}") from None
        if not ICredentialsChecker.providedBy(checker):
            try:
                checker = checker()
            except Exception as problem:
                raise MailserverError(f"cred: {description!r} cannot be called for a checker: {problem}") from None
    if not ICredentialsChecker.providedBy(checker):
        raise MailserverError(f"cred: {description!r} is no ICredentialsChecker")
    if IUsernamePassword not in checker.credentialInterfaces:
        raise MailserverError(f"cred: {description!r} does not check names and passwords")
    return checker
