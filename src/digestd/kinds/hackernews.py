"""The kind `hackernews`: what Hacker News' search finds, with the votes that it has got by now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, StringConstraints

from digestd.config.kind_options import BaseURL, KindOptions
from digestd.errors import NotAFeed
from digestd.feed import asking, shape
from digestd.feed.hackernews import address, cursor_after, onward, read_hits, round_in
from digestd.feed.text import collapse
from digestd.kinds import Http, Tools, options_of
from digestd.model import Document, PollState, Response, Source, Step

SPACING_SECONDS = 1.0
"""How far apart requests are. About 10,000 an hour are said to be allowed from one address; nobody needs them."""

# What rounds belong to: raising it begins a new one.
_READER_VERSION = "hackernews1"

_ASKED = "asked"

Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class HackerNewsOptions(KindOptions):
    """The options of a search at Hacker News: the words of `query`, all of the `tags` (story, ask_hn, show_hn, poll,
    comment, front_page, author_NAME), at least so many `points`. One of `query` and `points` has to be there."""

    query: str = Field(default="", max_length=500)
    points: int = Field(default=0, ge=0, le=100_000)
    tags: list[Tag] = Field(default=["story"], min_length=1, max_length=10)
    base_url: BaseURL = "https://hn.algolia.com"

    @property
    def words(self) -> str:
        """`query` in one spelling."""
        return collapse(self.query)

    def place(self, url: str | None) -> str:
        if url is not None:
            raise ValueError("leave it out: query, tags and points tell what is asked for")
        if not self.words and not self.points:
            raise ValueError("the options need query or points: all of Hacker News would be asked for")
        return address(self.base_url, self.words, sorted(set(self.tags)), self.points)


class HackerNewsKind:
    """One request a step. A poll is a round of them: everything of the last two days, the newest first, or since two
    days before the last round."""

    options = HackerNewsOptions

    def __init__(self, tools: Tools) -> None:
        self._read = tools.read
        self._now = tools.now

    def spacing_seconds(self, source: Source) -> float:
        """How far apart requests at the search's host are, in seconds."""
        return SPACING_SECONDS

    async def step(self, source: Source, state: PollState, http: Http) -> Step:
        """See :meth:`digestd.kinds.Kind.step`."""
        options = options_of(HackerNewsOptions, source)
        asked = asking.asked_as(source.url, http.mark, _READER_VERSION)
        cursor = state.cursor or {}
        known: Mapping[str, object] = cursor if cursor.get(_ASKED) == asked else {}
        one = round_in(known, self._now())
        tags = sorted(set(options.tags))
        url = address(options.base_url, options.words, tags, options.points, one)
        response = await http.get(url, headers={"Accept": "application/json"})
        document = await self._hits(source, response, options.points, one.begin, one.until)
        left = onward(one, document.facts)
        return Step(
            next_state=PollState(cursor={_ASKED: asked, **cursor_after(one, left)}),
            documents=(document,),
            more=left is not None,
            body_bytes=len(response.body),
        )

    async def _hits(
        self, source: Source, response: Response, points: int, begin: int, until: int | None
    ) -> Document:
        try:
            return await self._read(
                read_hits, response.body, response.url, points, begin, until, source_url=source.spec.url
            )
        except NotAFeed as error:
            explained = shape.explain(str(error), response.body, response.url, response.headers)
            raise NotAFeed(explained) from error
