"""Deleting is all or nothing, and gives way to whoever works on the same rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from sqlalchemy import select

from digestd.store import Recorded, RetentionLimits
from digestd.store.schema import articles, sources
from store.builders import entry, one, source_ids, spec
from store.conftest import SqlBench, bench_at
from store.cuts import PowerCut, cut_before
from store.documents import guids, let_days_pass, purge_all, row_of, serve

MONTH = RetentionLimits(days=30, max_per_source=1)
DAY = RetentionLimits(days=1)


@pytest.fixture
async def sql_bench(database: str) -> AsyncIterator[SqlBench]:
    async with bench_at(database) as bench:
        yield bench


async def with_one_to_go(bench: SqlBench) -> int:
    source_id = one(await source_ids(bench.store, spec()))
    await serve(bench, source_id, entry("a"), entry("b"))
    await serve(bench, source_id, entry("b"))
    let_days_pass(bench, 31)
    return source_id


async def cut_everywhere(bench: SqlBench, work: Any) -> None:
    """Do `work` again and again, cut off one statement later each time, until it gets through."""
    for number in range(100):
        before = guids(bench), bench.tombstones()
        try:
            with cut_before(number) as statements:
                await work()
        except PowerCut:
            assert (guids(bench), bench.tombstones()) == before
        else:
            assert any("DELETE FROM articles" in statement for statement in statements)
            return
    raise AssertionError("it never got through")


async def test_a_purge_that_is_cut_off_anywhere_did_nothing(sql_bench: SqlBench) -> None:
    source_id = await with_one_to_go(sql_bench)
    await cut_everywhere(sql_bench, lambda: sql_bench.store.purge(MONTH))
    assert guids(sql_bench) == ["b"]
    assert await serve(sql_bench, source_id, entry("a"), entry("b")) == Recorded(0, 0)


async def test_a_delete_that_is_cut_off_anywhere_did_nothing(sql_bench: SqlBench) -> None:
    source_id = await with_one_to_go(sql_bench)
    article_id = row_of(sql_bench, "b")["id"]
    await cut_everywhere(sql_bench, lambda: sql_bench.store.delete_articles([article_id]))
    assert guids(sql_bench) == ["a"]
    assert await serve(sql_bench, source_id, entry("b")) == Recorded(0, 0)


@pytest.fixture
async def postgres_bench(postgres_url: str) -> AsyncIterator[SqlBench]:
    async with bench_at(postgres_url) as bench:
        yield bench


async def test_what_others_hold_is_left_for_the_next_time(postgres_bench: SqlBench) -> None:
    source_id = await with_one_to_go(postgres_bench)
    article_id = row_of(postgres_bench, "a")["id"]
    holding = [
        select(sources.c.id).where(sources.c.id == source_id).with_for_update(),
        select(articles.c.id).where(articles.c.id == article_id).with_for_update(),
    ]
    for statement in holding:
        with postgres_bench.engine.begin() as connection, trio.fail_after(3):
            connection.execute(statement)
            assert (await purge_all(postgres_bench.store, MONTH)).articles == 0
    assert (await purge_all(postgres_bench.store, MONTH)).articles == 1


async def test_two_at_once_do_each_other_no_harm(database: str) -> None:
    async with bench_at(database) as first, bench_at(database) as second:
        source_id = one(await source_ids(first.store, spec()))
        await serve(first, source_id, *(entry(f"{number}") for number in range(2_000)))
        await serve(first, source_id, entry("a"))
        let_days_pass(first, 31)
        found: list[int] = []

        async def purge(bench: SqlBench) -> None:
            found.append((await purge_all(bench.store, MONTH)).articles)

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(purge, first)
                nursery.start_soon(purge, second)
        # What one of them passed over because the other had locked it, the next pass finds.
        found.append((await purge_all(first.store, MONTH)).articles)
        assert (sum(found), guids(first), len(first.tombstones())) == (2_000, ["a"], 2_000)


@pytest.mark.slow
async def test_polls_and_retention_side_by_side(database: str) -> None:
    """Documents that turn over all the time, while what left a day ago is deleted: what is served is there."""
    async with bench_at(database) as polling, bench_at(database) as purging:
        source_id = one(await source_ids(polling.store, spec()))
        done = trio.Event()

        async def poll() -> None:
            for turn in range(30):
                served = [entry(f"{number}") for number in range(turn * 7, turn * 7 + 20)]
                await serve(polling, source_id, *served)
                assert {one.guid for one in served} <= set(guids(polling))
                let_days_pass(polling, 0.4)
            done.set()

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(poll)
                deleted = 0
                while not done.is_set():
                    deleted += (await purge_all(purging.store, DAY)).articles
                    await trio.sleep(0.005)
        deleted += (await purge_all(purging.store, DAY)).articles
        assert deleted == len(polling.tombstones()) > 100
        assert deleted + len(polling.articles()) == 29 * 7 + 20
