"""What is remembered of one host that takes turns, and when its next poll may start."""

from __future__ import annotations

import trio

from digestd.errors import HostPaused
from digestd.ingest.throttling import TRICKLE_SPACING_SECONDS, Throttling

_NEVER = float("-inf")


class HostRecord:
    """One host. `places` are its turns, `starting` is held from the wait for a start to the start, `polling` counts the
    turns that have started, and who waits for one of them to end is parked in `ended`; `users` have any part in it.

    Starts are `delay_seconds` apart, `asked_seconds` where the host asked for more, and none is before `not_before`.
    """

    __slots__ = (
        "asked_seconds",
        "delay_seconds",
        "ended",
        "last_start",
        "not_before",
        "places",
        "polling",
        "starting",
        "throttling",
        "users",
    )

    def __init__(self, concurrency: int, delay_seconds: float) -> None:
        self.delay_seconds = delay_seconds
        self.asked_seconds = 0.0
        self.last_start = _NEVER
        self.not_before = _NEVER
        self.throttling: Throttling | None = None
        self.polling = 0
        self.ended = trio.lowlevel.ParkingLot()
        self.places = trio.Semaphore(concurrency)
        self.starting = trio.Lock()
        self.users = 0

    @property
    def paused_until(self) -> float:
        """Until when, by Trio's clock, there is no start at all; long ago when nobody asked for that."""
        return _NEVER if self.throttling is None else self.throttling.paused_until

    def spacing_after(self, start: float) -> float:
        """How many seconds after a `start`, the last one or one now, the next one is."""
        spacing = max(self.delay_seconds, self.asked_seconds)
        return max(spacing, TRICKLE_SPACING_SECONDS) if self._trickled(start) else spacing

    def due_at(self) -> float:
        """When the next poll may start, as far as time decides it."""
        return max(self.last_start + self.spacing_after(self.last_start), self.not_before, self.paused_until)

    def may_start(self, now: float) -> bool:
        """Whether a poll may start without waiting for anything."""
        if self.places.value == 0 or self.starting.locked() or self.due_at() > now:
            return False
        return not (self.polling and self._trickled(now))

    def is_idle(self, now: float) -> bool:
        """Whether it may be forgotten: a new record would make nobody start sooner."""
        if self.throttling is not None and not self.throttling.is_over(now):
            return False
        return self.users == 0 and self.due_at() <= now

    async def wait_until_due(self, longest_pause: float) -> None:
        """Wait until a poll may start: for its time, and in a trickle for the poll before it to end.

        Error handling: :class:`~digestd.errors.HostPaused` when a pause or a trickle takes, or comes to take, more than
        `longest_pause` seconds. Cancellation: may be cancelled at any moment.
        """
        # A pause or a redirect may put the start off while we sleep.
        while True:
            now = trio.current_time()
            if (due_at := self.due_at()) > now:
                held_back = (due_at if self._trickled(self.last_start) else self.paused_until) - now
                if held_back > longest_pause:
                    message = f"the host wants to be left alone for {held_back:.0f} s"
                    raise HostPaused(message, retry_after=held_back)
                # A poll that ends may have ended the trickle, too.
                with trio.move_on_at(due_at):
                    await self.ended.park()
            elif self.polling and self._trickled(now):
                await self.ended.park()
            else:
                return

    def _trickled(self, start: float) -> bool:
        return self.throttling is not None and self.throttling.trickles(start)
