"""Whether a source that answers has fallen silent, by its own habit."""

from __future__ import annotations

from datetime import datetime

DAY = 86_400.0
SHORTEST_SILENCE_SECONDS = 7 * DAY
SILENT_GAPS = 10
"""From so many of its usual gaps on, a pause is no pause any more."""

_LABEL = "silent"
_UNITS = ((365 * DAY, "year"), (DAY, "day"), (3_600.0, "hour"), (60.0, "minute"))


def silence(newest_at: datetime | None, gap_seconds: float | None, now: datetime) -> str | None:
    """What to tell of a source whose newest entry is of `newest_at` and that brought one every `gap_seconds`; None
    while that is no longer ago than ten gaps and a week, and where its habit is not known."""
    if newest_at is None or gap_seconds is None:
        return None
    seconds = (now - newest_at).total_seconds()
    if seconds <= max(SHORTEST_SILENCE_SECONDS, SILENT_GAPS * gap_seconds):
        return None
    return f"nothing new for {int(seconds // DAY)} days; it used to bring an entry {_every(gap_seconds)}"


def labelled(words: str) -> str:
    """How `words` of :func:`silence` stand among the last errors of sources."""
    return f"{_LABEL}: {words}"


def unlabelled(last_error: str) -> str:
    """The words of :func:`silence` again in what :func:`labelled` made of them."""
    return last_error.removeprefix(f"{_LABEL}: ")


def is_labelled(last_error: str | None) -> bool:
    """Whether `last_error` of a source says that it has fallen silent."""
    return last_error is not None and last_error.startswith(f"{_LABEL}: ")


def _every(seconds: float) -> str:
    length, unit = next((one for one in _UNITS if seconds >= one[0]), _UNITS[-1])
    count = max(1, round(seconds / length))
    return f"every {unit}" if count == 1 else f"every {count} {unit}s"
