"""Our side of TLS: certificates from files, chosen by the name that the peer asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


def server_tls(default: KeyPair, others: Sequence[KeyPair] = ()) -> CertificateOptions:
    """The context factory for listeners: TLS 1.2 or newer; raises `StartRefused` when a file is no good.

    `others` are chosen by SNI (RFC 6066 3); a peer that names none of theirs, or nothing, gets `default`.
    """
    options = _options(default)
    if others:
        contexts = {name.lower().encode(): _options(pair).getContext() for pair in others for name in pair.names}

        def choose(connection: SSL.Connection) -> None:
            asked = connection.get_servername()
            context = contexts.get(asked.lower()) if asked else None
            if context is not None:
                connection.set_context(context)

        options.getContext().set_tlsext_servername_callback(choose)
    return options


def _options(pair: KeyPair) -> CertificateOptions:
    try:
        chain = pair.certificate.read_bytes()
        key = crypto.load_privatekey(crypto.FILETYPE_PEM, pair.key.read_bytes())
        certificates = [
            crypto.load_certificate(crypto.FILETYPE_PEM, part + _END)
            for part in chain.split(_END)
            if b"-----BEGIN CERTIFICATE-----" in part
        ]
        if not certificates:
            raise StartRefused(f"there is no certificate in {pair.certificate}")
        options = CertificateOptions(
            privateKey=key,
            certificate=certificates[0],
            extraCertChain=certificates[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
        )
        context = options.getContext()
        context.set_options(SSL.OP_NO_RENEGOTIATION)
        context.check_privatekey()
    except OSError as error:
        raise StartRefused(f"cannot read {error.filename}: {error.strerror}") from None
    except (crypto.Error, SSL.Error, ValueError):
        raise StartRefused(f"{pair.certificate} and {pair.key} are no certificate with its key") from None
    return options


_END = b"-----END CERTIFICATE-----"
