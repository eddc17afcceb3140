"""When a source that says 410 is believed: the second time, a day after the first, with nothing better in between.

What is remembered stands in the cursor of its :class:`~digestd.model.PollState`: `gone_since`, the moment of the first;
`gone`, that it was believed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from digestd.model import Failure, PollState

GONE = 410
BELIEVED_AFTER = timedelta(days=1)

_SINCE, _BELIEVED = "gone_since", "gone"


@dataclass(frozen=True, slots=True)
class Farewell:
    """What to remember, and whether the source is gone."""

    state: PollState
    gone: bool = False


def after_failure(state: PollState, failure: Failure, now: datetime) -> Farewell:
    """What `failure` makes of a source whose poll would leave `state`. Another than 410 proves nothing: what is gone
    stays so, and what said so once may say so again."""
    cursor = state.cursor or {}
    believed = cursor.get(_BELIEVED) is True
    if failure.status != GONE or believed:
        return Farewell(state, gone=believed)
    since = _moment(cursor.get(_SINCE))
    # Of a clock that was set back, nothing is known to be a day old.
    if since is None or since > now:
        return Farewell(replace(state, cursor={**cursor, _SINCE: now.isoformat(timespec="seconds")}))
    if now - since < BELIEVED_AFTER:
        return Farewell(state)
    return Farewell(replace(state, cursor={**cursor, _BELIEVED: True}), gone=True)


def after_success(state: PollState) -> PollState:
    """`state` without what was remembered: it is there."""
    if not {_SINCE, _BELIEVED} & (state.cursor or {}).keys():
        return state
    cursor = {name: value for name, value in (state.cursor or {}).items() if name not in (_SINCE, _BELIEVED)}
    return replace(state, cursor=cursor or None)


def _moment(value: object) -> datetime | None:
    """The moment that `value` of a row names; None for what is none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
