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


@contextmanager
def our_own() -> Iterator[None]:
    """What passes within the block is no fault of the source's. Outside of :func:`measured` nothing is added up."""
    pace, began = _current.get(), trio.current_time()
    try:
        yield
    finally:
        if pace is not None:
            pace.our_seconds += trio.current_time() - began
