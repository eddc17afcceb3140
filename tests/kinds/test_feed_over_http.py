"""The kind `feed` through the real door: what a server is asked, and what its answers leave."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digestd.config import Secrets
from digestd.config.access import Access
from digestd.feed.parse import parse_feed
from digestd.ingest.doors import Doors
from digestd.ingest.http import HttpClient
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, PollState, Source, SourceSpec, Step
from support.fault_server import Exchange, Handler, respond
from support.http_door import opened


def feed(*guids: str) -> bytes:
    items = "".join(f"<item><guid>{guid}</guid></item>" for guid in guids)
    return f"<rss version='2.0'><channel><title>t</title>{items}</channel></rss>".encode()


async def parse(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    return parse_feed(body, url, content_type)


async def polled(http: HttpClient, url: str, state: PollState, options: Mapping[str, Any]) -> Step:
    spec = SourceSpec("one", "feed", url, options=options)
    door, _ = await Doors(http, Secrets({}, {"EU": "eu", "US": "us"})).open(spec)
    return await FeedKind(Tools(parse)).step(Source(1, spec), state, door)


def only_what_is_new() -> Handler:
    """A server of RFC 3229: whoever has the first document gets what came after it."""

    async def handler(exchange: Exchange) -> None:
        asked = exchange.request.headers
        if asked.get("if-none-match") == '"1"' and asked.get("a-im") == "feed":
            await exchange.reply(feed("2"), 226, {"ETag": '"2"', "IM": "feed"})
        elif asked.get("if-none-match") == '"2"':
            await exchange.reply(status=304, headers={"ETag": '"2"'})
        else:
            await exchange.reply(feed("1"), headers={"ETag": '"1"'})

    return handler


async def test_a_server_that_sends_what_is_new_alone_is_understood() -> None:
    state = PollState()
    steps = []
    async with opened({"/": only_what_is_new()}) as (server, http):
        for _ in range(3):
            done = await polled(http, server.url(), state, {})
            steps.append(done)
            state = done.next_state
    assert [step.failure for step in steps] == [None] * 3
    assert [step.outcome for step in steps] == ["fetched", "fetched", "unchanged"]
    assert [entry.guid for step in steps for document in step.documents for entry in document.entries] == [
        "1",
        "2",
    ]
    assert [step.whole for step in steps] == [True, False, False]
    assert state.etag == '"2"'


async def test_other_header_fields_or_another_certificate_ask_for_everything_again(tmp_path: Path) -> None:
    state = PollState()
    european, american = {"env": "EU"}, {"env": "US"}
    every: list[dict[str, Any]] = [
        {},
        {},
        {"headers": {"X-Edition": european}},
        {"headers": {"X-Edition": european}},
        {"headers": {"X-Edition": american}},
        {"cookies": {"edition": american}},
        {"basic_auth": {"username": "reader", "password": european}},
        {"basic_auth": {"username": "reader", "password": american}},
        {},
    ]
    async with opened({"/": respond(feed("1"), headers={"ETag": '"1"'})}) as (server, http):
        for options in every:
            done = await polled(http, server.url(), state, options)
            assert done.failure is None
            state = done.next_state
        conditional = ["if-none-match" in request.headers for request in server.requests]
        certified = Access(client_certificate=tmp_path / "one.pem")
        marks = [http.with_access(access, server.url()).mark for access in (Access(), certified)]
    assert conditional == [False, True, False, True, False, False, False, False, False]
    assert [len(mark) for mark in marks] == [0, 4]
