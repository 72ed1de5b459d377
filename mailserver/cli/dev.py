"""``mailserver dev``: a whole server for a developer; only a configuration file tells it from any other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

import click

from mailserver.cli.init import listeners
from mailserver.config import Config, load

PASSWORD = "dev"        # of everybody: whoever can reach the ports is on this machine
LISTENERS = (
    ("smtp", 25, "starttls"), ("submission", 587, "starttls"), ("imap", 143, "starttls"), ("pop3", 110, "starttls"),
)
BASE, WEB = 1000, 8025  # where it listens when nobody says where: 80 plus the base would be no port that one remembers
YOURS = "# ---- What stands below this line is yours; what stands above it is written at each start."
LOOK = 0.3              # seconds between two looks at a watched folder


@click.command("dev")
@click.option("--dir", "folder", type=click.Path(path_type=Path, file_okay=False), default=Path("mailserver-dev"),
              show_default=True, help="Where its files are.")
@click.option("--port-base", type=click.IntRange(0, 60000), metavar="N",
              help=f"Listen at N + the standard ports; without it, at {BASE} + these, and at {WEB} for the web.")
@click.option("--watch", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
              help="A folder of plugins; a change in it starts the server anew.")
def command(folder: Path, port_base: int | None, watch: Path | None) -> int:
    """Take mail for everybody, let it be read, and let none of it leave the machine."""
    if watch is not None and "MAILSERVER_DEV_CHILD" not in os.environ:
        return _watched(watch, folder / "mailserver.toml")
    file = prepare(folder, port_base, watch)
    config = load(file)

    from mailserver.cli.serving import serve

    serve(config, lambda: _tell(config, file, watch))
    return 0


def prepare(folder: Path, port_base: int | None, watch: Path | None) -> Path:
    """Write the configuration, and a certificate if there is none; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    certificate = folder / "tls.pem"
    if not certificate.exists():
        from mailserver.cli.certificate import self_signed

        self_signed(certificate, folder / "tls.key", ["localhost", "127.0.0.1", "::1"])
    file = folder / "mailserver.toml"
    old = file.read_text("utf-8") if file.exists() else ""
    yours = old.partition(YOURS)[2].lstrip("\n") if YOURS in old else ""
    file.write_text(written(port_base, watch) + yours, "utf-8")
    return file


def written(port_base: int | None, watch: Path | None) -> str:
    """Our part of the configuration."""
    lines = [
        "# Written by mailserver dev.",
        'hostname = "localhost"',
        'data = "data"',
        "clear_passwords = true              # IMAP and POP3 logins without TLS",
        "",
        "[tls]",
        'certificate = "tls.pem"',
        'key = "tls.key"',
        "",
        "[relay]",
        'domains = ["*"]                     # mail for every domain is taken ...',
        "",
        "[smtp]",
        'early_talkers = "allow"             # so that netcat may',
        "[limits]",
        "tarpit = 0                          # faults are made here on purpose",
        "[outbound]",
        "enabled = false                     # ... and none leaves the machine",
    ]
    base, web = (BASE, WEB) if port_base is None else (port_base, port_base + 80)
    lines += listeners(LISTENERS, base) + listeners((("http", web - base, "none"),), base)
    lines += ["", "[plugins]", f"folders = [{_quoted(watch.absolute()) if watch is not None else ''}]"]
    for forwarder in ("aliases", "accounts", "shared", "subaddress", "dev"):
        lines += ["", "[[forward]]", f'use = "{forwarder}"']
    lines += ["", "[[auth]]", 'use = "passwords"', "", "[[auth]]", 'use = "dev"', f'password = "{PASSWORD}"']
    lines += ["", "[[filter]]", 'use = "dev"                         # name+451@, name+data-550@, name+timeout@ ...',
              "budget = 7200"]
    for filter in ("headers", "loops"):
        lines += ["", "[[filter]]", f'use = "{filter}"']
    return "\n".join([*lines, "", YOURS, "", ""])


def _quoted(path: Path) -> str:
    return json.dumps(str(path), ensure_ascii=False)


def _tell(config: Config, file: Path, watch: Path | None) -> None:
    from mailserver.tomlvalues import port_of

    about = {"smtp": "no login", "submission": f"any address, password {PASSWORD}, STARTTLS",
             "imap": f"any address, password {PASSWORD}", "pop3": f"any address, password {PASSWORD}",
             "http": "/metrics, /livez, /readyz"}
    for listen in config.listen:
        found = port_of(listen.endpoint)
        if found is not None:
            where = f"{found[0] or '127.0.0.1'}:{found[1]}"
            click.echo(f"{listen.service:<11} {listen.service}://{where}  {about.get(listen.service, '')}")
    click.echo("mailboxes   every address at every domain has one; nothing leaves this machine")
    click.echo("faults      name+451@, name+550@, name+timeout@, name+rcpt-550@, name+data-451@, with any domain")
    click.echo(f"files       {file.absolute()}; your own [[filter]] tables stand at its end")
    if watch is not None:
        click.echo(f"watching    {watch.absolute()}")
    click.echo("ready")
    sys.stdout.flush()


# -- watching


def _watched(watch: Path, file: Path) -> int:
    """Run the server in a process of its own, and anew after each change."""
    stopping = []

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.append(number)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    command = [sys.executable, "-m", "mailserver", *sys.argv[1:]]
    while not stopping:
        child = subprocess.Popen(command, env={**os.environ, "MAILSERVER_DEV_CHILD": "1"}, start_new_session=True)
        seen = None
        while not stopping:
            time.sleep(LOOK)
            now = seen_at(watch, file)
            if seen is None:
                seen = now
            elif now != seen:
                click.echo("something changed; starting anew")
                break
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
        child.wait()
    return 0


def seen_at(watch: Path, file: Path) -> dict[str, int]:
    """When each Python file of a folder, and the part of the configuration that is not ours, were changed."""
    seen = {}
    for path in watch.rglob("*.py"):
        try:
            seen[str(path)] = path.stat().st_mtime_ns
        except OSError:
            pass            # it has just gone
    try:
        seen[str(file)] = hash(file.read_text("utf-8").partition(YOURS)[2])
    except OSError:
        pass
    return seen
