"""Which articles a digest tells, and in which order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby


@dataclass(frozen=True, slots=True)
class Item:
    """An article as the digest takes it: everything is plain text, `published_at` an aware datetime.

    `text` is the beginning of the article or of its summary; markup has been turned into text by the caller.
    `dated` is False where the article gave no date: `published_at` is then when it was first seen, and the digest
    says so. `revision` is what was revised at `revised_at`, "" for nothing that readers have to know.
    """

    source: str
    title: str
    link: str | None
    published_at: datetime
    text: str = ""
    dated: bool = True
    revised_at: datetime | None = None
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One source in a digest: its newest items, newest first."""

    source: str
    items: tuple[Item, ...]


def newest_by_source(items: Iterable[Item], *, limit_per_source: int) -> list[Section]:
    """Sort `items` into one section per source, each with its newest `limit_per_source` (at least 1).

    The source with the newest item comes first; where times are equal, names and titles decide, so that the
    same items give the same digest in whatever order they come.
    """
    by_source = sorted(items, key=lambda item: item.source)
    sections = [
        _section(source, list(group), max(1, limit_per_source))
        for source, group in groupby(by_source, key=lambda item: item.source)
    ]
    sections.sort(key=lambda section: section.items[0].published_at, reverse=True)
    return sections


def _section(source: str, items: list[Item], limit: int) -> Section:
    items.sort(key=lambda item: (item.title, item.link or ""))
    items.sort(key=lambda item: item.published_at, reverse=True)
    return Section(source, tuple(items[:limit]))
