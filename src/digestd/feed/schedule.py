"""When a source is polled next, and why: pure decisions over seconds and a random number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from digestd.model import Hints, State

DAY = 86_400.0
WEEK = 7 * DAY
LONGEST_HINT_SECONDS = 3_600.0
"""How far a publisher's hints alone slow a source down, where nobody decided otherwise: this is news of security."""
LONGEST_SKIP_SECONDS = DAY
"""How far `skipHours` and `skipDays` put a poll off at most."""
QUIET_SECONDS, DORMANT_SECONDS = WEEK, 30 * DAY
"""From when on a source that brings nothing is polled adaptively half as often, and as seldom as is allowed."""
DEGRADED_AFTER = 3
"""From this many failures in a row on, a source is shown as `degraded`."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The next poll is due in `delay_seconds`, for `reason`."""

    delay_seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often the operator wants a source polled, in seconds. With `adaptive`, the fewest and the most seconds to
    choose from by what it brings, instead of `interval`. Hints are gone by up to `longest_hint`, unless that is 0."""

    interval: float
    jitter: float
    adaptive: tuple[float, float] | None = None
    longest_hint: float = LONGEST_HINT_SECONDS


def after_success(rhythm: Rhythm, hints: Hints, now: datetime, chance: float) -> Schedule:
    """The interval plus jitter, with `chance` drawn from [0, 1), as far as the `hints` of the publisher let it.

    What they say of caching and updates is a floor, within its cap; jitter comes on top, so that what is cached for
    equally long does not come due together. Hours and days to leave out put a poll off to their end.
    """
    base = _at_least(_own(rhythm, hints, now), hints, rhythm.longest_hint)
    delay = base.delay_seconds + chance * rhythm.jitter
    if not rhythm.longest_hint or not (hints.skip_hours or hints.skip_days):
        return Schedule(delay, base.reason)
    return _past_skipped(Schedule(delay, base.reason), hints, now, chance * rhythm.jitter)


def _own(rhythm: Rhythm, hints: Hints, now: datetime) -> Schedule:
    """Our own choice: half the usual gap between entries, and less often where none came for a while."""
    if rhythm.adaptive is None or hints.gap_seconds is None or hints.newest_at is None:
        return Schedule(rhythm.interval, "interval")
    fewest, most = rhythm.adaptive
    idle = (now - hints.newest_at).total_seconds()
    if idle >= DORMANT_SECONDS:
        return Schedule(most, "adaptive")
    half = hints.gap_seconds / 2 * (2 if idle >= QUIET_SECONDS else 1)
    return Schedule(min(max(half, fewest), most), "adaptive")


def _at_least(own: Schedule, hints: Hints, cap: float) -> Schedule:
    asked, reason = max((hints.cache_seconds or 0.0, "cache_control"), (hints.ttl_seconds or 0.0, "ttl"))
    if min(asked, cap) <= own.delay_seconds:
        return own
    return Schedule(asked, reason) if asked <= cap else Schedule(cap, f"{reason}:capped")


def _past_skipped(schedule: Schedule, hints: Hints, now: datetime, jitter: float) -> Schedule:
    """Put `schedule` off to the first hour (GMT) that is not left out, a day at most."""
    # Of the longest delays no clock can say when they end.
    if schedule.delay_seconds > 366 * DAY:
        return schedule
    due = now.astimezone(UTC) + timedelta(seconds=schedule.delay_seconds)
    reason = _skipped(due, hints)
    if reason is None:
        return schedule
    free = due.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    latest = due + timedelta(seconds=LONGEST_SKIP_SECONDS)
    while free < latest and _skipped(free, hints) is not None:
        free += timedelta(hours=1)
    if free >= latest:
        return Schedule(schedule.delay_seconds + LONGEST_SKIP_SECONDS, f"{reason}:capped")
    return Schedule(schedule.delay_seconds + (free - due).total_seconds() + jitter, reason)


def _skipped(moment: datetime, hints: Hints) -> str | None:
    if moment.weekday() in hints.skip_days:
        return "skip_days"
    return "skip_hours" if moment.hour in hints.skip_hours else None


def after_failure(
    failures: int, interval: float, jitter: float, chance: float, retry_after: float | None = None
) -> Schedule:
    """The delay after the `failures`-th failure in a row (1 or more).

    The first failure costs nothing but the interval (most are over by then); each further one doubles the delay, from
    a minute on, up to a day (or the interval, where that is longer). Jitter is a tenth of the delay, or `jitter` where
    that is more, so that what failed together does not come back together; at the cap it stays below it. `retry_after`
    (RFC 9110, 10.2.3) is a floor, within the same cap.
    """
    cap = max(DAY, interval)
    doublings = min(failures - 1, 32)
    grown = max(interval, 60.0) * 2.0**doublings if doublings else interval
    base = max(interval, min(grown, cap / 1.1))
    delay = min(cap, base + chance * max(jitter, base / 10))
    if retry_after is not None and min(retry_after, cap) > delay:
        return Schedule(min(cap, retry_after + chance * jitter), "retry_after")
    return Schedule(delay, f"backoff:{failures}" if doublings else "interval")


def after_deferral(interval: float, jitter: float, chance: float) -> Schedule:
    """The delay while our own network is away: a minute or the interval, whichever is shorter, plus jitter."""
    return Schedule(min(interval, 60.0) + chance * min(jitter, 60.0), "offline")


def while_gone(interval: float, chance: float) -> Schedule:
    """The delay of a source that is gone: a week (or the interval, where that is longer), plus up to a tenth."""
    return Schedule(max(WEEK, interval) * (1 + chance / 10), "gone")


def phase(name: str, interval: float, sources: int) -> float:
    """How many seconds the source called `name` waits before a first or overdue poll.

    hash(name) mod min(`interval`, 1 s x `sources`): always the same for a name, and evenly spread over all names, so
    that hundreds of sources that are due at once do not start together.
    """
    span = min(interval, float(sources))
    fraction = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
    return fraction * span


def state_after(failures: int, *, misshapen: bool = False, gone: bool = False) -> State:
    """The state to show after `failures` failures in a row; `misshapen` tells that the source answers, but not with
    what a feed should be (see :mod:`digestd.feed.shape`); `gone` that it is (see :mod:`digestd.feed.gone`)."""
    if gone:
        return "gone"
    return "degraded" if misshapen or failures >= DEGRADED_AFTER else "active"
