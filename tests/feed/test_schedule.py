"""When a source comes back: intervals, backoff, Retry-After, phases."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.schedule import (
    DAY,
    Schedule,
    after_deferral,
    after_failure,
    after_success,
    phase,
    state_after,
)

intervals = st.floats(1, 7 * DAY)
jitters = st.floats(0, 3600)
chances = st.floats(0, 1, exclude_max=True)


def test_success_comes_back_after_interval_and_jitter() -> None:
    assert after_success(300, 60, 0.5) == Schedule(330, "interval")


def test_failures_double_from_the_second_on_up_to_a_day() -> None:
    delays = [after_failure(n, 300, 0, 0).delay_seconds for n in range(1, 12)]
    assert delays == [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 76800, DAY, DAY]
    assert after_failure(1, 5, 0, 0) == Schedule(5, "interval")
    assert after_failure(2, 5, 0, 0) == Schedule(120, "backoff:2")
    assert after_failure(10**9, 300, 60, 0.9).delay_seconds == DAY


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


def test_a_source_that_answers_with_something_else_is_degraded_at_once() -> None:
    assert [state_after(n, misshapen=True) for n in range(2)] == ["degraded", "degraded"]
