"""Robots asked over real sockets, for tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import trio

from digestd.errors import FetchError
from digestd.ingest.http import open_http
from digestd.ingest.politeness import Hosts
from digestd.ingest.robots import Robots
from digestd.page.robots import Rules
from support.fault_server import Exchange, Handler, Server, open_server
from support.http_door import Limits

AGENT = "digestd"
PRIVATE = b"User-agent: *\nDisallow: /private\n"
NOTHING = b"User-agent: *\nDisallow: /\n"


@asynccontextmanager
async def opened(
    handlers: Mapping[str, Handler], limits: Limits | None = None, hosts: Hosts | None = None
) -> AsyncIterator[tuple[Server, Robots]]:
    """A server, and the robots.txt of its origin; the block has no deadline of its own."""
    async with open_server(handlers) as server, open_http(limits or Limits(), hosts or Hosts(2, 1.0)) as http:
        yield server, Robots(http)


async def rules(robots: Robots, url: str) -> Rules:
    """The rules for `url`, within 10 s."""
    with trio.fail_after(10):
        return await robots.rules(url)


async def failure(robots: Robots, url: str) -> FetchError:
    """What asking for the rules for `url` raises."""
    with pytest.raises(FetchError) as raised:
        await rules(robots, url)
    return raised.value


async def permits(robots: Robots, server: Server, path: str) -> bool:
    """Whether we may fetch `path` of `server`."""
    return (await rules(robots, server.url(path))).allows(server.url(path), AGENT)


def changing(*handlers: Handler) -> Handler:
    """Each request is for the next handler, and all after them for the last."""
    left = list(handlers)

    async def handler(exchange: Exchange) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return handler
