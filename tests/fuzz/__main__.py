"""``python -m tests.fuzz TARGET --seconds 3600``: fuzzing by hand, led by coverage.

Needs atheris (``pip install -e '.[fuzz]'``).  What breaks the target is written into its corpus as ``found-...``,
which trial then replays; what merely covers more is kept in a folder of its own (``--grown``), from which the next
run goes on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.targets import CORPUS, NAMES


def main(words: Sequence[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Fuzz one target.")
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--seconds", type=int, default=3600, help="how long (an hour)")
    parser.add_argument("--longest", type=int, default=4096, help="octets of an input at most")
    parser.add_argument("--grown", type=Path, help="a folder for inputs that cover more")
    options = parser.parse_args(words)
    import atheris

    with atheris.instrument_imports(include=["mailserver", "dns"]):
        from tests.fuzz.targets import target

        run, known = target(options.target)
    grown = options.grown or Path(tempfile.mkdtemp(prefix=f"fuzz-{options.target}-"))
    grown.mkdir(parents=True, exist_ok=True)
    dictionary = grown.with_name(grown.name + ".dict")
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in known))
    print(f"what covers more is kept in {grown}")
    atheris.Setup(
        [
            sys.argv[0], f"-max_total_time={options.seconds}", f"-max_len={options.longest}", f"-dict={dictionary}",
            "-timeout=10", "-rss_limit_mb=1024", "-print_final_stats=1",
            f"-artifact_prefix={CORPUS / options.target}/found-", str(grown), str(CORPUS / options.target),
        ],
        run,
    )
    atheris.Fuzz()


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{octet:02x}" for octet in word)


main(sys.argv[1:])
