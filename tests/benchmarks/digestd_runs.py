"""digestd as the benchmarks run it: with a state directory of its own, and settings made for loopback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.usage import Usage, cpu_seconds, run
from support.process import environment

_PROBE = Path(__file__).with_name("probe.py")


@dataclass(frozen=True, slots=True)
class Edition:
    """A digestd to be measured: its `name` in the results, and the folder of its sources where that is another than
    what is installed."""

    name: str = "digestd"
    source: Path | None = None

    def environ(self) -> dict[str, str]:
        return {} if self.source is None else {"PYTHONPATH": str(self.source)}


@dataclass(slots=True)
class Installation:
    """One database with its settings, in `folder`, for one edition."""

    edition: Edition
    folder: Path
    urls: Sequence[str]
    worker: Mapping[str, float] = field(default_factory=dict)
    extract: bool = False
    database: str | None = None
    prefix: str = "s"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        worker = {"interval_seconds": 86_400, "jitter_seconds": 0, **self.worker}
        lines = ["worker:", *(f"  {name}: {value}" for name, value in worker.items())]
        lines += ["fetch:", "  allow_private_networks: true", "web:", "  enabled: false"]
        lines += ["extract:", f"  enabled: {str(self.extract).lower()}"]
        if self.database:
            lines += ["database:", f"  url: {self.database}"]
        lines += ["sources:" if self.urls else "sources: []"]
        for number, url in enumerate(self.urls):
            lines += [f"  - name: {self.prefix}{number}", f"    url: {url}"]
        (self.folder / "digestd.yaml").write_text("\n".join(lines) + "\n")

    @property
    def log(self) -> Path:
        """Where what it logs goes."""
        return self.folder / "stderr.log"

    @property
    def state(self) -> Path:
        """Its state directory."""
        return self.folder / "state"

    def environ(self) -> dict[str, str]:
        """Its environment, without any setting of the machine's."""
        return environment(self.folder, self.edition.environ())

    def once(self, *arguments: str) -> Usage:
        """Run `--once` to its end. `RuntimeError` where it fails."""
        command = [sys.executable, "-m", "digestd", "-c", "digestd.yaml", "--once", *arguments]
        used = run(command, cwd=self.folder, env=self.environ(), stderr=self.log)
        if used.status:
            raise RuntimeError(f"digestd ended with {used.status}: {self.log.read_text()[-2000:]}")
        return used

    def start_up(self) -> Usage:
        """Run `--once` for one source that is known: with nothing due, what polls need would not even be imported."""
        return self.once("--all", "--limit", "1")

    @contextmanager
    def daemon(self, probe: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Run the daemon within the block; with `probe` it writes there what goes on inside (see
        :mod:`benchmarks.probe`). It gets SIGTERM at the end, unless it has ended by then."""
        start = ["-m", "digestd"] if probe is None else [str(_PROBE), str(probe)]
        command = [sys.executable, *start, "-c", "digestd.yaml"]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.environ(), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            yield process
        finally:
            terminate(process)

    def wait_for(self, process: subprocess.Popen[bytes], event: str, seconds: float = 60) -> None:
        """Wait until the daemon has logged `event`."""
        deadline = time.monotonic() + seconds
        while f'"event": "{event}"' not in self.log.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no {event}: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)


def terminate(process: subprocess.Popen[bytes], seconds: float = 120) -> float:
    """End the daemon with SIGTERM; returns in how many seconds it ended."""
    began = time.perf_counter()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return time.perf_counter() - began


def cpu_while(process: subprocess.Popen[bytes], seconds: float) -> float:
    """What the tree of `process` takes of a processor within `seconds` from now."""
    before = cpu_seconds(process.pid)
    time.sleep(seconds)
    return cpu_seconds(process.pid) - before


def pinned_environment() -> str:
    """What the figures were measured with, for who reads them."""
    return f"{os.cpu_count()} processors, Python {sys.version.split()[0]}, {os.uname().sysname} {os.uname().release}"
