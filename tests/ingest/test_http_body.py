"""The door to HTTP, asked for some media types only, or for the beginning of a document."""

from __future__ import annotations

import gzip

import pytest
import trio

from digestd.errors import HTTPStatus, ProtocolFailed, UnwantedType
from support.fault_server import Exchange, Handler, endless, raw, respond
from support.http_door import FEED, Limits, opened

HTML = frozenset({"text/html", "application/xhtml+xml"})


def counted(head: bytes, piece: bytes, sent: list[int]) -> Handler:
    """Sends `piece` for ever after `head`, and counts its bytes in `sent`."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        while True:
            await exchange.send(piece)
            sent.append(len(piece))

    return handler


@pytest.mark.parametrize(
    ("content_type", "media_type"),
    [
        ("application/pdf", "application/pdf"),
        ("Image/PNG ; q=1", "image/png"),
        ("text/plain; charset=utf-8, text/html", "text/plain"),
    ],
)
async def test_a_document_of_another_type_is_refused_unread(content_type: str, media_type: str) -> None:
    sent: list[int] = []
    head = f"Content-Length: 2147483648\r\nContent-Type: {content_type}".encode()
    handlers = {"/": counted(head, b" " * 65_536, sent), "/page": respond(FEED)}
    async with opened(handlers) as (server, http):
        with pytest.raises(UnwantedType) as raised:
            await http.get(server.url(), only=HTML)
        assert raised.value.media_type == media_type
        assert str(raised.value) == (
            f"the document is of type {media_type}, as the server says, and was not read"
        )
        assert (await http.get(server.url("/page"), only=HTML)).body == FEED
        # What is on its way into the sockets' buffers; the rest of 2 GB is not sent.
        assert sum(sent) < 50_000_000
    assert server.connections == 2


async def test_the_type_is_refused_at_once_even_if_nothing_follows() -> None:
    async def silent(exchange: Exchange) -> None:
        await exchange.send_head(headers={"Content-Type": "application/pdf", "Content-Length": "9"})
        await trio.sleep_forever()

    began = trio.current_time()
    async with opened({"/": silent}) as (server, http):
        with pytest.raises(UnwantedType):
            await http.get(server.url(), only=HTML)
    assert trio.current_time() - began < 1


@pytest.mark.parametrize(
    "content_type",
    ["text/html", "TEXT/HTML;charset=x", "application/xhtml+xml, text/plain", "html", "", "text/", "a b/c"],
)
async def test_wanted_and_unreadable_types_are_read(content_type: str) -> None:
    async with opened({"/": respond(FEED, headers={"Content-Type": content_type})}) as (server, http):
        assert (await http.get(server.url(), only=HTML)).body == FEED


@pytest.mark.parametrize(
    ("begin", "media_type"),
    [
        (b"%PDF-1.7\n", "application/pdf"),
        (b"PK\x03\x04\x14\0\0\0", "application/zip"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "application/gzip"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JF", "image/jpeg"),
        (b"GIF89a\0\0", "image/gif"),
    ],
)
async def test_without_a_type_the_first_bytes_tell(begin: bytes, media_type: str) -> None:
    sent: list[int] = []

    async def in_two_pieces(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\n\r\n" + begin[:2])
        await trio.sleep(0.02)
        await exchange.send(begin[2:])
        await counted(b"", b" " * 65_536, sent)(exchange)

    async with opened({"/": in_two_pieces}) as (server, http):
        with pytest.raises(UnwantedType) as raised:
            await http.get(server.url(), only=HTML)
    assert raised.value.media_type == media_type
    assert str(raised.value) == (
        f"the document is of type {media_type}, by its first bytes, and was not read"
    )


@pytest.mark.parametrize("body", [b"", b"%PDF", b"<html>", b"PKs and GIFs <html>", FEED])
async def test_without_a_type_all_else_is_read(body: bytes) -> None:
    async with opened({"/": respond(body)}) as (server, http):
        assert (await http.get(server.url(), only=HTML)).body == body


async def test_nobody_who_wants_all_types_is_refused_one() -> None:
    pdf = respond(b"%PDF-1.7 and so on", headers={"Content-Type": "application/pdf"})
    async with opened({"/": pdf}) as (server, http):
        assert (await http.get(server.url())).body == b"%PDF-1.7 and so on"


async def test_an_error_or_a_redirect_may_be_of_any_type() -> None:
    plain = {"Content-Type": "text/plain"}
    handlers = {
        "/": respond(b"", 302, {"Location": "/page", **plain}),
        "/page": respond(FEED, headers={"Content-Type": "text/html"}),
        "/no": respond(b"", 404, plain),
    }
    async with opened(handlers) as (server, http):
        assert (await http.get(server.url(), only=HTML)).body == FEED
        with pytest.raises(HTTPStatus):
            await http.get(server.url("/no"), only=HTML)


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_cut_body_is_its_beginning(coding: str) -> None:
    body = bytes(range(256)) * 40_000
    sent = gzip.compress(body) if coding == "gzip" else body
    handler = respond(sent, headers={"Content-Encoding": coding})
    async with opened({"/": handler, "/feed": respond(FEED)}) as (server, http):
        assert (await http.get(server.url(), cut_at=500_000)).body == body[:500_000]
        assert (await http.get(server.url("/feed"))).body == FEED
    assert server.connections == 2


@pytest.mark.parametrize("handler", [endless(2**31), endless(2**31, declared=True)])
async def test_a_stream_of_2_gb_is_cut(handler: Handler) -> None:
    async with opened({"/": handler}, Limits(max_body_bytes=1024)) as (server, http):
        assert (await http.get(server.url(), cut_at=100_000)).body == b" " * 100_000


async def test_a_body_shorter_than_its_cut_is_read_whole_and_checked() -> None:
    broken = respond(gzip.compress(FEED)[:-9], headers={"Content-Encoding": "gzip"})
    async with opened({"/": respond(FEED), "/broken": broken}) as (server, http):
        for _ in range(2):
            assert (await http.get(server.url(), cut_at=len(FEED) + 1)).body == FEED
        with pytest.raises(ProtocolFailed):
            await http.get(server.url("/broken"), cut_at=1_000)
    assert server.connections == 1


async def test_robots_tags_can_be_seen() -> None:
    handler = raw(
        b"HTTP/1.1 200 OK\r\nX-Robots-Tag: digestd: noindex\r\nx-robots-tag: nofollow\r\nContent-Length: 0\r\n\r\n"
    )
    async with opened({"/": handler}) as (server, http):
        response = await http.get(server.url())
    assert response.headers["x-robots-tag"] == "digestd: noindex, nofollow"
