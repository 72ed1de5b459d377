"""The targets by name, and their corpora."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).parent.parent / "corpus"
NAMES = (
    "address", "control", "dns", "dots", "feedback", "header", "imap", "mime", "multiline", "pop3", "proxy", "received",
    "sasl", "sevenbit", "smtp_client", "smtp_server", "stuffing", "tls_report",
)


def target(name: str) -> tuple[Callable[[bytes], None], tuple[bytes, ...]]:
    """Its `run` and its `WORDS`."""
    module = importlib.import_module(f"tests.fuzz.{name}")
    return module.run, module.WORDS


def cases(name: str) -> list[Path]:
    """The kept octets of one target."""
    return sorted(path for path in (CORPUS / name).iterdir() if path.is_file())
