"""The statements on `budgets`: what APIs have cost on the last day that they were asked, for all processes.

Each transaction waits for the row of one key, and for no other row.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol, TypeVar

from sqlalchemy import Connection, bindparam, delete, select, type_coerce, update

from digestd.feed import budget
from digestd.feed.budget import Account, Bought, Exhausted, Expense, Limits
from digestd.store.schema import ReadableDateTime, budgets
from digestd.store.text import storable
from digestd.store.upserts import insert_into

FORGOTTEN_AFTER_DAYS = 31
"""An account that nothing was bought from for so long is forgotten: tokens are replaced now and then."""

_NAME_CHARACTERS = 300
_LONGEST_REASON = 500

_Result = TypeVar("_Result")

_ONE = budgets.c.budget_key == bindparam("key")
_HOLD = (
    select(
        budgets.c.day,
        budgets.c.reads,
        budgets.c.micros,
        type_coerce(budgets.c.closed_until, ReadableDateTime).label("closed_until"),
        budgets.c.closed_because,
    )
    .where(_ONE)
    .with_for_update()
)
_WRITE = (
    update(budgets)
    .where(_ONE)
    .values(
        day=bindparam("new_day"),
        reads=bindparam("new_reads"),
        micros=bindparam("new_micros"),
        closed_until=bindparam("new_closed_until"),
        closed_because=bindparam("new_closed_because"),
    )
)
_FORGOTTEN = (
    select(budgets.c.budget_key).where(budgets.c.day < bindparam("horizon")).with_for_update(skip_locked=True)
)
_FORGET = delete(budgets).where(budgets.c.budget_key.in_(_FORGOTTEN))


class Write(Protocol):
    """Does `work` in one transaction that writes, handing it the database's time."""

    def __call__(self, work: Callable[[Connection, datetime], _Result]) -> Awaitable[_Result]: ...


class SqlBudgets:
    """Keeps the :class:`digestd.store.budgets.Budgets` protocol."""

    def __init__(self, write: Write) -> None:
        self._write = write

    async def buy(self, key: str, expense: Expense, limits: Limits) -> Bought | Exhausted:
        """See `Budgets.buy`."""
        return await self._write(lambda connection, now: _buy(connection, key, expense, limits, now))

    async def settle(self, bought: Bought, actual: Expense) -> None:
        """See `Budgets.settle`."""
        await self._write(lambda connection, now: _settle(connection, bought, actual))

    async def close(self, key: str, seconds: float, because: str) -> None:
        """See `Budgets.close`."""
        await self._write(lambda connection, now: _close(connection, key, seconds, because, now))


def _buy(
    connection: Connection, key: str, expense: Expense, limits: Limits, now: datetime
) -> Bought | Exhausted:
    answer = budget.buy(_held_or_new(connection, key, now), key, expense, limits, now)
    if isinstance(answer, Exhausted):
        return answer
    account, bought = answer
    _keep(connection, key, account)
    return bought


def _settle(connection: Connection, bought: Bought, actual: Expense) -> None:
    account = _held(connection, bought.key)
    if account is not None:
        _keep(connection, bought.key, budget.settle(account, bought, actual))


def _close(connection: Connection, key: str, seconds: float, because: str, now: datetime) -> None:
    account = _held_or_new(connection, key, now)
    _keep(connection, key, budget.close(account, seconds, because[:_LONGEST_REASON], now))


def _held_or_new(connection: Connection, key: str, now: datetime) -> Account | None:
    """The account under `key`, locked; one that nothing was ever bought from is made first, so that there is something
    to hold."""
    account = _held(connection, key)
    if account is not None:
        return account
    horizon = budget.day_of(now - timedelta(days=FORGOTTEN_AFTER_DAYS))
    connection.execute(_FORGET, {"horizon": horizon})
    row = {
        "budget_key": _digest(key),
        "name": storable(key)[:_NAME_CHARACTERS],
        "day": budget.day_of(now),
        "reads": 0,
        "micros": 0,
    }
    connection.execute(insert_into(budgets, connection.dialect.name).on_conflict_do_nothing(), row)
    return _held(connection, key)


def _held(connection: Connection, key: str) -> Account | None:
    row = connection.execute(_HOLD, {"key": _digest(key)}).one_or_none()
    if row is None:
        return None
    return Account(row.day, Expense(row.reads, row.micros), row.closed_until, row.closed_because)


def _keep(connection: Connection, key: str, account: Account) -> None:
    changes = {
        "new_day": account.day,
        "new_reads": account.spent.reads,
        "new_micros": account.spent.micros,
        "new_closed_until": account.closed_until,
        "new_closed_because": storable(account.closed_because) if account.closed_because else None,
    }
    connection.execute(_WRITE, {"key": _digest(key), **changes})


def _digest(key: str) -> str:
    return sha256(key.encode(errors="surrogatepass")).hexdigest()
