"""What an API may cost in a day: counted before it is asked, in one count for all sources and processes that share it.

A request is paid for as if it brought all that it can; what it did not bring is given back with its answer. So whatever
ends the process in between, more is counted than was spent, and never less. Decides, and does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

MICROS = 1_000_000
"""Money is counted in millionths of a dollar."""
LONGEST_CLOSED_SECONDS = 86_400.0
"""For no longer is an account closed at one time."""

_CLOCK_DAYS = 1


@dataclass(frozen=True, slots=True)
class Expense:
    """So many `reads` of what an API counts, and what they cost in `micros`, millionths of a dollar."""

    reads: int = 0
    micros: int = 0

    def __add__(self, other: Expense) -> Expense:
        return Expense(self.reads + other.reads, self.micros + other.micros)

    def __sub__(self, other: Expense) -> Expense:
        return Expense(max(self.reads - other.reads, 0), max(self.micros - other.micros, 0))


@dataclass(frozen=True, slots=True)
class Limits:
    """What a day may cost, or what is left of it; None for no limit."""

    reads: int | None = None
    micros: int | None = None

    def allow(self, expense: Expense) -> bool:
        """Whether `expense` is within these."""
        return (self.reads is None or expense.reads <= self.reads) and (
            self.micros is None or expense.micros <= self.micros
        )

    def after(self, spent: Expense) -> Limits:
        """What is left of these after `spent`."""
        reads = None if self.reads is None else max(self.reads - spent.reads, 0)
        return Limits(reads, None if self.micros is None else max(self.micros - spent.micros, 0))


@dataclass(frozen=True, slots=True)
class Account:
    """What was `spent` on the `day` (UTC, `2026-11-23`), and until when nothing is bought any more, and why, whatever
    is left."""

    day: str
    spent: Expense = Expense()
    closed_until: datetime | None = None
    closed_because: str | None = None


@dataclass(frozen=True, slots=True)
class Bought:
    """The leave to ask: `expense` was counted on the `day` under `key`, and is settled when the answer is there."""

    key: str
    day: str
    expense: Expense


@dataclass(frozen=True, slots=True)
class Exhausted:
    """No leave to ask, and nothing was counted: `left` does not suffice, or the account is closed, `because` of
    something. It may be otherwise in `seconds`; the whole day so far has cost `spent`."""

    seconds: float
    spent: Expense
    left: Limits
    because: str | None = None


def day_of(now: datetime) -> str:
    """The day of `now`, as X and others count them: in UTC."""
    return now.astimezone(UTC).date().isoformat()


def seconds_left_in_day(now: datetime) -> float:
    """In how many seconds the next day begins in UTC, more than 0."""
    moment = now.astimezone(UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    return (midnight - moment).total_seconds()


def buy(
    account: Account | None, key: str, expense: Expense, limits: Limits, now: datetime
) -> tuple[Account, Bought] | Exhausted:
    """Ask to spend `expense` from `account`, None where there is none yet: how it stands afterwards, and the leave."""
    current = _today(account, now)
    closed = _closed_seconds(current, now)
    left = limits.after(current.spent)
    if closed > 0:
        return Exhausted(closed, current.spent, left, current.closed_because)
    if not left.allow(expense):
        return Exhausted(seconds_left_in_day(now), current.spent, left)
    bought = replace(current, spent=current.spent + expense, closed_until=None, closed_because=None)
    return bought, Bought(key, current.day, expense)


def settle(account: Account, bought: Bought, actual: Expense) -> Account:
    """How `account` stands when what was `bought` has cost `actual`. Of an earlier day nothing is given back."""
    if account.day != bought.day:
        return account
    return replace(account, spent=account.spent - bought.expense + actual)


def close(account: Account | None, seconds: float, because: str, now: datetime) -> Account:
    """How `account` stands when nothing is to be bought for `seconds`, at most a day, `because` of something."""
    until = now + timedelta(seconds=min(max(seconds, 0.0), LONGEST_CLOSED_SECONDS))
    return replace(_today(account, now), closed_until=until, closed_because=because)


def _today(account: Account | None, now: datetime) -> Account:
    """`account` with nothing spent, where its day is over. A clock that was set back a little, over midnight, makes no
    new day; one that was a day and more ahead does."""
    day, latest = day_of(now), day_of(now + timedelta(days=_CLOCK_DAYS))
    if account is None:
        return Account(day)
    if day <= account.day <= latest:
        return account
    return replace(account, day=day, spent=Expense())


def _closed_seconds(account: Account, now: datetime) -> float:
    if account.closed_until is None:
        return 0.0
    seconds = (account.closed_until - now).total_seconds()
    # Nobody can have meant more: the clock was set back.
    return seconds if seconds <= LONGEST_CLOSED_SECONDS else 0.0
