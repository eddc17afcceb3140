"""Signals as data: what the first, the second and the third one mean."""

from __future__ import annotations

import contextlib
import math
import os
import signal
from collections.abc import Iterator

import trio

from digestd.errors import DigestdError
from digestd.ingest.shutdown import Shutdown
from digestd.log import get_logger


class Ending:
    """The end of a run: begun by the first SIGTERM or SIGINT, hurried by the second.

    `hurry` is the scope round all work; `grace_seconds` is how long polls in flight may take once it has begun.
    `reload_asked` is set by SIGHUP; who acts on it puts a new event there.
    """

    def __init__(self, grace_seconds: float) -> None:
        self.shutdown = Shutdown()
        self.hurry = trio.CancelScope()
        self.grace_seconds = grace_seconds
        self.reload_asked = trio.Event()
        self._bounded = math.inf

    async def watch(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Act on signals until cancelled. One task holds the receiver for the whole run: leaving it after the first
        signal would turn the second into a traceback."""
        seen = 0
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as received:
            task_status.started()
            async for number in received:
                if number == signal.SIGHUP:
                    self.reload_asked.set()
                    continue
                seen += 1
                self._act(seen, signal.Signals(number))

    def _act(self, seen: int, number: signal.Signals) -> None:
        if seen == 1:
            get_logger().info("worker.stopping", message="shutting down gracefully", signal=number.name)
            self.shutdown.begin()
        elif seen == 2:
            get_logger().warning(
                "worker.stopping", message="cancelling what is in flight", signal=number.name
            )
            self.hurry.cancel()
        else:
            os._exit(128 + number)

    async def bound_by_grace(self, scope: trio.CancelScope) -> None:
        """Once the end has begun, give `scope` no more than the grace period."""
        await self.shutdown.begun.wait()
        self._bounded = trio.current_time() + self.grace_seconds
        scope.deadline = min(scope.deadline, self._bounded)

    def tell_if_cut_off(self) -> None:
        """Log when the grace period was not enough: a cut-off end must not look like a clean one."""
        if trio.current_time() >= self._bounded:
            get_logger().warning(
                "worker.cut_off", grace_seconds=self.grace_seconds, effect="polled again at the next start"
            )


@contextlib.contextmanager
def expected_alone() -> Iterator[None]:
    """Nurseries wrap what escapes them in groups: hand an expected failure on as itself, a bug as it came."""
    expected: BaseException | None = None
    try:
        yield
    except* DigestdError as group:
        expected = group
    while isinstance(expected, BaseExceptionGroup):
        expected = expected.exceptions[0]
    if expected is not None:
        raise expected
