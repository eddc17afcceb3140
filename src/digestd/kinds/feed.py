"""The kind `feed`: RSS, RDF, Atom and JSON Feed over HTTP, with conditional GET, and the pages of their past."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from digestd.config.kind_options import KindOptions
from digestd.errors import NotAFeed, ParserFailed, RedirectFailed, SourceError
from digestd.feed import asking, hints, moving, paging, shape
from digestd.feed.meaning import meaning_of
from digestd.kinds import Http, Tools, failure_of
from digestd.model import Document, Hints, PollState, Response, Source, Step

# Part of the stored body hash: raising it makes every feed be read again after the parser changed what it gives.
_PARSER_VERSION = "1"

_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, application/json;q=0.8, */*;q=0.5"
)


class FeedOptions(KindOptions):
    """The options of a feed."""

    paging: bool = True


class FeedKind:
    """One feed document a step: ask with the validators, and read the document if it is another than last time."""

    options = FeedOptions

    def __init__(self, tools: Tools) -> None:
        self._parse = tools.parse_feed
        self._now = tools.now

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`. Conditional requests as in RFC 9110, 13.1."""
        now = self._now()
        url = moving.url_of(source, http.mark)
        asked = asking.asked_as(url, http.mark, _PARSER_VERSION)
        question = asking.question(state, asked, now)
        # It belongs to the source, not to what was asked.
        kept = moving.carried(state, question.state)
        if kept is not question.state:
            question = replace(question, state=kept)
        older = paging.in_hand(question.state) if _pages(source) else None
        try:
            if older is not None:
                return await self._page(source, question.state, older, http)
            response = await http.get(url, headers={"Accept": _ACCEPT, **question.headers})
            done = await self._answered(source, question, response, asked, now)
            return _moved(
                hints.cached(done, response, now), source, http.mark, response.moved_to, question.state, now
            )
        except SourceError as error:
            failure = failure_of(error)
            if older is not None:
                failure = replace(failure, message=f"the page with older entries: {failure.message}")
            return Step(next_state=question.state, failure=failure)

    async def _answered(
        self, source: Source, question: asking.Question, response: Response, asked: str, now: datetime
    ) -> Step:
        if response.not_modified:
            kept = asking.after_304(question.state, response.headers)
            return Step(next_state=kept, unchanged=True, hints=hints.remembered(kept.cursor))
        if response.status == 226 and question.is_conditional:
            return await self._delta(source, question.state, response)
        return await self._document(source, question.state, response, asked, now)

    async def _document(
        self, source: Source, state: PollState, response: Response, asked: str, now: datetime
    ) -> Step:
        size = len(response.body)
        body_hash = f"{_PARSER_VERSION}:{hashlib.sha256(response.body).hexdigest()}"
        same = body_hash == state.body_hash
        # What it means is looked for only where its bytes are others.
        meaning = asking.meaning_in(state) if same else _meaning(response.body)
        if same or (meaning is not None and meaning == asking.meaning_in(state)):
            kept = asking.after_document(state, response.headers, body_hash, meaning, asked, now)
            remembered = hints.remembered(kept.cursor)
            return Step(next_state=kept, unchanged=True, body_bytes=size, hints=remembered)
        document = await self._read(response, source.spec.url)
        hinted = hints.of_document(document, now)
        # What was cut off was not seen: the next poll has to bring it again, not a 304.
        reached = state
        if document.whole:
            shaped = replace(state, cursor=_cursor(document, hinted, state))
            reached = asking.after_document(shaped, response.headers, body_hash, meaning, asked, now)
        return Step(
            next_state=reached,
            documents=(document,),
            body_bytes=size,
            whole=document.whole,
            overlaps=document.whole and shape.had_entries(state),
            older=paging.begin(document, _older(document, response), state, reached, source.url)
            if _pages(source)
            else None,
            hints=hinted,
        )

    async def _page(self, source: Source, state: PollState, left: paging.Paging, http: Http) -> Step:
        """One page of older entries: it is read whole and from the feed's own origin, or it counts as failed."""
        response = await http.get(paging.address(left, source.url), headers={"Accept": _ACCEPT})
        if not paging.same_origin(response.url, left.next_url):
            raise RedirectFailed("it leads away from the feed's own origin")
        document = await self._read(response, source.spec.url)
        if not document.whole:
            raise ParserFailed("it was cut off")
        offered = _older(document, response)
        unread, onward = paging.unread(document, left), paging.onward(state, left, document, offered)
        size, hinted = len(response.body), hints.remembered(state.cursor)
        if document.entries and not unread.entries and onward is not None:
            # So much came on top meanwhile that all of it was read before: it does not say where the known begins.
            return Step(next_state=onward, documents=(unread,), more=True, body_bytes=size, hints=hinted)
        return Step(
            next_state=paging.ended(state, left),
            documents=(unread,),
            body_bytes=size,
            overlaps=paging.stops_short(left, offered),
            older=onward,
            hints=hinted,
        )

    async def _delta(self, source: Source, state: PollState, response: Response) -> Step:
        """The new entries alone (RFC 3229): nothing in it says that others have gone."""
        document = await self._read(response, source.spec.url)
        reached = asking.after_delta(state, response.headers) if document.whole else state
        remembered = hints.remembered(reached.cursor)
        return Step(
            next_state=reached, documents=(document,), body_bytes=len(response.body), hints=remembered
        )

    async def _read(self, response: Response, source_url: str) -> Document:
        content_type = response.headers.get("content-type")
        try:
            return await self._parse(response.body, response.url, content_type, source_url=source_url)
        except NotAFeed as error:
            explained = shape.explain(str(error), response.body, response.url, response.headers)
            raise NotAFeed(explained) from error


def _cursor(document: Document, hinted: Hints, before: PollState) -> Mapping[str, object] | None:
    return {**(shape.remember(document, before) or {}), **hints.to_cursor(hinted)} or None


def _pages(source: Source) -> bool:
    """Whether older pages are read, which a source can be told not to."""
    return source.spec.options.get("paging") is not False


def _older(document: Document, response: Response) -> str | None:
    return document.older or paging.linked_page(response.headers.get("link"), response.url)


def _moved(
    step: Step, source: Source, own: str, moved_to: str | None, before: PollState, now: datetime
) -> Step:
    """`step` with what its redirects say of where the source is."""
    if step.older is not None:
        # Older pages belong to the URL that was asked: moving now would forget how far they were read.
        kept, older = moving.carried(before, step.next_state), moving.carried(before, step.older)
        return replace(step, next_state=kept, older=older)
    moved = moving.after_answer(source, own, moved_to, before, step.next_state, now)
    if moved.state is step.next_state and moved.effective_url == step.effective_url:
        return step
    return replace(step, next_state=moved.state, effective_url=moved.effective_url)


def _meaning(body: bytes) -> str | None:
    meaning = meaning_of(body)
    return meaning and f"{_PARSER_VERSION}:{meaning}"
