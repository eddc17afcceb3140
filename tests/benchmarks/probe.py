"""digestd as it is, with two things noted from inside: how late polls begin, and how late the event loop wakes.

Run as a program: `probe.py FILE ARGUMENTS…` runs digestd with ARGUMENTS; at its end FILE holds both as JSON, in
seconds. The histograms of `/metrics` have classes that are too wide for this.
"""

from __future__ import annotations

import json
import sys
from array import array
from pathlib import Path

import trio

from digestd.metrics import Histogram, Metrics
from digestd.model import SourceStatus

_EVERY_SECONDS = 0.005


class _Values(Histogram):
    """A histogram that keeps every value, too."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__(bounds)
        # Eight bytes each: they must not count as the daemon's memory.
        self.values = array("d")

    def observe(self, value: float) -> None:
        super().observe(value)
        self.values.append(value)


async def _watch(lags: array[float]) -> None:
    while True:
        due = trio.current_time() + _EVERY_SECONDS
        await trio.sleep_until(due)
        lags.append(trio.current_time() - due)


def probe(file: Path) -> None:
    """Run digestd, and write what was noted to `file`."""
    # Here, and not in the processes of parsers, which import this file, too.
    from digestd.__main__ import main

    lags = array("d")
    late = _Values(())
    remember = Metrics.remember

    def noted(metrics: Metrics, statuses: list[SourceStatus]) -> None:
        late.bounds, late.counts = metrics.lateness.bounds, metrics.lateness.counts
        metrics.lateness = late
        trio.lowlevel.spawn_system_task(_watch, lags)
        remember(metrics, statuses)

    Metrics.remember = noted  # type: ignore[method-assign,assignment]
    try:
        main()
    finally:
        file.write_text(json.dumps({"late": list(late.values), "lag": list(lags)}))


if __name__ == "__main__":
    probe(Path(sys.argv.pop(1)))
