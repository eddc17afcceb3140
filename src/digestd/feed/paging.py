"""How older entries are read from the pages that a feed offers (RFC 5005), over as many polls as that takes.

It begins where nothing in a feed's document is known, and ends at the first page with a known entry, or without a next
one. Until then the validators of the document are held back: they stand in the cursor of the
:class:`~digestd.model.PollState`, under `older`, with what is left to do. So whatever ends a process, the next poll
goes on with the page that was not recorded yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from typing import Any
from urllib.parse import SplitResult, urldefrag, urlsplit, urlunsplit

from digestd.feed.link import absolute_link
from digestd.model import Document, Entry, PollState

PAGES_AT_FIRST = 10
"""How many pages of its past a new source brings, in all."""
PAGES_AFTER_OVERFLOW = 100
"""How many pages are read at most to find a known entry again."""
TRIES = 3
"""How often a page is asked for before the rest is given up."""

_OLDER = "older"
# An archive's pages stay as they are, while what "next" leads to moves with every new entry.
_RELATIONS = ("prev-archive", "next")
_LONGEST_URL = 2_000
# What moves on from one page to the next between two requests is at the end of those before.
_REMEMBERED = 300

# RFC 8288, 3. Every repetition ends at a character that it cannot hold.
_LONGEST_FIELD = 8_192
_TARGET = re.compile(r"\s*<([^<>]*)>")
_PARAMETER = re.compile(r"\s*;\s*([\w!#$&+.^`|~*-]+)\s*(?:=\s*(\"[^\"]*\"|[^\s\";,]*))?")
_SEPARATOR = re.compile(r"[^,<]*,")

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Paging:
    """What is left to do: ask for `next_url`. `pages` were read, of at most `limit`, and `tries` have failed since.

    `asked` are marks of the URLs that were asked for, `before` of the entries that were read last. `etag`,
    `last_modified` and `body_hash` are those of the feed's document, to be held once there is no more to do.
    """

    next_url: str
    limit: int
    asked: tuple[str, ...]
    before: tuple[str, ...]
    pages: int = 0
    tries: int = 0
    etag: str | None = None
    last_modified: str | None = None
    body_hash: str | None = None


def older_page(links: Iterable[tuple[str, str]], base: str) -> str | None:
    """The first of `links` (relation and address) that leads to older entries, resolved against `base`; an archive
    before a page (RFC 5005, 3 and 4)."""
    found = [(relation.split(), href) for relation, href in links if href]
    for wanted in _RELATIONS:
        hrefs = (href for relations, href in found if wanted in map(str.lower, relations))
        if (href := next(hrefs, None)) is not None:
            return absolute_link(base, href)
    return None


def linked_page(field: str | None, base: str) -> str | None:
    """The same from a `Link` header field (RFC 8288). Never raises."""
    return older_page(_links(field), base) if field else None


def linked_as(relation: str, field: str | None, base: str) -> str | None:
    """The first address that a `Link` header field (RFC 8288) names as the `relation` (lower case), resolved against
    `base`; None where it names none. Never raises."""
    for relations, href in _links(field or ""):
        if href and relation in relations.lower().split():
            return absolute_link(base, href)
    return None


def begin(
    document: Document, offered: str | None, before: PollState, reached: PollState, asked_url: str
) -> PollState | None:
    """The state to go on from with the older page that is `offered`, after the feed's `document`; None where none is
    that may be asked for.

    `before` is what the poll began with, `reached` what it would leave; `asked_url` was asked for.
    """
    first = before.body_hash is None
    paging = Paging(
        next_url="",
        limit=PAGES_AT_FIRST if first else PAGES_AFTER_OVERFLOW,
        asked=(_mark(asked_url), _mark(document.url)),
        before=(),
        etag=reached.etag,
        last_modified=reached.last_modified,
        body_hash=reached.body_hash,
    )
    withheld = replace(
        reached, etag=before.etag, last_modified=before.last_modified, body_hash=before.body_hash
    )
    return _going_on(withheld, paging, document, offered, document.url)


def in_hand(state: PollState) -> Paging | None:
    """What `state` says that is left to do; None where nothing is, or its row is damaged."""
    written = (state.cursor or {}).get(_OLDER)
    if not isinstance(written, Mapping):
        return None
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in written.items()
    }
    try:
        paging = Paging(**values)
    except TypeError:
        return None
    return paging if _is_sound(paging) else None


def unread(document: Document, paging: Paging) -> Document:
    """`document` without the entries that the pages before it brought: what has come on top meanwhile moves all others
    on, and would look known."""
    seen = frozenset(paging.before)
    entries = tuple(entry for entry in document.entries if _mark_of(entry) not in seen)
    return replace(document, entries=entries)


def onward(state: PollState, paging: Paging, document: Document, offered: str | None) -> PollState | None:
    """The state to go on from after `document`, the page that was asked for; None where no more may be asked for."""
    paging = replace(paging, pages=paging.pages + 1, tries=0)
    if paging.pages >= paging.limit:
        return None
    return _going_on(state, paging, document, offered, paging.next_url)


def stops_short(paging: Paging, offered: str | None) -> bool:
    """Whether the page that was asked for is the last we take after an overflow, though a page before it is
    `offered`."""
    return offered is not None and paging.pages + 1 >= paging.limit >= PAGES_AFTER_OVERFLOW


def ended(state: PollState, paging: Paging) -> PollState:
    """What is left where no older page is to be read: the validators of the feed's document, at last."""
    cursor = {name: value for name, value in (state.cursor or {}).items() if name != _OLDER}
    return PollState(paging.etag, paging.last_modified, paging.body_hash, cursor or None)


def set_back(state: PollState) -> PollState:
    """What a poll that failed leaves of `state`: after some tries the page, and all behind it, are given up."""
    paging = in_hand(state)
    if paging is None:
        return state
    if paging.tries + 1 >= TRIES:
        return ended(state, paging)
    return _kept(state, replace(paging, tries=paging.tries + 1))


def address(paging: Paging, source_url: str) -> str:
    """What to ask for: the next page, with the user info of `source_url` where that is of the same origin."""
    user_info, at, _ = urlsplit(source_url).netloc.rpartition("@")
    if not at or not same_origin(paging.next_url, source_url):
        return paging.next_url
    parts = urlsplit(paging.next_url)
    return urlunsplit(parts._replace(netloc=f"{user_info}@{parts.netloc}"))


def same_origin(one: str, other: str) -> bool:
    """Whether two URLs have scheme, host and port in common (RFC 6454, 4). Never raises."""
    origin = _origin(one)
    return origin is not None and origin == _origin(other)


def _going_on(
    state: PollState, paging: Paging, document: Document, offered: str | None, origin: str
) -> PollState | None:
    url = urldefrag(offered)[0] if offered else ""
    mark = _mark(url)
    if not url or len(url) > _LONGEST_URL or "@" in urlsplit(url).netloc or mark in paging.asked:
        return None
    if not same_origin(url, origin):
        return None
    read = dict.fromkeys([*paging.before, *map(_mark_of, document.entries)])
    before = tuple(read)[-_REMEMBERED:]
    return _kept(state, replace(paging, next_url=url, asked=(*paging.asked, mark), before=before))


def _kept(state: PollState, paging: Paging) -> PollState:
    written = {
        name: list(value) if isinstance(value, tuple) else value for name, value in asdict(paging).items()
    }
    return replace(state, cursor={**(state.cursor or {}), _OLDER: written})


def _is_sound(paging: Paging) -> bool:
    texts = (paging.etag, paging.last_modified, paging.body_hash)
    return (
        isinstance(paging.next_url, str)
        and all(isinstance(number, int) for number in (paging.limit, paging.pages, paging.tries))
        and all(isinstance(marks, tuple) for marks in (paging.asked, paging.before))
        and all(isinstance(mark, str) for mark in (*paging.asked, *paging.before))
        and all(text is None or isinstance(text, str) for text in texts)
    )


def _links(field: str) -> Iterator[tuple[str, str]]:
    field, position = field[:_LONGEST_FIELD], 0
    while target := _TARGET.match(field, position):
        position, parameters = target.end(), dict[str, str]()
        while parameter := _PARAMETER.match(field, position):
            # The first one counts (RFC 8288, 3.3).
            parameters.setdefault(parameter[1].lower(), (parameter[2] or "").strip('"'))
            position = parameter.end()
        # With an anchor it is a link of something else (3.2).
        if "anchor" not in parameters:
            yield parameters.get("rel", ""), target[1].strip()
        separator = _SEPARATOR.match(field, position)
        if separator is None:
            return
        position = separator.end()


def _origin(url: str) -> tuple[str, str, int | None] | None:
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        return None
    return parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme]


def _mark(url: str) -> str:
    return sha256(urldefrag(url)[0].encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _mark_of(entry: Entry) -> str:
    told_by = [entry.identity, entry.link, entry.title, entry.published_raw, entry.content_hash]
    return sha256(repr(told_by).encode("utf-8", "surrogatepass")).hexdigest()[:16]
