"""The door to HTTP against a real server: what a good answer gives, and what each fault becomes."""

from __future__ import annotations

import contextlib
import gzip
import ssl
import sys
from collections.abc import Callable

import brotli
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import BadURL, FetchError, FetchTimeout, HTTPStatus, ProtocolFailed, TooLarge
from digestd.ingest.http import open_http
from digestd.ingest.politeness import Hosts

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd
from support.fault_server import (
    Exchange,
    Handler,
    drip,
    endless,
    never_answer,
    not_modified_if,
    open_server,
    raw,
    reset_after,
    respond,
    stall_after_head,
    wrong_length,
)
from support.http_door import FEED, Limits, opened


async def failure(handler: Handler, limits: Limits | None = None) -> FetchError:
    """What fetching from `handler` raises."""
    async with opened({"/": handler}, limits) as (server, http):
        with pytest.raises(FetchError) as raised:
            await http.get(server.url())
    return raised.value


async def test_a_document_is_read_whole_with_its_headers() -> None:
    handler = raw(
        b'HTTP/1.1 200 OK\r\nETag: "\xe9"\r\nX-Two: a\r\nx-two: b\r\nConnection: close\r\n'
        b"Content-Length: %d\r\n\r\n%b" % (len(FEED), FEED)
    )
    async with opened({"/feed": handler}) as (server, http):
        response = await http.get(server.url("/feed?q=1#part"))
    assert response.url == server.url("/feed?q=1")
    assert (response.status, response.body, response.not_modified) == (200, FEED, False)
    assert response.headers == {
        "etag": '"é"',
        "x-two": "a, b",
        "connection": "close",
        "content-length": str(len(FEED)),
    }


async def test_the_request_says_who_asks_and_what_is_understood() -> None:
    async with opened({"/": respond(FEED)}) as (server, http):
        await http.get(server.url(), headers={"Accept": "text/xml"})
    (request,) = server.requests
    assert request.method == "GET"
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "accept": "text/xml",
        "accept-encoding": "gzip, deflate, br, zstd",
        "connection": "keep-alive",
        "user-agent": "digestd/test",
    }


async def test_validators_go_back_byte_for_byte_and_304_keeps_the_connection() -> None:
    etag = '"é\x80"'
    async with opened({"/": not_modified_if(etag, FEED)}) as (server, http):
        first = await http.get(server.url())
        for _ in range(3):
            again = await http.get(server.url(), headers={"If-None-Match": first.headers["etag"]})
            assert (again.status, again.body, again.not_modified) == (304, b"", True)
            assert again.headers == {"etag": etag}
    assert server.connections == 1


async def test_a_304_that_was_not_asked_for_is_refused() -> None:
    error = await failure(respond(status=304))
    assert isinstance(error, HTTPStatus)
    assert str(error) == "the server answered 304 Not Modified: it was not asked whether the document changed"


async def test_cookies_never_come_back() -> None:
    setting = respond(FEED, headers={"Set-Cookie": "id=1; Path=/; Domain=127.0.0.1"})
    async with opened({"/": setting}) as (server, http):
        await http.get(server.url())
        await http.get(server.url())
    assert ["cookie" in request.headers for request in server.requests] == [False, False]


async def test_user_info_is_basic_authentication_and_shows_nowhere() -> None:
    async with opened({"/": respond(FEED), "/no": respond(status=401)}) as (server, http):
        response = await http.get(server.url(user_info="us%40er:p%3Ass@"))
        with pytest.raises(HTTPStatus) as raised:
            await http.get(server.url("/no", user_info="user:secret@"))
    assert server.requests[0].headers["authorization"] == "Basic dXNAZXI6cDpzcw=="
    assert response.url == server.url()
    assert str(raised.value) == (
        "the server answered 401 Unauthorized: it wants a user name and a password; check those of the source"
    )


@pytest.mark.parametrize("handler", [never_answer(), stall_after_head(), drip(FEED, 0.02)])
async def test_the_total_deadline_holds_in_every_phase(handler: Handler) -> None:
    started = trio.current_time()
    error = await failure(handler, Limits(timeout_seconds=0.3))
    assert isinstance(error, FetchTimeout)
    assert str(error) == "no complete answer within 0.3 s (fetch.timeout_seconds)"
    assert trio.current_time() - started < 1.5


async def test_the_deadline_runs_over_redirects_too() -> None:
    async def slow_hop(exchange: Exchange) -> None:
        await trio.sleep(0.2)
        await exchange.reply(status=302, headers={"Location": exchange.request.target + "x"})

    handlers = {"/" + "x" * hops: slow_hop for hops in range(6)}
    async with opened(handlers, Limits(timeout_seconds=0.5)) as (server, http):
        with pytest.raises(FetchTimeout):
            await http.get(server.url())
    assert len(server.requests) == 3


async def test_a_slow_answer_within_the_deadline_is_read() -> None:
    async with opened({"/": drip(FEED, 0.001)}) as (server, http):
        assert (await http.get(server.url())).body == FEED


TOO_SHORT = "peer closed connection without sending complete message body"


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (wrong_length(FEED, 200), f"the server broke HTTP: {TOO_SHORT} (received 86 bytes, expected 200)"),
        (wrong_length(FEED, 80), "the server sent more than the 80 bytes it declared"),
        (wrong_length(FEED, 0), "the server sent more than the 0 bytes it declared"),
        (reset_after(FEED, 200), "the connection broke off: connection reset by peer"),
        (raw(b""), "the server broke HTTP: Server disconnected without sending a response"),
        (
            raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
            "the server broke HTTP: peer closed connection without sending complete message body "
            "(incomplete chunked read)",
        ),
        (
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
            "the server broke HTTP: conflicting Content-Length headers",
        ),
        (
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\nabc"),
            "the server broke HTTP: bad Content-Length",
        ),
    ],
)
async def test_broken_http_is_never_half_a_document(handler: Handler, message: str) -> None:
    error = await failure(handler)
    assert isinstance(error, ProtocolFailed)
    assert str(error) == message


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\xfe garbage \r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 20_000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX-Big: " + b"a" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"220 smtp.example.org ESMTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Header\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_a_failure_of_the_protocol(data: bytes) -> None:
    error = await failure(raw(data))
    assert isinstance(error, ProtocolFailed)
    assert len(str(error)) < 300


async def test_surplus_after_a_304_is_not_read_as_the_next_answer() -> None:
    async def chatty(exchange: Exchange) -> None:
        await exchange.send(
            b"HTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        )

    async with opened({"/": chatty}) as (server, http):
        for _ in range(2):
            assert (await http.get(server.url(), headers={"If-None-Match": '"x"'})).status == 304
    assert server.connections == 2


async def test_surplus_that_comes_later_is_told_and_never_read() -> None:
    """What came with the head was less than the body; what came then is more."""

    async def chatty(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfir")
        await trio.sleep(0.05)
        await exchange.send(b"st HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")

    async with opened({"/": chatty}) as (server, http):
        for _ in range(2):
            with pytest.raises(ProtocolFailed, match=r"^the server sent more than the 6 bytes it declared$"):
                await http.get(server.url())
    assert server.connections == 2


async def test_a_body_in_parts_is_its_parts_and_keeps_the_connection() -> None:
    async def slow(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nfir")
        await trio.sleep(0.05)
        await exchange.send(b"st ")

    async with opened({"/": slow}) as (server, http):
        assert [(await http.get(server.url())).body for _ in range(2)] == [b"first "] * 2
    assert server.connections == 1


async def test_a_body_without_length_ends_with_the_connection() -> None:
    async with opened({"/": raw(b"HTTP/1.0 200 OK\r\n\r\n" + FEED)}) as (server, http):
        assert (await http.get(server.url())).body == FEED


async def test_a_chunked_body_is_joined() -> None:
    chunked = b"".join(b"1\r\n%c\r\n" % byte for byte in FEED) + b"0\r\n\r\n"
    handler = raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked)
    async with opened({"/": handler}) as (server, http):
        assert (await http.get(server.url())).body == FEED


async def test_thousands_of_chunks_in_one_read_let_others_run() -> None:
    chunks = 5_000
    handler = raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * chunks + b"0\r\n\r\n"
    )
    rounds = 0

    async def neighbour() -> None:
        nonlocal rounds
        while True:
            await trio.lowlevel.checkpoint()
            rounds += 1

    async with opened({"/": handler}) as (server, http), trio.open_nursery() as nursery:
        nursery.start_soon(neighbour)
        assert (await http.get(server.url())).body == b"x" * chunks
        nursery.cancel_scope.cancel()
    assert rounds >= chunks


async def test_a_declared_length_over_the_cap_is_refused_unread() -> None:
    error = await failure(endless(2**31, declared=True))
    assert isinstance(error, TooLarge)
    assert str(error) == "the body has 2147483648 bytes, more than 100000 (fetch.max_body_bytes)"


async def test_a_stream_of_2_gb_is_cut_at_the_cap() -> None:
    error = await failure(endless(2**31))
    assert isinstance(error, TooLarge)
    assert str(error) == "the body is larger than 100000 bytes (fetch.max_body_bytes)"


async def test_a_body_of_exactly_the_cap_is_taken() -> None:
    async with opened({"/": respond(b"x" * 100_000)}) as (server, http):
        assert len((await http.get(server.url())).body) == 100_000


async def test_a_coded_body_is_decoded() -> None:
    handler = respond(gzip.compress(FEED), headers={"Content-Encoding": "gzip"})
    async with opened({"/": handler}) as (server, http):
        assert (await http.get(server.url())).body == FEED


async def test_a_coded_body_that_is_cut_off_is_a_failure() -> None:
    error = await failure(respond(gzip.compress(FEED)[:-9], headers={"Content-Encoding": "gzip"}))
    assert isinstance(error, ProtocolFailed)
    assert str(error) == "the gzip body is cut off"


@pytest.mark.parametrize(
    ("name", "compress"), [("gzip", gzip.compress), ("br", brotli.compress), ("zstd", zstd.compress)]
)
async def test_a_bomb_is_cut_at_the_cap(name: str, compress: Callable[[bytes], bytes]) -> None:
    error = await failure(respond(compress(b"\0" * 10_000_000), headers={"Content-Encoding": name}))
    assert isinstance(error, TooLarge)
    assert str(error) == "the body is larger than 100000 bytes (fetch.max_body_bytes)"


@pytest.mark.parametrize(
    "status", [202, 204, 205, 206, 226, 300, 305, 400, 403, 404, 410, 429, 500, 503, 599]
)
async def test_other_statuses_are_failures(status: int) -> None:
    error = await failure(respond(b"sorry", status))
    assert isinstance(error, HTTPStatus)
    assert error.status == status
    assert str(error).startswith(f"the server answered {status}")


async def test_what_is_new_alone_is_taken_where_it_was_asked_for() -> None:
    handler = respond(FEED, 226, {"IM": "feed"})
    async with opened({"/": handler}) as (server, http):
        response = await http.get(server.url(), headers={"If-None-Match": '"1"', "A-IM": "feed"})
    assert (response.status, response.body) == (226, FEED)


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_told_and_pauses_the_host(status: int) -> None:
    hosts = Hosts(2, 1.0)
    handlers = {"/": respond(status=status, headers={"Retry-After": "120"})}
    async with open_server(handlers) as server, open_http(Limits(), hosts) as http:
        with pytest.raises(HTTPStatus) as raised:
            await http.get(server.url())
        assert raised.value.retry_after == 120
        assert 119 < hosts.paused_for(server.url("/other")) <= 120


@pytest.mark.parametrize(
    ("status", "headers", "seconds"), [(429, {}, 60), (429, {"Retry-After": "0"}, 0), (503, {}, 0)]
)
async def test_429_without_retry_after_pauses_the_host_that_answered_for_a_minute(
    status: int, headers: dict[str, str], seconds: float
) -> None:
    hosts = Hosts(2, 1.0)
    async with open_server({"/": respond(status=status, headers=headers)}) as server:
        onward = {"/": respond(status=302, headers={"Location": server.url()})}
        async with open_server(onward) as first, open_http(Limits(), hosts) as http:
            asked = first.url().replace("127.0.0.1", "localhost")
            with pytest.raises(HTTPStatus):
                await http.get(asked)
            assert seconds - 1 < hosts.paused_for(server.url()) <= seconds
            assert hosts.paused_for(asked) == 0


@pytest.mark.parametrize("status", [202, 404])
async def test_retry_after_with_another_status_pauses_only_the_source(status: int) -> None:
    hosts = Hosts(2, 1.0)
    handlers = {"/": respond(status=status, headers={"Retry-After": "120"})}
    async with open_server(handlers) as server, open_http(Limits(), hosts) as http:
        with pytest.raises(HTTPStatus) as raised:
            await http.get(server.url())
        assert raised.value.retry_after == 120
        assert hosts.paused_for(server.url()) == 0


async def test_headers_that_http_cannot_carry_are_refused() -> None:
    async with opened({"/": respond(FEED)}) as (server, http):
        with pytest.raises(BadURL) as raised:
            await http.get(server.url(), headers={"X-Smiley": "☺"})
        assert str(raised.value) == "a header of the request has characters that HTTP cannot carry"
        with pytest.raises(BadURL) as raised:
            await http.get(server.url(), headers={"X-Split": "a\r\nX-Evil: b"})
        assert str(raised.value) == "the request cannot be put into HTTP; check URL and headers"
    assert server.requests == []


async def test_cancelling_leaves_the_door_usable() -> None:
    async with opened({"/": never_answer(), "/feed": respond(FEED)}) as (server, http):
        for _ in range(3):
            with trio.move_on_after(0.05) as scope:
                await http.get(server.url())
            assert scope.cancelled_caught
        assert (await http.get(server.url("/feed"))).body == FEED


async def test_hundreds_at_one_time_do_not_wait_for_each_other() -> None:
    async with opened({"/": drip(b"0123456789", 0.03)}, Limits(timeout_seconds=10)) as (server, http):
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(http.get, server.url())
        assert trio.current_time() - started < 5
    assert server.connections == 100


async def test_urls_never_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with opened({"/": respond(FEED)}) as (server, http):
        await http.get(server.url("/?token=secret", user_info="user:secret@"))
    assert caplog.records == []


_CONTEXT = ssl.create_default_context()
_heads = st.sampled_from(
    [
        b"",
        b"HTTP/1.1 ",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: ",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nSet-Cookie: ",
        b"HTTP/1.1 302 Found\r\nLocation: ",
        b"HTTP/1.1 302 Found\r\nLocation: //",
        b"HTTP/1.1 302 Found\r\nLocation: http://",
        b"HTTP/1.1 503 Busy\r\nDate: x\r\nRetry-After: ",
    ]
)


@settings(max_examples=150, deadline=None)
@given(_heads, st.binary(max_size=80), st.sampled_from([b"", b"\r\n\r\n", b"\r\n\r\nbody"]))
def test_any_answer_is_a_response_or_a_fetch_error(head: bytes, middle: bytes, end: bytes) -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        return []

    async def fetch() -> None:
        limits = Limits(timeout_seconds=2)
        async with (
            open_server({"/": raw(head + middle + end)}) as server,
            open_http(limits, Hosts(2, 1.0), resolve=nowhere, ssl_context=_CONTEXT) as http,
        ):
            with contextlib.suppress(FetchError):
                assert (await http.get(server.url())).status in range(200, 300)

    trio.run(fetch)
