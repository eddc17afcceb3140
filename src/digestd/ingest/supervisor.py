"""One restartable task per source: a bug in one of them is logged, and nobody else notices."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from digestd.feed.schedule import phase
from digestd.ingest.source import CRASHED, SourceLife, Surroundings
from digestd.metrics import Metrics
from digestd.model import SourceStatus

FIRST_RESTART_SECONDS = 1.0
LONGEST_RESTART_SECONDS = 300.0


class Supervisor:
    """Runs the lives of sources in a nursery, each with a cancel scope of its own."""

    def __init__(self, around: Surroundings, metrics: Metrics, interval_seconds: float) -> None:
        self._around = around
        self._metrics = metrics
        self.interval_seconds = interval_seconds
        self._lives: dict[int, tuple[SourceLife, trio.CancelScope]] = {}
        self._known: set[int] = set()

    @property
    def running(self) -> int:
        """How many sources have a task."""
        return len(self._lives)

    @property
    def enabled(self) -> int:
        """How many sources are to have one."""
        return len(self._known)

    def start(self, nursery: trio.Nursery, statuses: Sequence[SourceStatus]) -> None:
        """Start a task named "source NAME" in `nursery` for each of `statuses` but those that are paused as
        duplicates."""
        for status in statuses:
            if status.state != "duplicate":
                self._start(nursery, status, len(statuses))

    def follow(self, nursery: trio.Nursery, status: SourceStatus, *, pollable: bool) -> None:
        """Make the source of `status`, which has changed, run as it is now: start its task, in `nursery`, end it where
        it is not `pollable` any more, or let it know. Nobody else's task is touched."""
        source_id = status.source.id
        life, scope = self._lives.get(source_id, (None, None))
        if not pollable:
            self._known.discard(source_id)
            self._metrics.forget(status.source.name if life is None else life.name)
            if status.state == "duplicate" and status.source.spec.enabled:
                self._metrics.source_state(status.source.name, status.state)
            if life is not None and scope is not None:
                # Its end may take a moment: enabled again meanwhile, the source gets a task of its own.
                del self._lives[source_id]
                life.leave()
                scope.cancel()
        elif life is None:
            self._metrics.source_state(status.source.name, status.state)
            self._start(nursery, status, 1)
        else:
            if life.name != status.source.name:
                self._metrics.renamed(life.name, status.source.name)
            life.update(status)

    def _start(self, nursery: trio.Nursery, status: SourceStatus, count: int) -> None:
        life = SourceLife(status, self._around)
        self._known.add(status.source.id)
        self._lives[status.source.id] = (life, scope := trio.CancelScope())
        delay = self._first_delay(status, count)
        nursery.start_soon(self._run, status.source.id, life, scope, delay, name=f"source {life.name}")

    def _first_delay(self, status: SourceStatus, count: int) -> float:
        spec = status.source.spec
        interval = spec.interval_seconds if spec.interval_seconds is not None else self.interval_seconds
        due = status.due_in_seconds
        return due if due is not None and due > 0 else phase(spec.name, interval, count)

    async def _run(
        self, source_id: int, life: SourceLife, scope: trio.CancelScope, first_delay: float
    ) -> None:
        """Run `life` until it ends by itself or `scope` is cancelled, restarting it after a bug: at first after a
        second, then ever later, until a poll has gone well again.

        Error handling: every exception of `life` is a bug by then; it is logged (see :class:`digestd.log.Crashes`) and
        never escapes.
        """
        # One frame: 100,000 of them are kept while all sleep.
        crashes = 0
        with scope:
            try:
                delay: float | None = first_delay
                while delay is not None:
                    good_polls, bug = life.good_polls, None
                    try:
                        await life.run(delay)
                    # The border round one source: Cancelled, which may stand beside a bug in one group, goes its own
                    # way.
                    except* Exception as group:  # noqa: BLE001 - see above
                        bug = group
                    if bug is None:
                        return
                    crashes = crashes + 1 if life.good_polls == good_polls else 1
                    delay = await self._restart_delay(life, bug, crashes)
            finally:
                # A successor may have its place already.
                if self._lives.get(source_id, (None, None))[0] is life:
                    del self._lives[source_id]
                    life.leave()

    async def _restart_delay(
        self, life: SourceLife, bug: BaseExceptionGroup[Exception], crashes: int
    ) -> float | None:
        """Log `bug`, so many in a row, and wait until `life` may go on; None when shutdown came first."""
        seconds = min(LONGEST_RESTART_SECONDS, FIRST_RESTART_SECONDS * 2.0 ** min(crashes - 1, 16))
        self._metrics.restarts += 1
        self._around.crashes.tell(
            CRASHED,
            bug,
            subject=life.subject,
            now=trio.current_time(),
            source=life.name,
            crashes=crashes,
            restart_in_seconds=seconds,
        )
        with self._around.shutdown.idle() as idle:
            await trio.sleep(seconds)
        return None if idle.cancelled_caught else 0.0
