"""What may be spent in a day: decisions that every store keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.budget import (
    Account,
    Bought,
    Exhausted,
    Expense,
    Limits,
    buy,
    close,
    day_of,
    seconds_left_in_day,
    settle,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
TODAY = "2026-11-23"
KEY = "x https://api.x.com 0a1b"


def test_what_is_bought_counts_at_once_and_what_did_not_come_is_given_back() -> None:
    account, bought = bought_of(buy(None, KEY, Expense(100, 500_000), Limits(150, 600_000), NOON))
    assert account == Account(TODAY, Expense(100, 500_000))
    assert bought == Bought(KEY, TODAY, Expense(100, 500_000))
    assert buy(account, KEY, Expense(60, 0), Limits(150, 600_000), NOON) == Exhausted(
        43_200.0, Expense(100, 500_000), Limits(50, 100_000)
    )
    account = settle(account, bought, Expense(3, 15_000))
    assert account == Account(TODAY, Expense(3, 15_000))
    # More than was asked for counts, too.
    assert settle(account, Bought(KEY, TODAY, Expense(1, 0)), Expense(7, 1)).spent == Expense(9, 15_001)


def test_each_limit_holds_by_itself() -> None:
    asked = Expense(10, 10)
    assert isinstance(buy(None, KEY, asked, Limits(9, None), NOON), Exhausted)
    assert isinstance(buy(None, KEY, asked, Limits(None, 9), NOON), Exhausted)
    bought_of(buy(None, KEY, asked, Limits(10, 10), NOON))
    bought_of(buy(None, KEY, asked, Limits(), NOON))


def test_a_new_day_begins_at_midnight_utc() -> None:
    spent = Account(TODAY, Expense(10, 10))
    last = datetime(2026, 11, 23, 23, 59, 59, tzinfo=UTC)
    assert buy(spent, KEY, Expense(1, 0), Limits(10), last) == Exhausted(1.0, Expense(10, 10), Limits(0))
    account, bought = bought_of(buy(spent, KEY, Expense(1, 0), Limits(10), last + timedelta(seconds=1)))
    assert account == Account("2026-11-24", Expense(1, 0))
    # What was bought on the day before is not given back to this one.
    assert settle(account, Bought(KEY, TODAY, Expense(5, 0)), Expense()) == account
    assert settle(account, bought, Expense()).spent == Expense()


def test_a_clock_that_is_set_back_over_midnight_makes_no_new_day() -> None:
    spent = Account("2026-11-24", Expense(10, 0))
    assert isinstance(buy(spent, KEY, Expense(1, 0), Limits(10), NOON), Exhausted)
    # One that was far ahead shuts nobody out.
    account, _ = bought_of(buy(Account("2031-01-01", Expense(10, 0)), KEY, Expense(1, 0), Limits(10), NOON))
    assert account == Account(TODAY, Expense(1, 0))


def test_a_closed_account_sells_nothing_for_a_day_at_most() -> None:
    closed = close(Account(TODAY, Expense(3, 0)), 600, "the credits are used up", NOON)
    assert buy(closed, KEY, Expense(1, 0), Limits(), NOON) == Exhausted(
        600.0, Expense(3, 0), Limits(), "the credits are used up"
    )
    account, _ = bought_of(buy(closed, KEY, Expense(1, 0), Limits(), NOON + timedelta(seconds=600)))
    assert account == Account(TODAY, Expense(4, 0))
    long = close(None, 1e12, "why", NOON)
    assert long.closed_until == NOON + timedelta(days=1)
    assert isinstance(buy(long, KEY, Expense(), Limits(), NOON + timedelta(hours=23)), Exhausted)
    # The clock was set back since: nobody can have meant so long.
    bought_of(buy(long, KEY, Expense(), Limits(), NOON - timedelta(days=2)))


def test_days_are_those_of_utc() -> None:
    evening = datetime.fromisoformat("2026-11-23T20:30:00-05:00")
    assert (day_of(evening), seconds_left_in_day(evening)) == ("2026-11-24", 81_000.0)


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 40), st.booleans(), st.integers(0, 20)), max_size=60
    ),
    st.integers(0, 100),
)
def test_no_day_costs_more_than_its_limit(requests: list[tuple[int, int, bool, int]], limit: int) -> None:
    """Requests of so many reads, of which at most so many came, whose answers were lost or not, hours apart."""
    account: Account | None = None
    now, came_on = NOON, dict[str, int]()
    for asked, came, is_lost, hours in requests:
        now += timedelta(hours=hours)
        answer = buy(account, KEY, Expense(asked, 0), Limits(limit), now)
        if isinstance(answer, Exhausted):
            assert 0 < answer.seconds <= 86_400
            continue
        account, bought = answer
        actual = min(asked, came)
        came_on[bought.day] = came_on.get(bought.day, 0) + actual
        if not is_lost:
            account = settle(account, bought, Expense(actual, 0))
        assert account.spent.reads >= came_on[bought.day]
    assert all(came <= limit for came in came_on.values())


def bought_of(answer: tuple[Account, Bought] | Exhausted) -> tuple[Account, Bought]:
    assert not isinstance(answer, Exhausted)
    return answer
