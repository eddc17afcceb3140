"""How a source does, in a word and with the reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from digestd.feed.silence import is_labelled, unlabelled
from digestd.model import UNFINISHED_CLAIMS_LIMIT, SourceStatus

Word: TypeAlias = Literal[
    "well", "new", "paused", "silent", "degraded", "failing", "gone", "suspect", "duplicate", "disabled"
]
WORDS: tuple[Word, ...] = get_args(Word)
"""What a source can be called, what is worst behind what is better; the last two are not polled at all."""


@dataclass(frozen=True, slots=True)
class Health:
    """How a source does. `reason` is for people, and empty where there is nothing to say."""

    word: Word
    reason: str = ""


def health_of(status: SourceStatus, paused_seconds: float | None = None) -> Health:
    """How the source of `status` does, whose host wants to be left alone for `paused_seconds` more (None: it does not).

    Of several things that are true of it, the one that a person has to look after first; a pause of its host comes
    after what is wrong with the source itself, and is told with it.
    """
    health = _own_health(status)
    if paused_seconds is None or health.word in ("duplicate", "disabled"):
        return health
    pause = f"its host wants to be left alone for another {_span(paused_seconds)}"
    if health.word in ("well", "new"):
        return Health("paused", pause)
    return Health(health.word, f"{health.reason}; {pause}" if health.reason else pause)


def _own_health(status: SourceStatus) -> Health:
    error = status.last_error or ""
    if not status.source.spec.enabled:
        return Health("disabled", "by a command" if status.overridden else "where it is configured")
    if status.state == "duplicate":
        return Health("duplicate", error or "another source has its URL")
    if status.unfinished_claims >= UNFINISHED_CLAIMS_LIMIT:
        return Health(
            "suspect", f"{status.unfinished_claims} polls in a row never ended: it may be crashing digestd"
        )
    if status.state == "gone":
        return Health("gone", error or "its server says so (410)")
    if status.failing:
        return Health("failing", _failure(status.consecutive_failures, error))
    if status.state == "degraded":
        return Health("degraded", error or "what it answers does not look as it should")
    if is_labelled(error):
        return Health("silent", unlabelled(error))
    if status.last_fetched_at is None:
        return Health("new", "not polled yet")
    return Health("well", error)


def _failure(times: int, error: str) -> str:
    counted = "the last poll failed" if times == 1 else f"{times:,} polls in a row failed"
    return f"{counted}: {error}" if error else counted


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7_200 else f"{round(seconds / 3_600)} h"
