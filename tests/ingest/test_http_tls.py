"""TLS, and proxies: whom we speak to, and what they may do wrong."""

from __future__ import annotations

import base64
import socket
import ssl
from pathlib import Path

import pytest
import trio

from digestd.errors import (
    ConfigurationError,
    ConnectFailed,
    TLSFailed,
)
from digestd.ingest.http import open_http
from digestd.ingest.network import connect
from digestd.ingest.politeness import Hosts
from support.certificates import self_signed
from support.fault_server import Exchange, HangUp, open_server, respond
from support.http_door import FEED, Limits, answering, failing, failure_of, opened


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
        error = await failure_of(f"https://127.0.0.1:{listener.socket.getsockname()[1]}/", Limits())
        nursery.cancel_scope.cancel()
    assert isinstance(error, TLSFailed)
    assert str(error) in {
        f"no TLS with 127.0.0.1: {words}" for words in ("wrong version number", "record layer failure")
    }


async def test_a_server_that_says_nothing_to_tls_meets_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        error = await failure_of(url, Limits(timeout_seconds=0.2))
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
        error = await failure_of("https://feeds.example.org/", Limits(proxy=proxy.url("")))
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
        error = await failure_of("http://feeds.example.org/", Limits(proxy=proxy))
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
