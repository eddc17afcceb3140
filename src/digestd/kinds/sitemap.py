"""The kind `sitemap`: what a site itself lists of its pages, in a sitemap, an index of sitemaps, or a robots.txt."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from pydantic import Field

from digestd.config.kind_options import KindOptions, Pattern
from digestd.errors import DocumentError, HTTPStatus, NotAFeed, ParserBusy, SourceError
from digestd.feed import asking, hints, shape, sitemaps
from digestd.kinds import Http, Tools, failure_of, options_of
from digestd.kinds.page import plain
from digestd.masking import mask_url
from digestd.model import Document, Failure, PollState, Response, Source, Step

_READER = "digestd.page.sitemap:read_sitemap"
_ROBOTS_READER = "digestd.page.sitemap:read_robots"
_VERSION = "sitemap 1"
_ACCEPT = "application/xml, text/xml;q=0.9, text/plain;q=0.8, */*;q=0.5"
_BUCKETS, _ALL_AT = "buckets", "all_at"
_ALL_AFTER = timedelta(days=1)
# These do not go away by asking again.
_FINAL = frozenset({401, 403, 404, 410})


class SitemapOptions(KindOptions):
    """The options of a sitemap."""

    match: list[Pattern] = Field(default_factory=list, max_length=50)


class SitemapKind:
    """One sitemap a step. Those of an index are read one after the other, each recorded when it was read, and a poll
    that ends before the last of them is taken up where it ended."""

    options = SitemapOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        options, now = options_of(SitemapOptions, source), self._now()
        asked = asking.asked_as(source.url, http.mark, f"{_VERSION} {options.match}")
        question = asking.question(state, asked, now)
        if sitemaps.round_of(question.state).left:
            return await self._part(source, options, question.state, http, now)
        response = await http.get(source.url, headers={"Accept": _ACCEPT, **plain(question.headers)})
        return hints.cached(
            await self._root(source, options, question.state, response, asked, now), response, now
        )

    async def _root(
        self,
        source: Source,
        options: SitemapOptions,
        state: PollState,
        response: Response,
        asked: str,
        now: datetime,
    ) -> Step:
        size = len(response.body)
        body_hash = f"{_VERSION}:{hashlib.sha256(response.body).hexdigest()}"
        if response.not_modified:
            return Step(asking.after_304(state, response.headers), unchanged=True)
        if body_hash == state.body_hash:
            same = asking.after_document(state, response.headers, body_hash, None, asked, now)
            return Step(same, unchanged=True, body_bytes=size)
        cursor = state.cursor or {}
        known = str(cursor.get(_BUCKETS, "")) if _is_recent(cursor.get(_ALL_AT), now) else ""
        document = await self._document(source, options, response, known, now)
        if "parts" in document.facts:
            # Of an index nothing is kept that would make the next answer a 304: that says nothing of its sitemaps.
            held = replace(PollState(), cursor={**cursor, "asked": asked})
            begun = sitemaps.begin(held, document, now)
            return Step(begun, unchanged=True, more=bool(sitemaps.round_of(begun).left), body_bytes=size)
        all_of_it = bool(document.facts["complete"] and document.whole)
        reached = state
        if document.whole:
            all_at = now.isoformat(timespec="seconds") if all_of_it else cursor.get(_ALL_AT)
            remembered = {**cursor, _BUCKETS: document.facts["buckets"], _ALL_AT: all_at}
            reached = replace(state, cursor=remembered)
            reached = asking.after_document(reached, response.headers, body_hash, None, asked, now)
        return Step(
            reached,
            (document,),
            body_bytes=size,
            whole=all_of_it and not document.facts["left_out"],
            remark=_too_long(document),
        )

    async def _part(
        self, source: Source, options: SitemapOptions, state: PollState, http: Http, now: datetime
    ) -> Step:
        """The next sitemap of the index."""
        current = sitemaps.round_of(state)
        part = current.left[0]
        memory = sitemaps.memory_of(current.parts, part.url)
        try:
            response = await http.get(part.url, headers={"Accept": _ACCEPT, **_conditions(memory)})
            if response.not_modified:
                kept = replace(memory, lastmod=part.lastmod, read_at=now)
                return _went_on(Step(sitemaps.done(state, kept), unchanged=True))
            document = await self._document(source, options, response, memory.buckets, now)
        except SourceError as error:
            return _failed(state, part, error)
        return _went_on(_part_read(state, part, memory, response, document, now))

    async def _document(
        self, source: Source, options: SitemapOptions, response: Response, known: str, now: datetime
    ) -> Document:
        body, url = response.body, response.url
        if urlsplit(url).path.endswith("/robots.txt"):
            return await self._read(_ROBOTS_READER, body, url, source_url=source.spec.url)
        try:
            return await self._read(
                _READER, body, url, known, tuple(options.match), now, source_url=source.spec.url
            )
        except NotAFeed as error:
            raise NotAFeed(shape.explain(str(error), body, url, response.headers)) from error


def _part_read(
    state: PollState,
    part: sitemaps.Part,
    memory: sitemaps.Memory,
    response: Response,
    document: Document,
    now: datetime,
) -> Step:
    size = len(response.body)
    if "parts" in document.facts:
        named = sitemaps.Memory(lastmod="", read_at=now)
        return Step(sitemaps.done(state, named, document.facts["parts"]), unchanged=True, body_bytes=size)
    headers = response.headers
    read = sitemaps.Memory(
        document.facts["buckets"], headers.get("etag"), headers.get("last-modified"), part.lastmod, now
    )
    # What was cut off was not seen: it is read again in the next round.
    kept = read if document.whole else replace(memory, etag=None, last_modified=None, read_at=None)
    return Step(sitemaps.done(state, kept), (document,), body_bytes=size)


def _went_on(step: Step) -> Step:
    """`step` with what follows it: the next sitemap, or the end of the round."""
    current = sitemaps.round_of(step.next_state)
    if current.left:
        return replace(step, more=True)
    if current.bad and not current.good:
        words = f"none of the {current.bad} sitemaps of the index can be read: {current.words}"
        return Step(step.next_state, failure=Failure(NotAFeed.cause, words), body_bytes=step.body_bytes)
    return replace(step, remark=sitemaps.remark(step.next_state))


def _failed(state: PollState, part: sitemaps.Part, error: SourceError) -> Step:
    failure = failure_of(error)
    if isinstance(error, ParserBusy) or failure.cause in ("paused", "busy") or failure.status == 429:
        # Nobody's fault, or that of our haste.
        return Step(state, failure=failure)
    words = f"{mask_url(part.url)}: {failure.message}"
    final = isinstance(error, DocumentError) or (isinstance(error, HTTPStatus) and error.status in _FINAL)
    reached = sitemaps.failed(state, words, final=final)
    if sitemaps.round_of(reached).left[:1] == (part,):
        return Step(reached, failure=replace(failure, message=f"the sitemap {words}"))
    return _went_on(Step(reached, unchanged=True))


def _conditions(memory: sitemaps.Memory) -> dict[str, str]:
    held = {"If-None-Match": memory.etag, "If-Modified-Since": memory.last_modified}
    return {name: value for name, value in held.items() if isinstance(value, str)}


def _is_recent(value: object, now: datetime) -> bool:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        return moment is not None and moment <= now < moment + _ALL_AFTER
    except (ValueError, TypeError):
        return False


def _too_long(document: Document) -> str | None:
    count = document.facts["left_out"]
    return f"the sitemap has {count:,} URLs more than the 50,000 that are read" if count else None
