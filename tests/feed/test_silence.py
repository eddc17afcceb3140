"""Which sources have fallen silent, in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.silence import is_labelled, labelled, silence

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = 86_400.0


def of(days: float, gap_days: float) -> str | None:
    return silence(NOW - timedelta(days=days), gap_days * DAY, NOW)


@pytest.mark.parametrize(
    ("days", "gap_days", "words"),
    [
        (45, 2, "nothing new for 45 days; it used to bring an entry every 2 days"),
        (20.5, 1.8, "nothing new for 20 days; it used to bring an entry every 2 days"),
        (8, 0.05, "nothing new for 8 days; it used to bring an entry every hour"),
        (8, 0.5, "nothing new for 8 days; it used to bring an entry every 12 hours"),
        (8, 0.0, "nothing new for 8 days; it used to bring an entry every minute"),
        (11, 1, "nothing new for 11 days; it used to bring an entry every day"),
        (5000, 400, "nothing new for 5000 days; it used to bring an entry every year"),
    ],
)
def test_it_is_told_in_words(days: float, gap_days: float, words: str) -> None:
    assert of(days, gap_days) == words


@pytest.mark.parametrize(("days", "gap_days"), [(6.9, 0.1), (7, 0.1), (19.9, 2), (20, 2), (-3, 1)])
def test_no_longer_than_its_habit_is_no_silence(days: float, gap_days: float) -> None:
    assert of(days, gap_days) is None


def test_without_a_habit_nothing_is_said() -> None:
    assert silence(None, 60.0, NOW) is None
    assert silence(NOW - timedelta(days=900), None, NOW) is None


@given(st.floats(0, 4000), st.floats(0, 1000), st.floats(0, 4000))
def test_who_is_silent_stays_so_until_something_comes(days: float, gap_days: float, more: float) -> None:
    assert of(days, gap_days) is None or of(days + more, gap_days) is not None


def test_its_label_is_known_again() -> None:
    assert labelled("nothing new") == "silent: nothing new"
    assert is_labelled(labelled("nothing new"))
    assert not any(map(is_labelled, (None, "", "dns: no address", "shape: silent: x")))
