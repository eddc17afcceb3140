"""The kind `feed`: what one answer makes of the validators that the next poll sends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from digestd.errors import ParserBusy
from digestd.feed.parse import parse_feed
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, Failure, PollState, Response, Source, SourceSpec, Step

URL = "https://one.example/feed"
FEED = b"<rss version='2.0'><channel><item><guid>1</guid></item><item><guid>2</guid></item></channel></rss>"
HELD = PollState(etag='"held"', last_modified="Mon, 23 Nov 2026 10:00:00 GMT", body_hash="1:held")
NEWER = {"etag": '"newer"', "last-modified": "Mon, 23 Nov 2026 11:00:00 GMT"}


class Answer:
    """A server that gives one answer, and remembers what it was asked."""

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


async def read(body: bytes, url: str, content_type: str | None) -> Document:
    return parse_feed(body, url, content_type)


async def busy(body: bytes, url: str, content_type: str | None) -> Document:
    raise ParserBusy("every parser has been busy", retry_after=10.0)


async def step(answer: Answer, state: PollState = HELD) -> Step:
    return await FeedKind(Tools(read)).step(Source(1, SourceSpec("one", "feed", URL)), state, answer)


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
    assert done.next_state == PollState('"newer"', "Mon, 23 Nov 2026 11:00:00 GMT", hash_of(FEED))


async def test_a_document_that_was_cut_off_gives_its_entries_and_is_not_remembered() -> None:
    done = await step(Answer(200, NEWER, FEED[: FEED.index(b"<guid>2")]))
    assert done.outcome == "fetched"
    assert "1" in [entry.guid for entry in done.documents[0].entries]
    assert done.next_state == HELD


async def test_a_304_does_not_replace_the_validators_of_the_document_we_read() -> None:
    assert await step(Answer(304, NEWER)) == Step(next_state=HELD, unchanged=True)


async def test_the_same_document_again_brings_its_newer_validators() -> None:
    done = await step(Answer(200, NEWER, FEED), PollState(etag='"held"', body_hash=hash_of(FEED)))
    assert done.unchanged
    assert (done.next_state.etag, done.next_state.body_hash) == ('"newer"', hash_of(FEED))


async def test_a_busy_parser_says_when_to_come_back() -> None:
    kind = FeedKind(Tools(busy))
    done = await kind.step(Source(1, SourceSpec("one", "feed", URL)), HELD, Answer(200, NEWER, FEED))
    assert done.failure == Failure("busy", "every parser has been busy", None, 10.0)
    assert done.next_state == HELD
