"""Names to addresses, by the system's resolver in threads: names that hang are kept apart from all others."""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias, cast

import trio

from digestd.errors import ResolverBusy

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the IP addresses (as text) of a host for a port. Raises `OSError` as `socket.getaddrinfo` does, and
`trio.TooSlowError` where that takes too long."""

THREADS = 32
"""For names that answer, and as many again for names that do not."""
HANGING_SECONDS = 2.0
"""A name that takes longer is one that hangs, until it has answered in time."""
QUEUE_SECONDS = 8.0
BUSY_RETRY_SECONDS = 15.0
_MOST_REMEMBERED = 10_000


class ThreadResolver:
    """Looks names up in threads that nothing else uses.

    A name whose servers do not answer holds its thread for many seconds, whoever still waits for it. Such names have
    threads of their own: one that hangs moves there, and begins there the next time. So they cannot use up the threads
    of names that answer.
    """

    def __init__(self, seconds: float, ask: Callable[[str, int], Sequence[str]] | None = None) -> None:
        """A lookup may take `seconds`, from when its thread begins; `ask` replaces the system's resolver."""
        self._seconds = seconds
        self._ask = ask or _addresses
        self._answering = trio.CapacityLimiter(THREADS)
        self._hanging = trio.CapacityLimiter(THREADS)
        self._hung: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """See :data:`Resolver`; :class:`~digestd.errors.ResolverBusy` when no thread becomes free.

        Cancellation: returns at once, and the thread ends by itself.
        """
        place = _Place(self._hanging if host in self._hung else self._answering)
        with trio.move_on_after(QUEUE_SECONDS) as waiting:
            await place.take()
        if waiting.cancelled_caught:
            message = (
                f"{host} cannot be looked up just now: other names keep every thread busy; polled again soon"
            )
            raise ResolverBusy(message, retry_after=BUSY_RETRY_SECONDS)
        try:
            return await self._looked_up(host, port, place)
        finally:
            place.leave_unless_running()

    async def _looked_up(self, host: str, port: int, place: _Place) -> Sequence[str]:
        error: Exception | None = None
        found: Sequence[str] = ()
        began = trio.current_time()
        with trio.fail_after(self._seconds):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._move_if_hanging, host, place)
                try:
                    found = await trio.to_thread.run_sync(
                        self._ask, host, port, abandon_on_cancel=True, limiter=place.as_limiter()
                    )
                # What the resolver raises is the caller's; out of the nursery it would come in a group.
                except (OSError, UnicodeError) as raised:
                    error = raised
                nursery.cancel_scope.cancel()
        if trio.current_time() - began < HANGING_SECONDS:
            self._hung.pop(host, None)
        if error is not None:
            raise error
        return found

    async def _move_if_hanging(self, host: str, place: _Place) -> None:
        await trio.sleep(HANGING_SECONDS)
        self._hung[host] = None
        self._hung.move_to_end(host)
        if len(self._hung) > _MOST_REMEMBERED:
            self._hung.popitem(last=False)
        place.move(self._hanging)


class _Place:
    """One thread's place in a lane, which can change while it runs."""

    def __init__(self, lane: trio.CapacityLimiter) -> None:
        self._lane = lane
        self._running = False

    async def take(self) -> None:
        """Wait for the place."""
        await self._lane.acquire_on_behalf_of(self)

    def move(self, lane: trio.CapacityLimiter) -> None:
        """Change over to `lane`, if it has room and is another one."""
        if lane is self._lane:
            return
        try:
            lane.acquire_on_behalf_of_nowait(self)
        except trio.WouldBlock:
            return
        self._lane.release_on_behalf_of(self)
        self._lane = lane

    def leave_unless_running(self) -> None:
        """Leave the place if no thread ever began in it."""
        if not self._running:
            self._lane.release_on_behalf_of(self)

    def as_limiter(self) -> trio.CapacityLimiter:
        """What `trio.to_thread.run_sync` releases when the thread ends, though nobody waits for it any more."""
        return cast(trio.CapacityLimiter, self)

    async def acquire_on_behalf_of(self, _: object) -> None:
        """The thread begins; its place was taken before."""
        self._running = True

    def release_on_behalf_of(self, _: object) -> None:
        """The thread has ended."""
        self._lane.release_on_behalf_of(self)


def _addresses(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
