"""A source that brings more than its document holds between two polls is asked sooner."""

from __future__ import annotations

from digestd.feed.schedule import Schedule

SOONEST_SECONDS = 60.0

# What a publisher asks for stays: a cache would only give the same document again.
_OUR_OWN = frozenset({"interval", "adaptive"})


def sooner(schedule: Schedule) -> Schedule:
    """Half the delay of `schedule` where that is our own choice, and never less than a minute for it."""
    if schedule.reason not in _OUR_OWN:
        return schedule
    halved = max(schedule.delay_seconds / 2, SOONEST_SECONDS)
    return Schedule(min(schedule.delay_seconds, halved), "overflow")
