"""What each template is given. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from digestd.store.overview import COUNTED_AT_MOST, SortKey, SourceDetail
from digestd.web.pages.board import PER_PAGE, Front
from digestd.web.pages.charts import HEIGHT, WIDTH, charts, hour_rows
from digestd.web.pages.query import STANDINGS, Asked, address
from digestd.web.pages.words import (
    LONGEST_ERROR,
    article_row,
    line,
    moment_of,
    poll_row,
    shortened,
    source_facts,
    source_row,
)
from digestd.web.state import DaemonState

MOST_FAILING_SHOWN = 50

_SORTS: tuple[tuple[SortKey, str], ...] = (
    ("trouble", "What is wrong"),
    ("name", "Name"),
    ("last_success", "Last success"),
    ("next_poll", "Next poll"),
    ("last_new", "Last new article"),
)
# Of the columns that can be sorted by: the heading of each.
_HEADINGS: tuple[tuple[SortKey | None, str], ...] = (
    ("name", "Source"),
    ("trouble", "State"),
    ("last_success", "Last success"),
    ("next_poll", "Next poll, and why"),
    (None, "Last error"),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several values that can be chosen."""

    value: str
    words: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a column: `order` is how the list is sorted by it, None where it is sorted by another; `link` is
    None where it cannot be."""

    words: str
    link: str | None = None
    order: str | None = None


@dataclass(frozen=True, slots=True)
class Tile:
    """A number, what it counts, and where its list is."""

    number: str
    words: str
    link: str | None = None
    shape: str | None = None


def front_view(front: Front, asked: Asked, state: DaemonState, now: datetime) -> dict[str, Any]:
    """What the first page is given."""
    query, total = asked.query, front.listed.total
    pages = max(1, -(-total // PER_PAGE))
    begin = (front.page - 1) * PER_PAGE
    return {
        "daemon": _daemon(state, now),
        "tiles": _tiles(front, state),
        "charts": charts(front.hours),
        "chart_size": (WIDTH, HEIGHT),
        "hours": hour_rows(front.hours),
        "articles": [article_row(headline, now) for headline in front.headlines],
        "query": query,
        "filtered": asked.filtered,
        "standings": _choices(
            [(word, front.counts.standings.get(word, 0)) for word in STANDINGS], query.standing
        ),
        "kinds": _choices(front.counts.kinds.items(), query.kind),
        "categories": _choices(front.counts.categories.items(), query.category),
        "sorts": [Choice(key, words, key == query.sort) for key, words in _SORTS],
        "headings": [_heading(key, words, asked) for key, words in _HEADINGS],
        "rows": [source_row(status, now) for status in front.listed.statuses],
        "none_at_all": front.counts.total == 0,
        "total": f"{total:,}",
        "shown": (f"{begin + 1:,}", f"{begin + len(front.listed.statuses):,}"),
        "page": front.page,
        "pages": pages,
        "links": _page_links(asked, front.page, pages),
    }


def source_view(detail: SourceDetail, now: datetime) -> dict[str, Any]:
    """What the page of a source is given."""
    many = detail.articles >= COUNTED_AT_MOST
    articles = f"{detail.articles:,}" + (" or more" if many else "")
    facts = [*source_facts(detail.status, now), ("Articles", articles)]
    if detail.entries_set_aside:
        facts.append(("Set aside", f"{detail.entries_set_aside:,} entries could not become articles"))
    if detail.status.unchanged_polls:
        facts.append(("Quiet", f"{detail.status.unchanged_polls:,} polls since then brought nothing"))
    error = detail.status.last_error
    return {
        "row": source_row(detail.status, now),
        "error": error and shortened(error, 10 * LONGEST_ERROR),
        "facts": facts,
        "polls": [poll_row(fetch, now) for fetch in detail.fetches],
        "articles": [article_row(headline, now) for headline in detail.newest],
    }


def away_view(state: DaemonState, words: str, now: datetime) -> dict[str, Any]:
    """What is known without the database, which is away for the reason that `words` tell."""
    metrics = state.metrics
    failing = [
        (line(name), shortened(error, LONGEST_ERROR))
        for name, error in islice(metrics.failing.items(), MOST_FAILING_SHOWN)
    ]
    return {
        "daemon": _daemon(state, now),
        "reason": shortened(words, 10 * LONGEST_ERROR),
        "since": moment_of(state.store_away_since, now),
        "failing": failing,
        "more_failing": len(metrics.failing) - len(failing),
        "tiles": [
            Tile(f"{state.enabled:,}", "sources to be polled"),
            Tile(f"{len(metrics.failing):,}", "failing", shape="cross" if metrics.failing else None),
            Tile(f"{state.slots_in_use:,} of {state.slots:,}", "polls in flight"),
            Tile(f"{metrics.sources_checked:,}", "polls since the start"),
            Tile(f"{metrics.articles_new:,}", "new articles since the start"),
        ],
    }


def _daemon(state: DaemonState, now: datetime) -> dict[str, Any]:
    notes = []
    if state.stopping:
        notes.append("digestd is shutting down: polls in flight may end.")
    if state.store_away_since is not None:
        notes.append("The database is away: polls wait, nothing is lost.")
    return {
        "stalled": state.stalled,
        "waits": state.store_away_since is not None,
        "notes": notes,
        "up": _span(state.uptime_seconds),
        "last_fetch": moment_of(state.metrics.last_fetch, now),
    }


def _tiles(front: Front, state: DaemonState) -> list[Tile]:
    counts, metrics = front.counts, state.metrics
    standings = counts.standings
    polled = counts.total - standings.get("disabled", 0)
    tiles = [
        Tile(f"{polled:,}", "sources polled", "/#sources"),
        _filtered_tile(counts.failing, "failing", "/?failing=1#sources", "cross"),
        _filtered_tile(standings.get("degraded", 0), "degraded", "/?state=degraded#sources", "triangle"),
        _filtered_tile(standings.get("gone", 0), "gone", "/?state=gone#sources", "square"),
        Tile(f"{state.slots_in_use:,} of {state.slots:,}", "polls in flight"),
    ]
    if metrics.pages_pending is not None:
        tiles.append(Tile(f"{metrics.pages_pending:,}", "pages to fetch"))
    return tiles


def _filtered_tile(number: int, words: str, link: str, shape: str) -> Tile:
    return Tile(f"{number:,}", words, link if number else None, shape if number else None)


def _choices(counted: Any, chosen: str | None) -> list[Choice]:
    choices = [Choice(value, f"{line(value)} ({number:,})", value == chosen) for value, number in counted]
    if chosen is not None and not any(choice.chosen for choice in choices):
        choices.append(Choice(chosen, line(chosen), chosen=True))
    return choices


def _heading(key: SortKey | None, words: str, asked: Asked) -> Heading:
    if key is None:
        return Heading(words)
    order = ("descending" if asked.query.descending else "ascending") if asked.query.sort == key else None
    return Heading(words, f"{asked.sorted_by(key)}#sources", order)


def _page_links(asked: Asked, page: int, pages: int) -> Sequence[tuple[str, str]]:
    links = []
    if page > 1:
        links += [("First", 1), ("Previous", page - 1)]
    if page < pages:
        links += [("Next", page + 1), ("Last", pages)]
    return [(words, f"{address(replace(asked, page=number))}#sources") for words, number in links]


def _span(seconds: float) -> str:
    days, rest = divmod(int(seconds), 86_400)
    hours, minutes = rest // 3_600, rest % 3_600 // 60
    if days:
        return f"{days:,} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
