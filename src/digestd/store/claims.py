"""PURE: whether a source may be claimed now, and whether its host may be asked. Every store decides by these."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from digestd.model import State
from digestd.store import ClaimRequest, Gone, HostStart, Wait

LONGEST_PAUSE_SECONDS = 86_400.0
"""One header must not silence a host for longer than a day."""

_LONGEST_SPACING_SECONDS = 3_600.0
_SHORTEST_WAIT_SECONDS = 0.001
# A clock that is kept in step goes back by less.
_CLOCK_STEP_SECONDS = 60.0
_FIRST_PUT_OFF_SECONDS = 30
_LONGEST_PUT_OFF_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Standing:
    """What a claim is decided by: the columns of a source's row that say when and by whom it may be
    polled."""

    enabled: bool
    state: State
    next_fetch_at: datetime | None
    schedule_reason: str | None
    unfinished_claims: int
    lease_expires_at: datetime | None
    last_fetched_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Take:
    """It may be claimed, and stands as `after` from then on."""

    after: Standing


@dataclass(frozen=True, slots=True)
class PutOff:
    """It is suspected of crashing the process: it shall stand as `after`, say `last_error`, and be answered
    `wait`."""

    after: Standing
    last_error: str
    wait: Wait


@dataclass(frozen=True, slots=True)
class HostStanding:
    """When the next start at a host may be, and until when it is paused; None where nobody said, or wrote no moment."""

    next_start_at: datetime | None
    paused_until: datetime | None


def decide_start(host: HostStanding, start: HostStart, now: datetime) -> Wait | None:
    """How long `start` has to wait, by the database's clock `now`; None when it need not.

    A moment further ahead than anyone can have set it (a day for a pause, an hour for a start) is passed over: the
    clock was set back, and the host must not be shut for as long.
    """
    paused = _ahead(host.paused_until, now)
    if 0 < paused <= LONGEST_PAUSE_SECONDS:
        return Wait(max(paused, _SHORTEST_WAIT_SECONDS), "host_paused")
    spaced = _ahead(host.next_start_at, now)
    if start.delay_seconds > 0 and 0 < spaced <= max(_LONGEST_SPACING_SECONDS, start.delay_seconds):
        return Wait(max(spaced, _SHORTEST_WAIT_SECONDS), "host")
    return None


def _ahead(moment: datetime | None, now: datetime) -> float:
    return 0.0 if moment is None else (moment - now).total_seconds()


def decide_claim(
    row: Standing, request: ClaimRequest, now: datetime, limit: int
) -> Take | PutOff | Wait | Gone:
    """Answer `request` for a source that stands as `row`, by the database's clock `now`.

    From `limit` unfinished claims on, a source is put off once for each further one: 30 seconds, doubled
    each time, at most a day. That it was is told by its schedule reason. One whose last poll lies in the future is due.
    """
    if (reason := _gone(row)) is not None:
        return Gone(reason)
    if row.lease_expires_at is not None and row.lease_expires_at > now:
        return Wait((row.lease_expires_at - now).total_seconds(), "leased", row.unfinished_claims)
    if (
        not request.force
        and row.next_fetch_at is not None
        and row.next_fetch_at > now
        and not _set_back(row, now)
    ):
        return Wait((row.next_fetch_at - now).total_seconds(), "not_due", row.unfinished_claims)
    count = row.unfinished_claims
    if count >= limit and row.schedule_reason != _put_off_reason(count):
        return _put_off(row, now, limit)
    expires = now + timedelta(seconds=request.lease_seconds)
    return Take(replace(row, unfinished_claims=count + 1, lease_expires_at=expires))


def _set_back(row: Standing, now: datetime) -> bool:
    """Whether the clock was set back since the last poll: when the next one was to be tells nothing then, and nobody is
    to wait until the clock is where it was."""
    return _ahead(row.last_fetched_at, now) > _CLOCK_STEP_SECONDS


def _gone(row: Standing) -> str | None:
    if row.state in ("removed", "duplicate"):
        return row.state
    return None if row.enabled else "disabled"


def _put_off_reason(count: int) -> str:
    return f"unfinished_claims:{count}"


def _put_off(row: Standing, now: datetime, limit: int) -> PutOff:
    count = row.unfinished_claims
    # The exponent is bounded before it is used: a count of thousands would overflow a float.
    doublings = min(count - limit, 12)
    seconds = float(min(_LONGEST_PUT_OFF_SECONDS, _FIRST_PUT_OFF_SECONDS * 2**doublings))
    after = replace(
        row,
        state="degraded",
        next_fetch_at=now + timedelta(seconds=seconds),
        schedule_reason=_put_off_reason(count),
        lease_expires_at=None,
    )
    error = (
        f"{count} polls in a row never ended: this source may be crashing digestd; polled alone from now on"
    )
    return PutOff(after, error, Wait(seconds, "unfinished_claims", count))
