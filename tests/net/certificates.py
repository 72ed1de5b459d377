"""Certificates for tests, made when they are needed."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mailserver.net.tls import KeyPair


def key_pair(folder: Path, *names: str) -> KeyPair:
    """A new self-signed certificate for these names, in files."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair = KeyPair(folder / f"{names[0]}.pem", folder / f"{names[0]}.key", names)
    pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pair.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return pair


class Authority:
    """Signs certificates; `file` is its own, for those who trust it."""

    def __init__(self, folder: Path, name: str = "An Authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.file = folder / f"{name}.pem".replace(" ", "-")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key, 1)
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self.certificate = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def pair(self, *names: str, age: int = 1) -> KeyPair:
        """A new certificate for these names, `age` days old, good for three; the authority's stands behind it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "somebody")])
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        certificate = (
            _builder(subject, self._name, key, age)
            .add_extension(alternatives, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        name = f"{names[0]}-{certificate.serial_number:x}".replace("*", "any")
        pair = KeyPair(self.folder / f"{name}.pem", self.folder / f"{name}.key", names)
        pem = serialization.Encoding.PEM
        pair.certificate.write_bytes(certificate.public_bytes(pem) + self.certificate.public_bytes(pem))
        pair.key.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        return pair


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, age: int) -> Any:
    began = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=age)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(began)
        .not_valid_after(began + datetime.timedelta(days=3))
    )


def certificates(pair: KeyPair) -> list[x509.Certificate]:
    """Those in the file, the host's first."""
    return x509.load_pem_x509_certificates(pair.certificate.read_bytes())


def tlsa(pair: KeyPair, usage: int = 3, selector: int = 1, matching: int = 1) -> str:
    """The TLSA record for the host's certificate, or for its authority's with usage 2."""
    certificate = certificates(pair)[0 if usage == 3 else 1]
    octets = certificate.public_bytes(serialization.Encoding.DER)
    if selector == 1:
        octets = certificate.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    if matching:
        octets = hashlib.new({1: "sha256", 2: "sha512"}[matching], octets).digest()
    return f"{usage} {selector} {matching} {octets.hex()}"
