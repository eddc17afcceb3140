"""The sample server over real sockets."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx2
import pytest
import trio

from digestd.demo.server import serve
from digestd.demo.site import demo_sources


@asynccontextmanager
async def served() -> AsyncIterator[tuple[str, httpx2.AsyncClient]]:
    """A running sample server, and a client for it that follows no redirect and reads no environment."""
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery, httpx2.AsyncClient(trust_env=False) as client:
            base_url = await nursery.start(serve)
            yield base_url, client
            nursery.cancel_scope.cancel()


async def raw_exchange(base_url: str, request: bytes) -> bytes:
    """Send `request` as it is, say no more, and read until the server closes."""
    parts = urlsplit(base_url)
    assert parts.hostname
    assert parts.port
    async with await trio.open_tcp_stream(parts.hostname, parts.port) as stream:
        await stream.send_all(request)
        await stream.send_eof()
        return b"".join([chunk async for chunk in stream])


async def test_every_link_in_every_feed_and_page_answers() -> None:
    async with served() as (base_url, client):
        waiting = [source.url for source in demo_sources(base_url) if "brasslock" not in source.url]
        seen: set[str] = set(waiting)
        while waiting:
            url = waiting.pop()
            response = await client.get(url)
            assert response.status_code == 200, url
            links = set(re.findall(re.escape(base_url) + r"[^\"<\s]*", response.text)) - seen
            seen |= links
            waiting += links
    assert len(seen) > 5 + 27


async def test_the_broken_source_answers_500() -> None:
    async with served() as (base_url, client):
        response = await client.get(demo_sources(base_url)[-1].url)
    assert response.status_code == 500
    assert response.text == "Out of order.\n"
    assert "etag" not in response.headers


async def test_a_feed_comes_with_type_length_and_validator() -> None:
    async with served() as (base_url, client):
        response = await client.get(base_url + "/breach-ledger/feed.json")
    assert response.http_version == "HTTP/1.1"
    assert response.headers["content-type"] == "application/feed+json"
    assert response.headers["content-length"] == str(len(response.content))
    assert re.fullmatch(r'"[0-9a-f]{32}"', response.headers["etag"])


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"other",W/{}', "*"])
async def test_a_known_validator_gives_304(form: str) -> None:
    async with served() as (base_url, client):
        url = base_url + "/harbour-linux/notices.rss"
        etag = (await client.get(url)).headers["etag"]
        response = await client.get(url, headers={"If-None-Match": form.format(etag)})
    assert (response.status_code, response.content) == (304, b"")
    assert response.headers["etag"] == etag


async def test_another_validator_gives_the_document() -> None:
    async with served() as (base_url, client):
        url = base_url + "/harbour-linux/notices.rss"
        response = await client.get(url, headers={"If-None-Match": '"other"'})
    assert response.status_code == 200
    assert len(response.content) > 1_000


async def test_head_has_the_headers_of_get_and_no_body() -> None:
    async with served() as (base_url, client):
        url = base_url + "/ternwick-labs/research.atom"
        head, get = await client.head(url), await client.get(url)
    assert head.content == b""
    for name in ("content-type", "content-length", "etag"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("path", ["/", "/nothing", "/page.html", "/harbour-linux", "/../digestd/model.py"])
async def test_other_paths_are_not_found(path: str) -> None:
    async with served() as (base_url, _):
        answer = await raw_exchange(base_url, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert answer.endswith(b"\r\n\r\nThere is nothing here.\n")


async def test_other_methods_are_not_allowed() -> None:
    async with served() as (base_url, client):
        response = await client.post(base_url + "/harbour-linux/", content=b"x" * 100_000)
    assert response.status_code == 405
    assert response.headers["allow"] == "GET, HEAD"


async def test_requests_share_a_connection() -> None:
    async with served() as (base_url, _):
        request = b"GET /brasslock/psirt.rss HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = await raw_exchange(base_url, request * 3)
    assert answer.count(b"HTTP/1.1 500 ") == 3


async def test_a_client_that_asks_to_close_is_closed_on() -> None:
    async with served() as (base_url, _):
        parts = urlsplit(base_url)
        async with await trio.open_tcp_stream(str(parts.hostname), int(parts.port or 0)) as stream:
            await stream.send_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = b"".join([chunk async for chunk in stream])
    assert answer.startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize(
    "request_bytes", [b"\x16\x03\x01 not http\r\n\r\n", b"GET /", b"", b"GET / HTTP/1.1\r\n\r\n"]
)
async def test_a_broken_client_hurts_nobody_else(request_bytes: bytes) -> None:
    async with served() as (base_url, client):
        assert await raw_exchange(base_url, request_bytes) == b""
        assert (await client.get(base_url + "/gull-street/")).status_code == 200


async def test_a_client_that_goes_away_hurts_nobody_else() -> None:
    async with served() as (base_url, client):
        for _ in range(20):
            parts = urlsplit(base_url)
            stream = await trio.open_tcp_stream(str(parts.hostname), int(parts.port or 0))
            await stream.send_all(b"GET /harbour-linux/notices.rss HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
            await trio.aclose_forcefully(stream)
        assert (await client.get(base_url + "/gull-street/")).status_code == 200


async def test_it_listens_on_one_loopback_address_only() -> None:
    async with served() as (base_url, _):
        port = int(base_url.removeprefix("http://127.0.0.1:"))
        with pytest.raises(OSError, match=r"all attempts to connect to 127\.0\.0\.2"):
            await trio.open_tcp_stream("127.0.0.2", port)
