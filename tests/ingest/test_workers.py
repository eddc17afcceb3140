"""Feeds are read in processes that can be killed, and their death is that document's failure alone."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from digestd.errors import NotAFeed, ParserFailed
from digestd.ingest import parsing, workers
from digestd.ingest.workers import open_parser

FEED = b"<rss version='2.0'><channel><title>t</title><item><guid>1</guid><title>one</title></item></channel></rss>"


def children() -> set[int]:
    """The parser processes of this one (not the tracker that multiprocessing keeps)."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            command = (stat.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == os.getpid() and b"spawn_main" in command:
            found.add(int(stat.parent.name))
    return found


async def test_a_feed_is_read_in_another_process_and_none_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    before = children()
    with trio.fail_after(20):
        async with open_parser(2) as parse:
            document = await parse(FEED, "https://example.com/feed", "application/rss+xml")
            assert [entry.title for entry in document.entries] == ["one"]
            assert len(children() - before) == 1
            with pytest.raises(NotAFeed):
                await parse(b"<html><title>Log in</title></html>", "https://example.com/", "text/html")
    assert children() == before


async def test_a_parser_that_dies_fails_its_document_and_is_replaced() -> None:
    with trio.fail_after(30):
        async with open_parser(1) as parse:
            await parse(FEED, "https://example.com/feed", None)
            (worker,) = children()
            os.kill(worker, signal.SIGSTOP)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_soon, worker)
                with pytest.raises(ParserFailed, match="its parser died while reading it"):
                    await parse(FEED, "https://example.com/feed", None)
            document = await parse(FEED, "https://example.com/feed", None)
            assert len(document.entries) == 1


async def kill_soon(pid: int) -> None:
    await trio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)


async def test_a_document_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    with trio.fail_after(30):
        async with open_parser(1) as parse:
            await parse(FEED, "https://example.com/feed", None)
            (worker,) = children()
            os.kill(worker, signal.SIGSTOP)
            monkeypatch.setattr(workers, "PARSE_TIMEOUT_SECONDS", 0.3)
            with pytest.raises(ParserFailed, match=r"could not be read within 0\.3 s"):
                await parse(FEED, "https://example.com/feed", None)
            assert worker not in children()


@pytest.mark.slow
async def test_memory_and_time_of_a_parser_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    item = b"<item><title>" + b"&lt;b&gt;" * 200 + b"</title></item>"
    huge = b"<rss version='2.0'><channel>" + item * 30_000 + b"</channel></rss>"
    with trio.fail_after(60):
        async with open_parser(1) as parse:
            with pytest.raises(ParserFailed):
                await parse(huge, "https://example.com/feed", None)
            assert len((await parse(FEED, "https://example.com/feed", None)).entries) == 1


def test_running_out_of_memory_or_stack_is_the_document_s_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_lower", lambda *_: None)
    for error, message in (
        (MemoryError(), "reading it needs more than 512 MiB of memory"),
        (RecursionError(), "it is nested too deeply to be read"),
    ):
        monkeypatch.setattr(parsing, "parse_feed", raising(error))
        with pytest.raises(ParserFailed) as caught:
            parsing.parse_document(FEED, "https://example.com/feed", None)
        assert str(caught.value) == message


def raising(error: Exception) -> object:
    def parse(*_: object) -> None:
        raise error

    return parse
