"""How far a source that reads sitemaps has come: what it remembers of each of them, and which are still to be read.

All of it stands in the cursor of its :class:`~digestd.model.PollState`: `parts`, by a mark of the URL, the buckets (see
:mod:`digestd.page.sitemap`), validators and `lastmod` of each sitemap of an index, and when it was read; `left`, which
of them are to be read in this round; and how it has gone so far (`good`, `bad`, `tries`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from digestd.model import Document, PollState

READ_AGAIN_AFTER = timedelta(days=1)
"""A sitemap whose index says that it did not change is read all the same after so long."""
MOST_TRIES = 3
"""After so many failures in a row a sitemap of an index is left out, until the next round."""
MOST_LEFT = 1_000
DEEPEST = 2
"""An index may name an index, against the protocol; that one names sitemaps."""

_PARTS, _LEFT, _GOOD, _BAD, _TRIES = "parts", "left", "good", "bad", "tries"
_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Part:
    """One sitemap that is to be read: where it is, what its index says of when it changed, and how deep it is named."""

    url: str
    lastmod: str
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of one sitemap."""

    buckets: str = ""
    etag: str | None = None
    last_modified: str | None = None
    lastmod: str = ""
    read_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """A round through the sitemaps of an index: those `left`, how many were read, what went wrong with the last that
    was not, of how many, and how often the next one has failed."""

    left: tuple[Part, ...]
    good: int = 0
    bad: int = 0
    words: str = ""
    tries: int = 0
    parts: Mapping[str, Any] = field(default_factory=dict)


def round_of(state: PollState) -> Round:
    """The round that `state` is in; nothing is left where it is in none."""
    cursor = state.cursor or {}
    left = cursor.get(_LEFT)
    parts = cursor.get(_PARTS)
    bad = cursor.get(_BAD)
    count, words = bad if isinstance(bad, list) and len(bad) == 2 else (0, "")
    return Round(
        tuple(Part(*one) for one in left if _is_part(one)) if isinstance(left, list) else (),
        _number(cursor.get(_GOOD)),
        _number(count),
        str(words),
        _number(cursor.get(_TRIES)),
        parts if isinstance(parts, Mapping) else {},
    )


def begin(state: PollState, document: Document, now: datetime) -> PollState:
    """The state in which a round through the sitemaps of the index `document` begins: those are read that are new, or
    that changed as the index says, or of which it does not say it, or that were not read for a day. What is remembered
    of those that are in no index any more is forgotten."""
    parts = [Part(url, lastmod) for url, lastmod in document.facts["parts"]]
    known = round_of(state).parts
    kept = {mark: known[mark] for part in parts if (mark := _mark(part.url)) in known}
    due = [part for part in parts if _is_due(part, memory_of(known, part.url), now)]
    return _written(state, Round(tuple(due), parts=kept))


def memory_of(parts: Mapping[str, Any], url: str) -> Memory:
    """What `parts` remember of the sitemap at `url`."""
    written = parts.get(_mark(url))
    if not isinstance(written, list) or len(written) != 5:
        return Memory()
    buckets, etag, last_modified, lastmod, read_at = written
    return Memory(str(buckets or ""), etag, last_modified, str(lastmod), _moment(read_at))


def done(state: PollState, memory: Memory, more: Sequence[tuple[str, str]] = ()) -> PollState:
    """What is left of the round of `state` once its next sitemap was read, of which `memory` is kept; `more` are those
    that it names, if it turned out to be an index."""
    now = round_of(state)
    part, *others = now.left
    deeper = [Part(url, lastmod, part.depth + 1) for url, lastmod in more if part.depth < DEEPEST]
    known = {one.url for one in others}
    left = (*others, *(one for one in deeper if one.url not in known))[:MOST_LEFT]
    parts = {**now.parts, _mark(part.url): _row(memory)}
    return _written(state, replace(now, left=left, good=now.good + 1, tries=0, parts=parts))


def failed(state: PollState, words: str, *, final: bool) -> PollState:
    """What is left of the round of `state` once its next sitemap could not be read, as `words` say: it is tried again,
    unless that is `final` or has happened too often."""
    now = round_of(state)
    if not final and now.tries + 1 < MOST_TRIES:
        return _written(state, replace(now, tries=now.tries + 1))
    return _written(
        state, replace(now, left=now.left[1:], bad=now.bad + 1, words=words[:_SHOWN_CHARACTERS], tries=0)
    )


def remark(state: PollState) -> str | None:
    """What the operator should know of the round of `state`, which is over; None where all went well."""
    now = round_of(state)
    if not now.bad:
        return None
    return f"{now.bad} of {now.bad + now.good} sitemaps of the index cannot be read, the last one since {now.words}"


def _is_due(part: Part, memory: Memory, now: datetime) -> bool:
    if memory.read_at is None or not part.lastmod or part.lastmod != memory.lastmod:
        return True
    return not memory.read_at <= now < memory.read_at + READ_AGAIN_AFTER


def _written(state: PollState, now: Round) -> PollState:
    others = {
        name: value
        for name, value in (state.cursor or {}).items()
        if name not in (_PARTS, _LEFT, _GOOD, _BAD, _TRIES)
    }
    ours: dict[str, object] = {
        _PARTS: dict(now.parts),
        _LEFT: [[part.url, part.lastmod, part.depth] for part in now.left],
        _GOOD: now.good,
        _BAD: [now.bad, now.words] if now.bad else None,
        _TRIES: now.tries,
    }
    return replace(state, cursor={**others, **{name: value for name, value in ours.items() if value}})


def _row(memory: Memory) -> list[object]:
    read_at = memory.read_at.isoformat(timespec="seconds") if memory.read_at else None
    return [memory.buckets, memory.etag, memory.last_modified, memory.lastmod, read_at]


def _mark(url: str) -> str:
    return hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def _is_part(one: object) -> bool:
    return isinstance(one, list) and list(map(type, one)) == [str, str, int]


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
