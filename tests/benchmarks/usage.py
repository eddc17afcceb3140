"""What processes take: processor time and memory of a process and all that it started, as /proc has them (Linux)."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """One command's run: processor seconds (user and system) of it and its children, and seconds on the clock."""

    cpu: float
    wall: float
    status: int
    stdout: bytes = b""


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], stderr: Path | None = None) -> Usage:
    """Run `command` to its end."""
    began = time.perf_counter()
    with (stderr or Path(os.devnull)).open("ab") as log, (cwd / "stdout").open("w+b") as out:
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(env), stdout=out, stderr=log, stdin=subprocess.DEVNULL
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - began
        out.seek(0)
        return Usage(used.ru_utime + used.ru_stime, wall, process.returncode, out.read())


def cpu_seconds(pid: int) -> float:
    """What the process `pid` and everything below it has taken so far, with the children that have ended."""
    return sum(_ticks(one) for one in tree(pid)) / _TICKS


def tree(pid: int) -> list[int]:
    """`pid` and its descendants that live."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _ticks(pid: int) -> int:
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        return sum(map(int, fields[11:15]))
    return 0


def memory_bytes(pid: int) -> int:
    """What the tree of `pid` holds in memory, shared pages divided among those who share them (PSS)."""
    return sum(_pss(one) for one in tree(pid))


def _pss(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _high_water(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


@dataclass(slots=True)
class Peak:
    """The most memory that was seen."""

    bytes: int = 0


@contextmanager
def peak_memory(pid: int, every_seconds: float = 2.0) -> Iterator[Peak]:
    """Look at the memory of the tree of `pid` now and then within the block, and at the most that the kernel has seen
    of `pid` itself: a look holds a process up, and so they are few."""
    peak, ended = Peak(), threading.Event()

    def look() -> None:
        while not ended.wait(every_seconds):
            peak.bytes = max(peak.bytes, memory_bytes(pid), _high_water(pid))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
