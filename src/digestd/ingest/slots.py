"""The central semaphore: how many sources are fetched at one time, and who may hold how much of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio


class Slot:
    """What one poll holds of the limiters, until :meth:`leave`."""

    __slots__ = ("_borrowed", "_held_since")

    def __init__(self, held_since: dict[Slot, float]) -> None:
        # A task may hold one token in its own name: these are held in the names of objects.
        self._borrowed: list[tuple[trio.CapacityLimiter, object]] = []
        self._held_since = held_since

    def leave(self) -> None:
        """Give it back."""
        self._held_since.pop(self, None)
        for limiter, holder in reversed(self._borrowed):
            limiter.release_on_behalf_of(holder)

    def try_take(self, limiters: Sequence[trio.CapacityLimiter]) -> bool:
        """Take one of each of `limiters`, if they are free; otherwise nothing, and say False."""
        try:
            for limiter in limiters:
                holder = object()
                limiter.acquire_on_behalf_of_nowait(holder)
                self._borrowed.append((limiter, holder))
        except trio.WouldBlock:
            self.leave()
            return False
        return True

    async def take(self, limiters: Sequence[trio.CapacityLimiter]) -> None:
        """Wait for one of each of `limiters`, in their order. Cancellation: nothing is held then."""
        try:
            for limiter in limiters:
                holder = object()
                await limiter.acquire_on_behalf_of(holder)
                self._borrowed.append((limiter, holder))
        except BaseException:
            self.leave()
            raise

    def note(self) -> None:
        """It is held from now on."""
        self._held_since[self] = trio.current_time()


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
        self._alone = trio.CapacityLimiter(1)
        self._held_since: dict[Slot, float] = {}

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

    def try_failing_place(self) -> Slot | None:
        """One of the places for failing sources; None when all are taken."""
        place = Slot(self._held_since)
        return place if place.try_take([self._failing]) else None

    async def failing_place(self) -> Slot:
        """Wait for one of the places for failing sources."""
        place = Slot(self._held_since)
        await place.take([self._failing])
        return place

    def try_take(self, *, prompt: bool) -> Slot | None:
        """A slot (any when `prompt`), if one is free; None when none is."""
        slot = Slot(self._held_since)
        if not slot.try_take([self._slots] if prompt else [self._unproven, self._slots]):
            return None
        slot.note()
        return slot

    async def take(self, *, alone: bool, prompt: bool = True) -> Slot:
        """Wait for a slot (all of them when `alone`, any when `prompt`), in order of arrival.

        Cancellation: nothing is held then.
        """
        slot = Slot(self._held_since)
        if alone:
            await slot.take([self._alone, *[self._slots] * int(self._slots.total_tokens)])
        else:
            await slot.take([self._slots] if prompt else [self._unproven, self._slots])
        slot.note()
        return slot

    @asynccontextmanager
    async def hold(self, *, alone: bool, prompt: bool = True) -> AsyncIterator[None]:
        """Hold what :meth:`take` gives inside the block."""
        slot = await self.take(alone=alone, prompt=prompt)
        try:
            yield
        finally:
            slot.leave()

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
