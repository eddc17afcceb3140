"""How a source does, in one word and with its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.health import WORDS, Health, health_of
from digestd.model import Source, SourceSpec, SourceStatus, State

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SPEC = SourceSpec("s", "feed", "https://a.example/")
POLLED = SourceStatus(Source(1, SPEC, "file"), "active", last_fetched_at=NOW)
OFF = replace(POLLED, source=Source(1, replace(SPEC, enabled=False), "file"))
SILENT = "silent: nothing new for 9 days; it used to bring an entry every hour"
PAUSE = "its host wants to be left alone for another "


@pytest.mark.parametrize(
    ("status", "health"),
    [
        (POLLED, Health("well")),
        (replace(POLLED, last_error="remark: two entries"), Health("well", "remark: two entries")),
        (replace(POLLED, last_fetched_at=None), Health("new", "not polled yet")),
        (
            replace(POLLED, last_error=SILENT),
            Health("silent", "nothing new for 9 days; it used to bring an entry every hour"),
        ),
        (
            replace(POLLED, consecutive_failures=1, last_error="dns: no"),
            Health("failing", "the last poll failed: dns: no"),
        ),
        (
            replace(POLLED, state="degraded", consecutive_failures=1_234, last_error="dns: no"),
            Health("failing", "1,234 polls in a row failed: dns: no"),
        ),
        (replace(POLLED, state="degraded", last_error="shape: odd"), Health("degraded", "shape: odd")),
        (replace(POLLED, state="degraded"), Health("degraded", "what it answers does not look as it should")),
        (replace(POLLED, state="gone", consecutive_failures=9), Health("gone", "its server says so (410)")),
        (
            replace(POLLED, state="gone", unfinished_claims=3),
            Health("suspect", "3 polls in a row never ended: it may be crashing digestd"),
        ),
        (replace(POLLED, state="duplicate"), Health("duplicate", "another source has its URL")),
        (replace(OFF, consecutive_failures=3), Health("disabled", "where it is configured")),
        (replace(OFF, overridden=True), Health("disabled", "by a command")),
    ],
)
def test_the_first_thing_to_look_after_is_told(status: SourceStatus, health: Health) -> None:
    assert health_of(status) == health


@pytest.mark.parametrize(
    ("status", "seconds", "health"),
    [
        (POLLED, 0.2, Health("paused", f"{PAUSE}1 s")),
        (replace(POLLED, last_fetched_at=None), 119, Health("paused", f"{PAUSE}119 s")),
        (POLLED, 7_199, Health("paused", f"{PAUSE}120 min")),
        (POLLED, 7_200, Health("paused", f"{PAUSE}2 h")),
        (
            replace(POLLED, consecutive_failures=1),
            60,
            Health("failing", f"the last poll failed; {PAUSE}60 s"),
        ),
        (OFF, 60, Health("disabled", "where it is configured")),
    ],
)
def test_a_pause_of_the_host_comes_after_what_is_wrong(
    status: SourceStatus, seconds: float, health: Health
) -> None:
    assert health_of(status, seconds) == health


states: st.SearchStrategy[State] = st.sampled_from(["active", "degraded", "gone", "duplicate"])


@given(
    states,
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
    st.none() | st.text(),
    st.none() | st.floats(0, 1e5),
)
def test_what_fails_is_never_well(
    state: State, failures: int, unfinished: int, enabled: bool, error: str | None, pause: float | None
) -> None:
    status = SourceStatus(
        Source(1, replace(SPEC, enabled=enabled), "cli"),
        state,
        consecutive_failures=failures,
        unfinished_claims=unfinished,
        last_error=error,
        last_fetched_at=NOW,
    )
    health = health_of(status, pause)
    assert health.word in WORDS
    assert (health.word == "disabled") is not enabled
    if status.failing:
        assert health.word in ("failing", "suspect", "gone", "duplicate")
    if health.word == "well":
        assert (state, pause) == ("active", None)
