"""A source that brings more than its document holds is asked sooner, for as long as it goes on doing so.

What is remembered stands in the cursor of its :class:`~digestd.model.PollState`, as `overflow`: how often the delay is
halved, and when the document held too little the last time. One halving goes each day after that.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from digestd.feed.schedule import Schedule
from digestd.model import PollState

SOONEST_SECONDS = 60.0
RELAXED_AFTER = timedelta(days=1)
"""So long after the last time one halving goes: many publishers have a busy hour each day."""
MOST_HALVINGS = 20

_OVERFLOW = "overflow"

# What a publisher asks for stays: a cache would only give the same document again.
_OUR_OWN = frozenset({"interval", "adaptive"})


def sooner(schedule: Schedule, halvings: int) -> Schedule:
    """`schedule` with its delay halved so often where that is our own choice, and never less than a minute for it."""
    if schedule.reason not in _OUR_OWN or halvings < 1:
        return schedule
    halved = max(schedule.delay_seconds / 2.0 ** min(halvings, MOST_HALVINGS), SOONEST_SECONDS)
    return Schedule(min(schedule.delay_seconds, halved), "overflow")


def halvings(state: PollState, now: datetime) -> int:
    """How often the delay of a source is to be halved that a poll left in `state`; 0 where its row is damaged."""
    found = _remembered(state)
    if found is None or found[1] > now:
        # Of a clock that was set back nothing is known.
        return 0
    return max(0, found[0] - (now - found[1]) // RELAXED_AFTER)


def once_more(schedule: Schedule, before: int) -> int:
    """The halvings after a document that held too little though there were `before`: one more, until `schedule` is as
    soon as it gets."""
    shortest = sooner(schedule, before).delay_seconds <= SOONEST_SECONDS
    return max(1, before) if shortest else min(before + 1, MOST_HALVINGS)


def noted(state: PollState, count: int, now: datetime) -> PollState:
    """`state` with what is remembered of a document that held too little `now`."""
    said = [count, now.isoformat(timespec="seconds")]
    return replace(state, cursor={**(state.cursor or {}), _OVERFLOW: said})


def carried(before: PollState, reached: PollState, now: datetime) -> PollState:
    """`reached` with what `before` remembers, as long as it matters."""
    kept = (before.cursor or {}).get(_OVERFLOW) if halvings(before, now) else None
    if kept == (reached.cursor or {}).get(_OVERFLOW):
        return reached
    others = {name: value for name, value in (reached.cursor or {}).items() if name != _OVERFLOW}
    return replace(reached, cursor=(others if kept is None else {**others, _OVERFLOW: kept}) or None)


def _remembered(state: PollState) -> tuple[int, datetime] | None:
    match (state.cursor or {}).get(_OVERFLOW):
        case [int(count), str(written)]:
            try:
                at = datetime.fromisoformat(written)
            except ValueError:
                return None
            return (min(count, MOST_HALVINGS), at) if at.tzinfo is not None else None
        case _:
            return None
