"""What APIs may cost, as kinds are lent it, while the database comes and goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from digestd.errors import StoreUnavailable, Uncounted
from digestd.feed.budget import Bought, Exhausted, Expense, Limits
from digestd.ingest.budgets import SharedBudgets
from support.memory_store import MemoryStore

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
KEY = "x https://api.x.com 0a1b"
PAGE = Expense(100, 500_000)


def lent() -> tuple[SharedBudgets, MemoryStore]:
    store = MemoryStore(lambda: NOW)
    return SharedBudgets(store.budgets), store


def spent(store: MemoryStore) -> Expense:
    return store.budgets.accounts[KEY].spent


async def test_what_is_counted_is_in_the_store() -> None:
    budgets, store = lent()
    bought = await budgets.buy(KEY, PAGE, Limits(150))
    assert bought == Bought(KEY, "2026-11-23", PAGE)
    assert isinstance(await budgets.buy(KEY, PAGE, Limits(150)), Exhausted)
    await budgets.settle(bought, Expense(7, 35_000))
    assert spent(store) == Expense(7, 35_000)


async def test_nothing_is_asked_while_nobody_can_count() -> None:
    budgets, store = lent()
    store.outage = True
    with pytest.raises(Uncounted) as raised:
        await budgets.buy(KEY, PAGE, Limits())
    assert str(raised.value) == (
        "nothing is asked while nobody can say what was spent today: the database cannot be used just now: "
        "a test took it away"
    )
    assert (raised.value.cause, raised.value.retry_after) == ("busy", 60.0)


async def test_what_cannot_be_settled_stays_counted() -> None:
    budgets, store = lent()
    bought = await budgets.buy(KEY, PAGE, Limits())
    assert isinstance(bought, Bought)
    store.fail_next(StoreUnavailable("the connection broke during the commit"))
    await budgets.settle(bought, Expense())
    await budgets.buy(KEY, Expense(1, 1), Limits())
    # It may have been settled all the same: nothing is given back twice.
    assert spent(store) == PAGE + Expense(1, 1)


async def test_credits_that_ran_out_during_an_outage_are_known_after_it() -> None:
    budgets, store = lent()
    store.outage = True
    await budgets.close(KEY, 600, "the credits are used up")
    store.outage = False
    answer = await budgets.buy(KEY, PAGE, Limits())
    assert isinstance(answer, Exhausted)
    assert (answer.seconds, answer.because) == (600.0, "the credits are used up")
    store.outage = True
    with pytest.raises(Uncounted):
        await budgets.buy(KEY, PAGE, Limits())
