"""The face of the store for what APIs cost in a day: one count for all processes on the database."""

from __future__ import annotations

from typing import Protocol

from digestd.feed.budget import Bought, Exhausted, Expense, Limits


class Budgets(Protocol):
    """Every method is one transaction, on the database's clock, and raises :class:`digestd.errors.StoreUnavailable`
    when the database cannot be had; then nothing was written, except where the connection broke during the commit.

    Cancellation: a call that was begun is finished; one that is cancelled before it begins has done nothing.
    """

    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        """Count `expense` under `key` if the day stays within `limits` with it and the account is not closed; else
        count nothing. Of several that ask at one time none is let beyond the limits."""
        ...

    async def settle(self, bought: Bought, actual: Expense) -> None:
        """Say what it came to: the difference is given back, or counted. After the end of the day nothing changes."""
        ...

    async def close(self, key: str, seconds: float, because: str) -> None:
        """Sell nothing under `key` for `seconds`, at most a day, whatever is left, `because` of something that
        :class:`~digestd.feed.budget.Exhausted` says then."""
        ...
