"""The kind `feed`: RSS, RDF, Atom and JSON Feed over HTTP, with conditional GET."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from digestd.errors import HTTPStatus, NotAFeed, SourceError
from digestd.feed import shape
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

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`. Conditional requests as in RFC 9110, 13.1."""
        try:
            response = await http.get(source.url, headers=_conditions(state))
            if response.not_modified:
                # The validators we hold stay: those of a 304 may be of a document we never read (caches that compare
                # dates alone answer so), and RFC 9111, 4.3.4, freshens only the stored response they match.
                return Step(next_state=state, unchanged=True)
            body_hash = f"{_PARSER_VERSION}:{hashlib.sha256(response.body).hexdigest()}"
            next_state = PollState(
                etag=response.headers.get("etag"),
                last_modified=response.headers.get("last-modified"),
                body_hash=body_hash,
                cursor=state.cursor,
            )
            size = len(response.body)
            if body_hash == state.body_hash:
                return Step(next_state=next_state, unchanged=True, body_bytes=size)
            document = await self._read(response, source.spec.url)
        except SourceError as error:
            return Step(next_state=state, failure=failure_of(error))
        # What was cut off was not seen: the next poll has to bring it again, not a 304.
        reached = replace(next_state, cursor=shape.remember(document, state)) if document.whole else state
        return Step(next_state=reached, documents=(document,), body_bytes=size)

    async def _read(self, response: Response, source_url: str) -> Document:
        content_type = response.headers.get("content-type")
        try:
            return await self._parse(response.body, response.url, content_type, source_url=source_url)
        except NotAFeed as error:
            explained = shape.explain(str(error), response.body, response.url, response.headers)
            raise NotAFeed(explained) from error


def failure_of(error: SourceError) -> Failure:
    """The failure that a step reports for `error`."""
    status = error.status if isinstance(error, HTTPStatus) else None
    return Failure(error.cause, str(error), status, error.retry_after)


def _conditions(state: PollState) -> dict[str, str]:
    headers = {"Accept": _ACCEPT}
    if state.etag is not None:
        headers["If-None-Match"] = state.etag
    if state.last_modified is not None:
        headers["If-Modified-Since"] = state.last_modified
    return headers
