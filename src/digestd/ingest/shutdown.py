"""How a run ends: whoever only waits leaves at once, whoever works may finish."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Iterator
from itertools import islice

import trio

from digestd.ingest.alarm import Alarm

_AT_ONE_TIME = 500


class Shutdown:
    """Tells waiting from working, so that the first signal ends the one and spares the other.

    `begun` is set from the moment no new poll may start.
    """

    def __init__(self) -> None:
        self.begun = trio.Event()
        self._idle: set[trio.CancelScope] = set()
        self._alarm = Alarm()

    @contextlib.contextmanager
    def idle(self) -> Iterator[trio.CancelScope]:
        """A cancel scope for waiting without work in hand; after the block, `cancelled_caught` means: leave."""
        scope = trio.CancelScope()
        if self.begun.is_set():
            scope.cancel()
        self._idle.add(scope)
        try:
            with scope:
                yield scope
        finally:
            self._idle.discard(scope)

    def sleep_until(self, moment: float) -> Awaitable[object]:
        """Sleep until `moment`, until :meth:`wake`, or until no new poll may start; for very many tasks at one time.
        To be awaited at once, see :meth:`digestd.ingest.alarm.Alarm.sleep_until`. Cancellation: at any moment."""
        return self._alarm.sleep_until(-math.inf if self.begun.is_set() else moment)

    def wake(self, task: trio.lowlevel.Task) -> None:
        """End the sleep of `task`, if it sleeps by :meth:`sleep_until`."""
        self._alarm.wake(task)

    def begin(self) -> None:
        """Cancel every idle scope and end every sleep, now and from now on. To be called within `trio.run`.

        Of very many the later ones hear of it a little later: whoever is at work goes on meanwhile, and the exceptions
        of all of them are never there at one time.
        """
        self.begun.set()
        if self._tell_some():
            trio.lowlevel.spawn_system_task(self._tell_others, name="shutdown of those who wait")

    def _tell_some(self) -> bool:
        """Let a few leave, and say whether there are others."""
        some = list(islice(self._idle, _AT_ONE_TIME))
        self._idle.difference_update(some)
        for scope in some:
            scope.cancel()
        others_sleep = self._alarm.wake_some(_AT_ONE_TIME - len(some))
        return bool(self._idle) or others_sleep

    async def _tell_others(self) -> None:
        others = True
        while others:
            # Those who were told leave first.
            await trio.lowlevel.checkpoint()
            others = self._tell_some()
