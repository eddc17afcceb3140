"""Connected sockets as streams that go round the event loop only where they have to wait."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from digestd.ingest.network.tcp import TcpStream

MUCH = b"x" * 8_000_000


class Rounds(trio.abc.Instrument):
    """Counts how often the event loop goes round."""

    def __init__(self) -> None:
        self.count = 0

    def before_io_wait(self, timeout: float) -> None:
        self.count += 1


@pytest.fixture
def pair() -> Iterator[tuple[TcpStream, socket.socket]]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
    ours.setblocking(False)
    theirs.settimeout(5)
    with ours, theirs:
        yield TcpStream(ours), theirs


async def test_a_question_and_its_answer_take_one_round(pair: tuple[TcpStream, socket.socket]) -> None:
    stream, theirs = pair
    rounds = Rounds()
    trio.lowlevel.add_instrument(rounds)
    await stream.send_all(b"question")
    assert rounds.count == 0
    theirs.sendall(b"answer")
    assert await stream.receive_some(100) == b"answer"
    assert rounds.count == 1
    trio.lowlevel.remove_instrument(rounds)


async def test_who_reads_what_is_there_lets_others_go_on(pair: tuple[TcpStream, socket.socket]) -> None:
    stream, theirs = pair
    theirs.sendall(b"one")
    await trio.lowlevel.wait_readable(stream.socket)
    rounds = Rounds()
    trio.lowlevel.add_instrument(rounds)
    assert await stream.receive_some() == b"one"
    trio.lowlevel.remove_instrument(rounds)
    assert rounds.count == 1
    theirs.close()
    assert await stream.receive_some() == b""


async def test_much_is_sent_as_it_is_taken(pair: tuple[TcpStream, socket.socket]) -> None:
    stream, theirs = pair
    got = bytearray()

    def read() -> None:
        while len(got) < len(MUCH):
            got.extend(theirs.recv(1_000_000))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, MUCH)
        await trio.to_thread.run_sync(read)
    assert bytes(got) == MUCH


async def test_waiting_ends_when_it_is_cancelled(pair: tuple[TcpStream, socket.socket]) -> None:
    stream, theirs = pair
    with trio.move_on_after(0.02) as patience:
        await stream.receive_some(100)
    assert patience.cancelled_caught
    with trio.move_on_after(0.02) as patience:
        await stream.send_all(MUCH)
    assert patience.cancelled_caught
    theirs.sendall(b"late")
    assert await stream.receive_some(100) == b"late"


async def test_who_waits_hears_that_it_was_closed(pair: tuple[TcpStream, socket.socket]) -> None:
    stream, _ = pair
    with pytest.RaisesGroup(trio.ClosedResourceError):
        with trio.fail_after(5):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(stream.receive_some, 100)
                await trio.testing.wait_all_tasks_blocked()
                await stream.aclose()


async def test_what_breaks_and_what_is_closed_is_told_as_trio_does(
    pair: tuple[TcpStream, socket.socket],
) -> None:
    stream, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    with pytest.raises(trio.BrokenResourceError):
        await stream.receive_some(100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.aclose)
    await stream.aclose()
    for use in (lambda: stream.receive_some(100), lambda: stream.send_all(b"x")):
        with pytest.raises(trio.ClosedResourceError):
            await use()
