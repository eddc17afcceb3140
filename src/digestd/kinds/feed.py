"""The kind `feed`: RSS, RDF, Atom and JSON Feed over HTTP, with conditional GET."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

from digestd.errors import HTTPStatus, NotAFeed, SourceError
from digestd.feed import asking, shape
from digestd.feed.meaning import meaning_of
from digestd.kinds import Http, Tools
from digestd.model import Document, Failure, PollState, Response, Source, Step

# Part of the stored body hash: raising it makes every feed be read again after the parser changed what it gives.
_PARSER_VERSION = "1"

_ACCEPT = (
    "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, application/json;q=0.8, */*;q=0.5"
)


class FeedKind:
    """One feed document a step: ask with the validators, and read the document if it is another than last time."""

    def __init__(self, tools: Tools) -> None:
        self._parse = tools.parse_feed
        self._now = tools.now

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`. Conditional requests as in RFC 9110, 13.1."""
        now = self._now()
        asked = asking.asked_as(source.url, http.mark)
        question = asking.question(state, asked, now)
        try:
            response = await http.get(source.url, headers={"Accept": _ACCEPT, **question.headers})
            if response.not_modified:
                kept = asking.after_304(question.state, response.headers)
                return Step(next_state=kept, unchanged=True)
            if response.status == 226 and question.is_conditional:
                return await self._delta(source, question.state, response)
            return await self._document(source, question.state, response, asked, now)
        except SourceError as error:
            return Step(next_state=question.state, failure=failure_of(error))

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
            return Step(next_state=kept, unchanged=True, body_bytes=size)
        document = await self._read(response, source.spec.url)
        # What was cut off was not seen: the next poll has to bring it again, not a 304.
        reached = state
        if document.whole:
            shaped = replace(state, cursor=shape.remember(document, state))
            reached = asking.after_document(shaped, response.headers, body_hash, meaning, asked, now)
        return Step(next_state=reached, documents=(document,), body_bytes=size)

    async def _delta(self, source: Source, state: PollState, response: Response) -> Step:
        """The new entries alone (RFC 3229): nothing in it says that others have gone."""
        document = await self._read(response, source.spec.url)
        reached = asking.after_delta(state, response.headers) if document.whole else state
        return Step(next_state=reached, documents=(document,), body_bytes=len(response.body))

    async def _read(self, response: Response, source_url: str) -> Document:
        content_type = response.headers.get("content-type")
        try:
            return await self._parse(response.body, response.url, content_type, source_url=source_url)
        except NotAFeed as error:
            explained = shape.explain(str(error), response.body, response.url, response.headers)
            raise NotAFeed(explained) from error


def _meaning(body: bytes) -> str | None:
    meaning = meaning_of(body)
    return meaning and f"{_PARSER_VERSION}:{meaning}"


def failure_of(error: SourceError) -> Failure:
    """The failure that a step reports for `error`."""
    status = error.status if isinstance(error, HTTPStatus) else None
    return Failure(error.cause, str(error), status, error.retry_after)
