"""How much sooner a source is asked that brings more than its document holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.overflow import sooner
from digestd.feed.schedule import Schedule


@pytest.mark.parametrize(
    ("delay", "expected"), [(300, (150, "overflow")), (100, (60, "overflow")), (10, (10, "overflow"))]
)
def test_half_the_delay_and_no_less_than_a_minute_for_it(delay: float, expected: tuple[float, str]) -> None:
    assert sooner(Schedule(delay, "interval")) == Schedule(*expected)
    assert sooner(Schedule(delay, "adaptive")) == Schedule(*expected)


@pytest.mark.parametrize("reason", ["retry_after", "cache_control", "ttl", "backoff:2", "offline", "put_off"])
def test_what_a_publisher_asks_for_stays(reason: str) -> None:
    assert sooner(Schedule(3600, reason)) == Schedule(3600, reason)


@given(st.floats(0, 1e9))
def test_it_is_never_later(delay: float) -> None:
    assert delay / 2 <= sooner(Schedule(delay, "interval")).delay_seconds <= delay
