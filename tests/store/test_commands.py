"""Commands and files that change sources at one time, and rows that somebody damaged by hand."""

from __future__ import annotations

import psycopg
import pytest
import trio

from digestd.errors import StoreUnavailable
from digestd.store import Store
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import bench_at, damage, open_at


async def test_of_two_that_add_one_name_at_one_time_one_does(database: str) -> None:
    answers: list[bool] = []

    async def add() -> None:
        async with open_at(database) as store:
            answers.append(await store.add_source(spec("a")))

    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(add)
    assert sorted(answers) == [False, False, False, True]


async def test_a_command_waits_for_a_file_that_is_being_taken_over(postgres_url: str) -> None:
    """Else it would change what was read already, and the file would have its word on half of a source only."""
    async with open_at(postgres_url) as store:
        await store.add_source(spec("a"))
        with psycopg.connect(postgres_url) as connection:
            connection.execute("SELECT * FROM sources WHERE name = 'a' FOR UPDATE")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(lambda: store.sync_sources([spec("a", category="x")]))
                await until_waiting(connection, "tuple", "transactionid")
                nursery.start_soon(store.remove_source, "a")
                await until_waiting(connection, "advisory")
                connection.rollback()
        status = one(await store.sources())
        assert (status.source.origin, status.state) == ("file", "active")


async def until_waiting(connection: psycopg.Connection[tuple[object, ...]], *kinds: str) -> None:
    """Until somebody waits for a lock of one of these kinds."""
    waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND locktype = ANY(%s)"
    with trio.fail_after(3):
        while not connection.execute(waiting, [list(kinds)]).fetchone():
            await trio.sleep(0.01)


async def test_a_list_takes_sources_in_the_order_of_their_ids(postgres_url: str) -> None:
    """Whatever changes in which of them: else it and what records several polls could wait for one another."""
    async with open_at(postgres_url) as store:
        ids = await source_ids(store, *(spec(name) for name in "abc"))
        changed = [spec("a", category="x"), spec("b", language="en"), spec("c", category="x")]
        locking = "SELECT * FROM sources WHERE id = %s FOR UPDATE NOWAIT"
        with psycopg.connect(postgres_url) as connection:
            connection.execute(locking, [ids[1]])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.sync_sources, changed)
                await until_waiting(connection, "tuple", "transactionid")
                connection.execute(locking, [ids[2]])
                connection.rollback()


async def test_records_take_sources_in_the_order_of_their_ids(postgres_url: str) -> None:
    """In whichever order they come: else two processes whose leases ended meanwhile could wait for one another."""
    async with open_at(postgres_url) as store:
        first, second = await source_ids(store, spec("a"), spec("b"))
        steps = [step(await taken(store, source_id), entry("1")) for source_id in (second, first)]
        locking = "SELECT * FROM sources WHERE id = %s FOR UPDATE NOWAIT"
        with psycopg.connect(postgres_url) as connection:
            connection.execute(locking, [first])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(store.record, steps)
                await until_waiting(connection, "tuple", "transactionid")
                connection.execute(locking, [second])
                connection.rollback()
        assert [status.articles for status in await store.sources(count_articles=True)] == [1, 1]


DAMAGES = [("options", "{no json"), ("lease_expires_at", "yesterday"), ("changed_at", "yesterday")]


@pytest.mark.parametrize(("column", "value"), DAMAGES)
async def test_a_damaged_row_costs_those_who_follow_nothing(sqlite_url: str, column: str, value: str) -> None:
    async with bench_at(sqlite_url) as bench:
        ids = await source_ids(bench.store, spec("a"), spec("b"))
        bench.age(120)
        last = await bench.store.changed_sources(None)
        await bench.store.set_enabled("a", False)
        await bench.store.poll_now("b")
        damage(bench, ids[0], column, value)
        changes = await bench.store.changed_sources(last.latest, last.told)
        assert [status.source.name for status in changes.statuses] == ["a", "b"]
        damaged = changes.statuses[0]
        assert (damaged.state, damaged.overridden, damaged.source.spec.enabled) == ("degraded", True, False)
        assert damaged.last_error == (
            f"its row in the table sources (id {ids[0]}) cannot be read: somebody changed it by hand; mend it there"
        )
        assert (await bench.store.changed_sources(changes.latest, changes.told)).statuses == ()


@pytest.mark.parametrize(("column", "value"), DAMAGES)
async def test_commands_work_on_a_damaged_row(sqlite_url: str, column: str, value: str) -> None:
    async with bench_at(sqlite_url) as bench:
        await bench.store.add_source(spec("a"))
        source_id = one(await bench.store.sources()).source.id
        damage(bench, source_id, column, value)
        assert await bench.store.set_enabled("a", False) == "cli"
        assert await bench.store.poll_now("a")
        assert await bench.store.remove_source("a") == "cli"
        assert await bench.store.add_source(spec("a"))
        assert one(await bench.store.sources()).state in ("active", "degraded")


async def test_a_standby_is_an_outage(postgres_url: str) -> None:
    async with open_at(postgres_url) as store:
        await store.sync_sources([spec("a")])
    async with open_at(f"{postgres_url}&options=-c%20default_transaction_read_only%3Don") as store:
        assert (await store.changed_sources(None)).list_owner is not None
        for change in (_add, _disable, _poll):
            with pytest.raises(StoreUnavailable, match=r"cannot execute .* in a read-only transaction"):
                await change(store)


async def _add(store: Store) -> None:
    await store.add_source(spec("b"))


async def _disable(store: Store) -> None:
    await store.set_enabled("a", False)


async def _poll(store: Store) -> None:
    await store.poll_now("a")
