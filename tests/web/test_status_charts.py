"""The throughput of a day as bars and words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from digestd.store.overview import PollCounts
from digestd.web.pages.board import Hour
from digestd.web.pages.charts import HEIGHT, WIDTH, charts, hour_rows

BEGIN = datetime(2026, 11, 23, 0, tzinfo=UTC)
POLLS = st.builds(PollCounts, *[st.integers(0, 10**7)] * 4)


def day(*polls: PollCounts | None) -> list[Hour]:
    return [Hour(BEGIN + timedelta(hours=hour), one) for hour, one in enumerate(polls)]


def test_a_chart_says_in_words_what_it_shows() -> None:
    new, brought, failed = charts(
        day(PollCounts(1, 0, 5, 0), PollCounts(2, 0, 1_200, 0), PollCounts(0, 0, 0, 0))
    )
    assert new.words == ("New articles in the last 3 hours: 1,205; most in the hour from 01:00 UTC: 1,200")
    assert (new.total, brought.total, failed.total) == ("1,205", "3", "0")
    assert failed.words == "Polls that failed in the last 3 hours: 0"
    assert [bar.words for bar in new.bars] == ["00:00 UTC: 5", "01:00 UTC: 1,200"]
    assert [(bar.x, bar.height) for bar in new.bars] == [(0.0, 1.5), (80.0, HEIGHT)]
    assert failed.bars == ()


def test_hours_that_were_not_counted_yet_are_said_to_be() -> None:
    hours = day(None, PollCounts(1, 2, 3, 4))
    assert charts(hours)[0].words == (
        "New articles in the last 2 hours: 3 so far; most in the hour from 01:00 UTC: 3"
    )
    latest, first = hour_rows(hours)
    assert (latest.hour, latest.new, latest.brought, latest.failed) == ("01:00", "3", "1", "2")
    assert (first.new, first.brought, first.failed) == ("not counted yet",) * 3
    assert first.stamp == "2026-11-23T00:00:00+00:00"


@given(st.lists(POLLS | st.none(), max_size=24))
def test_every_bar_lies_within_its_chart_and_stands_for_something(polls: list[PollCounts | None]) -> None:
    for chart in charts(day(*polls)):
        for bar in chart.bars:
            assert bar.x >= 0
            assert bar.x + bar.width <= WIDTH
            assert bar.height > 0
            assert 0 <= bar.y <= HEIGHT
            assert abs(bar.y + bar.height - HEIGHT) < 0.02
