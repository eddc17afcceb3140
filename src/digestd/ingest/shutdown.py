"""How a run ends: whoever only waits leaves at once, whoever works may finish."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice

import trio

_AT_ONE_TIME = 500


class Shutdown:
    """Tells waiting from working, so that the first signal ends the one and spares the other.

    `begun` is set from the moment no new poll may start.
    """

    def __init__(self) -> None:
        self.begun = trio.Event()
        self._idle: set[trio.CancelScope] = set()

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

    async def idle_until(self, moment: float, waiting: Callable[[], Awaitable[None]]) -> None:
        """Do `waiting`, at most until `moment`, or until no new poll may start."""
        scope = trio.CancelScope(deadline=-math.inf if self.begun.is_set() else moment)
        self._idle.add(scope)
        try:
            with scope:
                await waiting()
        finally:
            self._idle.discard(scope)

    def begin(self) -> None:
        """Cancel every idle scope, now and from now on. To be called within `trio.run`.

        Of very many the later ones hear of it a little later: whoever is at work goes on meanwhile, and the exceptions
        of all of them are never there at one time.
        """
        self.begun.set()
        if self._cancel_some():
            trio.lowlevel.spawn_system_task(self._cancel_others, name="shutdown of those who wait")

    def _cancel_some(self) -> bool:
        """Cancel a few scopes, and say whether there are others."""
        some = list(islice(self._idle, _AT_ONE_TIME))
        self._idle.difference_update(some)
        for scope in some:
            scope.cancel()
        return bool(self._idle)

    async def _cancel_others(self) -> None:
        while self._idle:
            # Those who were told leave first.
            await trio.lowlevel.checkpoint()
            self._cancel_some()
