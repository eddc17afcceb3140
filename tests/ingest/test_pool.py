"""Connections are used again where that is safe, and closed where they are no use any more."""

from __future__ import annotations

from collections.abc import Sequence

import httpcore2
import pytest
import trio

from digestd.errors import ProtocolFailed
from digestd.ingest.http import HttpClient
from digestd.ingest.network import pool as pools
from digestd.ingest.network.pool import Pool
from support.fault_server import Exchange, HangUp, respond
from support.http_door import FEED, opened


def pool_of(http: HttpClient) -> Pool:
    """The pool behind `http`."""
    return http._transport._usual._pool


async def test_polls_of_one_host_share_a_connection() -> None:
    async with opened({"/a": respond(FEED), "/b": respond(FEED)}) as (server, http):
        for path in ("/a", "/b", "/a"):
            await http.get(server.url(path))
        assert server.connections == 1
        assert len(pool_of(http)._idle) == 1
        assert pool_of(http)._busy == {}


async def test_an_answer_that_is_not_read_closes_its_connection() -> None:
    async with opened({"/a": respond(b"x" * 300_000)}) as (server, http):
        for _ in range(2):
            with pytest.raises(Exception, match="more than 100000"):
                await http.get(server.url("/a"))
        assert server.connections == 2
        assert not pool_of(http)._idle


async def test_a_connection_that_was_closed_while_it_was_idle_is_not_used() -> None:
    async def last(exchange: Exchange) -> None:
        await respond(FEED)(exchange)
        raise HangUp

    async with opened({"/a": last}) as (server, http):
        for _ in range(3):
            await http.get(server.url("/a"))
            await trio.sleep(0.02)
        assert server.connections == 3


async def test_a_connection_that_is_closed_as_it_is_used_again_costs_no_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 9112, 9.3.1: the request may never have arrived, and is sent once more."""

    async def last(exchange: Exchange) -> None:
        await respond(FEED)(exchange)
        raise HangUp

    monkeypatch.setattr("digestd.ingest.network.http11.Connection.has_expired", lambda _: False)
    async with opened({"/a": last}) as (server, http):
        for _ in range(3):
            assert (await http.get(server.url("/a"))).body == FEED
            await trio.sleep(0.02)
        assert len(server.requests) == 3


async def test_what_was_posted_is_not_posted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def last(exchange: Exchange) -> None:
        await respond(FEED)(exchange)
        raise HangUp

    monkeypatch.setattr("digestd.ingest.network.http11.Connection.has_expired", lambda _: False)
    async with opened({"/a": last}) as (server, http):
        await http.get(server.url("/a"))
        await trio.sleep(0.02)
        with pytest.raises(ProtocolFailed):
            await http.ask(server.url("/a"), form={"a": "b"})


async def test_a_connection_that_breaks_amid_an_answer_is_a_failure() -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        raise HangUp

    async with opened({"/a": respond(FEED), "/b": broken}) as (server, http):
        await http.get(server.url("/a"))
        with pytest.raises(ProtocolFailed):
            await http.get(server.url("/b"))
        assert [request.target for request in server.requests] == ["/a", "/b"]


async def test_a_poll_that_is_cancelled_closes_its_connection() -> None:
    async def silent(exchange: Exchange) -> None:
        await trio.sleep_forever()

    async with opened({"/a": silent}) as (server, http):
        with trio.move_on_after(0.05):
            await http.get(server.url("/a"))
        assert pool_of(http)._busy == {}
        assert not pool_of(http)._idle


class Kept:
    """A connection that is idle, and can be closed."""

    def __init__(self) -> None:
        self.closed = False
        self.idle = True

    async def handle_async_request(self, request: httpcore2.Request) -> httpcore2.Response:
        return httpcore2.Response(200, content=b"")

    def is_idle(self) -> bool:
        return self.idle

    def is_closed(self) -> bool:
        return self.closed

    def has_expired(self) -> bool:
        return False

    async def aclose(self) -> None:
        self.closed = True


async def asked(pool: Pool, hosts: Sequence[int]) -> None:
    """Ask each of `hosts` once, one after the other."""
    for host in hosts:
        answer = await pool.send(httpcore2.Request("GET", f"http://host{host}/"))
        await pool.release(answer._connection)


async def test_only_so_many_are_kept_and_for_so_long(autojump_clock: trio.testing.MockClock) -> None:
    made: list[Kept] = []

    def connect(origin: httpcore2.Origin) -> Kept:
        made.append(Kept())
        return made[-1]

    pool = Pool(connect)  # type: ignore[arg-type]
    await asked(pool, range(pools.KEPT_CONNECTIONS + 2))
    assert [one.closed for one in made] == [True, True, *[False] * pools.KEPT_CONNECTIONS]
    await asked(pool, [5])
    assert len(made) == pools.KEPT_CONNECTIONS + 2, "it was kept"
    await trio.sleep(pools.KEPT_SECONDS - 1)
    await asked(pool, [5])
    await trio.sleep(2)
    await asked(pool, [6])
    assert [one.closed for one in made].count(False) == 2, (
        "what was idle for too long went with the next poll"
    )
    await pool.aclose()
    assert all(one.closed for one in made)


async def test_a_connection_that_is_still_at_work_is_closed_and_not_kept() -> None:
    kept = Kept()
    pool = Pool(lambda _: kept)  # type: ignore[arg-type,return-value]
    answer = await pool.send(httpcore2.Request("GET", "http://host/"))
    kept.idle = False
    await pool.release(answer._connection)
    assert kept.closed
    assert not pool._idle
    await pool.release(answer._connection)
