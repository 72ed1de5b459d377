"""A view of this machine in which packages that were only unpacked seem to be installed.

Some servers have folders, users and helpers compiled in.  A mount namespace of their own gives them all of that and
leaves the system as it is: below /usr lies what was unpacked, /etc has their users and a name server that nobody
serves, and the folders that they write to lie where the mail of the benchmark goes, on the disk that is measured.
The namespace ends with its last process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

FIRST_ID = 61001            # of users that only exist in there

# $1 the unpacked root, $2 our files of /etc, $3 empty folders below /var, then pairs "source", "target", then "--".
SCRIPT = """
root=$1 etc=$2 var=$3; shift 3
[ -z "$root" ] || mount -t overlay overlay -o "ro,lowerdir=$root/usr:/usr" /usr
mount -t overlay overlay -o "ro,lowerdir=$etc:/etc" /etc
for each in spool lib; do mount -t overlay overlay -o "ro,lowerdir=$var/$each:/var/$each" "/var/$each"; done
mount -t tmpfs tmpfs /run
while [ "$1" != -- ]; do mount --bind "$1" "$2"; shift 2; done
shift
exec "$@"
"""


class Cell:
    """`root` is what was unpacked, if anything; `users` who there must be.

    `places` maps paths below /var/spool and /var/lib to folders of ours.
    """

    def __init__(self, folder: Path, root: Path | None, users: Sequence[str] = (),
                 places: Mapping[str, Path] | None = None) -> None:
        self.folder = folder
        self.root = root
        self.ids = {name: FIRST_ID + number for number, name in enumerate(users)}
        self.places = dict(places or {})

    @staticmethod
    def missing() -> str | None:
        """Why there can be none on this machine."""
        if os.geteuid() != 0:
            return "only root can make a mount namespace"
        if shutil.which("unshare") is None:
            return "unshare is missing: apt install util-linux"
        tried = subprocess.run(
            ["unshare", "--mount", "sh", "-c", "mount -t overlay overlay -o ro,lowerdir=/usr:/etc /usr"],
            capture_output=True, text=True, check=False,
        )
        if tried.returncode:
            return f"no mount namespace with an overlay can be made here: {tried.stderr.strip()}"
        return None

    def make(self) -> None:
        """Write what it is made of."""
        etc = self.folder / "etc"
        etc.mkdir(parents=True)
        for file, line in (("passwd", "{name}:x:{id}:{id}::/nonexistent:/bin/false"), ("group", "{name}:x:{id}:")):
            known = [each for each in Path("/etc", file).read_text().split("\n")
                     if each and each.partition(":")[0] not in self.ids]
            known += [line.format(name=name, id=id) for name, id in self.ids.items()]
            (etc / file).write_text("\n".join(known) + "\n")
        (etc / "resolv.conf").write_text("nameserver 127.0.0.1\n")
        for path in ("spool", "lib"):
            (self.folder / "var" / path).mkdir(parents=True)
        for target, source in self.places.items():
            source.mkdir(parents=True, exist_ok=True)
            (self.folder / target.lstrip("/")).mkdir(parents=True, exist_ok=True)

    def command(self, *words: str) -> list[str]:
        """The command that runs `words` in there."""
        pairs = [str(each) for target, source in self.places.items() for each in (source, target)]
        return [
            "unshare", "--mount", "--propagation", "private", "sh", "-euc", SCRIPT, "cell",
            str(self.root or ""), str(self.folder / "etc"), str(self.folder / "var"), *pairs, "--", *words,
        ]
