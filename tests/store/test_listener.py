"""Being told of changes by a real PostgreSQL, and by nobody else."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
import pytest
import trio

from digestd.errors import StoreUnavailable
from digestd.store import Store
from digestd.store.engine import database_url
from digestd.store.listener import Listener
from digestd.store.outage import masked
from digestd.store.session import Session
from store.builders import source_ids, spec, step, taken
from store.conftest import open_at
from support.memory_store import MemoryStore
from support.postgres import PostgresServer, StopMode

_LISTENING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


def listeners(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(_LISTENING).fetchone()
    assert row is not None
    return int(row[0])


async def until_nobody_listens(url: str) -> None:
    with trio.fail_after(5):
        while listeners(url):
            await trio.sleep(0.01)


Change = Callable[[Store], Awaitable[object]]

CHANGES: dict[str, Change] = {
    "sync": lambda store: store.sync_sources([spec("a", category="new")]),
    "another list": lambda store: store.sync_sources([spec("a")], fingerprint="another"),
    "add": lambda store: store.add_source(spec("b")),
    "add many": lambda store: store.add_sources([spec("b"), spec("c")]),
    "enabled": lambda store: store.set_enabled("a", False),
    "poll now": lambda store: store.poll_now("a"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_told_to_another_process_within_a_second(postgres_url: str, change: str) -> None:
    async with open_at(postgres_url) as one, open_at(postgres_url) as other:
        await one.sync_sources([spec("a")])
        async with other.changes_told() as told:
            await CHANGES[change](one)
            with trio.fail_after(1):
                await told()


async def test_a_removal_is_told(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        await store.add_source(spec("a"))
        async with store.changes_told() as told:
            await store.remove_source("a")
            with trio.fail_after(1):
                await told()


async def test_polls_and_what_changes_nothing_are_not_told(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        (source_id,) = await source_ids(store, spec("a"))
        async with store.changes_told() as told:
            await store.record([step(await taken(store, source_id))])
            await store.sync_sources([spec("a")])
            await store.add_source(spec("a"))
            await store.add_sources([spec("a")])
            await store.remove_source("a")
            await store.poll_now("nobody")
            with trio.move_on_after(0.3) as patience:
                await told()
            assert patience.cancelled_caught


async def test_what_was_told_while_nobody_waited_is_told_once(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        await store.sync_sources([spec("a")])
        async with store.changes_told() as told:
            for _ in range(3):
                await store.poll_now("a")
            # PostgreSQL tells a moment after the commit: all three are to be there.
            await trio.sleep(0.3)
            with trio.fail_after(1):
                await told()
            with trio.move_on_after(0.3) as patience:
                await told()
            assert patience.cancelled_caught
            await store.poll_now("a")
            with trio.fail_after(1):
                await told()


async def test_a_cancelled_wait_loses_nothing(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        await store.sync_sources([spec("a")])
        async with store.changes_told() as told:
            await store.poll_now("a")
            await trio.sleep(0.1)
            with trio.CancelScope() as scope:
                scope.cancel()
                await told()
            assert scope.cancelled_caught
            with trio.fail_after(1):
                await told()


async def test_waiting_never_blocks_the_event_loop(postgres_url: str) -> None:
    longest = 0.0
    async with open_at(postgres_url) as store:
        await store.sync_sources([spec("a")])
        async with store.changes_told() as told, trio.open_nursery() as nursery:

            async def follow() -> None:
                while True:
                    await told()

            nursery.start_soon(follow)
            for number in range(100):
                if number % 20 == 0:
                    await store.poll_now("a")
                began = time.perf_counter()
                await trio.sleep(0.001)
                longest = max(longest, time.perf_counter() - began)
            nursery.cancel_scope.cancel()
    assert longest < 0.1


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_restart_of_postgresql_is_an_outage(
    own_postgres_server: PostgresServer, mode: StopMode
) -> None:
    url = own_postgres_server.create_database("digestd")
    async with open_at(url) as store:
        async with store.changes_told() as told:
            own_postgres_server.stop(mode)
            with trio.fail_after(5), pytest.raises(StoreUnavailable) as away:
                await told()
            prefix = f"the database {masked(database_url(url))} cannot be listened to: "
            assert str(away.value).startswith(prefix)
        with pytest.raises(StoreUnavailable, match=r"cannot be listened to: .*No such file or directory"):
            async with store.changes_told():
                pass
        own_postgres_server.start()
        await _listens_again(store)


async def _listens_again(store: Store) -> None:
    async with store.changes_told() as told:
        with trio.fail_after(10):
            while True:
                try:
                    await store.add_source(spec("a"))
                except StoreUnavailable:
                    continue
                break
            await told()


async def test_a_session_the_administrator_ends_is_an_outage(postgres_url: str) -> None:
    async with open_at(postgres_url) as store, store.changes_told() as told:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(_LISTENING.replace("count(*)", "pg_terminate_backend(pid)"))
        with trio.fail_after(2), pytest.raises(StoreUnavailable) as away:
            await told()
    assert str(away.value) == (
        f"the database {masked(database_url(postgres_url))} cannot be listened to: consuming input failed: "
        "server closed the connection unexpectedly This probably means the server terminated abnormally before "
        "or while processing the request."
    )


async def test_no_connection_is_left_behind(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        async with store.changes_told():
            assert listeners(postgres_url) == 1
        await until_nobody_listens(postgres_url)
        with trio.move_on_after(0.05):
            async with store.changes_told() as told:
                await told()
        await until_nobody_listens(postgres_url)
        with pytest.raises(RuntimeError, match="a bug"):
            async with store.changes_told():
                raise RuntimeError("a bug")
        await until_nobody_listens(postgres_url)


async def test_a_refusal_to_listen_is_an_outage_and_leaves_no_connection(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a pooler may refuse it."""
    monkeypatch.setattr("digestd.store.listener.CHANNEL", "no such syntax")
    with warnings.catch_warnings():
        # A connection that is forgotten says so when it is collected.
        warnings.simplefilter("error")
        async with open_at(postgres_url) as store:
            with pytest.raises(StoreUnavailable) as away:
                async with store.changes_told():
                    pass
        assert 'cannot be listened to: syntax error at or near "such"' in str(away.value)
        del away
        gc.collect()
    await until_nobody_listens(postgres_url)


class Gate:
    """A TCP port before a PostgreSQL on a unix socket. What comes in waits until `opened` is set; `left` is set when a
    client has gone."""

    def __init__(self, server: PostgresServer) -> None:
        self.opened, self.left = trio.Event(), trio.Event()
        self._socket = server.directory / ".s.PGSQL.5432"

    async def pass_on(self, client: trio.SocketStream) -> None:
        await self.opened.wait()
        async with (
            client,
            await trio.open_unix_socket(self._socket) as server,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(self._copy, server, client)
            await self._copy(client, server)
            self.left.set()
            nursery.cancel_scope.cancel()

    async def _copy(self, source: trio.SocketStream, sink: trio.SocketStream) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            async for data in source:
                await sink.send_all(data)


@asynccontextmanager
async def behind(gate: Gate, url: str) -> AsyncIterator[Listener]:
    """A listener to the database at `url` that has to pass the gate."""
    async with trio.open_nursery() as nursery:
        (gatekeeper,) = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), gate.pass_on, 0)
        port = gatekeeper.socket.getsockname()[1]
        url_by_gate = database_url(url).set(host="127.0.0.1", port=port, query={})
        yield Listener(url_by_gate, connect_timeout_seconds=5)
        nursery.cancel_scope.cancel()


async def test_cancelled_while_it_connects_it_ends_at_once_and_closes_later(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    gate = Gate(postgres_server)
    async with behind(gate, postgres_url) as listener:
        with trio.fail_after(1), trio.move_on_after(0.2) as patience:
            async with listener.changes_told():
                pytest.fail("nothing can have answered yet")
        assert patience.cancelled_caught
        gate.opened.set()
        with trio.fail_after(5):
            await gate.left.wait()
    await until_nobody_listens(postgres_url)


async def test_a_connection_that_only_listens_asks_whether_the_other_side_is_there(
    postgres_server: PostgresServer, postgres_url: str
) -> None:
    gate = Gate(postgres_server)
    gate.opened.set()
    async with behind(gate, postgres_url) as listener, listener.changes_told():
        (ours,) = [one for one in gc.get_objects() if type(one) is Session and not one.closed]
        with socket.socket(fileno=os.dup(ours.fileno())) as wire:
            options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert [wire.getsockopt(socket.IPPROTO_TCP, option) for option in options] == [30, 5, 3]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_others_never_tell(kind: str, migrated_sqlite: Path, tmp_path: Path) -> None:
    async def wait_in_vain(store: Store) -> None:
        async with store.changes_told() as told:
            await store.add_source(spec("a"))
            with trio.move_on_after(0.1) as patience:
                await told()
        assert patience.cancelled_caught

    if kind == "memory":
        await wait_in_vain(MemoryStore(lambda: datetime.now(UTC)))
        return
    path = tmp_path / "digestd.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    async with open_at(f"sqlite:///{path}") as store:
        await wait_in_vain(store)
