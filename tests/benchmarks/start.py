"""What a start takes: `--help`, and `--once` with nothing due."""

from __future__ import annotations

import sys

from benchmarks.bench import Bench
from benchmarks.digestd_runs import Installation
from benchmarks.serving import open_server
from benchmarks.usage import run


def measure(bench: Bench) -> None:
    """Both, with Python alone beside them."""
    helping = bench.results.figure("start", "--help, CPU", "s", required=0.3)
    idle = bench.results.figure("start", "--once with nothing due, CPU", "s", required=0.9, aim=0.5)
    with open_server(hosts=1) as served:
        places = [
            Installation(edition, bench.place("start"), served.urls("feed", 1)) for edition in bench.editions
        ]
        for place in places:
            place.once()
        for _ in range(3 * bench.rounds):
            for place in places:
                command = [sys.executable, "-m", "digestd", "--help"]
                helping.add(place.edition.name, run(command, cwd=place.folder, env=place.environ()).cpu)
                idle.add(place.edition.name, place.once().cpu)
            bare = run([sys.executable, "-c", "pass"], cwd=places[0].folder, env=places[0].environ()).cpu
            helping.add("python alone", bare)
