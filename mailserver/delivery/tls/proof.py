"""A TLS connection to a mail server, and what its certificate has to prove before anything is said on it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from zope.interface import implementer

from mailserver.delivery.tls.dane import EE, TA, Tlsas

MOST_CERTIFICATES = 10          # of one server that are looked at
MOST_NAMES = 5                  # of one certificate that are told

# RFC 8460 4.3
MISMATCH, EXPIRED, NOT_TRUSTED = "certificate-host-mismatch", "certificate-expired", "certificate-not-trusted"
INVALID = "validation-failure"

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_WRONG = {
    7: (NOT_TRUSTED, "has a signature that is not right"),
    9: (INVALID, "is not valid yet"),
    10: (EXPIRED, "has expired"),
    18: (NOT_TRUSTED, "is signed by itself"),
    **dict.fromkeys((2, 19, 20, 21), (NOT_TRUSTED, "is signed by nobody who is trusted")),
}


class Unproven(SSL.Error):
    """The certificate does not prove what it has to; `result` is the type of this failure in RFC 8460 4.3.

    It is an error of the handshake, so that the protocol inside hears these words, and nothing was said.
    """

    def __init__(self, words: str, result: str = INVALID) -> None:
        super().__init__([("certificate", "", words)])
        self.words = words
        self.result = result

    def __str__(self) -> str:
        return self.words


Check = Callable[["_Checked", str], None]


class _Checked(SSL.Connection):
    """Ends the handshake only when the certificate has been judged."""

    def __init__(self, context: SSL.Context, judge: Callable[[_Checked], None]) -> None:
        super().__init__(context, None)
        self.wrong: list[int] = []              # what OpenSSL found wrong with the chain
        self._judge = judge

    def do_handshake(self) -> None:
        super().do_handshake()
        self._judge(self)


@implementer(IOpenSSLClientConnectionCreator)
class Proof:
    """For ``startTLS``: asks for the certificate of `name`, and lets `check` judge it.

    `failure` is what was wrong; with `strict` the handshake fails for it, without, it is only known afterwards.
    """

    def __init__(self, context: SSL.Context, name: str, check: Check | None = None, strict: bool = True) -> None:
        self._context = context
        self._name = name
        self._check = check
        self._strict = strict
        self.failure: Unproven | None = None

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        connection = _Checked(self._context, self._judge)
        if re.fullmatch(r"[A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9._-]*", self._name):     # RFC 6066 3: no address
            connection.set_tlsext_host_name(self._name.encode("ascii"))
        return connection

    def _judge(self, connection: _Checked) -> None:
        if self._check is None:
            return
        try:
            self._check(connection, self._name)
        except Unproven as failure:
            self.failure = failure
        except Exception as error:              # what a stranger sent, and no library could read
            self.failure = Unproven(f"the certificate of {self._name} cannot be judged: {type(error).__name__}")
        if self.failure is not None and self._strict:
            raise self.failure


class Contexts:
    """The contexts of OpenSSL that all connections share; `authorities` None are the system's."""

    def __init__(self, authorities: Path | None = None) -> None:
        self._authorities = authorities
        self._open: SSL.Context | None = None
        self._proving: SSL.Context | None = None

    def open(self) -> SSL.Context:
        """Takes every certificate."""
        if self._open is None:
            self._open = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
        return self._open

    def proving(self) -> SSL.Context:
        """Looks for the authority behind a certificate, and notes what is wrong.

        The first time it blocks: it reads the authorities.  Raises `OSError` when they cannot be read.
        """
        if self._proving is None:
            context = CertificateOptions(verify=False, raiseMinimumTo=TLSVersion.TLSv1_2).getContext()
            if self._authorities is None:
                context.set_default_verify_paths()
            else:
                try:
                    context.load_verify_locations(str(self._authorities))
                except SSL.Error:
                    raise OSError(f"{self._authorities} has no authorities that can be read") from None
            context.set_verify(SSL.VERIFY_PEER, _note)
            self._proving = context
        return self._proving

    @property
    def is_ready(self) -> bool:
        """Whether `proving` does not block any more."""
        return self._proving is not None


def _note(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    if not ok and isinstance(connection, _Checked):
        connection.wrong.append(error)
    return True                                 # `Proof` judges, when the handshake is done


def by_authority(names: Sequence[str]) -> Check:
    """An authority that we know has signed it for one of `names` (RFC 8461 4.1, RFC 5280)."""

    def check(connection: _Checked, name: str) -> None:
        for number in connection.wrong:
            result, words = _WRONG.get(number, (INVALID, f"is not good (error {number} of OpenSSL)"))
            raise Unproven(f"the certificate of {name} {words}", result)
        _is_for(_chain(connection, name)[0], names, name)

    return check


def by_dane(tlsas: Tlsas, names: Sequence[str]) -> Check:
    """DNSSEC knows it (RFC 7672 3): it itself, whatever is in it, or who has signed it for one of `names`."""

    def check(connection: _Checked, name: str) -> None:
        leaf, *others = _chain(connection, name)
        if any(each.usage == EE and each.matches(leaf) for each in tlsas.records):
            return
        authorities = [each for each in tlsas.records if each.usage == TA]
        anchors = [one for one in others if any(each.matches(one) for each in authorities)]
        if not anchors:
            raise Unproven(f"no TLSA record of {tlsas.name} matches the certificate of {name}")
        _is_signed(leaf, others, anchors, name)
        _is_for(leaf, names, name)

    return check


def _chain(connection: SSL.Connection, name: str) -> list[x509.Certificate]:
    chain = connection.get_peer_cert_chain(as_cryptography=True)
    if not chain:
        raise Unproven(f"{name} has no certificate")
    return chain[:MOST_CERTIFICATES]


def _is_signed(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], name: str
) -> None:
    """Raise `Unproven` unless a chain that holds now leads to one of the anchors."""
    store = crypto.X509Store()
    for each in anchors:
        store.add_cert(crypto.X509.from_cryptography(each))
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    chain = [crypto.X509.from_cryptography(each) for each in others]
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(leaf), chain).verify_certificate()
    except crypto.X509StoreContextError as error:
        number = error.errors[0] if error.errors else 0
        result, words = _WRONG.get(int(number), (INVALID, f"is not good (error {number} of OpenSSL)"))
        raise Unproven(f"the certificate of {name} {words}", result) from None


def _is_for(certificate: x509.Certificate, names: Sequence[str], name: str) -> None:
    """Raise `Unproven` unless it is for one of `names`."""
    for each in names:
        try:
            if _is_address(each):
                verify_certificate_ip_address(certificate, each)
            else:
                verify_certificate_hostname(certificate, each)
            return
        except (VerificationError, CertificateError):
            continue
    raise Unproven(f"the certificate of {name} is for {_names_of(certificate)}", MISMATCH)


def _names_of(certificate: x509.Certificate) -> str:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        # They may hold anything, and go into the queue (PostgreSQL takes no NUL), into reports and to terminals.
        names = ["".join(c if c.isprintable() else "?" for c in str(each.value)[:100]) for each in extension.value]
    except x509.ExtensionNotFound:
        names = []
    if not names:
        return "nobody by name"
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
