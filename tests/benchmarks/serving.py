"""The server of feeds as the benchmarks start and ask it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Served:
    """A running server: its `origins`, each a host of its own."""

    origins: tuple[str, ...]

    def urls(self, kind: str, count: int) -> list[str]:
        """`count` feeds of this `kind` (see :mod:`benchmarks.feed_server`), spread over the hosts in turn."""
        return [f"{self.origins[number % len(self.origins)]}/{kind}/{number}" for number in range(count)]

    def files(self, folder: Path) -> list[str]:
        """The files of `folder`, which it was given, spread likewise."""
        names = sorted(path.name for path in folder.iterdir() if path.suffix != ".tsv")
        return [
            f"{self.origins[number % len(self.origins)]}/file/{name}" for number, name in enumerate(names)
        ]

    def answered(self) -> int:
        """How many requests it has answered."""
        with urllib.request.urlopen(f"{self.origins[0]}/served") as response:
            number: int = json.load(response)[0]
            return number


@contextmanager
def open_server(
    *, hosts: int = 16, folder: Path | None = None, entries: int = 20, entry_bytes: int = 3_000
) -> Iterator[Served]:
    """Start it in a process of its own, until the block ends."""
    command = [sys.executable, str(Path(__file__).with_name("feed_server.py"))]
    command += ["--hosts", str(hosts), "--entries", str(entries), "--entry-bytes", str(entry_bytes)]
    if folder is not None:
        command += ["--folder", str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            ports = json.loads(process.stdout.readline())
            yield Served(tuple(f"http://127.0.0.1:{port}" for port in ports))
        finally:
            process.stdin.close()
            process.wait(20)
