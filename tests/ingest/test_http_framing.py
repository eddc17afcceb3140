"""What comes around a body: header fields, interim answers, chunk sizes, trailers, and how the connection ends."""

from __future__ import annotations

import contextlib
import ssl
import time
import tracemalloc
from pathlib import Path

import h11
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import FetchError, FetchTimeout, HTTPStatus, ProtocolFailed, TooLarge
from digestd.ingest.network.framing import Framing
from support.certificates import self_signed
from support.fault_server import (
    Exchange,
    Handler,
    HangUp,
    again_and_again,
    drip_raw,
    raw,
    reflect_in_a_broken_field,
    respond,
)
from support.http_door import FEED, Limits, opened

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BLANKS = b" " * 60_000
MIB = 1024 * 1024
BLANKS_MESSAGE = "the answer has more than 256 blanks in a row in a header field"


async def failure(handler: Handler, limits: Limits | None = None) -> FetchError:
    async with opened({"/": handler}, limits) as (server, http):
        with pytest.raises(FetchError) as raised:
            await http.get(server.url())
    return raised.value


async def body(data: bytes) -> bytes:
    async with opened({"/": raw(data)}) as (server, http):
        return (await http.get(server.url())).body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"HTTP/1.1 200 OK\r\nX:" + BLANKS + b"\0\r\n\r\n", BLANKS_MESSAGE),
        (b"HTTP/1.1 200 OK\r\nX:" + b"\t " * 300 + b"\0\r\n\r\n", BLANKS_MESSAGE),
        (
            b"HTTP/1.1 200 OK\r\nX:\r\n" + b" \r\n" * 20_000 + b" \0\r\n\r\n",
            "the answer has more than 256 header fields",
        ),
        (CHUNKED + b"0\r\nX:" + BLANKS + b"\0\r\n\r\n", BLANKS_MESSAGE),
        (CHUNKED + b"0\r\n" + b"X: 1\r\n" * 300, "the answer has more than 256 header fields"),
        (CHUNKED + b"0\r\nX: " + b"a" * 70_000, "the answer has more than 65536 bytes of trailers"),
        (CHUNKED + b"1;" + BLANKS + b"\n\r\n", "the size of a chunk takes up more than 1024 bytes"),
        (CHUNKED + b"1;" + b"x" * 2_000, "the size of a chunk takes up more than 1024 bytes"),
        (CHUNKED + b"-5\r\nabc", "the size of a chunk is no number"),
        (CHUNKED + b"0x5\r\nabcde\r\n0\r\n\r\n", "the size of a chunk is no number"),
        (CHUNKED + b"f" * 17 + b"\r\nabc", "the size of a chunk is no number"),
        (CHUNKED + b"5\nabcde\r\n0\r\n\r\n", "the size of a chunk is no number"),
        (CHUNKED + b"1\r\nx\r\n" * 70_000, "the chunks of the body take up more than the body itself"),
        (
            CHUNKED + b"1;%b\r\nx\r\n" % (b"x" * 900) * 300,
            "the chunks of the body take up more than the body itself",
        ),
        (
            b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 300 + b"\r\n",
            "the answer has more than 256 header fields",
        ),
        (
            b"HTTP/1.1 200 OK\r\nX-Big: " + b"a" * 70_000 + b"\r\n\r\n",
            "the answer has more than 65536 bytes of header fields",
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 300, "the answer has more than 256 header fields"),
        (
            (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 9_000 + b"\r\n\r\n") * 8,
            "the answer has more than 65536 bytes of header fields",
        ),
    ],
)
async def test_what_would_cost_too_much_is_refused_at_once(data: bytes, message: str) -> None:
    began = time.process_time()
    error = await failure(raw(data))
    assert isinstance(error, ProtocolFailed)
    assert str(error) == message
    # Of the processor's, the server's part included: the machine may be busy with something else.
    assert time.process_time() - began < 2


async def test_every_answer_of_a_connection_is_bounded() -> None:
    async def second(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nX:" + BLANKS + b"\0\r\n\r\n")

    async with opened({"/": respond(FEED), "/second": second}) as (server, http):
        await http.get(server.url())
        with pytest.raises(ProtocolFailed) as raised:
            await http.get(server.url("/second"))
    assert str(raised.value) == BLANKS_MESSAGE
    assert server.connections == 1


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_the_end_of_the_fields_is_found_wherever_reads_end(step: int) -> None:
    data = CHUNKED + b"1;" + b"x" * 2_000
    with pytest.raises(ProtocolFailed):
        follow(data, step)


def follow(data: bytes, step: int) -> None:
    """Give `data` to a new :class:`Framing`, in reads of `step` bytes."""
    framing = Framing()
    for start in range(0, len(data), step):
        framing.receive(data[start : start + step])


async def test_interim_answers_without_end_are_refused() -> None:
    error = await failure(again_and_again(b"HTTP/1.1 102 Processing\r\n\r\n"))
    assert str(error) == "the answer has more than 256 header fields"


async def test_header_fields_that_drip_meet_the_deadline() -> None:
    error = await failure(
        again_and_again(b"X: 1\r\n", 0.02, first=b"HTTP/1.1 200 OK\r\n"), Limits(timeout_seconds=0.3)
    )
    assert isinstance(error, FetchTimeout)


async def test_interim_answers_that_drip_meet_the_deadline() -> None:
    error = await failure(again_and_again(b"HTTP/1.1 102 X\r\n\r\n", 0.02), Limits(timeout_seconds=0.3))
    assert isinstance(error, FetchTimeout)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(FEED), FEED),
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n" + FEED,
        b"HTTP/1.1 200 OK\r\nX-Big: " + b"a" * 60_000 + b"\r\n\r\n" + FEED,
        b"HTTP/1.1 200 OK\r\nX-Folded: a\r\n  b\r\n\tc\r\n\r\n" + FEED,
        b"HTTP/1.1 200 OK\nContent-Length: %d\n\n%b" % (len(FEED), FEED),
        CHUNKED + b"%x;name=value\r\n%b\r\n0\r\nX-Trailer: 1\r\nX-Other: 2\r\n\r\n" % (len(FEED), FEED),
        CHUNKED + b"000%x  \r\n%b\r\n0\r\n\r\n" % (len(FEED), FEED),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
        b"%x\r\n%b\r\n0\r\n\r\n" % (len(FEED), FEED),
        b"HTTP/1.1 200 OK\r\nContent-Length: %d, %d\r\n\r\n%b" % (len(FEED), len(FEED), FEED),
    ],
)
async def test_what_is_unusual_and_harmless_is_read(data: bytes) -> None:
    assert await body(data) == FEED
    async with opened({"/": drip_raw(data)}) as (server, http):
        assert (await http.get(server.url())).body == FEED


@pytest.mark.parametrize(
    "data",
    [
        b"<html>an answer of HTTP/0.9</html>\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n X: folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nabcX\r\n0\r\n\r\n",
        CHUNKED + b"3\r\nabc\r\n",
        CHUNKED + b"3\r\nabc\r\n0\r\n",
    ],
)
async def test_what_is_no_whole_answer_is_a_failure_of_the_protocol(data: bytes) -> None:
    for handler in (raw(data), drip_raw(data)):
        assert isinstance(await failure(handler), ProtocolFailed)


async def test_a_huge_length_is_too_large_and_a_huge_chunk_is_cut_at_the_cap() -> None:
    huge = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc"
    assert isinstance(await failure(raw(huge)), TooLarge)
    assert isinstance(
        await failure(again_and_again(b"x" * 60_000, first=CHUNKED + b"f" * 16 + b"\r\n")), TooLarge
    )


async def test_what_the_library_says_is_told_without_what_the_server_said() -> None:
    async with opened({"/": reflect_in_a_broken_field("authorization")}) as (server, http):
        with pytest.raises(ProtocolFailed) as raised:
            await http.get(server.url(), headers={"Authorization": "Bearer very-secret"})
    assert str(raised.value) == "the server broke HTTP: illegal header line"


async def test_the_phrase_of_a_status_is_not_the_servers() -> None:
    error = await failure(raw(b"HTTP/1.1 500 \x1b[31mred\r\nContent-Length: 0\r\n\r\n"))
    assert isinstance(error, HTTPStatus)
    assert str(error) == (
        "the server answered 500 Internal Server Error: it has trouble of its own; nothing needs to be done here"
    )


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    folder: Path = tmp_path_factory.mktemp("certificate")
    return self_signed(folder)


def ending(data: bytes, *, farewell: bool) -> Handler:
    """Sends `data` and ends the connection, with the farewell of TLS or without."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(data)
        if farewell:
            await exchange.farewell()
        raise HangUp

    return handler


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"])
async def test_over_tls_a_body_without_length_ends_with_a_farewell(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], head: bytes
) -> None:
    handlers = {
        "/whole": ending(head + FEED, farewell=True),
        "/cut": ending(head + FEED[:40], farewell=False),
    }
    async with opened(handlers, ssl_context=contexts[0], client_context=contexts[1]) as (server, http):
        assert (await http.get(server.url("/whole"))).body == FEED
        with pytest.raises(ProtocolFailed) as raised:
            await http.get(server.url("/cut"))
    assert str(raised.value) == (
        "the connection broke off: the connection was closed without the farewell of TLS, so something may be missing"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(FEED), FEED),
        CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(FEED), FEED),
    ],
)
async def test_over_tls_other_bodies_need_none(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], data: bytes
) -> None:
    handlers = {"/": ending(data, farewell=False)}
    async with opened(handlers, ssl_context=contexts[0], client_context=contexts[1]) as (server, http):
        assert (await http.get(server.url())).body == FEED


@pytest.mark.parametrize("statuses", [[302, 302, 302, 302, 302, 200]])
async def test_every_hop_nearly_at_the_deadline_is_one_deadline(statuses: list[int]) -> None:
    async def slow(exchange: Exchange) -> None:
        await trio.sleep(0.25)
        await exchange.reply(FEED, 302, {"Location": exchange.request.target + "x"})

    handlers: dict[str, Handler] = {"/" + "x" * hop: slow for hop, _ in enumerate(statuses)}
    began = trio.current_time()
    async with opened(handlers, Limits(timeout_seconds=0.3)) as (server, http):
        with pytest.raises(FetchTimeout):
            await http.get(server.url())
    assert trio.current_time() - began < 1


async def test_chunks_of_16_mib_and_a_bomb_cost_what_they_bring() -> None:
    piece = b"%x\r\n%b\r\n" % (65_000, b" " * 65_000)
    async with opened({"/": again_and_again(piece, first=CHUNKED)}, Limits(max_body_bytes=16 * MIB)) as (
        server,
        http,
    ):
        tracemalloc.start()
        try:
            with pytest.raises(TooLarge):
                await http.get(server.url())
            assert tracemalloc.get_traced_memory()[1] < 24 * MIB
        finally:
            tracemalloc.stop()


async def test_a_whole_document_is_held_twice_at_most() -> None:
    async with opened({"/": respond(b" " * 8 * MIB)}, Limits(max_body_bytes=16 * MIB)) as (server, http):
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            assert len((await http.get(server.url())).body) == 8 * MIB
            assert tracemalloc.get_traced_memory()[1] - before < 20 * MIB
        finally:
            tracemalloc.stop()


_fields = st.lists(
    st.tuples(
        st.from_regex(r"[A-Za-z-]{1,10}", fullmatch=True), st.from_regex(r"[!-~]{0,30}", fullmatch=True)
    )
)


@given(_fields, st.lists(st.binary(min_size=1, max_size=60), max_size=8), _fields, st.integers(1, 40))
def test_no_proper_answer_is_refused_however_it_is_cut(
    fields: list[tuple[str, str]], chunks: list[bytes], trailers: list[tuple[str, str]], step: int
) -> None:
    def lines(pairs: list[tuple[str, str]]) -> bytes:
        return b"".join(f"{name}: {value}\r\n".encode() for name, value in pairs)

    sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    data = CHUNKED[:-2] + lines(fields) + b"\r\n" + sent + b"0\r\n" + lines(trailers) + b"\r\nHTTP/1.1 200 OK"
    follow(data, step)


@given(
    st.binary(max_size=300),
    st.integers(1, 40),
    st.sampled_from([b"", CHUNKED, CHUNKED + b"3\r\nabc\r\n", CHUNKED + b"0\r\n"]),
)
def test_what_h11_reads_to_its_end_is_not_refused(data: bytes, step: int, first: bytes) -> None:
    data = first + data
    if is_whole(data):
        follow(data, step)


def is_whole(data: bytes) -> bool:
    """Whether h11 finds a whole answer at the start of `data`."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(data)
    with contextlib.suppress(h11.RemoteProtocolError):
        while connection.next_event() not in (h11.NEED_DATA, h11.PAUSED):
            pass
    return connection.their_state is h11.DONE
