"""What APIs cost in a day, kept in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import trio

from digestd.feed.budget import Bought, Exhausted, Expense, Limits
from digestd.ingest.budgets import OwnBudgets


class MemoryBudgets(OwnBudgets):
    """Keeps the `Budgets` protocol by the clock `now`; `accounts` are for tests to look into. `reach` is called first,
    and may raise."""

    def __init__(
        self, now: Callable[[], datetime], reach: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    ) -> None:
        super().__init__(now)
        self._reach = reach

    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        """See `Budgets.buy`."""
        await self._reach()
        return await super().buy(key, expense, limits)

    async def settle(self, bought: Bought, actual: Expense) -> None:
        """See `Budgets.settle`."""
        await self._reach()
        await super().settle(bought, actual)

    async def close(self, key: str, seconds: float, because: str) -> None:
        """See `Budgets.close`."""
        await self._reach()
        await super().close(key, seconds, because)
