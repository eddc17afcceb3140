"""Whether polling goes on, and the state of the daemon that the web server shows."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from digestd.daemon.pipeline import Pipeline
from digestd.ingest.supervisor import Supervisor
from digestd.metrics import Metrics
from digestd.web.state import DaemonState

TICK_SECONDS = 1.0
LATE_SECONDS = 1.0
"""How much later than its time the ticker may wake."""
SLOT_MARGIN_SECONDS = 30.0
"""How much longer than a poll's deadline a slot may be held: the claim and the record take time too."""


class Health:
    """Judges progress. A quiet hour, a database outage, failing sources and no sources at all *are* progress.

    There is none when :meth:`tick`, which runs among the tasks of the sources, has not woken within a second of its
    time, or when a poll holds a slot for longer than it can last. `folder` is that of a database in a file.
    """

    def __init__(
        self, pipeline: Pipeline, supervisor: Supervisor, metrics: Metrics, folder: Path | None = None
    ) -> None:
        self._around = pipeline.around
        self._supervisor = supervisor
        self._metrics = metrics
        self._folder = folder
        self._poll_timeout = self._around.poller.poll_timeout_seconds
        self._shorter_since: float | None = None
        self._woke = trio.current_time()

    async def tick(self) -> None:
        """Wake every second until shutdown begins."""
        with self._around.shutdown.idle():
            while True:
                self._woke = trio.current_time()
                self._follow_settings(self._woke)
                await trio.sleep(TICK_SECONDS)
                self._metrics.loop_lag.observe(trio.current_time() - self._woke - TICK_SECONDS)

    def _follow_settings(self, now: float) -> None:
        """A reload may have changed the deadline of polls. Where it is shorter, those in flight keep the longer one."""
        seconds = self._around.poller.poll_timeout_seconds
        if seconds >= self._poll_timeout:
            self._poll_timeout, self._shorter_since = seconds, None
            return
        if self._shorter_since is None:
            self._shorter_since = now
        elif now > self._shorter_since + self._poll_timeout + SLOT_MARGIN_SECONDS:
            self._poll_timeout, self._shorter_since = seconds, None

    def stalled(self) -> str | None:
        """Why there is no progress, in words; None while there is, and during shutdown, which has a bound.

        Where the event loop was held up for a moment, this may be asked before the ticker had its turn: whoever was
        late for the same reason goes through a checkpoint first.
        """
        if self._around.shutdown.begun.is_set():
            return None
        asleep = trio.current_time() - self._woke
        if asleep > TICK_SECONDS + LATE_SECONDS:
            return f"the tasks of the sources have not woken for {asleep:.0f} s"
        # While the database is away its own timeouts come on top of the poll's.
        held = 0.0 if self._around.store.away_since is not None else self._around.slots.longest_held_seconds
        if held > self._poll_timeout + SLOT_MARGIN_SECONDS:
            limit = f"{self._poll_timeout:g} s (worker.poll_timeout_seconds)"
            return f"a poll has held its slot for {held:.0f} s; none may last longer than {limit}"
        return None

    def state(self) -> DaemonState:
        """The state at this moment."""
        now = trio.current_time()
        away = self._around.store.away_since
        return DaemonState(
            uptime_seconds=now - self._metrics.started,
            stalled=self.stalled(),
            stopping=self._around.shutdown.begun.is_set(),
            enabled=self._supervisor.enabled,
            running=self._supervisor.running,
            slots_in_use=self._around.slots.in_use,
            slots=self._around.slots.total,
            store_away_since=None if away is None else datetime.now(UTC) - timedelta(seconds=now - away),
            free_bytes=_free_bytes(self._folder),
            metrics=self._metrics,
        )


def _free_bytes(folder: Path | None) -> int | None:
    if folder is None:
        return None
    try:
        # A call of microseconds: SQLite wants a local disk.
        disk = os.statvfs(folder)
    except OSError:
        return None
    return disk.f_bavail * disk.f_frsize
