"""The server on real sockets: what it answers, whom it refuses, and that no client can hurt it."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
from hypercorn.protocol import ProtocolWrapper
from structlog.testing import capture_logs

from digestd.errors import StartError
from digestd.web import server
from digestd.web.address import Address
from digestd.web.app import application
from digestd.web.server import MOST_CONNECTIONS, serve_web
from digestd.web.state import DaemonState
from web.states import state

LOOPBACK = Address("127.0.0.1", 0)
REFUSED = b"digestd does not answer by this name: web.hosts lists those it does\n"


async def is_ready() -> str | None:
    return None


@asynccontextmanager
async def serving(
    address: Address = LOOPBACK,
    read: Callable[[], DaemonState] = state,
    unready: Callable[[], Awaitable[str | None]] = is_ready,
    hosts: Collection[str] = (),
) -> AsyncIterator[Address]:
    """The first address that is listened on; nothing may hang, and the end is immediate."""
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(serve_web, address, read, unready, hosts)
            yield bound[0]
            nursery.cancel_scope.cancel()
            began = trio.current_time()
    assert trio.current_time() - began < 1


async def exchange(address: Address, request: bytes) -> bytes:
    """Everything that comes back for `request`, until the server closes the connection."""
    stream = await trio.open_tcp_stream(address.host, address.port)
    async with stream:
        answer = b""
        try:
            await stream.send_all(request)
            async for part in stream:
                answer += part
        except trio.BrokenResourceError:
            pass
        return answer


async def ask(
    address: Address, path: str, host: str | None = None, method: str = "GET"
) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer."""
    answer = await exchange(address, f"{method} {path} HTTP/1.1\r\nHost: {host or address}\r\n\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head, body


async def test_health_is_200_while_there_is_progress_and_503_when_there_is_none() -> None:
    states = [state(), state(stalled="it hangs")]
    async with serving(read=lambda: states.pop(0)) as address:
        status, head, body = await ask(address, "/health")
        assert status == 200
        assert b"\r\ncontent-type: application/json" in head
        assert b"\r\ncache-control: no-store" in head
        assert b"\r\nconnection: close" in head
        assert b"server:" not in head
        assert json.loads(body)["status"] == "ok"
        status, _, body = await ask(address, "/health")
        assert status == 503
        assert (json.loads(body)["status"], json.loads(body)["reason"]) == ("failing", "it hangs")


async def test_metrics_are_served() -> None:
    async with serving() as address:
        status, head, body = await ask(address, "/metrics")
        assert status == 200
        assert b"\r\ncontent-type: text/plain; version=0.0.4; charset=utf-8" in head
        assert b"\ndigestd_articles_new_total 40.0\n" in body


async def test_ready_is_200_or_503_with_the_reason_in_words() -> None:
    answers = [None, "digestd is shutting down"]

    async def unready() -> str | None:
        return answers.pop(0)

    async with serving(unready=unready) as address:
        status, head, body = await ask(address, "/ready")
        assert (status, json.loads(body)) == (200, {"status": "ready", "reason": None})
        assert b"\r\ncache-control: no-store" in head
        status, _, body = await ask(address, "/ready")
        reason = "digestd is shutting down"
        assert (status, json.loads(body)) == (503, {"status": "not ready", "reason": reason})


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
async def test_head_is_answered_as_get_without_a_body(path: str) -> None:
    async with serving() as address:
        got, asked = await ask(address, path), await ask(address, path, method="HEAD")
        assert (asked[0], asked[2]) == (200, b"")
        (length,) = [line for line in asked[1].split(b"\r\n") if line.startswith(b"content-length: ")]
        # The processor time in the metrics gains a digit now and then.
        assert abs(int(length.split()[1]) - len(got[2])) < (50 if path == "/metrics" else 1)


@pytest.mark.parametrize("path", ["/", "/health/", "/healthz", "/metrics/x", "/%2e%2e/health"])
async def test_other_paths_are_404_in_plain_text(path: str) -> None:
    async with serving() as address:
        status, head, body = await ask(address, path)
        assert (status, body) == (404, b"Not Found")
        assert b"\r\ncontent-type: text/plain" in head


async def test_nothing_can_be_posted() -> None:
    async with serving() as address:
        assert (await ask(address, "/health", method="POST"))[0] == 405


async def test_an_ipv6_address_is_listened_on() -> None:
    async with serving(Address.parse("[::1]:0")) as address:
        assert address.host == "::1"
        assert (await ask(address, "/health"))[0] == 200


async def test_the_ipv6_wildcard_is_every_address() -> None:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(serve_web, Address.parse("[::]:0"), state, is_ready)
            assert {each.host for each in bound} == {"0.0.0.0", "::"}
            nursery.cancel_scope.cancel()


async def test_where_it_listens_is_logged() -> None:
    with capture_logs() as lines:
        async with serving() as address:
            assert address.port
    assert lines == [{"event": "web.listening", "log_level": "info", "addresses": [f"http://{address}"]}]


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:80",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:9",
        "[::1]",
        "[::1]:8080",
        "10.0.0.1:8080",
        "[2001:DB8::1]:8080",
    ],
)
async def test_loopback_and_addresses_are_answered(host: str) -> None:
    async with serving() as address:
        assert (await ask(address, "/health", host))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "2130706433",
        "[::1",
        "::1",
        "[localhost]",
        "localhost:8080:80",
        "localhost:x",
        "user@localhost",
        "localhost/",
        "[",
    ],
)
@pytest.mark.parametrize("path", ["/health", "/nothing"])
async def test_a_name_that_was_bent_to_us_is_refused(host: str, path: str) -> None:
    async with serving() as address:
        status, _, body = await ask(address, path, host)
        assert (status, body) == (400, REFUSED)


async def test_the_address_that_was_named_is_answered() -> None:
    async with serving(Address("127.0.0.9", 0)) as address:
        assert (await ask(address, "/health"))[0] == 200


async def test_the_name_that_was_named_is_answered() -> None:
    app = application(state, is_ready, Address("Digestd.internal.example", 8080), [])
    answers = []

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request"}

    for host in (b"digestd.internal.example:8080", b"evil.example"):
        scope = {"type": "http", "method": "GET", "path": "/health", "headers": [(b"host", host)]}
        await app(scope, receive, send)
    assert [message["status"] for message in answers if "status" in message] == [200, 400]


async def test_the_machines_own_name_is_answered_with_and_without_its_domain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "Fen.internal.example")
    async with serving(Address("0.0.0.0", 0)) as bound:
        statuses = [
            (await ask(bound.from_here, "/health", host))[0]
            for host in ("fen.internal.example:8080", "FEN", "internal.example", "fen.example")
        ]
    assert statuses == [200, 200, 400, 400]


@pytest.mark.parametrize("host", ["digestd", "DIGESTD.internal.example:8080", "digestd.internal.example."])
async def test_listed_names_are_answered(host: str) -> None:
    async with serving(hosts=["digestd.internal.example", "Digestd"]) as address:
        assert (await ask(address, "/health", host))[0] == 200
        assert (await ask(address, "/health", "other.internal.example"))[0] == 400


async def test_beyond_loopback_names_are_listed_too() -> None:
    async with serving(Address("0.0.0.0", 0), hosts=["digestd"]) as bound:
        assert (await ask(bound.from_here, "/health", "digestd"))[0] == 200
        assert (await ask(bound.from_here, "/health", "evil.example"))[0] == 400


async def test_names_that_are_refused_are_told_once_each_and_only_so_many() -> None:
    with capture_logs() as lines:
        async with serving() as address:
            for number in range(30):
                for _ in range(2):
                    assert (await ask(address, "/health", f"n{number}.example"))[0] == 400
    told = [line for line in lines if line["event"] == "web.host.refused"]
    assert [line["host"] for line in told] == [f"n{number}.example" for number in range(20)]
    assert told[0]["remedy"] == "if it is a name of this machine, add it to web.hosts"


async def test_an_address_in_use_is_one_message_with_a_remedy() -> None:
    async with serving() as address:
        with pytest.raises(StartError) as caught:
            await serve_web(address, state, is_ready)
    assert str(caught.value) == (
        f"web.listen: cannot listen on {address}: Address already in use; name another address there, "
        "or set web.enabled to false"
    )


async def test_an_address_that_is_not_this_machines_is_one_too() -> None:
    with pytest.raises(StartError, match=r"web\.listen: cannot listen on 192\.0\.2\.1:80: Cannot assign"):
        await serve_web(Address("192.0.2.1", 80), state, is_ready)


HOST = b"Host: localhost\r\n"
HOSTILE = {
    "garbage": b"\x00\xff garbage\r\n\r\n",
    "no host": b"GET /health HTTP/1.1\r\n\r\n",
    "HTTP/1.0": b"GET /health HTTP/1.0\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\n" + HOST + b"Host: evil.example\r\n\r\n",
    "endless header": b"GET /health HTTP/1.1\r\nX: " + b"x" * 200_000,
    "bad path": b"GET /\xff%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 300,
    "HTTP/2 upgrade": b"GET /health HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: !\r\n\r\n",
    "WebSocket": b"GET /health HTTP/1.1\r\n"
    + HOST
    + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    + b"\xff" * 99,
    "unread body": b"POST /health HTTP/1.1\r\n"
    + HOST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"1\r\nx\r\n" * 999,
    "pipeline": (b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n") * 500,
}


@pytest.mark.parametrize("request_bytes", HOSTILE.values(), ids=HOSTILE)
async def test_no_request_reaches_anybody_else(request_bytes: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.5)
    async with serving() as address:
        await exchange(address, request_bytes)
        assert (await ask(address, "/health"))[0] == 200


async def test_connections_that_are_reset_are_nobody_elses_matter() -> None:
    async with serving() as address:
        for _ in range(20):
            with socket.create_connection((address.host, address.port)) as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.sendall(b"GET /metrics HTTP/1.1\r\n" + HOST + b"\r\n")
            await trio.sleep(0.005)
        assert (await ask(address, "/health"))[0] == 200


async def test_a_bug_in_one_connection_is_logged_and_reaches_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a bug in the protocol code")

    with capture_logs() as lines:
        async with serving() as address:
            with monkeypatch.context() as patched:
                patched.setattr(ProtocolWrapper, "handle", broken)
                assert await exchange(address, b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n") == b""
            assert (await ask(address, "/health"))[0] == 200
    assert [line for line in lines if line["event"] != "web.listening"] == [
        {
            "event": "web.connection.failed",
            "log_level": "warning",
            "error": "RuntimeError('a bug in the protocol code')",
        }
    ]


async def test_a_bug_in_a_page_is_500_and_reaches_nobody_else(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    states = [state(enabled="no number"), state()]
    async with serving(read=lambda: states.pop(0)) as address:
        assert (await ask(address, "/metrics"))[0] == 500
        assert (await ask(address, "/metrics"))[0] == 200
    assert [record.name for record in caplog.records] == ["hypercorn.error"]
    assert "hypercorn" not in capsys.readouterr().err, "no handler of its own"


async def test_connections_end_and_only_so_many_are_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 1.0)
    async with serving() as address:
        idle = [await trio.open_tcp_stream(address.host, address.port) for _ in range(MOST_CONNECTIONS)]
        await trio.sleep(0.1)
        with trio.fail_after(0.5):
            assert await exchange(address, b"") == b"", "closed at once"
        for stream in idle:
            assert await stream.receive_some() == b""
            await stream.aclose()
        assert (await ask(address, "/health"))[0] == 200


async def test_a_client_that_reads_nothing_does_not_hold_up_the_end() -> None:
    # More than the buffers of both ends hold, so that the server is in the middle of sending.
    names = {f"source {number}": "x" * 1_000_000 for number in range(50)}
    shown = state()
    shown.metrics.failing.update(names)
    with socket.socket() as client:
        async with serving(read=lambda: shown) as address:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect((address.host, address.port))
            client.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
            await trio.sleep(0.5)
            # Nothing in Trio could end a send that is shielded: then the client gives up, and the end comes late.
            rescue = threading.Timer(5, client.close)
            rescue.start()
        rescue.cancel()


@pytest.mark.parametrize("end", [b"", b"\0\r\n\r\n"])
async def test_a_head_of_blanks_does_not_stop_the_event_loop(end: bytes) -> None:
    longest, before = 0.0, time.perf_counter()

    async def watch() -> None:
        nonlocal longest, before
        while True:
            await trio.sleep(0.005)
            longest, before = max(longest, time.perf_counter() - before), time.perf_counter()

    async with serving() as address, trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        answer = await exchange(address, b"GET /health HTTP/1.1\r\nX: " + b" " * 60_000 + end)
        nursery.cancel_scope.cancel()
    assert answer.startswith(b"HTTP/1.1 4") or answer == b""
    assert longest < 0.5
