"""The central semaphore: how many sources are fetched at one time, and who may hold how much of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)

import trio


class Slots:
    """`total` slots, and places for half as many failing sources: one whose last poll failed takes a place before its
    slot, so that hosts that hang cannot starve the good ones. Once there are any, a quarter of the slots is for sources
    known to be prompt: what is new may hang, too. A source suspected of killing the process is polled while nothing
    else is.

    A `trio.CapacityLimiter` and no semaphore: its borrowers show in `statistics()`, and it can be resized.
    """

    def __init__(self, total: int) -> None:
        self._slots = trio.CapacityLimiter(total)
        self._failing = trio.CapacityLimiter(max(1, total // 2))
        self._unproven = trio.CapacityLimiter(total)
        self._reserved = False
        self._alone = trio.Lock()
        self._held_since: dict[object, float] = {}

    def resize(self, total: int) -> None:
        """Make it `total` slots from now on; what is held beyond that is given back as it ends."""
        self._slots.total_tokens = total
        self._failing.total_tokens = max(1, total // 2)
        self._limit_unproven()

    def reserve(self) -> None:
        """From now on there are prompt sources: keep a quarter of the slots for them."""
        if not self._reserved:
            self._reserved = True
            self._limit_unproven()

    def _limit_unproven(self) -> None:
        total = int(self._slots.total_tokens)
        self._unproven.total_tokens = total - total // 4 if self._reserved else total

    def try_failing_place(self, held: AsyncExitStack) -> bool:
        """Take one of the places for failing sources until `held` is left; False when all are taken."""
        holder = object()
        try:
            self._failing.acquire_on_behalf_of_nowait(holder)
        except trio.WouldBlock:
            return False
        held.callback(self._failing.release_on_behalf_of, holder)
        return True

    def failing_place(self) -> AbstractAsyncContextManager[None]:
        """Wait for one of the places for failing sources, and hold it inside the block."""
        return self._borrowed(self._failing)

    def try_hold(self, held: AsyncExitStack, *, prompt: bool) -> bool:
        """Hold a slot (any when `prompt`) until `held` is left, if one is free; False when none is."""
        holder = object()
        limiters = [self._slots] if prompt else [self._unproven, self._slots]
        with ExitStack() as taken:
            for limiter in limiters:
                try:
                    limiter.acquire_on_behalf_of_nowait(holder)
                except trio.WouldBlock:
                    return False
                taken.callback(limiter.release_on_behalf_of, holder)
            self._held_since[holder] = trio.current_time()
            taken.callback(self._held_since.pop, holder)
            held.callback(taken.pop_all().close)
        return True

    @asynccontextmanager
    async def hold(self, *, alone: bool, prompt: bool = True) -> AsyncIterator[None]:
        """Hold a slot (all of them when `alone`, any when `prompt`) inside the block; waits in order of arrival.

        Cancellation: while waiting nothing is held afterwards.
        """
        async with AsyncExitStack() as held:
            if alone:
                await held.enter_async_context(self._alone)
                for _ in range(int(self._slots.total_tokens)):
                    await held.enter_async_context(self._borrowed(self._slots))
            else:
                if not prompt:
                    await held.enter_async_context(self._unproven)
                await held.enter_async_context(self._slots)
            with self._noted():
                yield

    @contextmanager
    def _noted(self) -> Iterator[None]:
        holder = object()
        self._held_since[holder] = trio.current_time()
        try:
            yield
        finally:
            del self._held_since[holder]

    @staticmethod
    @asynccontextmanager
    async def _borrowed(limiter: trio.CapacityLimiter) -> AsyncIterator[None]:
        # A task may hold one token in its own name: the others are held in the name of this object.
        holder = object()
        await limiter.acquire_on_behalf_of(holder)
        try:
            yield
        finally:
            limiter.release_on_behalf_of(holder)

    @property
    def longest_held_seconds(self) -> float:
        """For how long the slot that is held longest has been held; 0 when none is."""
        now = trio.current_time()
        return now - next(iter(self._held_since.values()), now)

    @property
    def in_use(self) -> int:
        """How many slots are held now."""
        return int(self._slots.borrowed_tokens)

    @property
    def total(self) -> int:
        """How many slots there are."""
        return int(self._slots.total_tokens)
