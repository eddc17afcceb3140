"""What the service manager hears of how the daemon stands: ready, reloading, stopping, and in a line what it does."""

from __future__ import annotations

import time
from collections.abc import Callable

import trio

from digestd.ingest.shutdown import Shutdown
from digestd.systemd import Notifier
from digestd.web.state import DaemonState

STATUS_SECONDS = 5.0
"""How old the line in `systemctl status` may be."""


class Reporting:
    """Keeps the service manager informed. One for the daemon.

    `state` gives the state of this moment. `remark` is something that the operator should know until further notice.
    """

    def __init__(self, notifier: Notifier, state: Callable[[], DaemonState], shutdown: Shutdown) -> None:
        self.remark: str | None = None
        self._notifier = notifier
        self._state = state
        self._shutdown = shutdown
        self._told: str | None = None

    def ready(self) -> None:
        """Say that start-up, or a reload, is over; not once shutdown has begun, which nothing may take back."""
        if not self._shutdown.begun.is_set():
            self._told = status_line(self._state(), self.remark)
            self._notifier.ready(self._told)

    def reloading(self) -> None:
        """Say that settings are read again; :meth:`ready` ends it."""
        self._notifier.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)

    def stopping(self, grace_seconds: float) -> None:
        """Say that shutdown has begun, and what it waits for: polls in flight, for `grace_seconds` at most."""
        self._notifier.stopping(
            f"stopping; polls in flight: {self._state().slots_in_use}, for {grace_seconds:g} s at most"
        )

    async def run(self) -> None:
        """Keep the line current until shutdown begins. Cancellation: may be cancelled at any moment."""
        with self._shutdown.idle():
            while True:
                await trio.sleep(STATUS_SECONDS)
                line = status_line(self._state(), self.remark)
                if line != self._told:
                    self._told = line
                    self._notifier.status(line)


def status_line(state: DaemonState, remark: str | None) -> str:
    """The state in a line, with what is wrong first."""
    wrong = []
    if state.stalled is not None:
        wrong.append(f"stalled: {state.stalled}")
    if state.store_away_since is not None:
        wrong.append(f"the database is away since {state.store_away_since:%H:%M:%S} UTC, polls wait")
    if remark is not None:
        wrong.append(remark)
    metrics = state.metrics
    counts = (
        f"sources: {state.running}, being polled: {state.slots_in_use}, failing: {len(metrics.failing)}",
        f"new articles since start: {metrics.articles_new}",
        f"pages to be read: {metrics.pages_pending or 0}",
    )
    return "; ".join([*wrong, *counts])
