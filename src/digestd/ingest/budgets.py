"""What APIs may cost in a day, as kinds are lent it: counted in the database that all processes share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

import trio

from digestd.errors import StoreUnavailable, Uncounted
from digestd.feed import budget
from digestd.feed.budget import Account, Bought, Exhausted, Expense, Limits
from digestd.store import Budgets

RETRY_SECONDS = 60.0
"""After how long who could not be told is asked again."""


class OwnBudgets:
    """An implementation of :class:`digestd.kinds.Budgets` for who shares them with nobody, by the clock `now`, and
    for as long as it lives."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.accounts: dict[str, Account] = {}
        self._now = now

    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        """See :meth:`digestd.kinds.Budgets.buy`."""
        await trio.lowlevel.checkpoint()
        answer = budget.buy(self.accounts.get(key), key, expense, limits, self._now())
        if isinstance(answer, Exhausted):
            return answer
        self.accounts[key], bought = answer
        return bought

    async def settle(self, bought: Bought, actual: Expense) -> None:
        """See :meth:`digestd.kinds.Budgets.settle`."""
        await trio.lowlevel.checkpoint()
        account = self.accounts.get(bought.key)
        if account is not None:
            self.accounts[bought.key] = budget.settle(account, bought, actual)

    async def close(self, key: str, seconds: float, because: str) -> None:
        """See :meth:`digestd.kinds.Budgets.close`."""
        await trio.lowlevel.checkpoint()
        self.accounts[key] = budget.close(self.accounts.get(key), seconds, because, self._now())


class SharedBudgets:
    """An implementation of :class:`digestd.kinds.Budgets` over those of the store."""

    def __init__(self, budgets: Budgets) -> None:
        self._budgets = budgets
        self._closing: dict[str, tuple[float, str]] = {}

    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        """See :meth:`digestd.kinds.Budgets.buy`."""
        try:
            await self._close_late()
            return await self._budgets.buy(key, expense, limits)
        except StoreUnavailable as error:
            words = f"nothing is asked while nobody can say what was spent today: {error}"
            raise Uncounted(words, retry_after=RETRY_SECONDS) from error

    async def settle(self, bought: Bought, actual: Expense) -> None:
        """See :meth:`digestd.kinds.Budgets.settle`."""
        # Never tried again: the connection may have broken after the commit, and nothing may be given back twice.
        with suppress(StoreUnavailable):
            await self._budgets.settle(bought, actual)

    async def close(self, key: str, seconds: float, because: str) -> None:
        """See :meth:`digestd.kinds.Budgets.close`."""
        try:
            await self._budgets.close(key, seconds, because)
        except StoreUnavailable:
            self._closing[key] = seconds, because

    async def _close_late(self) -> None:
        while self._closing:
            key, (seconds, because) = next(iter(self._closing.items()))
            await self._budgets.close(key, seconds, because)
            self._closing.pop(key, None)
