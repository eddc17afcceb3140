"""When a source comes back: intervals, backoff, Retry-After, phases."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.schedule import (
    DAY,
    LONGEST_SKIP_SECONDS,
    WEEK,
    Rhythm,
    Schedule,
    after_deferral,
    after_failure,
    after_success,
    phase,
    state_after,
    while_gone,
)
from digestd.model import Hints

NOON = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
"""A Monday."""
EVERY_5_MINUTES = Rhythm(300, 60)
ADAPTIVE = Rhythm(300, 0, adaptive=(300, 21_600))

intervals = st.floats(1, 7 * DAY)
jitters = st.floats(0, 3600)
chances = st.floats(0, 1, exclude_max=True)


def test_success_comes_back_after_interval_and_jitter() -> None:
    assert after_success(EVERY_5_MINUTES, Hints(), NOON, 0.5) == Schedule(330, "interval")


def of(chance: float = 0.5, rhythm: Rhythm = EVERY_5_MINUTES, now: datetime = NOON, **hints: Any) -> Schedule:
    return after_success(rhythm, Hints(**hints), now, chance)


def hinted(name: str, seconds: float) -> Schedule:
    return of(**dict[str, Any]({name: seconds}))


@pytest.mark.parametrize(("name", "reason"), [("cache_seconds", "cache_control"), ("ttl_seconds", "ttl")])
def test_what_a_publisher_asks_for_is_a_floor_up_to_an_hour(name: str, reason: str) -> None:
    assert hinted(name, 200.0) == Schedule(330, "interval")
    assert hinted(name, 300.0) == Schedule(330, "interval")
    assert hinted(name, 1_800.0) == Schedule(1_830, reason)
    assert hinted(name, 3_600.0) == Schedule(3_630, reason)
    assert hinted(name, 86_400.0) == Schedule(3_630, f"{reason}:capped")


def test_the_longer_of_two_hints_counts() -> None:
    assert of(cache_seconds=900.0, ttl_seconds=1_800.0) == Schedule(1_830, "ttl")
    assert of(cache_seconds=1_800.0, ttl_seconds=900.0) == Schedule(1_830, "cache_control")


def test_a_source_that_is_polled_less_often_than_the_cap_is_not_polled_more_often() -> None:
    assert of(rhythm=Rhythm(7_200, 60), ttl_seconds=86_400.0) == Schedule(7_230, "interval")


def test_the_operator_decides_how_much_hints_count() -> None:
    hints: dict[str, Any] = {"ttl_seconds": 7_200.0, "skip_days": (0,)}
    assert of(rhythm=Rhythm(300, 60, longest_hint=0), **hints) == Schedule(330, "interval")
    assert of(rhythm=Rhythm(300, 60, longest_hint=7_200), ttl_seconds=7_200.0) == Schedule(7_230, "ttl")


def test_hours_to_leave_out_are_waited_for_to_their_end() -> None:
    # Due at 12:35:30: the end of 13 o'clock is 84.5 minutes later, and jitter comes on top.
    assert of(skip_hours=(12, 13)) == Schedule(330 + 84.5 * 60 + 30, "skip_hours")
    assert of(skip_hours=(11, 13)) == Schedule(330, "interval")
    late = NOON.replace(hour=23, minute=59)
    assert of(0, now=late, skip_hours=(0, 1, 2)) == Schedule(300 + 176 * 60, "skip_hours")


def test_days_to_leave_out_are_waited_for_a_day_at_most() -> None:
    assert of(0, skip_days=(0,)) == Schedule(300 + (11 * 60 + 25) * 60, "skip_days")
    saturday = NOON.replace(day=28)
    assert of(0, now=saturday, skip_days=(5, 6)) == Schedule(300 + DAY, "skip_days:capped")
    assert of(0, now=saturday, skip_days=(5,), skip_hours=(0, 1)) == Schedule(
        300 + (13 * 60 + 25) * 60, "skip_days"
    )


def test_hours_are_those_of_gmt_whatever_the_clock_shows() -> None:
    elsewhere = NOON.astimezone(ZoneInfo("Asia/Tokyo"))
    assert of(0, now=elsewhere, skip_hours=(12,)) == Schedule(30 * 60, "skip_hours")


@pytest.mark.parametrize(
    ("gap_hours", "idle_days", "seconds"),
    [(2, 0, 3_600), (0.01, 0, 300), (24, 0, 21_600), (2, 7, 7_200), (0.1, 30, 21_600), (0.1, 29, 360)],
)
def test_an_adaptive_source_is_polled_as_often_as_it_brings_entries(
    gap_hours: float, idle_days: float, seconds: float
) -> None:
    newest = NOON - timedelta(days=idle_days)
    schedule = of(rhythm=ADAPTIVE, gap_seconds=gap_hours * 3_600, newest_at=newest)
    assert schedule == Schedule(seconds, "adaptive")


def test_of_a_source_without_a_habit_the_interval_counts() -> None:
    assert of(rhythm=ADAPTIVE, newest_at=NOON) == Schedule(300, "interval")
    assert of(rhythm=ADAPTIVE, gap_seconds=7_200.0) == Schedule(300, "interval")


def test_hints_are_a_floor_of_the_adaptive_choice_too() -> None:
    schedule = of(rhythm=ADAPTIVE, gap_seconds=60.0, newest_at=NOON, ttl_seconds=1_800.0)
    assert schedule == Schedule(1_800, "ttl")


moments = st.datetimes(datetime(1970, 1, 2), datetime(9000, 1, 1), timezones=st.just(UTC))
seconds_or_none = st.none() | st.floats(0, 1e9)
any_hints = st.builds(
    Hints,
    cache_seconds=seconds_or_none,
    ttl_seconds=seconds_or_none,
    skip_hours=st.lists(st.integers(0, 23), unique=True).map(tuple),
    skip_days=st.lists(st.integers(0, 6), unique=True).map(tuple),
    gap_seconds=seconds_or_none,
    newest_at=st.none() | moments,
)
rhythms = st.builds(
    Rhythm, intervals, jitters, st.none() | st.just((300.0, 21_600.0)), st.just(0.0) | st.floats(0, WEEK)
)


@given(rhythms, any_hints, moments, chances)
def test_whatever_the_clock_and_the_publisher_say_a_source_comes_back(
    rhythm: Rhythm, hints: Hints, now: datetime, chance: float
) -> None:
    schedule = after_success(rhythm, hints, now, chance)
    longest = max(rhythm.interval, rhythm.longest_hint, *(rhythm.adaptive or ()))
    assert math.isfinite(schedule.delay_seconds)
    fewest = min(rhythm.interval, 300.0) if rhythm.adaptive else rhythm.interval
    assert fewest <= schedule.delay_seconds <= longest + 2 * rhythm.jitter + LONGEST_SKIP_SECONDS


@given(any_hints, moments, chances)
def test_no_poll_comes_due_at_a_time_to_leave_out(hints: Hints, now: datetime, chance: float) -> None:
    schedule = after_success(Rhythm(300, 0), hints, now, chance)
    due = now + timedelta(seconds=schedule.delay_seconds)
    # Half a second: what is due on the hour is computed from binary fractions.
    due += timedelta(seconds=0.5)
    if not schedule.reason.endswith(":capped") and schedule.reason.startswith("skip"):
        assert due.hour not in hints.skip_hours
        assert due.weekday() not in hints.skip_days


def test_what_is_gone_is_looked_at_weekly() -> None:
    assert while_gone(300, 0) == Schedule(WEEK, "gone")
    assert while_gone(300, 0.5).delay_seconds == pytest.approx(1.05 * WEEK)
    assert while_gone(8 * DAY, 0) == Schedule(8 * DAY, "gone")


def test_failures_double_from_the_second_on_up_to_a_day() -> None:
    delays = [after_failure(n, 300, 0, 0).delay_seconds for n in range(1, 12)]
    assert delays == [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, DAY / 1.1, DAY / 1.1]
    assert after_failure(1, 5, 0, 0) == Schedule(5, "interval")
    assert after_failure(2, 5, 0, 0) == Schedule(120, "backoff:2")
    # What has failed for long does not come back together either.
    assert after_failure(10**9, 300, 60, 0).delay_seconds == pytest.approx(DAY / 1.1)
    assert after_failure(10**9, 300, 60, 0.999).delay_seconds == pytest.approx(DAY, rel=1e-3)
    assert after_failure(10**9, 300, 3 * 3_600, 0.9).delay_seconds == DAY


def test_retry_after_is_a_floor_capped_at_a_day() -> None:
    assert after_failure(1, 300, 60, 0, retry_after=7200) == Schedule(7200, "retry_after")
    assert after_failure(1, 300, 60, 0, retry_after=10) == Schedule(300, "interval")
    assert after_failure(1, 300, 60, 0, retry_after=10 * DAY) == Schedule(DAY, "retry_after")
    assert after_failure(6, 300, 0, 0, retry_after=60).reason == "backoff:6"


def test_while_we_are_offline_sources_are_looked_at_every_minute() -> None:
    assert after_deferral(300, 60, 0.5) == Schedule(90, "offline")
    assert after_deferral(5, 0, 0.5) == Schedule(5, "offline")


@given(st.integers(1, 10**6), intervals, jitters, chances, st.none() | st.floats(0, 100 * DAY))
def test_a_failing_source_is_never_asked_sooner_than_a_good_one(
    failures: int, interval: float, jitter: float, chance: float, retry_after: float | None
) -> None:
    schedule = after_failure(failures, interval, jitter, chance, retry_after)
    assert min(interval, max(DAY, interval)) <= schedule.delay_seconds <= max(DAY, interval)
    longer = after_failure(failures + 1, interval, jitter, chance, retry_after)
    assert longer.delay_seconds >= schedule.delay_seconds
    if retry_after is not None:
        assert schedule.delay_seconds >= min(retry_after, DAY)


@given(st.text(), intervals, st.integers(1, 100_000))
def test_a_phase_is_the_same_each_time_and_within_its_span(name: str, interval: float, count: int) -> None:
    assert 0 <= phase(name, interval, count) <= min(interval, count)
    assert phase(name, interval, count) == phase(name, interval, count)


def test_phases_spread_sources_evenly() -> None:
    starts = sorted(phase(f"source {n}", 300, 1000) for n in range(1000))
    busiest = max(sum(second <= start < second + 1 for start in starts) for second in range(300))
    assert busiest <= 12, "1,000 sources over 300 s are 3.3 a second on average"


def test_a_source_is_degraded_from_the_third_failure_on() -> None:
    assert [state_after(n) for n in range(5)] == ["active", "active", "active", "degraded", "degraded"]


def test_a_source_that_is_gone_is_shown_as_that() -> None:
    assert state_after(9, misshapen=True, gone=True) == "gone"


def test_a_source_that_answers_with_something_else_is_degraded_at_once() -> None:
    assert [state_after(n, misshapen=True) for n in range(2)] == ["degraded", "degraded"]
