"""Thunderbird with a profile of its own, driven by scripts that run inside it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from tests.interop.marionette import Marionette
from tests.needs import program

SCRIPTS = Path(__file__).with_suffix(".js")
STEP = 40.0             # seconds for one thing that a person does; the scripts themselves wait for 30
ELSEWHERE = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS")
PREFERENCES: dict[str, bool | int | str] = {
    # Nothing asks, tells, updates or looks outside.
    "app.update.enabled": False,
    "app.update.auto": False,
    "app.donation.eoy.version.viewed": 999,
    "app.normandy.enabled": False,
    "browser.safebrowsing.enabled": False,
    "browser.search.update": False,
    "datareporting.healthreport.uploadEnabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "datareporting.policy.dataSubmissionPolicyBypassNotification": True,
    "extensions.update.enabled": False,
    "extensions.systemAddon.update.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "network.dns.disablePrefetch": True,
    "network.dns.forceResolve": "127.0.0.1",
    "network.proxy.type": 0,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
    "toolkit.telemetry.server": "",
    "mail.inappnotifications.enabled": False,
    "mail.instrumentation.askUser": False,
    "mail.provider.enabled": False,
    "mail.quota.mainwindow_threshold.show": 0,
    "mail.rights.version": 1,
    "mail.shell.checkDefaultClient": False,
    "mail.spotlight.firstRunDone": True,
    "mail.winsearch.firstRunDone": True,
    "mailnews.start_page.enabled": False,
    "mailnews.start_page_override.mstone": "ignore",
    "mailnews.auto_config.fetchFromISP.enabled": False,
    "mailnews.mx_service_url": "",
    "mailnews.auto_config_url": "",
    # Quiet, and steerable.
    "marionette.port": 0,               # a free one, which it writes to its profile
    "mail.biff.play_sound": False,
    "mail.biff.show_alert": False,
    "mail.biff.show_tray_icon": False,
    "mail.chat.enabled": False,
    "toolkit.cosmeticAnimations.enabled": False,
    "ui.prefersReducedMotion": 1,
}


class Thunderbird:
    """The program on a screen; whatever host it looks for, it finds this one.

    It is killed `patience` seconds after its start, whatever it does.  Raises `AssertionError` when it ends early.
    """

    def __init__(self, folder: Path, display: str, patience: float) -> None:
        self._log, self._inner_log = folder / "thunderbird.log", folder / "inner"
        profile = folder / "profile"
        profile.mkdir(parents=True)
        (profile / "user.js").write_text(
            "".join(f"user_pref({json.dumps(key)}, {json.dumps(value)});\n" for key, value in PREFERENCES.items())
        )
        environment = {key: value for key, value in os.environ.items() if key not in ELSEWHERE} | {
            "DISPLAY": display, "GDK_BACKEND": "x11", "NO_AT_BRIDGE": "1", "LC_ALL": "C.UTF-8", "TZ": "UTC",
            "HOME": str(folder), "TMPDIR": str(folder), "XDG_RUNTIME_DIR": str(folder),
            "MOZ_CRASHREPORTER_DISABLE": "1", "MOZ_LOG": "IMAP:4,sync", "MOZ_LOG_FILE": str(self._inner_log),
        }
        self._marionette: Marionette | None = None
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program("thunderbird"), "--marionette", "--remote-allow-system-access", "--new-instance",
                 "--profile", str(profile)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, env=environment, start_new_session=True,
            )
        self._end = threading.Timer(patience, self._kill)
        self._end.daemon = True
        self._end.start()
        try:
            self._marionette = Marionette(self._port(profile / "MarionetteActivePort"), STEP)
        except BaseException:
            self.stop()
            raise

    def _port(self, file: Path) -> int:
        while not file.exists() or not file.read_text().strip():
            if self._process.poll() is not None:
                raise AssertionError(self._log.read_text(errors="replace")[-3000:])
            time.sleep(0.05)
        return int(file.read_text())

    def do(self, name: str, *words: Any) -> Any:
        """What a function of thunderbird.js answers."""
        assert self._marionette is not None
        return self._marionette.run(f"{SCRIPTS.read_text('utf-8')}\nreturn {name}(...words);", *words)

    @property
    def exchange(self) -> str:
        """What it and the IMAP server have said to each other, and what it did not understand."""
        return Path(f"{self._inner_log}.moz_log").read_text("utf-8", "replace")

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def stop(self) -> None:
        """End it and what it has started."""
        self._end.cancel()
        if self._marionette is not None:
            self._marionette.close()
        self._kill()
        self._process.wait()
