"""A real digestd process, as an operator starts it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml


class Digestd:
    """A running `python -m digestd`, with its JSON log read as it grows."""

    def __init__(self, arguments: list[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._log = folder / f"stderr-{time.monotonic_ns()}.log"
        self._out = self._log.with_suffix(".out")
        with self._log.open("wb") as stderr, self._out.open("wb") as stdout:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "digestd", *arguments],
                stdout=stdout,
                stderr=stderr,
                stdin=subprocess.DEVNULL,
                cwd=folder,
                env=environment(folder, environ),
                start_new_session=True,
            )

    @property
    def stderr(self) -> str:
        return self._log.read_text()

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log lines with this event, so far."""
        lines = [
            json.loads(line)
            for line in self.stderr.splitlines()
            if line.startswith("{") and line.endswith("}")
        ]
        return [line for line in lines if line["event"] == name]

    def wait_for(self, event: str, count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
        """Wait until `event` was logged `count` times."""
        self.wait_until(lambda: len(self.events(event)) >= count, f"{count} x {event}", seconds)
        return self.events(event)

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 20) -> None:
        """Wait until `condition` holds, while the process lives."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, (
                f"ended with {self.process.returncode} before {what}:\n{self.stderr}"
            )
            assert time.monotonic() < deadline, f"no {what} within {seconds} s:\n{self.stderr}"
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, seconds: float = 20) -> int:
        """Wait for the end and return the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running after {seconds} s:\n{self.stderr}") from None

    def __enter__(self) -> Digestd:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def environment(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process under test: its state in `folder`, and no setting of the machine's."""
    kept = {key: value for key, value in os.environ.items() if key.partition("_")[0] not in _SECTIONS}
    return kept | {"STATE_DIRECTORY": str(folder / "state"), "NO_COLOR": "1", "TERM": "dumb"} | dict(extra)


_SECTIONS = {
    "WORKER",
    "DATABASE",
    "FETCH",
    "EXTRACT",
    "WEB",
    "SOURCES",
    "DIGESTD",
    "NOTIFY",
    "WATCHDOG",
    "STATE",
}


def free_port() -> int:
    """A port on 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def run(arguments: list[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run one command of digestd to its end."""
    return subprocess.run(
        [sys.executable, "-m", "digestd", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment(folder, environ),
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )


def write_settings(folder: Path, sources: Mapping[str, str], **sections: Mapping[str, Any]) -> Path:
    """Write a settings file with `sources` (name to URL) that may reach loopback and polls at once."""
    settings: dict[str, Any] = {
        "worker": {"interval_seconds": 1, "jitter_seconds": 0, **sections.pop("worker", {})},
        "fetch": {"allow_private_networks": True, **sections.pop("fetch", {})},
        "web": {"enabled": False},
        **sections,
        "sources": [{"name": name, "url": url} for name, url in sources.items()],
    }
    file = folder / "digestd.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    return file
