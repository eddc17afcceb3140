"""What a feed and its server say of when to come back, from the wire to the step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from digestd.feed.parse import parse_feed
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, Hints, PollState, Response, Source, SourceSpec, Step
from support.asking import GetsOnly

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SOURCE = Source(1, SourceSpec("one", "feed", "https://one.example/feed"))
HINTED = (
    "<ttl>120</ttl><skipHours><hour>3</hour><hour>24</hour></skipHours><skipDays><day>Sunday</day></skipDays>"
)


def feed(count: int, said: str = HINTED) -> bytes:
    dates = [f"{NOW - timedelta(hours=2 * number):%a, %d %b %Y %H:%M:%S} GMT" for number in range(count)]
    items = "".join(f"<item><guid>{date}</guid><pubDate>{date}</pubDate></item>" for date in dates)
    return f"<rss version='2.0'><channel><title>t</title>{said}{items}</channel></rss>".encode()


@dataclass
class Site(GetsOnly):
    """Gives these answers, one after the other."""

    answers: list[Response] = field(default_factory=list)
    mark: str = ""

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        return self.answers.pop(0)


def answer(status: int, body: bytes = b"", **fields: str) -> Response:
    headers = {"etag": "1", **{name.replace("_", "-"): value for name, value in fields.items()}}
    return Response(SOURCE.url, status, headers, body)


async def parse(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    return parse_feed(body, url, content_type)


async def polled(*answers: Response) -> list[Step]:
    site, state, steps = Site(list(answers)), PollState(), list[Step]()
    for _ in answers:
        steps.append(await FeedKind(Tools(parse, lambda: NOW)).step(SOURCE, state, site))
        state = steps[-1].next_state
    return steps


WHOLE = Hints(None, 7_200.0, (0, 3), (6,), 7_200.0, NOW)


async def test_a_document_tells_when_to_come_back() -> None:
    (step,) = await polled(answer(200, feed(5), cache_control="max-age=600", age="100"))
    assert step.hints == Hints(500.0, 7_200.0, (0, 3), (6,), 7_200.0, NOW)


async def test_304_and_an_unchanged_body_tell_what_the_last_document_said() -> None:
    steps = await polled(
        answer(200, feed(5), cache_control="max-age=600"),
        answer(304, cache_control="max-age=900"),
        answer(304),
        answer(304, expires="Mon, 23 Nov 2026 12:05:00 GMT"),
        answer(304, cache_control="no-cache"),
        answer(304),
        answer(200, feed(5), cache_control="max-age=5"),
        answer(200, feed(5)),
        answer(304),
    )
    assert [step.hints.cache_seconds for step in steps] == [600, 900, 900, 300, None, None, 5, None, None]
    assert {replace(step.hints, cache_seconds=None) for step in steps} == {WHOLE}
    assert [step.unchanged for step in steps] == [False] + [True] * 8


async def test_a_document_that_says_nothing_takes_back_what_was_said() -> None:
    _, step, after = await polled(answer(200, feed(5)), answer(200, feed(1, "")), answer(304))
    assert step.hints == Hints(newest_at=NOW)
    assert after.hints == Hints(newest_at=NOW)


async def test_new_entries_alone_leave_what_the_document_said() -> None:
    _, delta = await polled(answer(200, feed(5)), answer(226, feed(1, ""), im="feed"))
    assert delta.hints == WHOLE


async def test_what_was_cut_off_is_not_remembered() -> None:
    _, cut, after = await polled(
        answer(200, feed(5)), answer(200, feed(4, "<ttl>10</ttl>")[:-20]), answer(304)
    )
    assert cut.hints.ttl_seconds == 600
    assert after.hints == WHOLE
