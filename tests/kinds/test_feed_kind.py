"""The kind `feed`: what one answer makes of the validators that the next poll sends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from digestd.errors import ParserBusy
from digestd.feed.meaning import meaning_of
from digestd.feed.parse import parse_feed
from digestd.feed.shape import remembered
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, Failure, PollState, Response, Source, SourceSpec, Step
from support.asking import GetsOnly

URL = "https://one.example/feed"
FEED = b"<rss version='2.0'><channel><item><guid>1</guid></item><item><guid>2</guid></item></channel></rss>"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SAME_DAY = {"full_at": "2026-11-23T09:00:00+00:00"}
HELD = PollState('"held"', "Mon, 23 Nov 2026 10:00:00 GMT", "1:held", SAME_DAY)
NEWER = {"etag": '"newer"', "last-modified": "Mon, 23 Nov 2026 11:00:00 GMT"}


class Answer(GetsOnly):
    """A server that gives one answer, and remembers what it was asked."""

    mark = ""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        self._response = Response(URL, status, headers, body)
        self.asked: Mapping[str, str] = {}

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        self.asked = headers or {}
        return self._response


async def read(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    return parse_feed(body, url, content_type)


async def busy(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    raise ParserBusy("every parser has been busy", retry_after=10.0)


async def step(answer: Answer, state: PollState = HELD) -> Step:
    return await FeedKind(Tools(read, lambda: NOW)).step(
        Source(1, SourceSpec("one", "feed", URL)), state, answer
    )


def hash_of(body: bytes) -> str:
    return f"1:{hashlib.sha256(body).hexdigest()}"


async def test_a_document_read_whole_is_remembered() -> None:
    answer = Answer(200, NEWER, FEED)
    done = await step(answer)
    assert (answer.asked["If-None-Match"], answer.asked["If-Modified-Since"]) == (
        '"held"',
        "Mon, 23 Nov 2026 10:00:00 GMT",
    )
    assert [entry.guid for entry in done.documents[0].entries] == ["1", "2"]
    state = done.next_state
    assert (state.etag, state.last_modified) == ('"newer"', "Mon, 23 Nov 2026 11:00:00 GMT")
    assert state.body_hash == hash_of(FEED)
    assert state.cursor == {
        "asked": hashlib.sha256(f"1:{URL}".encode()).hexdigest()[:8],
        "full_at": NOW.isoformat(),
        "meaning": f"1:{meaning_of(FEED)}",
    }


async def test_a_document_that_was_cut_off_gives_its_entries_and_is_not_remembered() -> None:
    done = await step(Answer(200, NEWER, FEED[: FEED.index(b"<guid>2")]))
    assert done.outcome == "fetched"
    assert "1" in [entry.guid for entry in done.documents[0].entries]
    assert done.next_state == HELD


async def test_a_304_brings_newer_validators() -> None:
    newer = replace(HELD, etag=NEWER["etag"], last_modified=NEWER["last-modified"])
    assert await step(Answer(304, NEWER)) == Step(next_state=newer, unchanged=True)
    assert await step(Answer(304, {})) == Step(next_state=HELD, unchanged=True)


async def test_a_304_to_a_comparison_of_dates_alone_brings_no_entity_tag() -> None:
    dated = replace(HELD, etag=None)
    assert await step(Answer(304, NEWER), dated) == Step(next_state=dated, unchanged=True)


async def test_the_same_document_again_brings_its_newer_validators() -> None:
    done = await step(Answer(200, NEWER, FEED), PollState('"held"', body_hash=hash_of(FEED)))
    assert done.unchanged
    assert (done.next_state.etag, done.next_state.body_hash) == ('"newer"', hash_of(FEED))


async def test_a_busy_parser_says_when_to_come_back() -> None:
    kind = FeedKind(Tools(busy, lambda: NOW))
    done = await kind.step(Source(1, SourceSpec("one", "feed", URL)), HELD, Answer(200, NEWER, FEED))
    assert done.failure == Failure("busy", "every parser has been busy", None, 10.0)
    assert done.next_state == HELD


async def test_the_parser_is_told_whose_document_it_is_wherever_redirects_lead() -> None:
    asked: list[str] = []

    async def parse(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
        asked.append(source_url)
        return parse_feed(body, url, content_type)

    source = Source(1, SourceSpec("one", "feed", URL), effective_url="https://one.example/moved")
    await FeedKind(Tools(parse, lambda: NOW)).step(source, HELD, Answer(200, NEWER, FEED))
    assert asked == [URL]


async def test_a_page_is_explained_and_leaves_what_was_held() -> None:
    page = b"<html><title>News</title><link rel=alternate type=application/atom+xml href=/atom.xml></html>"
    done = await step(Answer(200, NEWER, page))
    assert done.next_state == HELD
    assert done.failure == Failure(
        "not_a_feed",
        "an HTML page (title 'News') came instead of a feed: the page advertises the feed "
        "https://one.example/atom.xml; if it is the wanted one, give the source that URL",
    )


async def test_an_empty_document_is_no_feed_and_no_newer_state() -> None:
    for body in (b"", b" \r\n\t"):
        done = await step(Answer(200, NEWER, body))
        assert done.next_state == HELD
        assert done.failure == Failure("not_a_feed", "an empty document came instead of a feed")


async def test_what_the_shape_of_a_feed_says_is_remembered_until_another_document_comes() -> None:
    empty = b"<rss version='2.0'><channel><title>t</title></channel></rss>"
    lost = await step(Answer(200, NEWER, empty))
    words = "the feed has no entries, and it had some before"
    assert (lost.outcome, remembered(lost.next_state)) == ("fetched", words)
    assert (lost.next_state.etag, lost.next_state.body_hash) == ('"newer"', hash_of(empty))
    for answer in (Answer(304, NEWER), Answer(200, NEWER, empty)):
        again = await step(answer, lost.next_state)
        assert (again.outcome, remembered(again.next_state)) == ("unchanged", words)
    healthy = await step(Answer(200, NEWER, FEED), lost.next_state)
    assert "degraded" not in (healthy.next_state.cursor or {})


async def test_entries_of_a_strange_shape_are_kept() -> None:
    items = b"".join(
        b"<item><guid>%d</guid><pubDate>2026-11-23T10:00:00Z</pubDate></item>" % n for n in range(5)
    )
    done = await step(Answer(200, NEWER, b"<rss version='2.0'><channel>%b</channel></rss>" % items))
    assert len(done.documents[0].entries) == 5
    assert remembered(done.next_state) == (
        "all 5 entries of the feed have the same date, which may be none of theirs"
    )
