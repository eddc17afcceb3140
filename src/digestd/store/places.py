"""The threads in which calls of one database run: few of them, waited for with a bound, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import trio

from digestd.errors import StoreUnavailable
from digestd.log import get_logger
from digestd.metrics import StoreCall, StoreCalls
from digestd.repeats import Seldom

WAIT_SECONDS = 20.0
"""How long a call waits for a place. Longer than any single statement may take."""
_SLOW_SECONDS = 5.0

_Result = TypeVar("_Result")


class Places:
    """As many places as `count`, one to a connection; how calls fare is kept in `calls`."""

    def __init__(self, count: int, calls: StoreCalls) -> None:
        self._limiter = trio.CapacityLimiter(count)
        self._calls = calls
        calls.connections = count
        self._telling = Seldom(longest=3_600.0, calm=3_600.0)

    @property
    def taken(self) -> int:
        """How many places are taken, also by calls that nobody waits for any more."""
        return self._limiter.borrowed_tokens

    async def run(self, work: Callable[[], _Result], *, abandon_on_cancel: bool = False) -> _Result:
        """Do `work` in a thread, and give what it returns or raises.

        Error handling: :class:`~digestd.errors.StoreUnavailable` when no place was free for :data:`WAIT_SECONDS`.
        Cancellation: before `work` has begun, it never happens. After that the caller waits for its end, or with
        `abandon_on_cancel` leaves it alone; the place is taken until the thread is done.
        """
        call = StoreCall(time.perf_counter())
        self._calls.open.add(call)

        def begun() -> _Result:
            call.began = time.perf_counter()
            return work()

        try:
            # Work that has begun is not cut short by it: only the line has this bound.
            with trio.move_on_after(WAIT_SECONDS):
                return await trio.to_thread.run_sync(
                    begun, abandon_on_cancel=abandon_on_cancel, limiter=self._limiter
                )
            raise StoreUnavailable(
                f"all {self._limiter.total_tokens} connections to the database have been busy for {WAIT_SECONDS:g} s: "
                "it is slow, or database.pool_size is too low"
            )
        finally:
            self._ended(call)

    def _ended(self, call: StoreCall) -> None:
        waited, took = self._calls.end(call, time.perf_counter())
        if waited + took < _SLOW_SECONDS:
            return
        self._calls.slow += 1
        if self._telling.is_due(trio.current_time()):
            get_logger().warning(
                "worker.store.slow",
                waited_seconds=round(waited, 3),
                took_seconds=round(took, 3),
                calls_waiting=self._calls.waiting,
                calls_running=self._calls.running,
                remedy="look at the database's load and locks; where it is idle, raise database.pool_size",
            )
