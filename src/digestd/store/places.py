"""The threads in which calls of one database run: few of them, waited for with a bound, and counted.

They are our own: Trio's cost three times as much to get to, at every call.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import trio

from digestd.errors import StoreUnavailable
from digestd.log import get_logger
from digestd.metrics import StoreCall, StoreCalls
from digestd.repeats import Seldom

WAIT_SECONDS = 20.0
"""How long a call waits for a place. Longer than any single statement may take."""
_SLOW_SECONDS = 5.0

_Result = TypeVar("_Result")


class Job:
    """One call on its way through a thread and back: what came of `work` is its `result`, or its `error`."""

    __slots__ = ("_context", "_token", "call", "ended", "error", "result", "work")

    def __init__(self, work: Callable[[], Any], ended: Callable[[Job], None] | None = None) -> None:
        self.work = work
        self.ended = ended
        self.call = StoreCall(time.perf_counter())
        self.result: Any = None
        self.error: BaseException | None = None
        self._context = contextvars.copy_context()
        self._token = trio.lowlevel.current_trio_token()

    def run(self, finished: Callable[[Job], None]) -> None:
        """Do the work, in a thread, and say so in Trio's."""
        self.call.began = time.perf_counter()
        try:
            self.result = self._context.run(self.work)
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self.error = error
        # Nobody is there any more where the process ends without waiting.
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(finished, self)


class Places:
    """As many places as `count`, one to a connection; how calls fare is kept in `calls`.

    Resource handling: :meth:`close` ends the threads, each after what it has in hand.
    """

    def __init__(self, count: int, calls: StoreCalls) -> None:
        self._limiter = trio.CapacityLimiter(count)
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = 0
        self._calls = calls
        calls.connections = count
        self._telling = Seldom(longest=3_600.0, calm=3_600.0)

    @property
    def taken(self) -> int:
        """How many places are taken, also by calls that nobody waits for any more."""
        return self._limiter.borrowed_tokens

    def close(self) -> None:
        """Let every thread end."""
        for _ in range(self._threads):
            self._jobs.put(None)
        self._threads = 0

    async def run(self, work: Callable[[], _Result], *, abandon_on_cancel: bool = False) -> _Result:
        """Do `work` in a thread, and give what it returns or raises.

        Error handling: :class:`~digestd.errors.StoreUnavailable` when no place was free for :data:`WAIT_SECONDS`.
        Cancellation: before `work` has begun, it never happens. After that the caller waits for its end, or with
        `abandon_on_cancel` leaves it alone; the place is taken until the thread is done.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        job = Job(work)
        await self.do(job, abandon_on_cancel=abandon_on_cancel)
        if job.error is not None:
            raise job.error
        result: _Result = job.result
        return result

    def start(self, work: Callable[[], Any], ended: Callable[[Job], None]) -> bool:
        """Do `work` in a thread if a place is free, and say whether one is. Trio's thread then calls `ended`, which
        must not raise, when it is done."""

        def heard(job: Job) -> None:
            self._ended(job.call)
            ended(job)

        job = Job(work, heard)
        if not self._took(job):
            return False
        self._calls.open.add(job.call)
        try:
            self._put(job)
        except BaseException:
            self._ended(job.call)
            raise
        return True

    async def do(self, job: Job, *, abandon_on_cancel: bool = False) -> None:
        """Do `job` in a thread, as :meth:`run` does; what its work raises stands in `job`."""
        self._calls.open.add(job.call)
        try:
            placed = self._took(job)
            if placed and not abandon_on_cancel:
                await self._done(job, abandon_on_cancel=False)
            else:
                await self._wait(job, placed=placed, abandon_on_cancel=abandon_on_cancel)
        except StoreUnavailable as error:
            job.error = error
        finally:
            self._ended(job.call)

    async def _wait(self, job: Job, *, placed: bool, abandon_on_cancel: bool) -> None:
        """Get a place for `job`, unless it is `placed`, and have it done."""
        # Work that has begun is not cut short by it, unless it may be left alone: only the line has this bound.
        with trio.move_on_after(WAIT_SECONDS):
            if not placed:
                await self._limiter.acquire_on_behalf_of(job)
            await self._done(job, abandon_on_cancel=abandon_on_cancel)
            return
        raise StoreUnavailable(
            f"all {self._limiter.total_tokens} connections to the database have been busy for {WAIT_SECONDS:g} s: "
            "it is slow, or database.pool_size is too low"
        )

    def _took(self, job: Job) -> bool:
        try:
            self._limiter.acquire_on_behalf_of_nowait(job)
        except trio.WouldBlock:
            return False
        return True

    async def _done(self, job: Job, *, abandon_on_cancel: bool) -> None:
        """Have a thread do `job`, which has its place, and wait for it."""
        task = trio.lowlevel.current_task()
        job.ended = lambda _: trio.lowlevel.reschedule(task)
        self._put(job)

        def abort(_: object) -> trio.lowlevel.Abort:
            if not abandon_on_cancel:
                return trio.lowlevel.Abort.FAILED
            job.ended = None
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def _put(self, job: Job) -> None:
        """Hand `job`, which has its place, to a thread."""
        if self._limiter.borrowed_tokens > self._threads:
            try:
                self._add_thread()
            except BaseException:
                self._limiter.release_on_behalf_of(job)
                raise
        self._jobs.put(job)

    def _add_thread(self) -> None:
        """Start one more, or leave it to those there are where the system has none for us."""
        try:
            Thread(target=self._work, name="digestd store", daemon=True).start()
        except RuntimeError as error:
            if self._threads:
                return
            message = (
                f"no thread can be started for the database ({error}): raise the limit on tasks or memory"
            )
            raise StoreUnavailable(message) from error
        self._threads += 1

    def _finished(self, job: Job) -> None:
        self._limiter.release_on_behalf_of(job)
        if job.ended is not None:
            job.ended(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run(self._finished)
            # It would be kept until the next one comes.
            del job

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
