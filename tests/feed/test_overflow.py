"""How much sooner a source is asked that brings more than its document holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.overflow import (
    MOST_HALVINGS,
    RELAXED_AFTER,
    SOONEST_SECONDS,
    carried,
    halvings,
    noted,
    once_more,
    sooner,
)
from digestd.feed.schedule import Schedule
from digestd.model import PollState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("delay", "count", "expected"),
    [
        (300, 0, (300, "interval")),
        (300, 1, (150, "overflow")),
        (300, 2, (75, "overflow")),
        (300, 3, (60, "overflow")),
        (100, 1, (60, "overflow")),
        (10, 1, (10, "overflow")),
    ],
)
def test_the_delay_is_halved_and_no_less_than_a_minute(
    delay: float, count: int, expected: tuple[float, str]
) -> None:
    assert sooner(Schedule(delay, "interval"), count) == Schedule(*expected)


@pytest.mark.parametrize("reason", ["retry_after", "cache_control", "ttl", "backoff:2", "offline", "put_off"])
def test_what_a_publisher_asks_for_stays(reason: str) -> None:
    assert sooner(Schedule(3600, reason), 3) == Schedule(3600, reason)


@given(st.floats(0, 1e9), st.integers(-5, 10**9))
def test_it_is_never_later_and_never_less_than_a_minute_for_it(delay: float, count: int) -> None:
    hastened = sooner(Schedule(delay, "adaptive"), count).delay_seconds
    assert min(delay, SOONEST_SECONDS) <= hastened <= delay


def test_each_time_it_is_halved_once_more_until_a_minute() -> None:
    counts = [0]
    for _ in range(6):
        counts.append(once_more(Schedule(300, "interval"), counts[-1]))
    assert counts == [0, 1, 2, 3, 3, 3, 3]
    # Where the publisher decides, our own share is remembered all the same.
    assert once_more(Schedule(3_600, "ttl"), 0) == 1
    assert once_more(Schedule(1e300, "interval"), MOST_HALVINGS) == MOST_HALVINGS


def test_one_halving_goes_each_day() -> None:
    state = noted(PollState('"1"', cursor={"other": 1}), 2, NOW)
    days = [halvings(state, NOW + days * timedelta(days=0.5)) for days in range(6)]
    assert days == [2, 2, 1, 1, 0, 0]
    assert halvings(state, NOW - timedelta(seconds=1)) == 0
    assert (state.etag, (state.cursor or {})["other"]) == ('"1"', 1)


def test_what_is_remembered_goes_along_while_it_matters() -> None:
    state = noted(PollState(), 1, NOW)
    reached = PollState('"2"', cursor={"other": 1})
    onward = carried(state, reached, NOW + RELAXED_AFTER / 2)
    assert onward == PollState('"2"', cursor={"other": 1, **(state.cursor or {})})
    assert carried(onward, onward, NOW + RELAXED_AFTER) == reached
    assert carried(state, state, NOW + RELAXED_AFTER) == PollState()
    assert carried(PollState(), reached, NOW) is reached


@pytest.mark.parametrize(
    "damaged",
    [7, "x", [], [1], [1, 2], ["1", NOW.isoformat()], [1, "soon"], [1, "2026-11-23T12:00:00"], {"a": 1}],
)
def test_a_damaged_row_is_no_reason_to_hurry(damaged: object) -> None:
    assert halvings(PollState(cursor={"overflow": damaged}), NOW) == 0


@given(st.integers(-(10**30), 10**30), st.timedeltas(timedelta(0), timedelta(days=3_000)))
def test_there_are_never_more_than_were_noted(count: int, later: timedelta) -> None:
    found = halvings(noted(PollState(), count, NOW), NOW + later)
    assert 0 <= found <= max(0, min(count, MOST_HALVINGS))
