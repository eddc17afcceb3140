"""Feeds are read in processes that can be killed, and their death is that document's failure alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
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


def confined(code: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a process that is confined as a parser is."""
    script = f"from digestd.ingest import parsing\nparsing.confine()\n{code}"
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_parser_s_memory_is_bounded() -> None:
    done = confined(
        "parsing.parse_feed = lambda *_: bytearray(600 * 2**20)\n"
        "try: parsing.parse_document(b'', '', None)\n"
        "except parsing.ParserFailed as failure: print(failure)"
    )
    assert done.stdout == "reading it needs more than 512 MiB of memory\n"


def test_a_parser_whose_daemon_is_gone_ends_by_itself() -> None:
    done = confined(
        "parsing.CPU_SECONDS = 0\n"
        "def spin(*_):\n"
        "    while True: pass\n"
        "parsing.parse_feed = spin\n"
        "parsing.parse_document(b'', '', None)"
    )
    assert done.returncode == -signal.SIGXCPU
    assert done.stderr == ""


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
