"""Large bodies are few at one time: what is large is held in memory until its reader, another process, is free."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar

import trio

from digestd.errors import BodiesBusy

LARGE_BYTES = 1024 * 1024
"""A body that passes this size, decoded, needs a place."""
PLACES = 3
WAIT_SECONDS = 2.0
"""Who waits holds a slot, which others can use."""
BUSY_RETRY_SECONDS = 10.0


class LargeBodies:
    """`places` for bodies over a megabyte, which are held by the steps that read them.

    A source that drips, or a parser that is slow, keeps its place; whoever finds none free for `WAIT_SECONDS` is put
    off. Small bodies never wait.
    """

    def __init__(self, places: int = PLACES) -> None:
        self._places = trio.CapacityLimiter(places)

    def step(self) -> AbstractAsyncContextManager[None]:
        """What is read within the block, by :func:`place`, shares one of the places until the block ends."""
        return _Step(self._places)


class _Step(AbstractAsyncContextManager[None]):
    def __init__(self, places: trio.CapacityLimiter) -> None:
        self._places = places
        self._has_place = False

    async def __aenter__(self) -> None:
        self._token = _current.set(self)

    async def __aexit__(self, *_: object) -> None:
        _current.reset(self._token)
        if self._has_place:
            self._places.release_on_behalf_of(self)

    async def take(self) -> None:
        if self._has_place:
            return
        with trio.move_on_after(WAIT_SECONDS) as waiting:
            await self._places.acquire_on_behalf_of(self)
        if waiting.cancelled_caught:
            message = f"{int(self._places.total_tokens)} other large documents have been in hand for {WAIT_SECONDS:g} s"
            raise BodiesBusy(f"{message}; polled again soon", retry_after=BUSY_RETRY_SECONDS)
        self._has_place = True


# It goes down to the body's reader through kinds of third parties, who need not know of it.
_current: ContextVar[_Step | None] = ContextVar("digestd_large_bodies", default=None)


async def place() -> None:
    """Take a place for a large body, for the rest of the step; outside of one there is nothing to take.

    Error handling: :class:`~digestd.errors.BodiesBusy` when none became free. Cancellation: no place is held.
    """
    step = _current.get()
    if step is not None:
        await step.take()
