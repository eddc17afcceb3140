"""Servers that do harm, each on a port of its own, in a process of their own: `python -m support.hostile_farm 200`
prints their URLs by name as JSON, and serves until its input ends."""

from __future__ import annotations

import gzip
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from functools import cache
from pathlib import Path

import trio

from support.fault_server import (
    Exchange,
    Handler,
    HangUp,
    again_and_again,
    drip,
    never_answer,
    open_server,
    raw,
    redirect,
    reset_after,
    respond,
    stall_after_head,
    wrong_length,
)

FEED = b"<rss version='2.0'><channel><title>Bait</title><item><guid>1</guid></item></channel></rss>"
_MOST_BODY = 16 * 1024 * 1024 - 1024
_METADATA = "http://169.254.169.254/latest/meta-data/"


def _in_feed(items: bytes) -> bytes:
    return b"<rss version='2.0'><channel><title>Harm</title>" + items + b"</channel></rss>"


@cache
def gzip_bomb() -> bytes:
    """A gigabyte of spaces, in a megabyte."""
    return gzip.compress(b" " * 2**30, 9)


@cache
def deeply_nested() -> bytes:
    """A feed whose item holds half a million elements, each in the one before."""
    return _in_feed(b"<item><description>" + b"<b>" * 500_000 + b"</b>" * 500_000 + b"</description></item>")


@cache
def entity_bomb() -> bytes:
    """A billion laughs."""
    entities = b"".join(
        b"<!ENTITY e%d '%b'>" % (level, b"&e%d;" % (level - 1) * 10) for level in range(1, 10)
    )
    declared = b"<!DOCTYPE rss [<!ENTITY e0 'laugh'>" + entities + b"]>"
    return b"<?xml version='1.0'?>" + declared + _in_feed(b"<item><title>&e9;</title></item>")


@cache
def million_items() -> bytes:
    """A feed with a million entries of nothing."""
    return _in_feed(b"<item/>" * 1_000_000)


@cache
def long_attributes() -> bytes:
    """A feed with attributes of megabytes."""
    return _in_feed(
        b"<item><enclosure url='" + b"x" * 5_000_000 + b"' type='" + b"&amp;" * 900_000 + b"'/></item>"
    )


@cache
def garbage() -> bytes:
    """As much as is read of a body, which begins like a feed and goes on like none."""
    return _in_feed(b"<item><title><![CDATA[< & ]]> <x y=<<&#0;</p>" * (_MOST_BODY // 50))


@cache
def markup_to_clean() -> bytes:
    """A feed whose entries are long pieces of HTML with mistakes in them."""
    piece = b"&lt;p onclick=x&gt;&lt;a href='javascript:x'&gt;&lt;table&gt;&lt;b&gt;&lt;svg&gt;text&lt;/i&gt;"
    return _in_feed(b"<item><description>" + piece * 100_000 + b"</description></item>")


@cache
def binary() -> bytes:
    """Bytes without a meaning."""
    return os.urandom(4_000_000)


def bait() -> Handler:
    """A feed whose entries lead to harmful pages, other ones each time."""
    numbers = itertools.count()

    async def handler(exchange: Exchange) -> None:
        address, number = exchange.request.headers["host"], next(numbers)
        links = [f"http://{address}/page/{name}?{number}" for name in PAGES]
        items = "".join(f"<item><guid>{link}</guid><link>{link}</link></item>" for link in links)
        await exchange.reply(_in_feed(items.encode()))

    return handler


def _html(inner: bytes) -> bytes:
    return b"<!doctype html><html><body><article>" + inner + b"</article></body></html>"


@cache
def many_paragraphs() -> bytes:
    """A page with as many paragraphs as a page may have that is read at all."""
    return _html(b"<p>An advisory about the things that happened, in a sentence.</p>" * 70_000)


@cache
def one_paragraph() -> bytes:
    """A page with a single paragraph as long as a page may be."""
    return _html(b"<p>" + b"An advisory, in words. " * 200_000 + b"</p>")


@cache
def nested_page() -> bytes:
    """A page whose elements stand in each other half a million times."""
    return _html(b"<div>" * 500_000 + b"text")


@cache
def nested_tables() -> bytes:
    """A page of tables in tables, none of which is closed."""
    return _html(b"<table><tr><td>cell" * 200_000)


@cache
def many_attributes() -> bytes:
    """A page with elements of a hundred attributes each."""
    attributes = b"".join(b" a%d='x y z'" % number for number in range(100))
    return _html((b"<p" + attributes + b">text</p>") * 4_000)


@cache
def many_links() -> bytes:
    """A page of links and little else."""
    return _html(b"<li><a href='/x' title='y'>A link</a><br>" * 110_000)


def late(body: bytes, seconds: float) -> Handler:
    """A proper answer after `seconds`."""

    async def handler(exchange: Exchange) -> None:
        await trio.sleep(seconds)
        await exchange.reply(body)

    return handler


def html(body: bytes, headers: Mapping[str, str] | None = None) -> Handler:
    """`body` as HTML."""
    return respond(body, headers={"Content-Type": "text/html; charset=utf-8", **(headers or {})})


def every_other(first: Handler, second: Handler) -> Handler:
    """`first` and `second` in turn."""
    turns = itertools.cycle((first, second))

    async def handler(exchange: Exchange) -> None:
        await next(turns)(exchange)

    return handler


def never_closed() -> Handler:
    """A body that would end with its connection, which does not end."""

    async def handler(exchange: Exchange) -> None:
        await exchange.send_head(headers={"Content-Type": "application/rss+xml"})
        await exchange.send(FEED)
        await trio.sleep_forever()

    return handler


def reset_at_once() -> Handler:
    """A reset instead of an answer."""

    async def handler(exchange: Exchange) -> None:
        exchange.reset()
        raise HangUp

    return handler


BEHAVIOURS: Mapping[str, Callable[[], Handler]] = {
    "drip": lambda: drip(FEED * 100, 1.0),
    "stall": stall_after_head,
    "silent": never_answer,
    "tarpit": lambda: again_and_again(b"X-More: to come\r\n", 1.0, first=b"HTTP/1.1 200 OK\r\n"),
    "never-closed": never_closed,
    "reset": reset_at_once,
    "reset-in-body": lambda: reset_after(FEED, 10_000),
    "wrong-length": lambda: wrong_length(FEED, 10_000),
    "gzip-bomb": lambda: respond(gzip_bomb(), headers={"Content-Encoding": "gzip"}),
    "nested": lambda: respond(deeply_nested()),
    "entities": lambda: respond(entity_bomb()),
    "million-items": lambda: respond(million_items()),
    "attributes": lambda: respond(long_attributes()),
    "garbage": lambda: respond(garbage()),
    "to-clean": lambda: respond(markup_to_clean()),
    "circle": lambda: redirect("/"),
    "metadata": lambda: redirect(_METADATA),
    "long-head": lambda: again_and_again(b"X-Long: " + b"x" * 60_000 + b"\r\n", first=b"HTTP/1.1 200 OK\r\n"),
    "chunks": lambda: raw(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nshort\r\nno size\r\n"
    ),
    "error-500": lambda: respond(b"broken", 500),
    "page": lambda: respond(
        b"<!doctype html><title>Please log in</title><form>", headers={"Content-Type": "text/html"}
    ),
    "binary": lambda: respond(binary()),
    "late": lambda: late(FEED, 4.0),
    "fitful": lambda: every_other(never_answer(), respond(FEED)),
    "bait": bait,
}
"""What a source can do, by name."""
PAGES: Mapping[str, Callable[[], Handler]] = {
    "paragraphs": lambda: html(many_paragraphs()),
    "paragraph": lambda: html(one_paragraph()),
    "nested": lambda: html(nested_page()),
    "tables": lambda: html(nested_tables()),
    "attributes": lambda: html(many_attributes()),
    "links": lambda: html(many_links()),
    "bomb": lambda: html(gzip_bomb(), {"Content-Encoding": "gzip"}),
    "silent": never_answer,
}
"""What a page can do, by name. A server of `bait` has them at `/page/NAME`."""
UNKNOWN = "unknown"
"""The name of those that are on no server: their host does not resolve."""


async def serve(count: int, only: list[str]) -> None:
    """Serve `count` sources, the behaviours (of `only`, or all) in turn, until standard input ends."""
    kinds = itertools.cycle(only or [*BEHAVIOURS, UNKNOWN])
    sources: dict[str, str] = {}
    async with AsyncExitStack() as servers:
        for number, kind in zip(range(count), kinds, strict=False):
            name = f"{kind}-{number}"
            if kind == UNKNOWN:
                sources[name] = f"http://host-{number}.invalid/"
                continue
            handlers = {"/": BEHAVIOURS[kind]()}
            if kind == "bait":
                handlers |= {f"/page/{page}": handler() for page, handler in PAGES.items()}
            server = await servers.enter_async_context(open_server(handlers))
            sources[name] = server.url()
        print(json.dumps(sources), flush=True)
        await trio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)


@contextmanager
def open_hostile_farm(count: int, *only: str) -> Iterator[dict[str, str]]:
    """The names and URLs of `count` hostile sources that are served until the block ends."""
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-m", "support.hostile_farm", str(count), *only]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.kill()


if __name__ == "__main__":
    trio.run(serve, int(sys.argv[1]), sys.argv[2:])
