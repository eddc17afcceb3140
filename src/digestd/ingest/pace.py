"""How much of a poll's time is our own: its source must not pass for slow when our parser or database is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

import trio


@dataclass(slots=True)
class Pace:
    """`our_seconds` of what ran within :func:`measured` were spent in :func:`our_own`."""

    our_seconds: float = 0.0


# It goes down to the parser through kinds of third parties, who need not know of it.
_current: ContextVar[Pace | None] = ContextVar("digestd_pace", default=None)


@contextmanager
def measured() -> Iterator[Pace]:
    """Add up what this task spends in :func:`our_own` within the block."""
    pace = Pace()
    token = _current.set(pace)
    try:
        yield pace
    finally:
        _current.reset(token)


class our_own:  # noqa: N801 - read as what it does
    """What passes within the block is no fault of the source's. Outside of :func:`measured` nothing is added up."""

    __slots__ = ("_began", "_pace")

    def __enter__(self) -> None:
        self._pace, self._began = _current.get(), trio.current_time()

    def __exit__(self, *_: object) -> None:
        if self._pace is not None:
            self._pace.our_seconds += trio.current_time() - self._began
