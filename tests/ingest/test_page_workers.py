"""Pages are read in processes that can be killed, beside those of the feeds; what they do to them is theirs alone."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from digestd.errors import NoArticle, ParserDied, ParserFailed
from digestd.ingest.workers import pages, pool
from digestd.ingest.workers.confinement import DOCUMENTS_PER_WORKER
from digestd.ingest.workers.pool import PageReader, open_parser, open_reader
from digestd.model import Page
from support import workers
from support.corpus import corpus_path
from support.workers import children

DIED = "its parser died while reading it (out of memory or time, or killed from outside)"
TOO_MUCH = "reading it needs more than 160 MiB of memory"


@pytest.fixture(autouse=True)
def _bodies_say_what_reading_them_does(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "gold_pages" not in request.fixturenames:
        monkeypatch.setattr(pages, "read_article", workers.read_article)


@pytest.fixture
def gold_pages() -> list[bytes]:
    folder = corpus_path("html-gold/article-extraction-benchmark") / "html"
    return [gzip.decompress(file.read_bytes()) for file in sorted(folder.glob("*.html.gz"))]


async def order(read: PageReader, body: str) -> Page:
    return await read(body.encode(), "https://example.com/a", "text/html", feed_html="<p>f</p>", title="T")


async def worker_of(read: PageReader) -> int:
    """The process that reads the next page."""
    return int((await order(read, "hello")).text.split()[0])


@asynccontextmanager
async def bounded_reader(processes: int = 1, timeout_seconds: float = 20) -> AsyncIterator[PageReader]:
    with trio.fail_after(60):
        async with open_reader(processes, timeout_seconds) as read:
            yield read


async def test_a_page_is_read_in_another_process_and_none_is_left(capfd: pytest.CaptureFixture[str]) -> None:
    before = children()
    async with bounded_reader(2) as read:
        page = await order(read, "talk of nothing")
        (worker,) = children() - before
        assert page == Page(f"{worker} text/html <p>f</p> UTC", "", "https://example.com/a", "T")
    assert children() == before
    assert capfd.readouterr().err == ""


async def test_refusals_arrive_as_they_are() -> None:
    async with bounded_reader() as read:
        with pytest.raises(NoArticle, match=r"^scripts alone$") as caught:
            await order(read, "refuse scripts alone")
        # What a library raised stays in the worker: to unpickle it the daemon would have to load the library.
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        with pytest.raises(ParserFailed, match=r"^it is no HTML$") as failed:
            await order(read, "fail it is no HTML")
        assert type(failed.value) is ParserFailed
        with pytest.raises(ParserFailed, match=r"^it is nested too deeply to be read$"):
            await order(read, "recurse")
        with pytest.raises(ParserFailed, match=r"^the page cannot be read: ErrorOfALibrary: odd tag$"):
            await order(read, "trip odd tag")
        assert len(children()) == 1


async def test_a_page_that_spins_is_stopped_at_its_deadline_and_the_next_one_is_read() -> None:
    async with bounded_reader(timeout_seconds=1.5) as read:
        worker = await worker_of(read)
        started = trio.current_time()
        with pytest.raises(ParserDied) as caught:
            await order(read, "spin")
        assert trio.current_time() - started < 5
        assert str(caught.value) == "it could not be read within 1.5 s; its parser was stopped"
        assert children() == set()
        assert await worker_of(read) != worker


async def test_a_page_that_eats_memory_fails_alone() -> None:
    async with bounded_reader() as read:
        worker = await worker_of(read)
        with pytest.raises(ParserDied) as caught:
            await order(read, "eat 10000")
        assert str(caught.value) == TOO_MUCH
        assert await worker_of(read) != worker
        assert len(children()) == 1


async def test_a_worker_that_ran_out_of_memory_or_nearly_did_is_replaced() -> None:
    async with bounded_reader() as read:
        first = await worker_of(read)
        with pytest.raises(ParserDied, match=TOO_MUCH):
            await order(read, "eat_at_once 1000")
        second = await worker_of(read)
        await order(read, "eat 130")
        third = await worker_of(read)
        assert len({first, second, third}) == 3


async def test_memory_that_ran_out_unseen_is_still_told() -> None:
    async with bounded_reader() as read:
        with pytest.raises(ParserDied) as caught:
            await order(read, "eat_and_hide 10000")
        assert str(caught.value) == TOO_MUCH
        with pytest.raises(NoArticle, match="nothing"):
            await order(read, "refuse nothing")


async def test_a_page_too_large_for_the_worker_to_take_in_fails_alone() -> None:
    async with bounded_reader(timeout_seconds=5) as read:
        with pytest.raises(ParserDied) as caught:
            await order(read, "hello " + "x" * (90 * 2**20))
        assert str(caught.value) == "it is too large for its parser"
        await worker_of(read)


async def test_a_page_whose_worker_dies_fails_alone() -> None:
    async with bounded_reader() as read:
        for body in ("die", "die"):
            with pytest.raises(ParserDied) as caught:
                await order(read, body)
            assert str(caught.value) == DIED
        await worker_of(read)


async def test_a_worker_killed_from_outside_fails_the_page_at_work_alone() -> None:
    async def kill_soon(worker: int) -> None:
        await trio.sleep(0.2)
        os.kill(worker, signal.SIGKILL)

    async with bounded_reader() as read, trio.open_nursery() as nursery:
        nursery.start_soon(kill_soon, await worker_of(read))
        with pytest.raises(ParserDied) as caught:
            await order(read, "spin")
        assert str(caught.value) == DIED
        idle = await worker_of(read)
        os.kill(idle, signal.SIGKILL)
        while idle in children():
            await trio.sleep(0.01)
        assert await worker_of(read) != idle


async def test_a_worker_killed_in_the_middle_of_its_answer_fails_the_page_alone() -> None:
    async def kill_when_it_answers(worker: int) -> None:
        await trio.testing.wait_all_tasks_blocked()
        # The loop stands still: nobody takes the answer, and the pipe is full.
        time.sleep(1)
        os.kill(worker, signal.SIGKILL)

    async with bounded_reader() as read, trio.open_nursery() as nursery:
        nursery.start_soon(kill_when_it_answers, await worker_of(read))
        with pytest.raises(ParserDied) as caught:
            await order(read, "answer_long 10000000")
        assert str(caught.value) == DIED
        await worker_of(read)


async def test_cancellation_kills_the_worker_at_work_and_no_other() -> None:
    async with bounded_reader(2) as read:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(order, read, "spin")
            await trio.sleep(0.5)
            (spinning,) = children()
            idle = await worker_of(read)
            nursery.cancel_scope.cancel()
        assert children() == {idle} != {spinning}


async def test_a_cancelled_wait_for_a_worker_kills_none() -> None:
    async with bounded_reader() as read, trio.open_nursery() as nursery:
        worker = await worker_of(read)
        nursery.start_soon(order, read, "burn 0.5")
        await trio.testing.wait_all_tasks_blocked()
        with trio.move_on_after(0.1) as waiting:
            await order(read, "hello")
        assert waiting.cancelled_caught
        assert await worker_of(read) == worker


async def test_what_ends_the_block_leaves_no_worker() -> None:
    before = children()

    async def fail_at_work() -> None:
        async with open_reader(1, 20) as read, trio.open_nursery() as nursery:
            nursery.start_soon(order, read, "spin")
            await trio.sleep(0.5)
            raise ZeroDivisionError

    with trio.fail_after(30), pytest.RaisesGroup(ZeroDivisionError):
        await fail_at_work()
    assert children() == before


async def test_two_pages_are_read_at_one_time(tmp_path: Path) -> None:
    async with bounded_reader(2) as read, trio.open_nursery() as nursery:
        nursery.start_soon(order, read, f"meet {tmp_path}")
        nursery.start_soon(order, read, f"meet {tmp_path}")
    assert len(list(tmp_path.iterdir())) == 2


async def test_no_more_are_read_at_one_time_than_there_are_processes() -> None:
    async with bounded_reader(2) as read, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(order, read, "burn 0.1")
        await trio.sleep(0.5)
        assert len(children()) == 2


async def test_a_feed_never_waits_behind_pages() -> None:
    feed = b"<rss version='2.0'><channel><item><guid>1</guid></item></channel></rss>"
    url = "https://example.com/feed"
    async with (
        bounded_reader() as read,
        open_parser(1, here_bytes=0) as parse,
        trio.open_nursery() as nursery,
    ):
        nursery.start_soon(order, read, "spin")
        nursery.start_soon(order, read, "spin")
        assert len((await parse(feed, url, None, source_url=url)).entries) == 1
        nursery.cancel_scope.cancel()


async def test_signals_to_the_group_do_not_reach_the_workers() -> None:
    async with bounded_reader() as read, trio.open_nursery() as nursery:
        worker = await worker_of(read)
        nursery.start_soon(order, read, "burn 0.5")
        await trio.sleep(0.1)
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        assert await worker_of(read) == worker


async def test_a_worker_is_replaced_after_enough_pages() -> None:
    async with bounded_reader() as read:
        workers_seen = [await worker_of(read) for _ in range(DOCUMENTS_PER_WORKER + 1)]
    assert len(set(workers_seen[:-1])) == 1
    assert workers_seen[-1] != workers_seen[0]


async def test_a_worker_that_has_grown_is_replaced() -> None:
    async with bounded_reader() as read:
        worker = await worker_of(read)
        await order(read, "keep 20")
        assert await worker_of(read) == worker
        await order(read, "keep 80")
        assert await worker_of(read) != worker


@pytest.mark.slow
async def test_the_limit_on_processor_time_is_of_each_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "CPU_SECONDS_PER_SECOND", 0.05)
    async with bounded_reader() as read:
        worker = await worker_of(read)
        for _ in range(4):
            await order(read, "burn 0.8")
        assert await worker_of(read) == worker
        with pytest.raises(ParserDied) as caught:
            await order(read, "burn 3")
        assert str(caught.value) == DIED


@pytest.mark.slow
def test_a_worker_whose_daemon_is_gone_ends_by_itself() -> None:
    script = """
import trio
from digestd.ingest.workers import pages
from digestd.ingest.workers.pool import open_reader
from support import workers
async def main():
    pages.read_article = workers.read_article
    async with open_reader(1, 2) as read:
        await read(b"hello", "", None, feed_html="", title="")
        print("ready", flush=True)
        await read(b"spin", "", None, feed_html="", title="")
trio.run(main)
"""
    daemon = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert daemon.stdout is not None
    with daemon.stdout as told:
        assert told.readline() == b"ready\n"
        (worker,) = children(daemon.pid)
        time.sleep(0.5)
        daemon.kill()
        daemon.wait()
        deadline = time.monotonic() + 20
        assert processor_seconds(worker) is not None
        while processor_seconds(worker) is not None and time.monotonic() < deadline:
            time.sleep(0.1)
    assert processor_seconds(worker) is None


def processor_seconds(pid: int) -> float | None:
    """What the process has used; None when it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None
    if fields[0] in "ZX":
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_the_daemon_s_own_process_loads_no_library_that_reads_pages() -> None:
    script = """
import sys
import digestd.daemon, digestd.ingest.workers.pool
print([name for name in ("lxml", "trafilatura", "htmldate", "justext") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_worker_loads_no_trio() -> None:
    script = """
import sys
import digestd.ingest.workers.feeds, digestd.ingest.workers.pages
print([name for name in ("trio", "trio_parallel", "structlog", "lxml") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


REAL = """<html lang="en"><head><title>A title of some length</title></head><body><article>
<h1>A title of some length</h1><p>%s</p></article></body></html>"""
PARAGRAPH = "Someone found a fault in a thing, and told the people who make it. " * 20


def test_a_real_page_is_read_and_its_libraries_stay_in_the_worker() -> None:
    script = """
import sys, trio
from digestd.errors import NoArticle
from digestd.ingest.workers.pool import open_reader
async def main():
    async with open_reader(1, 20) as read:
        for body in sys.stdin.buffer.read(), b"":
            try:
                page = await read(body, "https://example.com/a", "text/html", feed_html="", title="A title")
                print(page.title)
            except NoArticle as refusal:
                print(refusal)
trio.run(main)
print([name for name in ("lxml", "trafilatura", "htmldate", "justext") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], input=REAL % PARAGRAPH, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["A title of some length", "the page is empty", "[]"]


@pytest.mark.slow
async def test_many_pages_take_no_more_memory_than_a_few(gold_pages: list[bytes]) -> None:
    resident: list[int] = []

    async def read_all(read: PageReader, bodies: Iterator[bytes]) -> None:
        for body in bodies:
            with suppress(NoArticle, ParserFailed):
                await read(body, "https://example.com/a", "text/html", feed_html="", title="")
            resident.append(max(map(resident_mebibytes, children())))

    turns = iter(gold_pages * 6)
    async with open_reader(2, 20) as read, trio.open_nursery() as nursery:
        nursery.start_soon(read_all, read, turns)
        nursery.start_soon(read_all, read, turns)
    half = len(resident) // 2
    assert max(resident[half:]) < max(resident[:half]) * 1.25 < 160


def resident_mebibytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024
