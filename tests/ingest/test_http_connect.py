"""Connecting: names, judged addresses, attempts beside each other, TLS, proxies."""

from __future__ import annotations

import base64
import errno
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from digestd.errors import (
    AddressRefused,
    ConfigurationError,
    ConnectFailed,
    FetchError,
    NameNotFound,
    TLSFailed,
)
from digestd.ingest.http import open_http
from digestd.ingest.network import connect
from digestd.ingest.network.resolve import Resolver
from digestd.ingest.politeness import Hosts
from support.certificates import self_signed
from support.fault_server import Exchange, HangUp, open_server, respond
from support.http_door import FEED, Limits, opened

REMEDY = "if it is wanted, set fetch.allow_private_networks to true"
GUARDED = Limits(allow_private_networks=False)


def answering(*addresses: str) -> Resolver:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


def failing(error: OSError | UnicodeError) -> Resolver:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise error

    return resolve


async def failure(url: str, limits: Limits, resolve: Resolver | None = None) -> FetchError:
    with trio.fail_after(10):
        async with open_http(limits, Hosts(2, 1.0), resolve=resolve) as http:
            with pytest.raises(FetchError) as raised:
                await http.get(url)
    return raised.value


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as opened_socket:
        return int(opened_socket.getsockname()[1])


async def test_a_name_that_leads_inwards_is_refused() -> None:
    error = await failure("http://feeds.example.org/", GUARDED, answering("127.0.0.1", "10.0.0.1"))
    assert isinstance(error, AddressRefused)
    assert str(error) == f"feeds.example.org leads to 127.0.0.1, a loopback address; {REMEDY}"


@pytest.mark.parametrize(
    ("host", "start"),
    [
        ("127.0.0.1", "127.0.0.1 is a loopback address; "),
        ("[::1]", "::1 is a loopback address; "),
        ("[::ffff:7f00:1]", "::ffff:7f00:1 is a loopback address (127.0.0.1 in IPv4-mapped form); "),
        ("169.254.169.254", "169.254.169.254 is a cloud metadata address; "),
        ("2130706433", "2130706433 leads to 127.0.0.1, a loopback address; "),
        ("0x7f.1", "0x7f.1 leads to 127.0.0.1, a loopback address; "),
        ("017700000001", "017700000001 leads to 127.0.0.1, a loopback address; "),
        ("0", "0 leads to 0.0.0.0, an unspecified address; "),
        ("localhost", "localhost leads to "),
    ],
)
async def test_every_spelling_of_an_inward_address_is_refused(host: str, start: str) -> None:
    async with open_server({"/": respond(FEED)}) as server:
        error = await failure(f"http://{host}:{server.port}/", GUARDED)
        assert isinstance(error, AddressRefused)
        assert str(error).startswith(start)
        assert str(error).endswith(REMEDY)
        assert server.connections == 0


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were tried; every one refuses."""
    addresses: list[str] = []

    async def connect_one(address: str, port: int) -> trio.SocketStream:
        addresses.append(address)
        raise OSError(errno.ECONNREFUSED, "refused")

    monkeypatch.setattr(connect, "_connect_one", connect_one)
    return addresses


async def test_refused_candidates_are_left_out_and_the_others_tried(tried: list[str]) -> None:
    resolve = answering("10.0.0.1", "8.8.8.8", "::1", "2606:4700::1")
    error = await failure("http://feeds.example.org/", GUARDED, resolve)
    assert str(error) == "no connection to feeds.example.org, port 80: connection refused"
    assert tried == ["8.8.8.8", "2606:4700::1"]


async def test_a_resolver_that_changes_its_answer_gains_nothing(tried: list[str]) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])

    async def rebinding(host: str, port: int) -> Sequence[str]:
        return next(answers)

    first = await failure("http://feeds.example.org/", GUARDED, rebinding)
    assert str(first) == "no connection to feeds.example.org, port 80: connection refused"
    second = await failure("http://feeds.example.org/", GUARDED, rebinding)
    assert isinstance(second, AddressRefused)
    assert tried == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "no such host: feeds.example.org"),
        (
            socket.gaierror(socket.EAI_AGAIN, "Temporary failure"),
            "feeds.example.org cannot be looked up just now: the name servers do not answer",
        ),
        (socket.gaierror(socket.EAI_FAIL, "Bad luck"), "feeds.example.org cannot be looked up: bad luck"),
        (OSError(errno.EMFILE, "x"), "feeds.example.org cannot be looked up: too many open files"),
    ],
)
async def test_names_that_cannot_be_resolved(error: OSError, message: str) -> None:
    raised = await failure("http://feeds.example.org/", Limits(), failing(error))
    assert isinstance(raised, NameNotFound)
    assert str(raised) == message


async def test_a_name_without_addresses_is_not_found() -> None:
    error = await failure("http://feeds.example.org/", Limits(), answering())
    assert isinstance(error, NameNotFound)
    assert str(error) == "no such host: feeds.example.org"


async def test_addresses_that_swallow_everything_are_a_failure_to_connect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def swallowed(address: str, port: int) -> trio.SocketStream:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(connect, "_connect_one", swallowed)
    error = await failure("http://127.0.0.1/", Limits(timeout_seconds=0.25))
    assert (error.cause, str(error)) == (
        "connect",
        "no connection to 127.0.0.1, port 80: no answer within 0.1 s",
    )


async def test_a_refused_connection_says_so() -> None:
    port = free_port()
    error = await failure(f"http://127.0.0.1:{port}/", Limits())
    assert isinstance(error, ConnectFailed)
    assert str(error) == f"no connection to 127.0.0.1, port {port}: connection refused"


async def test_reasons_are_told_once_each() -> None:
    port = free_port()
    resolve = answering("127.0.0.1", "127.0.0.2", "::1")
    error = await failure(f"http://feeds.example.org:{port}/", Limits(), resolve)
    assert isinstance(error, ConnectFailed)
    assert str(error).count("connection refused") == 1


async def test_the_next_address_is_tried_at_once_when_one_fails() -> None:
    async with open_server({"/": respond(FEED)}) as server:
        resolve = answering("127.0.0.9", "127.0.0.1")
        async with open_http(Limits(), Hosts(2, 1.0), resolve=resolve) as http:
            started = trio.current_time()
            response = await http.get(f"http://feeds.example.org:{server.port}/")
            assert trio.current_time() - started < 0.2
    assert response.body == FEED
    assert server.requests[0].headers["host"] == f"feeds.example.org:{server.port}"


async def test_the_next_address_is_tried_beside_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_one = connect._connect_one
    cancelled = trio.Event()

    async def hanging_first(address: str, port: int) -> trio.SocketStream:
        if address == "127.0.0.9":
            try:
                await trio.sleep_forever()
            finally:
                cancelled.set()
        return await connect_one(address, port)

    monkeypatch.setattr(connect, "_connect_one", hanging_first)
    async with open_server({"/": respond(FEED)}) as server:
        resolve = answering("127.0.0.9", "127.0.0.1")
        async with open_http(Limits(), Hosts(2, 1.0), resolve=resolve) as http:
            started = trio.current_time()
            await http.get(f"http://feeds.example.org:{server.port}/")
            assert 0.2 < trio.current_time() - started < 1
            assert cancelled.is_set()


async def test_when_two_attempts_succeed_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    connect_one = connect._connect_one
    made: list[trio.SocketStream] = []

    async def together(address: str, port: int) -> trio.SocketStream:
        with trio.CancelScope(shield=True):
            await trio.sleep(0.3 if address == "127.0.0.1" else 0.05)
            made.append(await connect_one("127.0.0.1", port))
        return made[-1]

    monkeypatch.setattr(connect, "_connect_one", together)
    async with open_server({"/": respond(FEED)}) as server:
        resolve = answering("127.0.0.1", "127.0.0.2")
        async with open_http(Limits(), Hosts(2, 1.0), resolve=resolve) as http:
            await http.get(f"http://feeds.example.org:{server.port}/")
            assert sorted(stream.socket.fileno() < 0 for stream in made) == [False, True]


def test_families_alternate_beginning_with_the_resolvers_choice() -> None:
    assert connect._interleaved(["::1", "::2", "::3", "1.1.1.1"]) == ["::1", "1.1.1.1", "::2", "::3"]
    assert connect._interleaved(["1.1.1.1", "2.2.2.2", "::1"]) == ["1.1.1.1", "::1", "2.2.2.2"]


async def test_tls_is_spoken_with_the_name_that_was_asked_for(tmp_path: Path) -> None:
    server_context, client_context = self_signed(tmp_path, name="DNS:feeds.example.org")
    names: list[str | None] = []
    server_context.sni_callback = lambda _connection, name, _context: names.append(name)
    async with open_server({"/": respond(FEED)}, ssl_context=server_context) as server:
        resolve = answering("127.0.0.1")
        async with open_http(Limits(), Hosts(2, 1.0), resolve=resolve, ssl_context=client_context) as http:
            for _ in range(2):
                assert (await http.get(f"https://feeds.example.org:{server.port}/")).body == FEED
    assert names == ["feeds.example.org"]
    assert server.connections == 1


async def test_a_connection_in_two_layers_of_tls_tells_whether_it_was_closed() -> None:
    context = ssl.create_default_context()
    ours, theirs = trio.socket.socketpair()
    with theirs:
        inner = trio.SSLStream(trio.SocketStream(ours), context, server_hostname="proxy.example.org")
        stream = connect.TrioStream(trio.SSLStream(inner, context, server_hostname="example.org"))
        assert stream.get_extra_info("is_readable") is False
        theirs.close()
        assert stream.get_extra_info("is_readable") is True
        await stream.aclose()
    assert stream.get_extra_info("is_readable") is True


async def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    server_context, _ = self_signed(tmp_path)
    async with opened({"/": respond(FEED)}, ssl_context=server_context) as (server, http):
        with pytest.raises(TLSFailed) as raised:
            await http.get(server.url())
    assert (
        str(raised.value)
        == "no TLS with 127.0.0.1: the certificate is not acceptable: self-signed certificate"
    )
    assert server.requests == []


async def test_a_wrong_name_is_refused(tmp_path: Path) -> None:
    server_context, client_context = self_signed(tmp_path, name="DNS:other.example.org")
    serving = opened({"/": respond(FEED)}, ssl_context=server_context, client_context=client_context)
    async with serving as (server, http):
        with pytest.raises(TLSFailed) as raised:
            await http.get(server.url())
    assert str(raised.value) == (
        "no TLS with 127.0.0.1: the certificate is not acceptable: "
        "ip address mismatch, certificate is not valid for '127.0.0.1'"
    )


async def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    server_context, client_context = self_signed(tmp_path, expired=True)
    serving = opened({"/": respond(FEED)}, ssl_context=server_context, client_context=client_context)
    async with serving as (server, http):
        with pytest.raises(TLSFailed) as raised:
            await http.get(server.url())
    assert str(raised.value).endswith("certificate has expired")


async def test_a_server_that_speaks_no_tls_is_refused() -> None:
    async def plain(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(10_000)
            await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, plain, [listener])
        error = await failure(f"https://127.0.0.1:{listener.socket.getsockname()[1]}/", Limits())
        nursery.cancel_scope.cancel()
    assert isinstance(error, TLSFailed)
    assert str(error) in {
        f"no TLS with 127.0.0.1: {words}" for words in ("wrong version number", "record layer failure")
    }


async def test_a_server_that_says_nothing_to_tls_meets_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        error = await failure(url, Limits(timeout_seconds=0.2))
    assert str(error) == "no complete answer within 0.2 s (fetch.timeout_seconds)"


async def test_an_http_proxy_is_asked_for_everything_and_may_be_private() -> None:
    async def forward(exchange: Exchange) -> None:
        await exchange.reply(FEED)

    async with open_server({"http://feeds.example.org/": forward}) as proxy:
        limits = Limits(allow_private_networks=False, proxy=proxy.url("", user_info="user:secret@"))
        async with open_http(limits, Hosts(2, 1.0), resolve=failing(OSError("not asked"))) as http:
            assert (await http.get("http://feeds.example.org/")).body == FEED
    (request,) = proxy.requests
    credentials = base64.b64encode(b"user:secret").decode()
    assert request.headers["proxy-authorization"] == f"Basic {credentials}"


async def test_a_proxy_that_refuses_is_a_failure_to_connect() -> None:
    async def refuse(exchange: Exchange) -> None:
        await exchange.reply(status=403)
        raise HangUp

    async with open_server({"feeds.example.org:443": refuse}) as proxy:
        error = await failure("https://feeds.example.org/", Limits(proxy=proxy.url("")))
    assert isinstance(error, ConnectFailed)
    assert str(error) == "the proxy would not connect us: 403 As You Like It"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        (
            [b"\x05\xff"],
            "Requested NO AUTHENTICATION REQUIRED from proxy server, but got NO ACCEPTABLE METHODS",
        ),
        (
            [b"\x05\x00", b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"],
            "Proxy Server could not connect: Connection refused",
        ),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "it does not speak SOCKS 5"),
        ([b""], "it does not speak SOCKS 5"),
    ],
)
async def test_a_socks_proxy_that_refuses_is_a_failure_to_connect(answers: list[bytes], message: str) -> None:
    async def socks(stream: trio.SocketStream) -> None:
        async with stream:
            for answer in answers:
                await stream.receive_some(100)
                await stream.send_all(answer)

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, socks, [listener])
        proxy = f"socks5://127.0.0.1:{listener.socket.getsockname()[1]}"
        error = await failure("http://feeds.example.org/", Limits(proxy=proxy))
        nursery.cancel_scope.cancel()
    assert isinstance(error, ConnectFailed)
    assert str(error) == f"the proxy would not connect us: {message}"


async def test_a_socks_proxy_is_given_the_name() -> None:
    asked: list[bytes] = []

    async def socks(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some(100)
            await stream.send_all(b"\x05\x00")
            asked.append(await stream.receive_some(100))
            await stream.send_all(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50")
            await stream.receive_some(10_000)
            await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, socks, [listener])
        proxy = f"socks5://127.0.0.1:{listener.socket.getsockname()[1]}"
        async with open_http(Limits(proxy=proxy, allow_private_networks=False), Hosts(2, 1.0)) as http:
            assert (await http.get("http://feeds.example.org/")).body == b"ok"
        nursery.cancel_scope.cancel()
    assert b"feeds.example.org" in asked[0]


@pytest.mark.parametrize("proxy", ["ftp://proxy.example.org", "http://[", "proxy"])
async def test_a_proxy_that_is_none_is_a_mistake_in_the_configuration(proxy: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        async with open_http(Limits(proxy=proxy), Hosts(2, 1.0)):
            pass
    expected = "fetch.proxy: no URL of a proxy; give http://HOST:PORT or socks5://HOST:PORT"
    assert raised.value.problems == (expected,)
