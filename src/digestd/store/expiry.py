"""PURE: what is asked and answered about retention, and the moments that decide it. Every store goes by these."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

PURGE_LIMIT = 500
"""How many articles, and how many tombstones, go in one transaction at most."""

_FLICKER = timedelta(days=1)
_EVIDENCE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class RetentionLimits:
    """For how many days an article is kept that has left its source's document, and how many articles a source keeps
    beside those in its document; None: without limit."""

    days: float | None = None
    max_per_source: int | None = None


@dataclass(frozen=True, slots=True)
class Purged:
    """What one piece of retention deleted. `after` is for the next piece, None after the last one."""

    articles: int
    tombstones: int
    after: int | None


@dataclass(frozen=True, slots=True)
class Horizons:
    """Before which moment an article must have left its document to be deleted: for its age, and for being one of too
    many; None where there is no such limit."""

    age: datetime | None
    number: datetime | None


def horizons(limits: RetentionLimits, now: datetime) -> Horizons:
    """The horizons of `limits` at `now`. Of too many articles those stay that left less than a day ago: some servers
    give an old document and a new one in turn, and what flickers has not gone."""
    return Horizons(
        age=None if limits.days is None else now - timedelta(days=limits.days),
        number=None if limits.max_per_source is None else now - _FLICKER,
    )


def tombstone_horizon(last_whole_at: datetime) -> datetime:
    """Before which moment an entry must have left the document for its tombstone to go: 90 days before the source last
    served a whole one. Time alone is no evidence; a source that is silent, fails, or is cut off has shown nothing."""
    return last_whole_at - _EVIDENCE
