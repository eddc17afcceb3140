"""What passes between daemon and worker arrives as it was sent, in pieces of any size, and its end is told."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import pytest
import trio
import trio.testing

from digestd.errors import NotAFeed
from digestd.ingest.workers import channel
from digestd.ingest.workers.channel import PIPE_BYTES, Channel, widen
from digestd.ingest.workers.pool import open_parser

# Around what is framed otherwise by multiprocessing, what one read takes, what a pipe holds, and much more.
SIZES = [0, 1, 16_384, 16_385, 2**16 - 4, 2**16, PIPE_BYTES - 4, PIPE_BYTES, 3 * PIPE_BYTES]


def bytes_of(size: int) -> bytes:
    return (b"0123456789abcdef!" * (size // 17 + 1))[:size]


@asynccontextmanager
async def to_worker() -> AsyncIterator[tuple[Channel, Connection]]:
    there, here = Pipe(duplex=False)
    with there, here:
        yield Channel(here.fileno()), there


@asynccontextmanager
async def from_worker() -> AsyncIterator[tuple[Channel, Connection]]:
    here, there = Pipe(duplex=False)
    with here, there:
        yield Channel(here.fileno()), there


async def test_the_worker_gets_what_is_sent() -> None:
    with trio.fail_after(30):
        async with to_worker() as (sending, worker), trio.open_nursery() as nursery:
            for size in SIZES:
                nursery.start_soon(sending.send, bytes_of(size))
                assert await trio.to_thread.run_sync(worker.recv_bytes) == bytes_of(size)


async def test_the_daemon_gets_what_the_worker_sends() -> None:
    def send_all(worker: Connection) -> None:
        for size in SIZES:
            worker.send_bytes(bytes_of(size))

    with trio.fail_after(30):
        async with from_worker() as (receiving, worker), trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, send_all, worker)
            for size in SIZES:
                assert bytes(await receiving.receive()) == bytes_of(size)


async def test_lengths_of_more_than_two_gibibytes_are_framed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "_LONGEST_SHORT", 10)
    with trio.fail_after(10):
        async with to_worker() as (sending, worker):
            await sending.send(bytes_of(11))
            assert worker.recv_bytes() == bytes_of(11)
        async with from_worker() as (receiving, worker):
            os.write(worker.fileno(), b"\xff\xff\xff\xff" + (11).to_bytes(8, "big") + bytes_of(11))
            assert bytes(await receiving.receive()) == bytes_of(11)


async def test_what_came_with_an_answer_is_the_next_one() -> None:
    with trio.fail_after(10):
        async with from_worker() as (receiving, worker):
            worker.send_bytes(b"the answer")
            worker.send_bytes(b"a farewell")
            worker.close()
            assert bytes(await receiving.receive()) == b"the answer"
            assert bytes(await receiving.receive()) == b"a farewell"
            with pytest.raises(trio.EndOfChannel):
                await receiving.receive()


async def test_an_answer_that_stops_in_the_middle_is_no_answer() -> None:
    for begun in (b"\0", b"\0\0\0\5", b"\0\0\0\5four"):
        with trio.fail_after(10):
            async with from_worker() as (receiving, worker):
                os.write(worker.fileno(), begun)
                worker.close()
                with pytest.raises(OSError, match=r"^got end of file during message$") as caught:
                    await receiving.receive()
                assert caught.value.errno is None


async def test_nobody_reads_any_more() -> None:
    with trio.fail_after(10):
        async with to_worker() as (sending, worker):
            worker.close()
            with pytest.raises(trio.BrokenResourceError):
                await sending.send(b"hello")


async def test_a_wait_for_an_answer_can_be_cancelled_and_begun_again() -> None:
    with trio.fail_after(10):
        async with from_worker() as (receiving, worker):
            os.write(worker.fileno(), b"\0\0\0\5fo")
            with trio.move_on_after(0.1) as waiting:
                await receiving.receive()
            assert waiting.cancelled_caught
            os.write(worker.fileno(), b"rty")
            assert bytes(await receiving.receive()) == b"forty"


async def test_a_usual_page_goes_at_once_and_a_larger_one_waits() -> None:
    with trio.fail_after(10):
        async with to_worker() as (sending, worker), trio.open_nursery() as nursery:
            widen(worker)
            await sending.send(bytes_of(PIPE_BYTES // 2))
            nursery.start_soon(sending.send, bytes_of(PIPE_BYTES))
            await trio.testing.wait_all_tasks_blocked()
            assert worker.recv_bytes() == bytes_of(PIPE_BYTES // 2)
            assert await trio.to_thread.run_sync(worker.recv_bytes) == bytes_of(PIPE_BYTES)


async def test_a_system_that_gives_no_larger_pipe_is_taken_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel, "PIPE_BYTES", -1)
    with trio.fail_after(10):
        async with to_worker() as (sending, worker), trio.open_nursery() as nursery:
            widen(worker)
            nursery.start_soon(sending.send, bytes_of(PIPE_BYTES))
            assert await trio.to_thread.run_sync(worker.recv_bytes) == bytes_of(PIPE_BYTES)


async def test_workers_are_spoken_with_over_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    send = Channel.send

    async def noted(channel: Channel, message: bytes) -> None:
        sent.append(message)
        await send(channel, message)

    monkeypatch.setattr(Channel, "send", noted)
    with trio.fail_after(30):
        async with open_parser(1, here_bytes=0) as parse:
            with pytest.raises(NotAFeed):
                await parse(b"nothing", "https://example.com/", None, source_url="https://example.com/")
    assert any(b"nothing" in message for message in sent)
