"""What goes on happening is told ever more seldom, so that a week of it is a page of log. Pure: `now` is a parameter,
in seconds of any clock that only goes forward."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field

FIRST_GAP_SECONDS = 60.0
LONGEST_GAP_SECONDS = 86_400.0
RELAPSE_SECONDS = 3_600.0
"""What comes back within so long after it was over, was not."""
FORGOTTEN_SECONDS = 2 * LONGEST_GAP_SECONDS
"""What has not happened for so long is new when it happens, though nobody said that it was over."""
IN_FULL_SECONDS = 7 * 86_400.0
"""A traceback that was told is not told again for so long."""

_MOST_TRACEBACKS = 1_000


@dataclass(slots=True)
class Seldom:
    """One thing that may go on happening: told at once, then after `gap` seconds, then after twice as long, up to
    `longest`; from the beginning again once it has not happened for `calm` seconds."""

    gap: float = FIRST_GAP_SECONDS
    longest: float = LONGEST_GAP_SECONDS
    calm: float = FORGOTTEN_SECONDS
    _grown: float = 0.0
    _told_at: float | None = None
    _last: float = 0.0

    def is_due(self, now: float) -> bool:
        """Note that it happens at `now`; whether that is to be told."""
        if self._told_at is None or now - self._last > self.calm:
            self._told_at, self._grown = now, self.gap
            due = True
        elif due := now - self._told_at >= self._grown:
            self._told_at, self._grown = now, min(2 * self._grown, self.longest)
        self._last = now
        return due


@dataclass(frozen=True, slots=True)
class Telling:
    """That something is to be told now: with its traceback, or without where that was told before. It happened `times`
    times within `seconds`, of which `untold` were not told and are not this one."""

    in_full: bool
    times: int
    untold: int
    seconds: float


@dataclass(slots=True)
class _Trouble:
    seldom: Seldom = field(default_factory=Seldom)
    times: int = 0
    untold: int = 0


@dataclass(slots=True)
class _Subject:
    since: float
    last: float
    troubles: dict[str, _Trouble] = field(default_factory=dict)
    told: bool = False
    over_at: float | None = None


class Repeats:
    """Who has which trouble, and what of it is to be told.

    A subject may have several troubles in turn: each has its own gaps, so that two of them which alternate are no news
    either. A traceback is told once for all subjects.
    """

    def __init__(self) -> None:
        self._subjects: dict[Hashable, _Subject] = {}
        self._in_full: dict[str, float] = {}

    def happened(self, subject: Hashable, trouble: str, now: float) -> Telling | None:
        """Note that `subject` has `trouble` at `now`; how to tell it, None when not at all."""
        known = self._subjects.get(subject)
        if known is None or _is_past(known, now):
            known = self._subjects[subject] = _Subject(now, now)
        known.last, known.over_at = now, None
        its = known.troubles.setdefault(trouble, _Trouble())
        its.times += 1
        if not its.seldom.is_due(now):
            its.untold += 1
            return None
        untold, its.untold = its.untold, 0
        known.told = True
        return Telling(self._is_due_in_full(trouble, now), its.times, untold, now - known.since)

    def over(self, subject: Hashable, now: float) -> Telling | None:
        """Note that `subject` is well at `now`; how to tell that its trouble is over, None when there is nothing to
        tell (it had none, or nothing was told of it since the last time)."""
        known = self._subjects.get(subject)
        if known is None:
            return None
        if known.over_at is not None:
            if _is_past(known, now):
                del self._subjects[subject]
            return None
        known.over_at = now
        if not known.told:
            return None
        known.told = False
        troubles = known.troubles.values()
        times, untold = sum(each.times for each in troubles), sum(each.untold for each in troubles)
        return Telling(False, times, untold, now - known.since)

    def _is_due_in_full(self, trouble: str, now: float) -> bool:
        told_at = self._in_full.get(trouble)
        if told_at is not None and now - told_at < IN_FULL_SECONDS:
            return False
        self._in_full.pop(trouble, None)
        self._in_full[trouble] = now
        if len(self._in_full) > _MOST_TRACEBACKS:
            del self._in_full[next(iter(self._in_full))]
        return True


def _is_past(known: _Subject, now: float) -> bool:
    over = known.over_at is not None and now - known.over_at > RELAPSE_SECONDS
    return over or now - known.last > FORGOTTEN_SECONDS


def traceback_id(error: BaseException) -> str:
    """Twelve hexadecimal digits that two exceptions share when they are of the same types and come from the same lines
    of code, whatever their messages say (which hold times, addresses and names)."""
    return hashlib.sha256("\n".join(dict.fromkeys(_places(error))).encode()).hexdigest()[:12]


def root_of(error: BaseException) -> BaseException:
    """The first single exception in `error`, which may be a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _places(error: BaseException) -> Iterator[str]:
    """Each type and line of code of `error`, of its members and of its causes. A recursion that ran out says each of
    its lines hundreds of times, and not always as often: the caller takes each once."""
    left, seen = [error], set()
    while left:
        error = left.pop()
        if id(error) in seen:
            continue
        seen.add(id(error))
        yield f"{type(error).__module__}.{type(error).__qualname__}"
        at = error.__traceback__
        while at is not None:
            yield f"{at.tb_frame.f_code.co_filename}:{at.tb_lineno}"
            at = at.tb_next
        if isinstance(error, BaseExceptionGroup):
            left += error.exceptions
        left += [cause for cause in (error.__cause__, error.__context__) if cause is not None]
