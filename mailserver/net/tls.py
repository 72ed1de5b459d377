"""Our side of TLS: certificates from files, chosen by the name that the peer asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from OpenSSL import SSL, crypto
from twisted.internet.ssl import CertificateOptions, TLSVersion

from mailserver.errors import StartRefused


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain and its key, in PEM files, for some names."""

    certificate: Path
    key: Path
    names: tuple[str, ...] = ()

    def read(self) -> Keys:
        """What stands in the files; raises `StartRefused`."""
        try:
            certificate, key = self.certificate.read_bytes(), self.key.read_bytes()
        except OSError as error:
            raise StartRefused(f"cannot read {error.filename}: {error.strerror}") from None
        return Keys(certificate, key, self.names, f"{self.certificate} and {self.key}")


@dataclass(frozen=True, slots=True)
class Keys:
    """The same, read: by whoever may read the files, for whoever may not."""

    certificate: bytes
    key: bytes = field(repr=False)
    names: tuple[str, ...] = ()
    files: str = "these"                # as the operator knows them


def server_tls(default: KeyPair | Keys, others: Sequence[KeyPair | Keys] = ()) -> CertificateOptions:
    """The context factory for listeners: TLS 1.2 or newer; raises `StartRefused` when a file is no good.

    `others` are chosen by SNI (RFC 6066 3); a peer that names none of theirs, or nothing, gets `default`.
    """
    options = _options(_read(default))
    if others:
        contexts = {name.lower().encode(): _options(_read(pair)).getContext() for pair in others for name in pair.names}

        def choose(connection: SSL.Connection) -> None:
            asked = connection.get_servername()
            context = contexts.get(asked.lower()) if asked else None
            if context is not None:
                connection.set_context(context)

        options.getContext().set_tlsext_servername_callback(choose)
    return options


def _read(pair: KeyPair | Keys) -> Keys:
    return pair.read() if isinstance(pair, KeyPair) else pair


def _options(keys: Keys) -> CertificateOptions:
    try:
        chain = keys.certificate
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, keys.key)
        certificates = [
            crypto.load_certificate(crypto.FILETYPE_PEM, part + _END)
            for part in chain.split(_END)
            if b"-----BEGIN CERTIFICATE-----" in part
        ]
        if not certificates:
            raise StartRefused(f"there is no certificate in {keys.files.partition(' and ')[0]}")
        options = CertificateOptions(
            privateKey=key,
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        context = options.getContext()
        context.set_options(SSL.OP_NO_RENEGOTIATION)
        context.check_privatekey()
    except (crypto.Error, SSL.Error, ValueError):
        raise StartRefused(f"{keys.files} are no certificate with its key") from None
    return options


_END = b"-----END CERTIFICATE-----"
