"""What publishers say of when to come back: in their documents, in the header fields of their answers, and by habit."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import pairwise
from typing import Any

from digestd.model import Document, Hints, PollState, Response, Step

NEWEST_ENTRIES = 20
"""How many entries, the newest, show how often there are any."""
FEWEST_DATES = 3
"""Fewer different dates show no habit."""
LONGEST_SECONDS = 10 * 366 * 86_400.0

_HINTS, _CACHE = "hints", "cache"
_PERIODS = {
    "hourly": 3_600.0,
    "daily": 86_400.0,
    "weekly": 7 * 86_400.0,
    "monthly": 30 * 86_400.0,
    "yearly": 365 * 86_400.0,
}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBER = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,12})?", re.ASCII)

# The elements themselves, without what a namespace or an attribute may add: RSS has neither here.
_LONGEST_LIST = 4_000
_FIRST_ITEM = re.compile(r"<item[\s>]")
_LISTS = {"hour": ("<skipHours>", "</skipHours>"), "day": ("<skipDays>", "</skipDays>")}
_NAMED = {name: re.compile(rf"<{name}>\s{{0,20}}(\w{{1,20}})\s{{0,20}}</{name}>") for name in _LISTS}

_LONGEST_FIELD = 4_096
_DIRECTIVE = re.compile(r"([\w-]+)(?:\s*=\s*(\"[^\"]*\"|[^\s,]*))?", re.ASCII)


def stated(ttl: str, period: str, frequency: str, hours: Iterable[str], days: Iterable[str]) -> Hints:
    """What a feed says, as it is written: its `ttl` in minutes (RSS 2.0), the `sy:updatePeriod` and
    `sy:updateFrequency` (RSS 1.0 Syndication), the texts of `skipHours` and `skipDays`. What cannot be read is as if it
    were not there, and so is what leaves no hour or no day."""
    times = _number(frequency) or 1.0
    slower = max(60 * (_number(ttl) or 0.0), _PERIODS.get(period.strip().lower(), 0.0) / times)
    named_hours = {
        int(hour) % 24 for hour in hours if hour.isascii() and hour.isdecimal() and int(hour) <= 24
    }
    named_days = {_DAYS.index(day.lower()) for day in days if day.lower() in _DAYS}
    return Hints(
        ttl_seconds=_bounded(slower),
        skip_hours=tuple(sorted(named_hours)) if len(named_hours) < 24 else (),
        skip_days=tuple(sorted(named_days)) if len(named_days) < 7 else (),
    )


def skipped(text: str) -> tuple[list[str], list[str]]:
    """The texts of the hours and of the days that the RSS document `text` wants left out. feedparser keeps the last of
    each alone."""
    return _named(text, "hour"), _named(text, "day")


def of_document(document: Document, now: datetime) -> Hints:
    """What `document` says, and what the dates of its entries show. Dates in the future show nothing."""
    said = document.hints
    dates = sorted(
        {one.published_at for one in document.entries if one.published_at is not None}, reverse=True
    )
    past = [date for date in dates if date <= now][:NEWEST_ENTRIES]
    gap = None
    if len(past) >= FEWEST_DATES:
        gap = _median([(newer - older).total_seconds() for newer, older in pairwise(past)])
    return Hints(
        None, said.ttl_seconds, said.skip_hours, said.skip_days, _bounded(gap), past[0] if past else None
    )


def _median(values: list[float]) -> float:
    # By hand: to import statistics takes every new worker five milliseconds.
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def of_headers(headers: Mapping[str, str], now: datetime) -> float | None:
    """For how many seconds an answer with these `headers` (names in lower case) may still be cached (RFC 9111, 4.2), a
    304, too; None for not at all, or for what cannot be read.

    `max-age` less `Age`, else `Expires` less `Date`. What is for shared caches alone does not concern us.
    """
    control = headers.get("cache-control")
    if control is not None:
        directives = _directives(control)
        if "no-cache" in directives or "no-store" in directives:
            return None
        if "max-age" in directives:
            lifetime = _number(directives["max-age"])
            return None if lifetime is None else _bounded(lifetime - (_number(headers.get("age", "")) or 0.0))
    expires = headers.get("expires")
    if expires is None:
        return None
    ends, sent = _date(expires), _date(headers.get("date", ""))
    return None if ends is None else _bounded((ends - (sent or now)).total_seconds())


def caching(state: PollState, response: Response, now: datetime) -> PollState:
    """`state` with how long `response` may be cached; what was said before stays in force where a 304 says nothing of
    it (RFC 9111, 4.3.4)."""
    headers = response.headers
    if response.not_modified and not ("cache-control" in headers or "expires" in headers):
        return state
    cursor = state.cursor or {}
    said = cursor.get(_HINTS)
    others = (
        {name: value for name, value in said.items() if name != _CACHE} if isinstance(said, Mapping) else {}
    )
    seconds = of_headers(headers, now)
    kept = others if seconds is None else {**others, _CACHE: max(1, round(seconds))}
    if kept == (said or {}):
        return state
    rest = {name: value for name, value in cursor.items() if name != _HINTS}
    return replace(state, cursor={**rest, _HINTS: kept} if kept else rest or None)


def cached(step: Step, response: Response, now: datetime) -> Step:
    """`step` with what its `response` says of caching, which is remembered for those that say nothing."""
    state = caching(step.next_state, response, now)
    said = (state.cursor or {}).get(_HINTS)
    seconds = _sound_seconds(said.get(_CACHE)) if isinstance(said, Mapping) else None
    if state is step.next_state and seconds == step.hints.cache_seconds:
        return step
    return replace(step, next_state=state, hints=replace(step.hints, cache_seconds=seconds))


def to_cursor(hints: Hints) -> dict[str, object]:
    """What of `hints` is kept in a cursor for the answers that bring no document."""
    kept = {
        _CACHE: hints.cache_seconds and max(1, round(hints.cache_seconds)),
        "ttl": hints.ttl_seconds and max(1, round(hints.ttl_seconds)),
        "hours": list(hints.skip_hours),
        "days": list(hints.skip_days),
        "gap": hints.gap_seconds and max(1, round(hints.gap_seconds)),
        "newest": hints.newest_at and hints.newest_at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    said = {name: value for name, value in kept.items() if value}
    return {_HINTS: said} if said else {}


def remembered(cursor: Mapping[str, Any] | None) -> Hints:
    """What :func:`to_cursor` kept in `cursor`; of a damaged row what is sound. Never raises."""
    said = (cursor or {}).get(_HINTS)
    if not isinstance(said, Mapping):
        return Hints()
    return Hints(
        cache_seconds=_sound_seconds(said.get(_CACHE)),
        ttl_seconds=_sound_seconds(said.get("ttl")),
        skip_hours=_sound_numbers(said.get("hours"), 24),
        skip_days=_sound_numbers(said.get("days"), 7),
        gap_seconds=_sound_seconds(said.get("gap")),
        newest_at=_sound_moment(said.get("newest")),
    )


def _named(text: str, name: str) -> list[str]:
    opening, closing = _LISTS[name]
    # Not in an item, whose text is another's.
    first, last = _FIRST_ITEM.search(text), text.rfind("</item>")
    head = text.find(opening, 0, first.start() if first else len(text))
    begin = head if head >= 0 or last < 0 else text.find(opening, last)
    if begin < 0:
        return []
    listed = text[begin : begin + _LONGEST_LIST]
    return _NAMED[name].findall(listed.partition(closing)[0])


def _directives(field: str) -> dict[str, str]:
    """Those of a Cache-Control field (RFC 9111, 5.2), by their names in lower case; of one that is repeated the
    first."""
    directives: dict[str, str] = {}
    for name, value in _DIRECTIVE.findall(field[:_LONGEST_FIELD]):
        directives.setdefault(name.lower(), value.strip('"'))
    return directives


def _number(text: str) -> float | None:
    """The number above zero that `text` is; None for everything else."""
    text = text.strip()
    return (float(text) or None) if _NUMBER.fullmatch(text) else None


def _date(text: str) -> datetime | None:
    if not text or len(text) > 64:
        return None
    try:
        moment = parsedate_to_datetime(text)
    # What it reads goes into datetime() as it is, which has its own ways to refuse.
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _bounded(seconds: float | None) -> float | None:
    return min(seconds, LONGEST_SECONDS) if seconds is not None and seconds > 0 else None


def _sound_seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # An int of a damaged row may be too large for a float.
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(value) if 0 < value <= LONGEST_SECONDS else None


def _sound_numbers(value: object, below: int) -> tuple[int, ...]:
    if not isinstance(value, list):
        return ()
    sound = {one for one in value[:below] if type(one) is int and 0 <= one < below}
    return tuple(sorted(sound)) if len(sound) < below else ()


def _sound_moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
