"""Two hundred good feeds beside two hundred hostile sources: the good ones stay on time, and memory stays small."""

from __future__ import annotations

import signal
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from support.farm import Asked, Farm, open_farm
from support.hostile_farm import open_hostile_farm
from support.kept import Database
from support.process import Digestd, write_settings

GOOD, HOSTILE = 200, 200
INTERVAL = 10.0
SECONDS = 55.0
FEWEST_ROUNDS = 2
# Measured on two cores with nothing beside it: 0.48 and 0.59 s; with pages 0.72, 0.75 and 0.92 s, too near to a second
# for a machine that does something else meanwhile.
LATE, LATE_BESIDE_PAGES = 1.0, 2.0
MOST_MEGABYTES = 700.0
SETTINGS: dict[str, dict[str, Any]] = {
    "worker": {"interval_seconds": INTERVAL, "max_sources": 20},
    "fetch": {"timeout_seconds": 5},
}


def descendants(pid: int) -> list[int]:
    """`pid` and the processes below it."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            with suppress(OSError):
                found += map(int, children.read_text().split())
    return found


def megabytes_of_tree(pid: int) -> float:
    """The memory of `pid` and the processes below it; what they share counts once."""
    kilobytes = 0
    # A child is its parent, memory and all, until it executes what it was made for.
    own = Path(f"/proc/{pid}/cmdline").read_bytes() if Path(f"/proc/{pid}").exists() else b""
    for one in descendants(pid):
        # It may have ended meanwhile.
        with suppress(OSError):
            if one != pid and Path(f"/proc/{one}/cmdline").read_bytes() == own:
                continue
            kilobytes += int(Path(f"/proc/{one}/smaps_rollup").read_text().partition("\nPss:")[2].split()[0])
    return kilobytes / 1000


@dataclass
class Watch:
    """What a thread beside the test saw every quarter of a second: the memory of a process tree at `moments`, and the
    `delays` of its own sleeps, which are the machine's doing and nobody else's."""

    megabytes: list[float] = field(default_factory=list)
    delays: list[tuple[float, float]] = field(default_factory=list)

    def delay_around(self, began: float, ended: float) -> float:
        """The longest delay of the machine's between two moments."""
        return max((delay for at, delay in self.delays if began <= at <= ended), default=0.0)


@contextmanager
def watching(pid: int) -> Iterator[Watch]:
    """Watch the process tree of `pid` until the block ends."""
    watch, ended = Watch(), threading.Event()

    def look() -> None:
        while not ended.is_set():
            watch.megabytes.append(megabytes_of_tree(pid))
            began = time.monotonic()
            time.sleep(0.2)
            watch.delays.append((began, time.monotonic() - began - 0.2))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        ended.set()
        thread.join()


def lateness(asked: Sequence[Asked]) -> list[tuple[float, float, str]]:
    """How late each request but the first of its source came, when, and whose it was."""
    moments: dict[str, list[float]] = defaultdict(list)
    for request in asked:
        moments[request.name].append(request.at)
    return sorted(
        (after - before - INTERVAL, after, name)
        for name, times in moments.items()
        for before, after in pairwise(times)
    )


@pytest.mark.slow
@pytest.mark.parametrize("pages", [False, True], ids=["feeds alone", "pages, too"])
def test_good_sources_are_on_time_beside_as_many_hostile_ones(tmp_path: Path, pages: bool) -> None:
    """With pages, every hostile feed that can be read leads to hostile pages, too."""
    with open_farm(GOOD) as farm, open_hostile_farm(HOSTILE) as hostile:
        for number in range(GOOD):
            farm.grow(f"{'busy' if number % 2 else 'calm'}{number}", 5)
        # Those that are busy bring something new each time, so that they need a parser.
        farm.on_request = lambda asked: farm.grow(asked.name) if asked.name.startswith("busy") else None
        file = write_settings(tmp_path, farm.sources() | hostile, extract={"enabled": pages}, **SETTINGS)
        with Digestd(["-c", str(file)], tmp_path, {}) as process, watching(process.process.pid) as watch:
            time.sleep(SECONDS)
            process.send(signal.SIGTERM)
            assert process.end() == 0
        expect_good_ones_on_time(farm, watch, LATE_BESIDE_PAGES if pages else LATE)
        assert max(watch.megabytes) < MOST_MEGABYTES
        assert "Traceback" not in process.stderr
        kept = Database(tmp_path).entries()
        assert {entry for entry in kept if entry[0] not in hostile} == farm.guids()


def expect_good_ones_on_time(farm: Farm, watch: Watch, longest_late: float) -> None:
    assert len(farm.requests) == GOOD
    assert min(farm.requests.values()) >= FEWEST_ROUNDS
    late = lateness(farm.asked)
    p50, p99, longest = (late[int((len(late) - 1) * share)][0] for share in (0.5, 0.99, 1))
    figures = f"p50 {p50:.2f} s, p99 {p99:.2f} s, longest {longest:.2f} s; {max(watch.megabytes):.0f} MB"
    print(figures)
    for seconds, at, name in late:
        machine = watch.delay_around(at - INTERVAL, at)
        assert seconds - machine <= longest_late, (
            f"{name} was {seconds:.2f} s late, the machine {machine:.2f} s: {figures}"
        )
