"""When a source that says 410 is believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.gone import Farewell, after_failure, after_success
from digestd.model import Failure, PollState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
GONE = Failure("http_status", "the server answered 410 Gone", 410)
MISSING = Failure("http_status", "the server answered 404 Not Found", 404)
SILENT = Failure("connect", "nobody answers")
KEPT = PollState("etag", "yesterday", "hash", {"asked": "x"})


def told(*steps: tuple[float, Failure | None], state: PollState = KEPT) -> Farewell:
    """What is made of failures, or successes, at these hours."""
    farewell = Farewell(state)
    for hours, failure in steps:
        now = NOW + timedelta(hours=hours)
        if failure is None:
            farewell = Farewell(after_success(farewell.state))
        else:
            farewell = after_failure(farewell.state, failure, now)
    return farewell


@pytest.mark.parametrize("hours", [0.1, 1, 23.9])
def test_twice_within_a_day_is_once(hours: float) -> None:
    assert not told((0, GONE), (hours, GONE)).gone


def test_twice_a_day_apart_is_gone() -> None:
    assert told((0, GONE), (24, GONE)).gone
    assert told((0, GONE), (1, GONE), (12, SILENT), (25, GONE)).gone


def test_404_is_never_gone_and_proves_nothing() -> None:
    assert not told(*((hours, MISSING) for hours in range(0, 400, 24))).gone
    assert not told((0, GONE), (30, MISSING)).gone
    assert told((0, GONE), (24, GONE), (200, MISSING), (400, SILENT)).gone


def test_any_success_forgets_it() -> None:
    there = told((0, GONE), (24, GONE), (200, None))
    assert there.state == KEPT
    assert not told((0, GONE), (1, None), (25, GONE)).gone
    assert after_success(KEPT) is KEPT


def test_nothing_else_of_the_state_changes() -> None:
    state = told((0, GONE), (24, GONE)).state
    assert (state.etag, state.last_modified, state.body_hash) == ("etag", "yesterday", "hash")
    assert (state.cursor or {})["asked"] == "x"


def test_a_clock_that_was_set_back_begins_again() -> None:
    assert not told((0, GONE), (-48, GONE), (-25, GONE)).gone
    assert told((0, GONE), (-48, GONE), (-24, GONE)).gone


@given(
    st.dictionaries(
        st.sampled_from(["gone", "gone_since"]), st.none() | st.booleans() | st.text() | st.integers()
    )
)
def test_a_damaged_row_is_read_as_well_as_it_can_be(cursor: dict[str, object]) -> None:
    state = PollState(cursor=cursor)
    farewell = after_failure(state, GONE, NOW)
    assert farewell.gone is (cursor.get("gone") is True) or "gone_since" in cursor
    assert after_success(farewell.state) == PollState()
