"""What APIs say of their limits, each in its own unit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.rate_limits import LONGEST_SECONDS, Unit, remaining, reset_seconds, retry_after

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
EPOCH = int(NOW.timestamp())
UNITS: tuple[Unit, ...] = ("seconds_left", "epoch", "moment")


@pytest.mark.parametrize(
    ("unit", "written", "seconds"),
    [
        ("seconds_left", "512.0", 512.0),
        ("seconds_left", " 7 ", 7.0),
        ("seconds_left", "-3", None),
        ("seconds_left", "999999999", LONGEST_SECONDS),
        ("epoch", str(EPOCH + 900), 900.0),
        ("epoch", str(EPOCH - 5), 0.0),
        ("epoch", "512", 0.0),
        ("moment", "2026-11-23T08:05:00.000000Z", 300.0),
        ("moment", "2026-11-23T07:00:00Z", 0.0),
        ("moment", "Mon, 23 Nov 2026 08:01:00 GMT", 60.0),
        ("moment", "300", None),
        ("epoch", "soon", None),
        ("epoch", "nan", None),
        ("epoch", "١٢٣", None),
        ("epoch", "", None),
        ("seconds_left", "1" * 65, None),
    ],
)
def test_each_is_read_in_its_unit(unit: Unit, written: str, seconds: float | None) -> None:
    assert reset_seconds({"x-reset": written}, "x-reset", unit, now=NOW) == seconds
    assert reset_seconds({}, "x-reset", unit, now=NOW) is None


@given(st.integers(0, int(LONGEST_SECONDS)), st.integers(-(10**6), 10**6))
def test_a_wrong_clock_on_either_side_does_no_harm(left: int, wrong: int) -> None:
    theirs = NOW + timedelta(seconds=wrong)
    ends = theirs + timedelta(seconds=left)
    date = {"date": format_datetime(theirs, usegmt=True)}
    said = {"x": str(int(ends.timestamp()))} | date
    assert reset_seconds(said, "x", "epoch", now=NOW) == left
    assert reset_seconds({"x": ends.isoformat()} | date, "x", "moment", now=NOW) == left
    assert reset_seconds({"x": str(left)} | date, "x", "seconds_left", now=NOW) == left


@given(st.sampled_from(UNITS), st.text(max_size=80) | st.from_regex(r"[0-9.]{1,40}"), st.text(max_size=80))
def test_whatever_is_written_the_answer_is_a_time_to_wait_or_none(
    unit: Unit, written: str, date: str
) -> None:
    seconds = reset_seconds({"x": written, "date": date}, "x", unit, now=NOW)
    assert seconds is None or 0 <= seconds <= LONGEST_SECONDS
    left = remaining({"x": written}, "x")
    assert left is None or left >= 0


@pytest.mark.parametrize(("written", "left"), [("0", 0.0), ("99.0", 99.0), ("-1", None), ("many", None)])
def test_what_is_left(written: str, left: float | None) -> None:
    assert remaining({"x": written}, "x") == left


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 23 Nov 2026 08:01:00 GMT", 60.0),
        ("999999999", LONGEST_SECONDS),
        ("0", None),
        ("-5", None),
        ("Mon, 23 Nov 2026 07:00:00 GMT", None),
        ("later", None),
        ("", None),
    ],
)
def test_retry_after_counts_or_names_a_moment(written: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": written}, now=NOW) == seconds
    assert retry_after({}, now=NOW) is None
