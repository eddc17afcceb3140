"""How long the event loop is blocked while large feeds and large pages come in."""

from __future__ import annotations

import json
import time
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.digestd_runs import Edition, Installation
from benchmarks.serving import Served, open_server

_FEEDS = 4


def measure(bench: Bench) -> None:
    """Poll feeds of 5 MB, every entry of which changes each time, and read pages of 2 MB meanwhile."""
    with open_server(hosts=bench.hosts) as served:
        for _ in range(bench.rounds):
            for edition in bench.editions:
                _round(bench, edition, served)


def _round(bench: Bench, edition: Edition, served: Served) -> None:
    urls = served.urls("large", _FEEDS)
    place = Installation(edition, bench.place("loop"), urls, {"interval_seconds": 5}, extract=True)
    before = served.answered()
    with place.daemon(place.folder / "probe.json") as process:
        place.wait_for(process, "worker.started")
        time.sleep(15 if bench.quick else 45)
    lags = probed(place.folder / "probe.json")["lag"]
    for name, share in (("p99", 0.99), ("p99.9", 0.999)):
        limits = {"required": 20.0, "aim": 10.0} if name == "p99.9" else {}
        figure = bench.results.figure("loop", f"blocked, {name}", "ms", **limits)
        figure.add(edition.name, 1_000 * at(lags, share))
    bench.results.figure("loop", "documents and pages", "").add(edition.name, served.answered() - before)


def at(ordered: list[float], share: float) -> float:
    """The value below which `share` of the `ordered` values lie."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def probed(path: Path) -> dict[str, list[float]]:
    """What :mod:`benchmarks.probe` wrote, each list in order."""
    return {name: sorted(values) for name, values in json.loads(path.read_text()).items()}
