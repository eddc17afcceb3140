"""The kind `page`: a page that lists articles, without a feed. Its links become entries, whose pages are fetched."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, Field

from digestd.config.kind_options import KindOptions, Pattern
from digestd.errors import NotAFeed
from digestd.feed import asking, hints, shape
from digestd.kinds import Http, Tools, options_of
from digestd.masking import mask_link
from digestd.model import Document, PollState, Response, Source, Step
from digestd.page.selector import xpath_of

# In a process of its own, which alone imports what reads HTML.
_READER = "digestd.page.listing:read_listing"
# Part of the stored body hash: raising it makes every page be read again after the reader changed what it gives.
_VERSION = "page 1"
_ACCEPT = "text/html, application/xhtml+xml;q=0.9, */*;q=0.5"
_REMARK = "remark"


def _selector(value: str) -> str:
    xpath_of(value)
    return value


class PageOptions(KindOptions):
    """The options of a page."""

    links: Annotated[str, AfterValidator(_selector)] | None = None
    match: list[Pattern] = Field(default_factory=list, max_length=50)


class PageKind:
    """One page a step, asked for with the validators, and read where it is another than last time."""

    options = PageOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`. What the page itself links to decides: nothing else is asked for."""
        options, now = options_of(PageOptions, source), self._now()
        asked = asking.asked_as(source.url, http.mark, f"{_VERSION} {options.links} {options.match}")
        question = asking.question(state, asked, now)
        response = await http.get(source.url, headers={"Accept": _ACCEPT, **plain(question.headers)})
        kept = question.state
        body_hash = f"{_VERSION}:{hashlib.sha256(response.body).hexdigest()}"
        if response.not_modified:
            done = _unchanged(asking.after_304(kept, response.headers), response)
        elif body_hash == kept.body_hash:
            done = _unchanged(
                asking.after_document(kept, response.headers, body_hash, None, asked, now), response
            )
        else:
            document = await self._document(source, options, response)
            reached = replace(kept, cursor=_cursor(document, now))
            reached = asking.after_document(reached, response.headers, body_hash, None, asked, now)
            done = Step(
                next_state=reached,
                documents=(document,),
                body_bytes=len(response.body),
                whole=not document.facts["left_out"],
                overlaps=shape.had_entries(kept),
                hints=hints.remembered(reached.cursor),
                remark=_remark(reached),
            )
        return hints.cached(done, response, now)

    async def _document(self, source: Source, options: PageOptions, response: Response) -> Document:
        try:
            document = await self._read(
                _READER,
                response.body,
                response.url,
                response.headers.get("content-type"),
                options.links,
                tuple(options.match),
                source_url=source.spec.url,
            )
        except NotAFeed as error:
            explained = shape.explain(str(error), response.body, response.url, response.headers)
            raise NotAFeed(explained) from error
        barrier = shape.wall(response.body, response.url, response.headers)
        if barrier is not None and not document.facts["sure"]:
            raise NotAFeed(f"the page shows no articles: {barrier}")
        return document


def plain(headers: Mapping[str, str]) -> dict[str, str]:
    """The conditional `headers` of a question for what is no feed, of which no part can be had."""
    return {name: value for name, value in headers.items() if name != "A-IM"}


def _unchanged(state: PollState, response: Response) -> Step:
    remembered = hints.remembered(state.cursor)
    size = len(response.body)
    return Step(state, unchanged=True, body_bytes=size, hints=remembered, remark=_remark(state))


def _cursor(document: Document, now: datetime) -> dict[str, object]:
    feed = document.facts["feed"]
    advice = feed and f"the page advertises the feed {mask_link(feed)}: `kind: feed` with that URL is surer"
    return hints.to_cursor(hints.of_document(document, now)) | ({_REMARK: advice} if advice else {})


def _remark(state: PollState) -> str | None:
    remark = (state.cursor or {}).get(_REMARK)
    return remark if isinstance(remark, str) else None
