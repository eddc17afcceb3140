"""Small, sound feeds are read in the daemon's own process, between other tasks; whatever else comes is a worker's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from typing import NoReturn

import pytest
import trio

from digestd.errors import NotAFeed
from digestd.feed import pieces
from digestd.ingest.workers import pool
from digestd.ingest.workers.pool import open_parser
from digestd.model import Document, FeedParser
from support.feed_comparison import by_feedparser
from support.workers import children

URL = "https://example.com/feed"
SOUND = b"<rss version='2.0'><channel><item><guid>1</guid><title>one</title></item></channel></rss>"
# As real ones do it.
UNSOUND = b"<rss version='2.0'><channel><item><guid>1</guid><title>one&nbsp;</title></item></channel></rss>"
MANY = b"<rss version='2.0'><channel>" + b"<item><title>t</title></item>" * 1_000 + b"</channel></rss>"


async def test_a_small_sound_feed_needs_no_process() -> None:
    parses: Counter[FeedParser] = Counter()
    async with open_parser(1, parses=parses) as parse:
        document = await parse(SOUND, URL, "application/rss+xml", source_url=URL)
        assert children() == set()
    assert [entry.title for entry in document.entries] == ["one"]
    assert document == by_feedparser(SOUND, URL, None)
    assert parses == {"fast": 1}


@pytest.mark.parametrize(
    ("body", "counted"),
    [
        pytest.param(UNSOUND, {"feedparser": 1}, id="in doubt"),
        pytest.param(SOUND + b" " * pieces.MOST_BYTES, {"fast": 1}, id="large"),
        pytest.param(
            SOUND.replace(b"one", b"<![CDATA[" + b"<b>" * 500 + b"]]>"), {"fast": 1}, id="much markup"
        ),
        pytest.param(
            b'{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "1"}]}', {}, id="JSON"
        ),
    ],
)
async def test_what_is_not_small_and_sound_is_read_in_a_worker(body: bytes, counted: dict[str, int]) -> None:
    parses: Counter[FeedParser] = Counter()
    with trio.fail_after(30):
        async with open_parser(1, parses=parses) as parse:
            document = await parse(body, URL, None, source_url=URL)
            assert len(children()) == 1
    assert len(document.entries) == 1
    assert parses == counted


async def test_what_is_no_feed_is_refused_in_a_worker_s_words() -> None:
    with trio.fail_after(30):
        async with open_parser(1) as parse:
            with pytest.raises(NotAFeed, match="an HTML page"):
                await parse(b"<html><title>Log in</title></html>", URL, "text/html", source_url=URL)


async def test_a_source_that_gave_heavy_documents_is_read_in_a_worker() -> None:
    with trio.fail_after(30):
        async with open_parser(1) as parse:
            parse._heavy.note(URL, heavy=True)
            await parse(SOUND, URL, None, source_url=URL)
            assert len(children()) == 1
            await parse(SOUND, URL, None, source_url="https://other.example/")
            assert len(children()) == 1


async def test_other_tasks_run_between_the_pieces() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with open_parser(1) as parse, trio.open_nursery() as nursery:
        nursery.start_soon(count)
        document = await parse(MANY, URL, None, source_url=URL)
        nursery.cancel_scope.cancel()
    assert len(document.entries) == 1_000
    assert turns >= len(MANY) // 8_192 + 1_000 // 20


async def test_a_reading_that_is_cancelled_ends_between_two_pieces() -> None:
    async with open_parser(1) as parse:
        with trio.CancelScope() as scope:
            scope.cancel()
            await parse(MANY, URL, None, source_url=URL)
        assert scope.cancelled_caught
        assert children() == set()


class PanicException(BaseException):
    """As Rust's panics come out of nh3."""


def raising(error: BaseException) -> Callable[..., Generator[None, None, Document]]:
    def read(*arguments: object) -> Generator[None, None, NoReturn]:
        yield
        raise error

    return read


async def test_a_panic_costs_nobody_but_its_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "parse_in_pieces", raising(PanicException("index out of bounds")))
    with trio.fail_after(30):
        async with open_parser(1) as parse:
            document = await parse(SOUND, URL, None, source_url=URL)
            assert len(children()) == 1
    assert len(document.entries) == 1


async def test_a_bug_is_no_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "parse_in_pieces", raising(ZeroDivisionError()))
    async with open_parser(1) as parse:
        with pytest.raises(ZeroDivisionError):
            await parse(SOUND, URL, None, source_url=URL)
