from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
import trio
from sqlalchemy import text

from digestd.errors import StoreUnavailable
from digestd.store import ClaimRequest, Lease, Recorded, Store, Wait
from digestd.store.engine import database_url
from digestd.store.outage import masked
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import open_at
from support.memory_store import MemoryStore
from support.postgres import PostgresServer, StopMode


async def failures_until_it_works(store: Store) -> int:
    for failures in range(10):
        try:
            await store.sources()
        except StoreUnavailable:
            continue
        return failures
    raise AssertionError("the store never came back")


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_after_a_restart_of_postgresql_at_most_one_call_fails(
    own_postgres_server: PostgresServer, mode: StopMode
) -> None:
    async with open_at(own_postgres_server.create_database("digestd")) as store:
        source_id = one(await source_ids(store, spec()))
        await _use_every_connection(store)
        claim = await taken(store, source_id)
        own_postgres_server.stop(mode)
        own_postgres_server.start()
        assert await failures_until_it_works(store) <= 1
        assert await store.record([step(claim, entry("1"))]) == [Recorded(1, 0)]


async def test_while_postgresql_is_away_every_call_says_so(own_postgres_server: PostgresServer) -> None:
    url = own_postgres_server.create_database("digestd")
    async with open_at(url) as store:
        source_id = one(await source_ids(store, spec()))
        own_postgres_server.stop()
        with trio.fail_after(20):
            for _ in range(4):
                with pytest.raises(StoreUnavailable) as away:
                    await store.claim([ClaimRequest(source_id, 60)])
        socket = own_postgres_server.directory / ".s.PGSQL.5432"
        assert str(away.value) == (
            f"the database {masked(database_url(url))} cannot be used just now: connection is bad: "
            f'connection to server on socket "{socket}" failed: No such file or directory '
            "Is the server running locally and accepting connections on that socket?"
        )
        own_postgres_server.start()
        assert (await taken(store, source_id)).unfinished_claims == 0


async def test_a_session_the_administrator_ends_costs_one_call(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        await _use_every_connection(store)
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            ending = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'digestd'"
            )
            connection.execute(ending + " AND datname = current_database()")
        assert await failures_until_it_works(store) <= 1
        await store.sources()


async def _use_every_connection(store: Store) -> None:
    async def use() -> None:
        await store.sources()

    async with trio.open_nursery() as nursery:
        for _ in range(8):
            nursery.start_soon(use)


async def test_no_connection_is_left_behind(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        source_id = one(await source_ids(store, spec()))
        for _ in range(5):
            await store.record([step(await taken(store, source_id, force=True), entry("1"))])
            await _use_every_connection(store)
        assert 1 <= _sessions(postgres_url) <= 2
    # The server's process of a closed connection ends a moment later.
    with trio.fail_after(10):
        while _sessions(postgres_url):
            await trio.sleep(0.05)


def _sessions(url: str) -> int:
    ours = "application_name = 'digestd' AND datname = current_database()"
    counting = f"SELECT count(*) FROM pg_stat_activity WHERE {ours}"
    with psycopg.connect(url) as connection:
        row = connection.execute(counting).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_claim_passes_over_a_row_that_another_holds(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        ids = await source_ids(store, spec("a"), spec("b"))
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SELECT * FROM sources WHERE name = 'a' FOR UPDATE")
            with trio.fail_after(3):
                held, free = await store.claim([ClaimRequest(source_id, 60) for source_id in ids])
                # Most claims are alone, and a statement of their own.
                alone = one(await store.claim([ClaimRequest(ids[0], 60)]))
    assert held == alone == Wait(1.0, "leased")
    assert not isinstance(free, Wait)


async def test_a_lock_that_is_not_to_be_had_is_an_outage(postgres_url: str) -> None:
    impatient = f"{postgres_url}&options=-c%20lock_timeout%3D100ms"
    async with open_at(impatient) as store:
        source_id = one(await source_ids(store, spec()))
        claim = await taken(store, source_id)
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SELECT * FROM sources FOR UPDATE")
            with pytest.raises(StoreUnavailable) as away:
                await store.record([step(claim, entry("1"))])
        assert str(away.value) == (
            f"the database {masked(database_url(postgres_url))} cannot be used just now: "
            "canceling statement due to lock timeout "
            'CONTEXT: while updating tuple (0,2) in relation "sources"'
        )
        assert await store.record([step(claim, entry("1"))]) == [Recorded(1, 0)]


async def test_a_standby_is_an_outage(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        source_id = one(await source_ids(store, spec()))
    async with open_at(f"{postgres_url}&options=-c%20default_transaction_read_only%3Don") as store:
        assert len(await store.sources()) == 1
        with pytest.raises(StoreUnavailable, match=r"cannot execute .* in a read-only transaction"):
            await store.claim([ClaimRequest(source_id, 60)])


@contextmanager
def sqlite_locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.slow
async def test_a_sqlite_file_that_stays_locked_is_an_outage(migrated_sqlite: Path, tmp_path: Path) -> None:
    path = tmp_path / "digestd.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    async with open_at(f"sqlite:///{path}") as store:
        await store.sync_sources([spec()])
        with sqlite_locked(path):
            assert len(await store.sources()) == 1
            with pytest.raises(StoreUnavailable) as away:
                await store.sync_sources([])
        assert str(away.value) == f"the database sqlite:///{path} cannot be used just now: database is locked"
        await store.sync_sources([])


async def test_a_full_disk_is_an_outage_and_writes_nothing(migrated_sqlite: Path, tmp_path: Path) -> None:
    path = tmp_path / "digestd.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    async with open_at(f"sqlite:///{path}") as store:
        source_id = one(await source_ids(store, spec()))
        claim = await taken(store, source_id)
        large = entry("2", content="x" * 4_000_000)
        _limit_pages(store, 100)
        with pytest.raises(StoreUnavailable) as away:
            await store.record([step(claim, entry("1"), large)])
        _limit_pages(store, 1_000_000)
        assert str(away.value) == (
            f"the database sqlite:///{path} cannot be used just now: database or disk is full"
        )
        assert await store.record([step(claim, entry("1"), large)]) == [Recorded(2, 0)]


def _limit_pages(store: Store, pages: int) -> None:
    """SQLite refuses to grow past max_page_count as it does on a full disk."""
    with store._writing.connect() as connection:  # type: ignore[attr-defined]
        connection.execute(text(f"PRAGMA max_page_count={pages}"))


async def test_a_call_cancelled_before_it_begins_does_nothing(database: str) -> None:
    async with open_at(database) as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.sync_sources([spec()])
        assert scope.cancelled_caught
        assert await store.sources() == []


async def test_a_call_that_has_begun_is_finished(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        await store.sync_sources([spec()])
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SELECT * FROM sources FOR UPDATE")
            with trio.CancelScope() as scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(store.sync_sources, [spec(category="changed")])
                    await _until_somebody_waits(connection)
                    scope.cancel()
                    connection.rollback()
        assert one(await store.sources()).source.spec.category == "changed"


async def test_giving_back_does_not_wait_for_a_locked_database(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        source_id = one(await source_ids(store, spec()))
        claim = await taken(store, source_id)
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SELECT * FROM sources FOR UPDATE")
            with trio.fail_after(2), trio.move_on_after(0.2) as patience:
                await store.release([Lease(source_id, claim.token)])
            assert patience.cancelled_caught
        with trio.fail_after(5):
            # The thread that was given up ends before its connection is forgotten.
            while store._places.taken:  # type: ignore[attr-defined]
                await trio.sleep(0.01)


async def _until_somebody_waits(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    while not connection.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone():
        await trio.sleep(0.01)


async def test_the_store_in_memory_fails_when_it_is_told_to() -> None:
    store = MemoryStore(lambda: datetime.now(UTC))
    error = StoreUnavailable("once")
    store.fail_next(error)
    with pytest.raises(StoreUnavailable) as raised:
        await store.sync_sources([])
    assert raised.value is error
    await store.sync_sources([])
    store.outage = True
    with pytest.raises(StoreUnavailable):
        await store.sync_sources([])
    store.outage = False
    await store.sync_sources([])
