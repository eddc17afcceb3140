"""What every store promises of budgets, asked of the one in memory, of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trio
from sqlalchemy import insert, select, text, update

from digestd.feed.budget import Bought, Exhausted, Expense, Limits, day_of
from digestd.store.schema import budgets
from digestd.store.spending import FORGOTTEN_AFTER_DAYS
from store.conftest import Bench, SqlBench, bench_at, open_at

KEY = "x https://api.x.com 0a1b"
PAGE = Expense(100, 500_000)
LIMITS = Limits(250, None)


@pytest.fixture(autouse=True)
def not_over_midnight() -> None:
    now = datetime.now(UTC)
    if (now.hour, now.minute) == (23, 59):
        pytest.skip("a new day is about to begin")


async def test_sources_and_processes_share_one_count(bench: Bench) -> None:
    today = day_of(datetime.now(UTC))
    first = await bench.store.budgets.buy(KEY, PAGE, LIMITS)
    second = await bench.store.budgets.buy(KEY, PAGE, LIMITS)
    assert first == second == Bought(KEY, today, PAGE)
    third = await bench.store.budgets.buy(KEY, PAGE, LIMITS)
    assert isinstance(third, Exhausted)
    assert (third.spent, third.left, third.because) == (Expense(200, 1_000_000), Limits(50), None)
    assert 0 < third.seconds <= 86_400
    # Another token has a budget of its own.
    assert isinstance(await bench.store.budgets.buy("x https://api.x.com ffff", PAGE, LIMITS), Bought)
    await bench.store.budgets.settle(Bought(KEY, today, PAGE), Expense(7, 35_000))
    assert isinstance(await bench.store.budgets.buy(KEY, PAGE, LIMITS), Bought)


async def test_what_was_never_bought_is_not_settled(bench: Bench) -> None:
    await bench.store.budgets.settle(Bought(KEY, "2026-11-23", PAGE), Expense())
    assert isinstance(await bench.store.budgets.buy(KEY, PAGE, LIMITS), Bought)
    await bench.store.budgets.settle(Bought(KEY, "2001-01-01", PAGE), Expense())
    answer = await bench.store.budgets.buy(KEY, Expense(151, 0), LIMITS)
    assert isinstance(answer, Exhausted)
    assert answer.spent == PAGE


async def test_a_closed_account_sells_nothing_and_says_why(bench: Bench) -> None:
    await bench.store.budgets.buy(KEY, PAGE, LIMITS)
    await bench.store.budgets.close(KEY, 600, "no\0 credits " + "x" * 2_000)
    answer = await bench.store.budgets.buy(KEY, Expense(), Limits())
    assert isinstance(answer, Exhausted)
    assert 590 < answer.seconds <= 600
    assert answer.spent == PAGE
    assert answer.because is not None
    assert answer.because.startswith("no")
    await bench.store.budgets.close("new", 0.001, "soon over")
    await trio.sleep(0.02)
    assert isinstance(await bench.store.budgets.buy("new", PAGE, LIMITS), Bought)


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "x" * 5_000, "ünïcode", ""])
async def test_any_key_is_taken(bench: Bench, key: str) -> None:
    assert isinstance(await bench.store.budgets.buy(key, PAGE, LIMITS), Bought)
    assert isinstance(await bench.store.budgets.buy(key, Expense(151, 0), LIMITS), Exhausted)


async def test_large_amounts_are_kept(bench: Bench) -> None:
    huge = Expense(100_000_000, 1_000_000_000_000)
    for _ in range(3):
        await bench.store.budgets.buy(KEY, huge, Limits())
    answer = await bench.store.budgets.buy(KEY, huge, Limits(1, 1))
    assert isinstance(answer, Exhausted)
    assert answer.spent == huge + huge + huge


async def test_of_many_that_ask_at_one_time_none_passes_the_limit(database: str) -> None:
    answers: list[Bought | Exhausted] = []
    async with open_at(database) as first, open_at(database, "another") as second:

        async def ask(number: int) -> None:
            store = (first, second)[number % 2]
            answers.append(await store.budgets.buy(KEY, Expense(10, 1), Limits(100)))

        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(ask, number)
    assert sum(isinstance(answer, Bought) for answer in answers) == 10


async def test_the_count_of_an_earlier_day_is_over(database: str) -> None:
    async with bench_at(database) as bench:
        await bench.store.budgets.buy(KEY, PAGE, LIMITS)
        yesterday = day_of(datetime.now(UTC) - timedelta(days=1))
        with bench.engine.begin() as connection:
            connection.execute(update(budgets).values(day=yesterday, reads=1_000, micros=7))
        assert isinstance(await bench.store.budgets.buy(KEY, PAGE, LIMITS), Bought)
        with bench.engine.connect() as connection:
            (row,) = connection.execute(select(budgets)).all()
    assert (row.day, row.reads, row.micros) == (day_of(datetime.now(UTC)), 100, 500_000)
    assert (row.name, row.closed_until, row.closed_because) == (KEY, None, None)


async def test_accounts_of_old_tokens_are_forgotten(database: str) -> None:
    async with bench_at(database) as bench:
        old, younger = (
            day_of(datetime.now(UTC) - timedelta(days=days))
            for days in (FORGOTTEN_AFTER_DAYS + 1, FORGOTTEN_AFTER_DAYS)
        )
        with bench.engine.begin() as connection:
            rows = [
                {"budget_key": f"{number:064}", "name": day, "day": day, "reads": 1, "micros": 1}
                for number, day in enumerate((old, younger))
            ]
            connection.execute(insert(budgets), rows)
        await bench.store.budgets.buy(KEY, PAGE, LIMITS)
        assert names(bench) == sorted([younger, KEY])


async def test_a_moment_that_is_none_closes_nothing(tmp_path: Path) -> None:
    """Only SQLite takes any text for a moment."""
    async with bench_at(f"sqlite:///{tmp_path}/digestd.db") as bench:
        await bench.store.budgets.buy(KEY, PAGE, LIMITS)
        with bench.engine.begin() as connection:
            connection.execute(text("UPDATE budgets SET closed_until = 'tomorrow', closed_because = 'x'"))
        assert isinstance(await bench.store.budgets.buy(KEY, PAGE, LIMITS), Bought)
        answer = await bench.store.budgets.buy(KEY, PAGE, LIMITS)
    assert isinstance(answer, Exhausted)
    assert answer.spent == PAGE + PAGE


def names(bench: SqlBench) -> list[str]:
    with bench.engine.connect() as connection:
        return sorted(connection.execute(select(budgets.c.name)).scalars())
