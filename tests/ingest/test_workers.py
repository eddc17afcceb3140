"""Feeds are read in processes that can be killed, and their death is that document's failure alone."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import trio
import trio.testing

from digestd.errors import NotAFeed, ParserBusy, ParserDied, ParserFailed
from digestd.ingest.workers import confinement, feeds, heavy, pool
from digestd.ingest.workers.pool import open_parser
from digestd.model import Document, Entry
from support import readers
from support.workers import children

URL = "https://example.com/feed"
# It takes over a second: what it refers to makes it feedparser's to read.
ITEMS = 25_000
SPINNING = b"<rss version='2.0'><channel>" + b"<item/>" * ITEMS + b"&nothing;</channel></rss>"
FEED = b"<rss version='2.0'><channel><title>t</title><item><guid>1</guid><title>one</title></item></channel></rss>"


Read = Callable[[bytes, str, str | None], Awaitable[Document]]


@asynccontextmanager
async def parser(processes: int) -> AsyncIterator[Read]:
    """A parser that is asked by sources of the URL that their documents have."""
    async with open_parser(processes, here_bytes=0) as parse:
        yield lambda body, url, content_type: parse(body, url, content_type, source_url=url)


async def test_a_feed_is_read_in_another_process_and_none_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    before = children()
    with trio.fail_after(20):
        async with parser(2) as parse:
            document = await parse(FEED, "https://example.com/feed", "application/rss+xml")
            assert [entry.title for entry in document.entries] == ["one"]
            assert len(children() - before) == 1
            with pytest.raises(NotAFeed):
                await parse(b"<html><title>Log in</title></html>", "https://example.com/", "text/html")
    assert children() == before


async def test_a_parser_that_dies_is_replaced_and_its_document_read_again() -> None:
    with trio.fail_after(30):
        async with parser(1) as parse:
            await parse(FEED, URL, None)
            (worker,) = children()
            os.kill(worker, signal.SIGSTOP)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(kill_soon, worker)
                document = await parse(FEED, URL, None)
            assert len(document.entries) == 1
            assert worker not in children()


async def test_a_document_that_kills_its_parsers_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heavy, "HONEST_BYTES_PER_SECOND", 10**9)
    monkeypatch.setattr(feeds, "CPU_SECONDS", 0.3)
    with trio.fail_after(30):
        async with parser(1) as parse:
            await parse(FEED, URL, None)
            with pytest.raises(ParserDied, match="its parser died while reading it"):
                await parse(SPINNING, "https://example.com/bomb", None)
            assert len((await parse(FEED, URL, None)).entries) == 1


@pytest.mark.slow
async def test_what_ends_the_block_is_not_lost_when_a_worker_has_to_be_killed() -> None:
    async def stop_its_worker_and_fail() -> None:
        async with parser(1) as parse:
            await parse(FEED, "https://example.com/feed", None)
            (worker,) = children()
            os.kill(worker, signal.SIGSTOP)
            raise ZeroDivisionError

    with trio.fail_after(30), pytest.raises(ZeroDivisionError):
        await stop_its_worker_and_fail()


async def kill_soon(pid: int) -> None:
    await trio.sleep(0.2)
    os.kill(pid, signal.SIGKILL)


async def test_a_document_that_takes_too_long_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heavy, "HONEST_BYTES_PER_SECOND", 10**9)
    with trio.fail_after(30):
        async with open_parser(1, here_bytes=0) as parse:
            await parse(FEED, URL, None, source_url=URL)
            (worker,) = children()
            # It is read again among what is heavy, and there it has its last chance.
            monkeypatch.setattr(pool, "PARSE_TIMEOUT_SECONDS", 0.7)
            with pytest.raises(ParserDied, match=r"could not be read within 0\.7 s"):
                await parse(SPINNING, URL, None, source_url=URL)
            assert parse._heavy.expects(URL, 1)
            assert worker not in children()


async def test_a_small_document_that_takes_long_is_read_among_what_is_heavy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(heavy, "HONEST_BYTES_PER_SECOND", 10**9)
    bomb = "https://example.com/bomb"
    with trio.fail_after(30):
        async with open_parser(2, here_bytes=0) as parse:
            await parse(FEED, URL, None, source_url=URL)
            (light,) = children()
            assert len((await parse(SPINNING, bomb, None, source_url=bomb)).entries) == ITEMS
            assert parse._heavy.expects(bomb, 1)
            assert not parse._heavy.expects(URL, 1)
            # It died of it, and the next document has another.
            assert light not in children()
            assert len((await parse(FEED, URL, None, source_url=URL)).entries) == 1


async def test_a_parser_that_stays_busy_puts_the_document_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "QUEUE_SECONDS", 0.3)
    with trio.fail_after(30):
        async with parser(1) as parse:
            await parse(FEED, "https://example.com/feed", None)
            (worker,) = children()
            os.kill(worker, signal.SIGSTOP)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(parse, FEED, "https://example.com/one", None)
                await trio.testing.wait_all_tasks_blocked()
                with pytest.raises(ParserBusy) as caught:
                    await parse(FEED, "https://example.com/two", None)
                os.kill(worker, signal.SIGCONT)
            assert str(caught.value) == "every parser has been busy for 0.3 s; polled again soon"
            assert (caught.value.cause, caught.value.retry_after) == ("busy", 10.0)
            assert len((await parse(FEED, "https://example.com/two", None)).entries) == 1


async def test_sources_that_were_heavy_leave_a_parser_to_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "QUEUE_SECONDS", 0.5)
    monkeypatch.setattr(heavy, "PROBATION_DOCUMENTS", 2)
    weight = True
    monkeypatch.setattr(pool, "is_heavy", lambda cpu_seconds, size: weight)
    light, slow = "https://example.com/light", "https://example.com/slow"
    with trio.fail_after(30):
        async with open_parser(2, here_bytes=0) as parse:
            # Where it leads can be another URL each time.
            await parse(FEED, "https://example.com/1", None, source_url=slow)
            weight = False
            async with trio.open_nursery() as nursery:
                begun = await nursery.start(_hold, parse._heavy_turns)
                assert len((await parse(FEED, light, None, source_url=light)).entries) == 1
                with pytest.raises(ParserBusy):
                    await parse(FEED, "https://example.com/2", None, source_url=slow)
                begun.cancel()
            for number in range(2):
                await parse(FEED, f"https://example.com/3{number}", None, source_url=slow)
            # It was light for as long as it takes to be believed.
            async with trio.open_nursery() as nursery:
                begun = await nursery.start(_hold, parse._heavy_turns)
                assert len((await parse(FEED, slow, None, source_url=slow)).entries) == 1
                begun.cancel()


async def _hold(
    turn: AbstractAsyncContextManager[object], task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    with trio.CancelScope() as scope:
        async with turn:
            task_status.started(scope)
            await trio.sleep_forever()


def feed_of(entries: int, description: str = "") -> bytes:
    items = "".join(
        f"<item><guid>{number}</guid><description>{description}</description></item>"
        for number in range(entries)
    )
    return f"<rss version='2.0'><channel>{items}</channel></rss>".encode()


async def test_other_tasks_run_while_a_large_document_is_put_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads, turns = pickle.loads, 0
    entries = tuple(Entry(str(number), "") for number in range(5))
    at_slice: list[int] = []

    def counting(part: bytes) -> object:
        at_slice.append(turns)
        return loads(part)

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    parsed = feeds.Parsed(
        Document("https://example.com/feed", "rss20"), tuple(pickle.dumps((entry,)) for entry in entries)
    )
    monkeypatch.setattr(pickle, "loads", counting)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_turns)
        document = await pool._put_together(parsed)
        nursery.cancel_scope.cancel()
    assert document.entries == entries
    assert len(at_slice) == 5
    assert at_slice[-1] > at_slice[0]


async def test_a_large_document_comes_whole_and_in_order() -> None:
    with trio.fail_after(30):
        async with parser(1) as parse:
            document = await parse(feed_of(1_100), "https://example.com/feed", None)
    assert [entry.guid for entry in document.entries] == [str(number) for number in range(1_100)]


def test_no_slice_has_many_entries_or_much_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "_lower", lambda *_: None)
    many = parsed(feed_of(600))
    assert many.document.entries == ()
    assert [len(pickle.loads(part)) for part in many.slices] == [250, 250, 100]
    long = parsed(feed_of(5, "x" * 400_000))
    assert [len(pickle.loads(part)) for part in long.slices] == [2, 2, 1]
    assert parsed(feed_of(0)).slices == ()


def parsed(body: bytes) -> feeds.Parsed:
    outcome = feeds.parse_document(body, "https://example.com/feed", None).outcome
    assert isinstance(outcome, feeds.Parsed)
    return outcome


def test_a_reading_tells_the_processor_time_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "_lower", lambda *_: None)

    def wait(*_: object) -> Document:
        time.sleep(0.1)
        return Document(URL, "rss20")

    monkeypatch.setattr(feeds, "parse_feed", wait)
    assert feeds.parse_document(b"", URL, None).cpu_seconds < 0.05

    def refuse_slowly(*_: object) -> None:
        begin = time.process_time()
        while time.process_time() - begin < 0.1:
            pass
        raise NotAFeed("no")

    monkeypatch.setattr(feeds, "parse_feed", refuse_slowly)
    assert 0.1 <= feeds.parse_document(b"", URL, None).cpu_seconds < 1


def confined(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process that is confined as a parser is."""
    script = (
        "from digestd.errors import *\n"
        "from digestd.ingest.workers import confinement, feeds\n"
        f"confinement.confine(feeds.MEMORY_BYTES, 0)\n{code}"
    )
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_parser_s_memory_is_bounded() -> None:
    done = confined(
        "feeds.parse_feed = lambda *_: bytearray(600 * 2**20)\n"
        "print(repr(feeds.parse_document(b'', '', None).outcome))"
    )
    assert done.stdout == "ParserDied('reading it needs more than 200 MiB of memory')\n"


def test_a_parser_goes_first_where_the_machine_s_memory_runs_out() -> None:
    done = confined("print(open('/proc/self/oom_score_adj').read())")
    assert done.stdout.split() == ["1000"]


def test_a_parser_that_holds_much_memory_is_replaced() -> None:
    done = confined(
        "spent = lambda: confinement.is_spent(feeds.RESIDENT_BYTES)\n"
        "print(spent()); kept = bytearray(100 * 2**20); print(spent())"
    )
    assert done.stdout == "False\nTrue\n"


def test_a_parser_that_only_kept_what_is_free_is_not_replaced() -> None:
    done = confined(
        "def held(): return confinement._pages_of_memory()[1]\n"
        "before = held()\n"
        "many = [bytes(1_000) for _ in range(60_000)]\n"
        "last = bytes(1_000)\n"
        "del many\n"
        "limit = before + 20 * 2**20\n"
        "print(held() > limit, confinement.is_spent(limit), held() < limit)"
    )
    assert done.stdout == "True False True\n"


def test_a_parser_whose_daemon_is_gone_ends_by_itself() -> None:
    done = confined(
        "limit = 0.2\n"
        "def spin(*_):\n"
        "    while True: pass\n"
        "feeds.parse_feed = spin\n"
        "feeds.parse_document(b'', '', None, limit)"
    )
    assert done.returncode == -signal.SIGPROF
    assert done.stderr == ""


def test_running_out_of_memory_or_stack_is_the_document_s_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "_lower", lambda *_: None)
    monkeypatch.setattr(confinement, "_exhausted", False)
    for error, failure, message in (
        (MemoryError(), ParserDied, "reading it needs more than 200 MiB of memory"),
        (RecursionError(), ParserFailed, "it is nested too deeply to be read"),
    ):
        monkeypatch.setattr(feeds, "parse_feed", raising(error))
        outcome = feeds.parse_document(FEED, URL, None).outcome
        assert (type(outcome), str(outcome)) == (failure, message)


def raising(error: Exception) -> object:
    def parse(*_: object) -> None:
        raise error

    return parse


async def test_whatever_a_kind_has_read_there_comes_back_with_its_facts() -> None:
    before = children()
    with trio.fail_after(30):
        async with open_parser(1, here_bytes=0) as parser:
            for reader in (readers.count, "support.readers:count"):
                document = await parser.read(reader, b"abc", 700, source_url=URL)
                assert [entry.guid for entry in document.entries] == [str(n) for n in range(700)]
                assert document.facts["body"] == "abc"
                assert int(document.facts["pid"]) in children() - before
    assert children() == before


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        (b"refuse", NotAFeed, "refused"),
        (b"trip", ParserFailed, "the document cannot be read: KeyError: 'gone'"),
        (b"nothing", ParserFailed, "the document cannot be read: its reader gave a NoneType"),
        (b"recurse", ParserFailed, "it is nested too deeply to be read"),
        (b"eat", ParserDied, "reading it needs more than 200 MiB of memory"),
        (b"spin", ParserDied, pool.DIED),
    ],
)
async def test_what_goes_wrong_with_a_reader_is_its_document_s_failure(
    order: bytes, error: type[Exception], message: str
) -> None:
    with trio.fail_after(60):
        async with open_parser(1, here_bytes=0) as parser:
            with pytest.raises(error) as raised:
                await parser.read(readers.obey, order, source_url=URL)
            assert str(raised.value) == message
            assert (await parser.read(readers.count, b"", 1, source_url="https://other.example/")).entries
