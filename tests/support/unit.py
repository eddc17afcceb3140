"""digestd as a unit of a booted machine: its settings, its drop-ins, its log and what it has kept."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from support.debian import PROJECT
from support.handbook import shell_block
from support.machine import Machine

SECTION = "On Debian with systemd"
PORT = 8181
_KIOSK = "/srv/kiosk"
_DROP_INS = "/etc/systemd/system/digestd.service.d"


class Unit:
    """digestd.service in `machine`, with a server of feeds beside it on loopback (:mod:`support.kiosk`)."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.kiosk = machine.root / _KIOSK.lstrip("/")
        self._since = ""
        programs = self.kiosk / "support"
        programs.mkdir(parents=True)
        for name in ("kiosk.py", "newsroom.py"):
            shutil.copy(PROJECT / "tests" / "support" / name, programs / name)
        machine.run(
            f"systemd-run -q --unit=kiosk --working-directory={_KIOSK} python3 -m support.kiosk {_KIOSK} {PORT}"
        )
        machine.wait_until(lambda: not self.ask("/robots.txt").returncode, "answer of the kiosk")

    def ask(self, path: str, port: int = PORT) -> Any:
        """Get `path` from the kiosk, or from who listens on `port`."""
        program = (
            f"import urllib.request as r; print(r.urlopen('http://127.0.0.1:{port}{path}').read().decode())"
        )
        return self.machine.run(f'python3 -c "{program}"', check=False)

    def configure(self, *feeds: str, drop_in: str = "", **sections: Mapping[str, Any]) -> None:
        """A fresh start: no state, no requests, `feeds` polled every second, and restarts after a second, unless
        `sections` and the lines of `drop_in` say otherwise. Nothing runs."""
        machine = self.machine
        machine.run("systemctl stop digestd; systemctl reset-failed digestd", check=False)
        machine.run(
            f"rm -rf /var/lib/private/digestd {_DROP_INS} /etc/digestd/credentials {_KIOSK}/*.feed {_KIOSK}/requests"
        )
        self.write_sources(*feeds)
        settings: dict[str, Any] = {
            "worker": {
                "interval_seconds": 1,
                "jitter_seconds": 0,
                "log_level": "DEBUG",
                **sections.pop("worker", {}),
            },
            "fetch": {"allow_private_networks": True, "per_host_delay_seconds": 0},
            "sources_files": ["sources.yaml"],
            **sections,
        }
        self.write("/etc/digestd/digestd.yaml", yaml.safe_dump(settings))
        self.write(f"{_DROP_INS}/test.conf", f"[Service]\nRestartSec=1\n{drop_in}\n")
        machine.run("systemctl daemon-reload")
        self._since = machine.says("journalctl --sync && journalctl -n 0 --show-cursor -q").removeprefix(
            "-- cursor: "
        )

    def write(self, path: str, text: str) -> None:
        """Write the file `path` of the machine."""
        file = self.machine.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def write_sources(self, *feeds: str) -> None:
        """Let sources.yaml list `feeds`."""
        sources = [{"name": feed, "url": f"http://127.0.0.1:{PORT}/{feed}"} for feed in feeds]
        self.write("/etc/digestd/sources.yaml", yaml.safe_dump({"sources": sources}))

    def publish(self, feed: str, stories: int, seconds: float = 0) -> None:
        """Let `feed` have so many stories, and answer after `seconds`."""
        (self.kiosk / f"{feed}.new").write_text(f"{stories} {seconds}")
        (self.kiosk / f"{feed}.new").rename(self.kiosk / f"{feed}.feed")

    def requests(self, feed: str) -> list[str]:
        """What came for `feed`: `asked` and `200` or `304`, each with its If-None-Match."""
        lines = (
            (self.kiosk / "requests").read_text().splitlines() if (self.kiosk / "requests").exists() else []
        )
        return [line.removeprefix(f"/{feed} ") for line in lines if line.startswith(f"/{feed} ")]

    def start(self) -> None:
        """`systemctl start`, which returns when the service is ready."""
        self.machine.run("systemctl start digestd")

    def show(self, name: str) -> str:
        """A property of the unit."""
        return self.machine.says(f"systemctl show --value --property={name} digestd")

    def journal(self) -> list[str]:
        """What systemd and digestd said about the unit since :meth:`configure`."""
        # The cursor names a line of anybody's: journalctl goes on behind it.
        command = f"journalctl --sync; journalctl -q --unit=digestd --after-cursor='{self._since}' -o cat"
        return self.machine.says(command).splitlines()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The lines of digestd's own log with the event `name`."""
        lines = [json.loads(line) for line in self.journal() if line.startswith("{")]
        return [line for line in lines if line["event"] == name]

    def wait_for(self, event: str, count: int = 1, seconds: float = 30) -> list[dict[str, Any]]:
        """Wait until `event` was logged `count` times."""
        self.machine.wait_until(lambda: len(self.events(event)) >= count, f"{count} x {event}", seconds)
        return self.events(event)

    def wait_for_property(self, name: str, value: str, seconds: float = 30) -> None:
        """Wait until the property `name` of the unit is `value`."""
        self.machine.wait_until(lambda: self.show(name) == value, f"{name}={value}", seconds)

    def command(self, arguments: str) -> str:
        """What `digestd` prints for `arguments`: run as docs/operations.md says, with the credential if it is there."""
        (exports,) = [
            line for line in shell_block(SECTION, "enable --now").splitlines() if line.startswith("export")
        ]
        secret = "/etc/digestd/credentials/database_url"
        credential = f"test ! -e {secret} || export DATABASE_URL_FILE={secret}"
        return self.machine.says(f"{exports}\n{credential}\ndigestd {arguments}")

    def articles(self) -> list[dict[str, Any]]:
        """Every article that was kept."""
        found: list[dict[str, Any]] = json.loads(self.command("articles --limit 10000 --json"))
        return found

    def kept(self) -> list[str]:
        """What was kept of the kiosk's stories, in order: FEED-NUMBER, one for each article."""
        urls = [article["url"] for article in self.articles()]
        return sorted("-".join(url.removesuffix(".html").split("/")[-2:]) for url in urls)

    def children(self) -> list[int]:
        """The pids of the daemon's processes, in the machine."""
        text = self.machine.says(f"cat /proc/{self.show('MainPID')}/task/*/children")
        return [int(pid) for pid in text.split()]

    def place(self, path: str) -> Path:
        """The machine's `path`, from outside."""
        return self.machine.root / path.lstrip("/")
