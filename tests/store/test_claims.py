from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.store import ClaimRequest, Gone, Wait
from digestd.store.claims import PutOff, Standing, Take, decide_claim

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FRESH = Standing(
    enabled=True,
    state="active",
    next_fetch_at=None,
    schedule_reason=None,
    unfinished_claims=0,
    lease_expires_at=None,
)


def in_seconds(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def decide(force: bool = False, **changes: Any) -> Take | PutOff | Wait | Gone:
    return decide_claim(replace(FRESH, **changes), ClaimRequest(1, 75, force), NOW, 3)


def test_a_source_never_polled_is_taken() -> None:
    assert decide() == Take(replace(FRESH, unfinished_claims=1, lease_expires_at=in_seconds(75)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": "removed"}, Gone("removed")),
        ({"state": "duplicate", "enabled": False}, Gone("duplicate")),
        ({"enabled": False}, Gone("disabled")),
        ({"lease_expires_at": in_seconds(9)}, Wait(9, "leased")),
        ({"lease_expires_at": in_seconds(9), "next_fetch_at": in_seconds(99)}, Wait(9, "leased")),
        ({"next_fetch_at": in_seconds(0.5)}, Wait(0.5, "not_due")),
        ({"next_fetch_at": in_seconds(9), "unfinished_claims": 5}, Wait(9, "not_due", 5)),
        ({"next_fetch_at": in_seconds(9), "last_fetched_at": in_seconds(60)}, Wait(9, "not_due")),
    ],
)
def test_what_is_answered_at_once(changes: dict[str, Any], expected: Wait | Gone) -> None:
    assert decide(**changes) == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"next_fetch_at": NOW},
        {"lease_expires_at": NOW},
        {"state": "degraded"},
        {"state": "gone"},
        {"unfinished_claims": 2},
        {"unfinished_claims": 3, "schedule_reason": "unfinished_claims:3"},
        {"next_fetch_at": in_seconds(9), "force": True},
        {"next_fetch_at": in_seconds(7_200), "last_fetched_at": in_seconds(6_900)},
    ],
)
def test_what_is_taken(changes: dict[str, Any]) -> None:
    assert isinstance(decide(**changes), Take)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("count", "reason", "seconds"),
    [
        (3, None, 30),
        (4, "unfinished_claims:3", 60),
        (14, "interval", 61_440),
        (15, "interval", 86_400),
        (100_000, "interval", 86_400),
    ],
)
def test_a_suspect_is_put_off_once_for_each_count(
    count: int, reason: str | None, seconds: int, force: bool
) -> None:
    suspect = replace(FRESH, unfinished_claims=count, schedule_reason=reason, lease_expires_at=in_seconds(-1))
    decision = decide_claim(suspect, ClaimRequest(1, 75, force), NOW, 3)
    after = Standing(
        enabled=True,
        state="degraded",
        next_fetch_at=in_seconds(seconds),
        schedule_reason=f"unfinished_claims:{count}",
        unfinished_claims=count,
        lease_expires_at=None,
    )
    error = (
        f"{count} polls in a row never ended: this source may be crashing digestd; polled alone from now on"
    )
    assert decision == PutOff(after, error, Wait(seconds, "unfinished_claims", count))
    later = decide_claim(after, ClaimRequest(1, 75), in_seconds(seconds), 3)
    assert isinstance(later, Take)
    assert later.after.unfinished_claims == count + 1


MOMENTS = st.none() | st.integers(-10, 10).map(in_seconds)
STANDINGS = st.builds(
    Standing,
    enabled=st.booleans(),
    state=st.sampled_from(["active", "degraded", "gone", "removed", "duplicate"]),
    next_fetch_at=MOMENTS,
    schedule_reason=st.sampled_from([None, "interval", "unfinished_claims:3", "unfinished_claims:4"]),
    unfinished_claims=st.integers(0, 6),
    lease_expires_at=MOMENTS,
)


@given(STANDINGS, st.booleans())
def test_nothing_held_gone_or_early_is_ever_taken(row: Standing, force: bool) -> None:
    decision = decide_claim(row, ClaimRequest(1, 75, force), NOW, 3)
    if isinstance(decision, Wait):
        assert decision.seconds > 0
    if isinstance(decision, Take | PutOff):
        assert row.enabled
        assert row.state not in ("removed", "duplicate")
        assert row.lease_expires_at is None or row.lease_expires_at <= NOW
        assert force or row.next_fetch_at is None or row.next_fetch_at <= NOW
