"""Which advisories GitHub is asked for next: all that were changed since the last round began, the oldest change first,
page by page as its `Link` fields name them. What changes in the meantime moves to the end, so nothing is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from digestd.errors import NotAFeed
from digestd.feed.dates import parse_date
from digestd.feed.ghsa import MOST_ADVISORIES
from digestd.feed.paging import linked_as

OVERLAP = timedelta(hours=1)
"""So far before the beginning of the last complete round the next one begins."""
MOST_PAGES = 5_000
"""A round with more, of half a million advisories, is taken for one without an end."""

_FIRST = datetime(2010, 1, 1, tzinfo=UTC)
_LONGEST_AHEAD = timedelta(days=1)
_LONGEST_WRONG = timedelta(days=366)
_LONGEST_AFTER = 500
_LONGEST_DATE = 64
_REACHED, _ROUND = "reached", "round"


@dataclass(frozen=True, slots=True)
class Round:
    """What was changed since `since` is asked for, from behind the cursor `after` on, None for the beginning. It began
    at `began`, by GitHub's clock, None before its first answer, and has had so many `pages`."""

    since: datetime
    after: str | None = None
    began: datetime | None = None
    pages: int = 0


def round_in(cursor: Mapping[str, Any], now: datetime, days: int) -> Round:
    """The round that goes on as `cursor` says, else a new one: from an hour before the last complete one began, or, at
    first, from `days` before `now`. Of a damaged row only what is sound is heeded. Never raises."""
    kept = cursor.get(_ROUND)
    if isinstance(kept, Mapping):
        # That their clock and ours differ by days must not make each page the first one.
        since, began = _moment(kept.get("since"), now), _moment(kept.get("began"), now, _LONGEST_WRONG)
        after, pages = kept.get("after"), kept.get("pages")
        if since and began and _is_after(after) and type(pages) is int and 0 <= pages <= MOST_PAGES:
            return Round(since, after, began, pages)
    reached = _moment(cursor.get(_REACHED), now)
    return Round(now - timedelta(days=days) if reached is None else reached - OVERLAP)


def address(place: str, one: Round) -> str:
    """The URL that asks for the next page of `one` at `place`, which has a query."""
    fields = {
        "modified": f">={one.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "sort": "updated",
        "direction": "asc",
        "per_page": str(MOST_ADVISORIES),
    }
    return f"{place}&{urlencode(fields if one.after is None else fields | {'after': one.after})}"


def onward(one: Round, headers: Mapping[str, str], url: str) -> Round | None:
    """What is left of the round after an answer with `headers` (lower-case names) from `url`; None for nothing.

    Nothing but the cursor is taken from the link to the next page. Raises :class:`~digestd.errors.NotAFeed` where that
    leads nowhere, or to no end.
    """
    link = linked_as("next", headers.get("link"), url)
    if link is None:
        return None
    after = parse_qs(urlsplit(link).query).get("after", [""])[0]
    if not _is_after(after):
        raise NotAFeed("the answer names a next page, and no cursor to it (after) that can be used")
    if after == one.after or one.pages >= MOST_PAGES:
        raise NotAFeed("the answers do not come to an end: each names another page to follow it")
    return replace(one, after=after, pages=one.pages + 1)


def began(one: Round, headers: Mapping[str, str], now: datetime) -> Round:
    """`one` with the moment when it began, after an answer with `headers`."""
    return one if one.began is not None else replace(one, began=_sent_at(headers) or now)


def cursor_after(cursor: Mapping[str, Any], one: Round, left: Round | None) -> dict[str, Any]:
    """What is remembered after a page of `one`, which has begun, where `left` is left of it."""
    if left is None:
        return {_REACHED: one.began.isoformat()} if one.began else {}
    written = {
        "since": left.since.isoformat(),
        "began": left.began and left.began.isoformat(),
        "after": left.after,
        "pages": left.pages,
    }
    return _reached(cursor) | {_ROUND: written}


def begun_again(cursor: Mapping[str, Any]) -> dict[str, Any]:
    """`cursor` without the round in hand: it begins again where the last complete one says."""
    return {name: value for name, value in cursor.items() if name != _ROUND}


def _reached(cursor: Mapping[str, Any]) -> dict[str, Any]:
    """Of a damaged row nothing is handed on."""
    reached = cursor.get(_REACHED)
    return {_REACHED: reached} if isinstance(reached, str) else {}


def _is_after(value: object) -> bool:
    return (
        isinstance(value, str)
        and 0 < len(value) <= _LONGEST_AFTER
        and value.isascii()
        and value.isprintable()
    )


def _sent_at(headers: Mapping[str, str]) -> datetime | None:
    written = headers.get("date", "")
    try:
        sent = parsedate_to_datetime(written) if 0 < len(written) <= _LONGEST_DATE else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return sent if sent is None or sent.tzinfo is not None else sent.replace(tzinfo=UTC)


def _moment(written: object, now: datetime, ahead: timedelta = _LONGEST_AHEAD) -> datetime | None:
    moment = parse_date(written) if isinstance(written, str) and written else None
    return moment if moment is not None and _FIRST <= moment <= now + ahead else None
