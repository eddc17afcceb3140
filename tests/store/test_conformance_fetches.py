"""What every store promises of the log of polls: the in-memory one, SQLite and a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from digestd.model import LeftOut
from digestd.store import Fetched, LeaseLost
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import Bench

BROUGHT = Fetched("fetched", None, 0.25, 4_000)
NOTHING = Fetched("unchanged", None, 0.01, 0)
FAILED = Fetched("failed", 503, 1.5, 0)


async def poll(bench: Bench, source_id: int, *entries: Any, fetched: Fetched, **changes: Any) -> None:
    claim = await taken(bench.store, source_id, force=True)
    record = step(claim, *entries, fetched=fetched, succeeded=fetched.outcome != "failed", **changes)
    assert one(await bench.store.record([record])) != LeaseLost()


async def test_polls_that_bring_or_fail_are_kept_and_the_others_counted(bench: Bench) -> None:
    source_id = one(await source_ids(bench.store, spec()))
    await poll(bench, source_id, entry("1"), entry("2"), fetched=BROUGHT)
    for _ in range(3):
        await poll(bench, source_id, fetched=NOTHING)
    # Another document, with entries that are all known.
    await poll(bench, source_id, entry("1"), fetched=BROUGHT)
    await poll(bench, source_id, fetched=FAILED, last_error="http_status: it is busy", next_delay_seconds=60)
    await poll(bench, source_id, entry("1", "Another title"), fetched=BROUGHT)
    await poll(bench, source_id, fetched=NOTHING)
    latest, failed, first = await bench.store.fetches("a", 10)
    assert (first.articles_new, first.articles_updated, first.unchanged_before) == (2, 0, 0)
    assert (failed.outcome, failed.status, failed.unchanged_before) == ("failed", 503, 4)
    assert (failed.error, failed.seconds, failed.body_bytes) == ("http_status: it is busy", 1.5, 0)
    assert (failed.schedule_reason, failed.next_delay_seconds) == ("interval", 60)
    assert (latest.articles_new, latest.articles_updated, latest.unchanged_before) == (0, 1, 0)
    assert first.fetched_at <= failed.fetched_at <= latest.fetched_at
    (status,) = await bench.store.sources(name="a")
    assert status.unchanged_polls == 1
    assert await bench.store.fetches("a", 2) == [latest, failed]


async def test_what_was_left_out_is_something_and_a_step_in_between_is_not_counted(bench: Bench) -> None:
    source_id = one(await source_ids(bench.store, spec()))
    await poll(bench, source_id, fetched=NOTHING, final=False)
    left_out = (LeftOut("k" * 64, "guid", "title", "it cannot be read", "{}"),)
    await poll_again(bench, source_id, left_out)
    (kept,) = await bench.store.fetches("a", 10)
    assert kept.unchanged_before == 0


async def poll_again(bench: Bench, source_id: int, left_out: tuple[LeftOut, ...]) -> None:
    bench.age(100)
    await poll(bench, source_id, fetched=BROUGHT, left_out=left_out)


async def test_nothing_is_kept_of_a_poll_whose_lease_was_lost_nor_of_one_nobody_tells_of(
    bench: Bench,
) -> None:
    source_id = one(await source_ids(bench.store, spec()))
    claim = await taken(bench.store, source_id)
    lost = replace(step(claim, entry("1"), fetched=BROUGHT), token="another")
    assert await bench.store.record([lost]) == [LeaseLost()]
    await bench.store.record([step(claim, entry("1"))])
    assert await bench.store.fetches("a", 10) == []
    (status,) = await bench.store.sources()
    assert status.unchanged_polls == 0


async def test_each_source_has_its_own(bench: Bench) -> None:
    first, second = await source_ids(bench.store, spec("a"), spec("b"))
    await poll(bench, first, fetched=FAILED)
    await poll(bench, second, fetched=NOTHING)
    assert len(await bench.store.fetches("a", 10)) == 1
    assert await bench.store.fetches("b", 10) == await bench.store.fetches("nobody", 10) == []
    assert [status.unchanged_polls for status in await bench.store.sources()] == [0, 1]
    assert [status.source.name for status in await bench.store.sources(name="b")] == ["b"]


async def test_old_ones_are_forgotten_the_oldest_first(bench: Bench) -> None:
    source_id = one(await source_ids(bench.store, spec()))
    for number in range(5):
        await poll(bench, source_id, fetched=replace(FAILED, status=500 + number))
    assert await bench.store.forget_fetches(3_600, 100) == 0
    assert await bench.store.forget_fetches(-60, 2) == 2
    assert [fetch.status for fetch in await bench.store.fetches("a", 10)] == [504, 503, 502]
    assert await bench.store.forget_fetches(-60, 100) == 3
