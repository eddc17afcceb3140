"""Wakes very many tasks, each at its own moment. A cancel scope for each of them would take 800 bytes for as long as it
sleeps, and throw an exception through all of its frames to end it."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Iterator
from heapq import heappop, heappush
from itertools import count

import trio
from trio.lowlevel import Abort, Task


class _Sleep(tuple[float, int, Task]):
    """The moment when a task is to be woken, which of all sleeps this is, and the task, whose `custom_sleep_data` this
    is until it is woken: what Trio's own contract says of that attribute tells whether it still sleeps."""

    __slots__ = ()

    def is_on(self) -> bool:
        return self[2].custom_sleep_data is self


class Alarm:
    """Sleeps of the tasks of one `trio.run`. The task that ends them is Trio's (a system task), and ends with it."""

    def __init__(self) -> None:
        # A heap. Sleeps that ended before their moment stay until then.
        self._sleeps: list[_Sleep] = []
        self._numbers: Iterator[int] = count()
        self._waiting: trio.CancelScope | None = None

    @property
    def asleep(self) -> int:
        """How many tasks sleep, for statistics: looks at all of them."""
        return sum(sleep.is_on() for sleep in self._sleeps)

    def sleep_until(self, moment: float) -> Awaitable[object]:
        """Sleep until `moment` (of `trio.current_time`), or until the task is woken (:meth:`wake`, :meth:`wake_some`).
        It is the calling task that sleeps, and what this gives is to be awaited at once: so no frame of ours is kept
        meanwhile.

        Cancellation: at any moment; always a checkpoint.
        """
        if moment <= trio.current_time():
            return trio.lowlevel.checkpoint()  # noqa: ASYNC105 - by the caller
        task = trio.lowlevel.current_task()
        task.custom_sleep_data = sleep = _Sleep((moment, next(self._numbers), task))
        heappush(self._sleeps, sleep)
        if self._sleeps[0] is sleep:
            self._set()
        return trio.lowlevel.wait_task_rescheduled(_give_up)  # noqa: ASYNC105 - by the caller

    def wake(self, task: Task) -> None:
        """End the sleep of `task`, if it sleeps here."""
        if isinstance(task.custom_sleep_data, _Sleep):
            trio.lowlevel.reschedule(task)

    def wake_some(self, most: int) -> bool:
        """End the sleeps of at most `most` tasks, and say whether others may sleep."""
        while self._sleeps and most > 0:
            # The last of a heap can go without any other one moving.
            sleep = self._sleeps.pop()
            if sleep.is_on():
                most -= 1
                trio.lowlevel.reschedule(sleep[2])
        return bool(self._sleeps)

    def _set(self) -> None:
        if self._waiting is None:
            self._waiting = trio.CancelScope()
            trio.lowlevel.spawn_system_task(self._ring, name="alarm")
        else:
            self._waiting.deadline = self._sleeps[0][0]

    async def _ring(self) -> None:
        while True:
            now = trio.current_time()
            while self._sleeps and self._sleeps[0][0] <= now:
                sleep = heappop(self._sleeps)
                if sleep.is_on():
                    trio.lowlevel.reschedule(sleep[2])
            due = self._sleeps[0][0] if self._sleeps else math.inf
            with trio.CancelScope(deadline=due) as self._waiting:
                await trio.sleep_forever()


def _give_up(_: object) -> Abort:
    return Abort.SUCCEEDED
