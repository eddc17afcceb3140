"""What PostgreSQL, the network before it and a pooler do to a store that is at work."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest
import trio
from structlog.testing import capture_logs

from digestd.errors import StoreUnavailable
from digestd.metrics import StoreCalls
from digestd.store import Claim, ClaimRequest, LeaseLost, Recorded, Wait
from digestd.store.engine import database_url
from digestd.store.places import Places
from digestd.store.sql import open_store
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import open_at
from support.pgbouncer import PROGRAM, PgBouncer
from support.postgres import PostgresServer
from support.wire import Moment, Wire

with_pgbouncer = pytest.mark.skipif(PROGRAM is None, reason="PgBouncer is not installed")


@pytest.fixture
def wire(postgres_server: PostgresServer) -> Iterator[Wire]:
    """A wire to the shared server."""
    opened = Wire(postgres_server)
    yield opened
    opened.close()


def name_in(postgres_url: str) -> str:
    """The name of the database."""
    return str(database_url(postgres_url).database)


@pytest.mark.slow
async def test_a_server_that_hangs_is_an_outage_and_not_waited_for(
    own_postgres_server: PostgresServer,
) -> None:
    async with open_at(own_postgres_server.create_database("digestd")) as store:
        source_id = one(await source_ids(store, spec()))
        claim = await taken(store, source_id)
        own_postgres_server.hang()
        try:
            with trio.fail_after(12), pytest.raises(StoreUnavailable) as away:
                await store.record([step(claim, entry("1"))])
        finally:
            own_postgres_server.go_on()
        assert "the server gave no answer for 7.5 s, and the connection was closed" in str(away.value)
        assert await store.record([step(claim, entry("1"))]) == [Recorded(1, 0)]


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_cut_off_in_a_commit_nothing_is_lost_and_nothing_doubled(
    wire: Wire, postgres_url: str, moment: Moment
) -> None:
    async with open_at(wire.url(name_in(postgres_url))) as store:
        source_id = one(await source_ids(store, spec()))
        claim = await taken(store, source_id)
        wire.cut_commits(moment)
        with pytest.raises(StoreUnavailable, match="cannot be used just now"):
            await store.record([step(claim, entry("1"))])
        assert wire.cut == 1
        again = one(await store.record([step(claim, entry("1"))]))
        # What had been committed gave the lease back, and is not written a second time.
        assert again == (Recorded(1, 0) if moment == "before" else LeaseLost())
        assert [article.guid for article in await store.newest_articles(10)] == ["1"]


async def test_a_connection_that_broke_is_never_handed_out_again(wire: Wire, postgres_url: str) -> None:
    async with open_at(wire.url(name_in(postgres_url))) as store:
        source_id = one(await source_ids(store, spec()))
        for _ in range(5):
            wire.cut_commits("before")
            with pytest.raises(StoreUnavailable):
                await store.claim([ClaimRequest(source_id, 60)])
            assert len(await store.sources()) == 1
        assert isinstance(one(await store.claim([ClaimRequest(source_id, 60)])), Claim)


async def test_a_server_out_of_connections_is_an_outage_until_one_is_free(
    own_postgres_server: PostgresServer,
) -> None:
    url = own_postgres_server.create_database("digestd")
    async with open_at(url) as store:
        await source_ids(store, spec())
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                "AND backend_type = 'client backend'"
            )
        with every_connection_taken(url):
            # The first call may find that its connection was ended.
            for _ in range(3):
                with pytest.raises(StoreUnavailable) as away:
                    await store.sources()
            assert "sorry, too many clients already" in str(away.value)
        assert len(await store.sources()) == 1


@contextmanager
def every_connection_taken(url: str) -> Iterator[None]:
    taken: list[psycopg.Connection[tuple[object, ...]]] = []
    try:
        while True:
            try:
                taken.append(psycopg.connect(url))
            except psycopg.OperationalError:
                break
        yield
    finally:
        for connection in taken:
            connection.close()


async def test_a_primary_that_became_a_standby_is_left_for_another_session(postgres_url: str) -> None:
    """The session goes on saying so for ever, and the name in the URL may by now be another machine's."""
    name = name_in(postgres_url)
    async with open_at(postgres_url) as store:
        source_id = one(await source_ids(store, spec()))
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s "
                "AND pid <> pg_backend_pid()",
                [name],
            )
        with pytest.raises(StoreUnavailable):
            await store.sources()
        assert len(await store.sources()) == 1, "it can be read"
        with pytest.raises(StoreUnavailable, match="read-only transaction"):
            await store.claim([ClaimRequest(source_id, 60)])
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        assert isinstance(one(await store.claim([ClaimRequest(source_id, 60)])), Claim)


# A process that is stopped, as by SIGSTOP or a hung machine, with a row locked in an open transaction.
_STOPPED = """
import os, signal, sys
from sqlalchemy import text
from digestd.store.engine import create, database_url
engine = create(database_url(sys.argv[1]), pool_size=1, connect_timeout_seconds=5)
with engine.begin() as connection:
    connection.execute(text("SELECT id FROM sources FOR UPDATE"))
    os.write(1, b"locked\\n")
    os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.mark.slow
@pytest.mark.parametrize("pooled", [False, pytest.param(True, marks=with_pgbouncer)])
async def test_a_process_stopped_inside_a_transaction_holds_nothing_for_long(
    postgres_server: PostgresServer, postgres_url: str, pooled: bool
) -> None:
    with ExitStack() as running:
        url = postgres_url
        if pooled:
            url = running.enter_context(pgbouncer(postgres_server)).url(name_in(postgres_url))
        async with open_at(url) as store:
            source_id = one(await source_ids(store, spec()))
            environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
            async with trio.open_nursery() as nursery:
                stopped = await nursery.start(
                    lambda task_status: trio.run_process(
                        [sys.executable, "-c", _STOPPED, url],
                        stdout=-1,
                        check=False,
                        env=environment,
                        task_status=task_status,
                    )
                )
                assert await stopped.stdout.receive_some() == b"locked\n"
                began = time.monotonic()
                with trio.fail_after(12):
                    while isinstance(one(await store.claim([ClaimRequest(source_id, 60)])), Wait):
                        await trio.sleep(0.1)
                assert time.monotonic() - began > 4, "until the server ended its session"
                os.kill(stopped.pid, signal.SIGKILL)


@contextmanager
def pgbouncer(server: PostgresServer, ignored: str = "") -> Iterator[PgBouncer]:
    bouncer = PgBouncer(server, ignored)
    try:
        yield bouncer
    finally:
        bouncer.close()


@with_pgbouncer
@pytest.mark.parametrize("ignored", ["", "options"])
async def test_behind_pgbouncer_every_transaction_has_its_settings(
    postgres_server: PostgresServer, postgres_url: str, ignored: str
) -> None:
    """PgBouncer refuses our options, or drops them: the time-outs hold all the same."""
    name = name_in(postgres_url)
    with pgbouncer(postgres_server, ignored) as bouncer:
        async with open_at(bouncer.url(name)) as store:
            source_id = one(await source_ids(store, spec()))
            claim = await taken(store, source_id)
            assert await store.record([step(claim, entry("1"))]) == [Recorded(1, 0)]
            assert [article.guid for article in await store.newest_articles(1)] == ["1"]
            with psycopg.connect(postgres_url) as connection:
                connection.execute("SELECT * FROM sources FOR UPDATE")
                with trio.fail_after(6), pytest.raises(StoreUnavailable, match="lock timeout"):
                    await store.set_enabled("a", False)
            # Nothing was left behind in the session, which is the next client's.
            with psycopg.connect(bouncer.url(name), prepare_threshold=None) as connection:
                assert connection.execute("SHOW statement_timeout").fetchone() == ("0",)


async def test_a_line_for_a_connection_ends_in_bounded_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("digestd.store.places.WAIT_SECONDS", 0.2)
    calls = StoreCalls()
    places = Places(1, calls)
    busy, done = trio.Event(), []
    token = trio.lowlevel.current_trio_token()

    def work() -> str:
        trio.from_thread.run_sync(busy.set, trio_token=token)
        time.sleep(0.6)
        return "done"

    async def hold() -> None:
        done.append(await places.run(work))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
        await busy.wait()
        with pytest.raises(StoreUnavailable) as away:
            await places.run(lambda: pytest.fail("it never had a place"))
        assert (calls.running, calls.waiting, places.taken) == (1, 0, 1)
    assert done == ["done"], "what has begun is not cut short"
    assert str(away.value) == (
        "all 1 connections to the database have been busy for 0.2 s: it is slow, or database.pool_size is too low"
    )
    assert (calls.ended, calls.running) == (2, 0)
    assert calls.wait_seconds == pytest.approx(0.2, abs=0.15)
    assert calls.seconds == pytest.approx(0.6, abs=0.2)


async def test_a_slow_database_is_told_once_a_minute_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digestd.store.places._SLOW_SECONDS", 0.05)
    calls = StoreCalls()
    places = Places(1, calls)
    with capture_logs() as logs:
        for _ in range(3):
            await places.run(lambda: time.sleep(0.06))
        await places.run(lambda: None)
    (told,) = [line for line in logs if line["event"] == "worker.store.slow"]
    assert told["waited_seconds"] < 0.05 < told["took_seconds"]
    assert (told["calls_waiting"], told["calls_running"]) == (0, 0)
    assert calls.slow == 3


async def test_calls_of_a_store_are_counted(postgres_url: str) -> None:
    calls = StoreCalls()
    async with open_store(
        postgres_url, owner="me", pool_size=1, connect_timeout_seconds=5, calls=calls
    ) as store:
        await use(store.sources, 3)
        assert (calls.ended, calls.waiting, calls.running) == (3, 0, 0)
        assert calls.seconds > 0


async def use(call: Callable[[], object], times: int) -> None:
    async with trio.open_nursery() as nursery:
        for _ in range(times):
            nursery.start_soon(call)  # type: ignore[arg-type]
