"""What Hacker News' search says (Algolia's, https://hn.algolia.com/api), and which window of time is asked for next.

An answer has 1,000 hits at most, the newest first, and deeper pages have none beyond: what a window holds besides is
asked for in a narrower one. Votes come in after a story does, so whatever is younger than two days is asked for again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeGuard
from urllib.parse import urlencode

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.api import api_entry, date_of, headline
from digestd.feed.border import read_each
from digestd.feed.entry import Prose
from digestd.feed.json_values import load, text_of
from digestd.feed.link import absolute_link
from digestd.feed.text import line_of
from digestd.model import Document, Entry

MOST_HITS = 1_000
"""So many hits an answer has at most, over all its pages."""
OVERLAP_SECONDS = 48 * 3_600
"""For so long a story can still get the votes that it is asked for with."""
LONGEST_SECONDS = 366 * 86_400
"""What is older is not looked for after a pause."""
MOST_REQUESTS = 500
"""After so many a round ends, whatever the answers say is left: a whole year of stories takes fewer."""

_ITEM = "https://news.ycombinator.com/item?id="
_ROUND, _DONE = "round", "done"
_LONGEST_ID = 20
_LONGEST_NAME = 200
_LONGEST_TEXT = 100_000
_NAMES = ("begin", "until", "end", "requests")


@dataclass(frozen=True, slots=True)
class Round:
    """One look at everything from the second `begin` on, at the second `end` (both since 1970), after so many
    `requests`: what was made before `until` is still to be asked for, None for all of it."""

    begin: int
    until: int | None
    end: int
    requests: int = 0


def round_in(cursor: Mapping[str, Any], now: datetime) -> Round:
    """The round that goes on as `cursor` says, else a new one: from two days before the last one ended, or before
    `now`, on. Of a damaged row only what is sound is heeded. Never raises."""
    second = int(now.timestamp())
    first, last = second - LONGEST_SECONDS, second + 86_400
    kept = cursor.get(_ROUND)
    if isinstance(kept, Mapping):
        begin, until, end, requests = (kept.get(name) for name in _NAMES)
        if _is_second(begin, 0, last) and _is_second(until, begin, last) and _is_second(end, begin, last):
            return Round(begin, until, end, requests if _is_second(requests, 0, MOST_REQUESTS) else 0)
    done = cursor.get(_DONE)
    # A clock that was set back must not leave out what came since.
    since = min(done, second) if _is_second(done, first, last) else second
    return Round(since - OVERLAP_SECONDS, None, second)


def onward(one: Round, facts: Mapping[str, Any]) -> Round | None:
    """What is left of the round after an answer that had these `facts` (see :func:`read_hits`); None for nothing.

    A window that is answered with fewer hits than it says to hold, or with as many as there can be, goes on before its
    oldest hit, whose second is asked for again: more may have come in it. One that is told to hold more and shows no
    hit ends: totals are guesses, and the next rounds look again.
    """
    oldest = facts["oldest"]
    has_all = facts["hits"] < MOST_HITS and facts["total"] <= facts["hits"]
    requests = one.requests + 1
    if has_all or oldest is None or requests >= MOST_REQUESTS:
        return None
    # More than an answer's worth in one second cannot be told apart: then the second before it is next.
    until = oldest + 1 if one.until is None or oldest + 1 < one.until else oldest
    return replace(one, until=until, requests=requests) if until > one.begin else None


def cursor_after(one: Round, left: Round | None) -> dict[str, Any]:
    """What is remembered of `one` where `left` is left of it."""
    if left is None:
        return {_DONE: one.end}
    return {_ROUND: {"begin": left.begin, "until": left.until, "end": left.end, "requests": left.requests}}


def address(base_url: str, query: str, tags: list[str], points: int, one: Round | None = None) -> str:
    """The URL that asks for what `one` has left of the stories with all `tags` and at least so many `points`; without
    `one` that of the search itself."""
    filters = [f"points>{points - 1}"] if points else []
    fields = {"query": query, "tags": ",".join(tags)}
    if one is not None:
        until = [] if one.until is None else [f"created_at_i<{one.until}"]
        filters = [f"created_at_i>{one.begin - 1}", *until, *filters]
    if filters:
        fields["numericFilters"] = ",".join(filters)
    if one is not None:
        fields |= {"hitsPerPage": str(MOST_HITS), "page": "0"}
    return f"{base_url}/api/v1/search_by_date?{urlencode(fields)}"


def read_hits(body: bytes, url: str, points: int, begin: int, until: int | None) -> Document:
    """Read the answer to a question for what was made from the second `begin` on and, unless None, before `until`.

    Its `facts`: `hits`, how many hits it has; `total`, how many it says there are; `oldest`, the second of the oldest
    hit that was asked for, None where no hit says one. Hits with fewer `points` than that are no entries. Raises
    :class:`~digestd.errors.NotAFeed` for what is no such answer, :class:`~digestd.errors.ParserFailed` for one with
    more hits than there can be or nested too deeply.
    """
    said = load(body.decode("utf-8-sig", "replace"))
    hits = said.get("hits")
    if not isinstance(hits, list):
        raise NotAFeed("JSON came, and not what the search answers: it has no list called hits")
    if len(hits) > MOST_HITS:
        raise ParserFailed(f"the answer has {len(hits):,} hits; {MOST_HITS:,} were asked for")
    wanted = [hit for hit in hits if not _has_fewer(hit, points)]
    entries, left_out = read_each(wanted, _entry, _name)
    seconds = [hit.get("created_at_i") for hit in hits if isinstance(hit, dict)]
    last = until - 1 if until is not None else 2**40
    asked_for = [second for second in seconds if _is_second(second, begin, last)]
    total = said.get("nbHits")
    facts = {
        "hits": len(hits),
        "total": total if type(total) is int else 0,
        "oldest": min(asked_for, default=None),
    }
    return Document(url, "hackernews", entries=entries, left_out=left_out, whole=False, facts=facts)


def _entry(hit: Any) -> Entry:
    key = text_of(hit, "objectID").strip() if isinstance(hit, dict) else ""
    if not (key.isascii() and key.isdecimal() and len(key) <= _LONGEST_ID):
        raise ValueError("it has no number as its objectID")
    page, written = f"{_ITEM}{key}", text_of(hit, "url").strip()
    link = absolute_link("", written) if written else None
    text = (text_of(hit, "story_text") or text_of(hit, "comment_text"))[:_LONGEST_TEXT]
    title = text_of(hit, "title") or headline(text, is_html=True) or f"Hacker News {key}"
    return api_entry(
        key=key,
        link=link or page,
        title=title,
        content=Prose(text, True, page) if text.strip() else None,
        dates=[date_of(hit.get("created_at_i")) or line_of(text_of(hit, "created_at"), _LONGEST_NAME)],
        author=text_of(hit, "author"),
        # What somebody asks or tells is all there: its page holds the answers.
        complete=link is None,
    )


def _name(hit: Any) -> tuple[str, str]:
    return (text_of(hit, "objectID"), text_of(hit, "title")) if isinstance(hit, dict) else ("", "")


def _has_fewer(hit: Any, points: int) -> bool:
    votes = hit.get("points") if isinstance(hit, dict) else None
    return type(votes) is int and votes < points


def _is_second(value: Any, first: int, last: int) -> TypeGuard[int]:
    return type(value) is int and first <= value <= last
