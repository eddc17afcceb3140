"""The door to HTTP opened beside a fault server, for tests."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio

from digestd.config.networks import Networks
from digestd.errors import FetchError
from digestd.ingest.http import HttpClient, open_http
from digestd.ingest.network.resolve import Resolver
from digestd.ingest.politeness import Hosts
from support.fault_server import Handler, Server, open_server

FEED = b"<?xml version='1.0'?><rss version='2.0'><channel><title>A feed</title></channel></rss>"


@dataclass(frozen=True)
class Limits:
    """The settings of the door, small enough for tests."""

    user_agent: str = "digestd/test"
    timeout_seconds: float = 5.0
    max_body_bytes: int = 100_000
    max_redirects: int = 5
    allow_private_networks: bool | Networks = True
    proxy: str | None = None


GUARDED = Limits(allow_private_networks=False)


@asynccontextmanager
async def opened(
    handlers: Mapping[str, Handler],
    limits: Limits | None = None,
    *,
    hosts: Hosts | None = None,
    ssl_context: ssl.SSLContext | None = None,
    client_context: ssl.SSLContext | None = None,
) -> AsyncIterator[tuple[Server, HttpClient]]:
    """A server with `handlers`, and a client; the block may take 20 s."""
    with trio.fail_after(20):
        async with (
            open_server(handlers, ssl_context=ssl_context) as server,
            open_http(limits or Limits(), hosts or Hosts(2, 1.0), ssl_context=client_context) as http,
        ):
            yield server, http


def answering(*addresses: str) -> Resolver:
    """A resolver to whom every name leads to `addresses`."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


def failing(error: OSError | UnicodeError) -> Resolver:
    """A resolver that raises `error` for every name."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        raise error

    return resolve


async def failure_of(url: str, limits: Limits, resolve: Resolver | None = None) -> FetchError:
    """What fetching `url` raises; it may take 10 s."""
    with trio.fail_after(10):
        async with open_http(limits, Hosts(2, 1.0), resolve=resolve) as http:
            with pytest.raises(FetchError) as raised:
                await http.get(url)
    return raised.value
