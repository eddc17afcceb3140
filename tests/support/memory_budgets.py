"""What APIs cost in a day, kept in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

import trio

from digestd.feed import budget
from digestd.feed.budget import Account, Bought, Exhausted, Expense, Limits


class MemoryBudgets:
    """Keeps the `Budgets` protocol by the clock `now`; `accounts` are for tests to look into. `reach` is called first,
    and may raise."""

    def __init__(
        self, now: Callable[[], datetime], reach: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    ) -> None:
        self.accounts: dict[str, Account] = {}
        self._now = now
        self._reach = reach

    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        """See `Budgets.buy`."""
        await self._reach()
        answer = budget.buy(self.accounts.get(key), key, expense, limits, self._now())
        if isinstance(answer, Exhausted):
            return answer
        self.accounts[key], bought = answer
        return bought

    async def settle(self, bought: Bought, actual: Expense) -> None:
        """See `Budgets.settle`."""
        await self._reach()
        account = self.accounts.get(bought.key)
        if account is not None:
            self.accounts[bought.key] = budget.settle(account, bought, actual)

    async def close(self, key: str, seconds: float, because: str) -> None:
        """See `Budgets.close`."""
        await self._reach()
        self.accounts[key] = budget.close(self.accounts.get(key), seconds, because, self._now())
