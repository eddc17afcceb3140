"""When a source is polled next, and why: pure decisions over seconds and a random number."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from digestd.model import State

DAY = 86_400.0
DEGRADED_AFTER = 3
"""From this many failures in a row on, a source is shown as `degraded`."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """The next poll is due in `delay_seconds`, for `reason`."""

    delay_seconds: float
    reason: str


def after_success(interval: float, jitter: float, chance: float) -> Schedule:
    """The interval plus jitter: `interval` + `chance` x `jitter` seconds, with `chance` drawn from [0, 1)."""
    return Schedule(interval + chance * jitter, "interval")


def after_failure(
    failures: int, interval: float, jitter: float, chance: float, retry_after: float | None = None
) -> Schedule:
    """The delay after the `failures`-th failure in a row (1 or more).

    The first failure costs nothing but the interval (most are over by then); each further one doubles the delay, from
    a minute on, up to a day (or the interval, where that is longer). Jitter is a tenth of the delay, or `jitter` where
    that is more, so that what failed together does not come back together. `retry_after` (RFC 9110, 10.2.3) is a floor,
    within the same cap.
    """
    cap = max(DAY, interval)
    doublings = min(failures - 1, 32)
    base = max(interval, 60.0) * 2.0**doublings if doublings else interval
    delay = min(cap, base + chance * max(jitter, base / 10))
    if retry_after is not None and min(retry_after, cap) > delay:
        return Schedule(min(cap, retry_after + chance * jitter), "retry_after")
    return Schedule(delay, f"backoff:{failures}" if doublings else "interval")


def after_deferral(interval: float, jitter: float, chance: float) -> Schedule:
    """The delay while our own network is away: a minute or the interval, whichever is shorter, plus jitter."""
    return Schedule(min(interval, 60.0) + chance * min(jitter, 60.0), "offline")


def phase(name: str, interval: float, sources: int) -> float:
    """How many seconds the source called `name` waits before a first or overdue poll.

    hash(name) mod min(`interval`, 1 s x `sources`): always the same for a name, and evenly spread over all names, so
    that hundreds of sources that are due at once do not start together.
    """
    span = min(interval, float(sources))
    fraction = int.from_bytes(hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()[:8]) / 2**64
    return fraction * span


def state_after(failures: int, *, misshapen: bool = False) -> State:
    """The state to show after `failures` failures in a row; `misshapen` tells that the source answers, but not with
    what a feed should be (see :mod:`digestd.feed.shape`)."""
    return "degraded" if misshapen or failures >= DEGRADED_AFTER else "active"
