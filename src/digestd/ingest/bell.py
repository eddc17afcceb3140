"""A bell that one task listens to and any may ring."""

from __future__ import annotations

import trio


class Bell:
    """Wakes the task that waits for it, once, however often it was rung since that task last woke."""

    def __init__(self) -> None:
        self._rung = trio.Event()

    def ring(self) -> None:
        """Wake who waits, or who waits next."""
        self._rung.set()

    async def heard(self, seconds: float) -> None:
        """Wait until it is rung, at most `seconds`. Cancellation: a ring that was not heard stays."""
        with trio.move_on_after(seconds):
            await self._rung.wait()
            self._rung = trio.Event()
