from __future__ import annotations

import time

import pytest

from digestd.store import Recorded, SyncReport
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import open_at


@pytest.mark.slow
async def test_a_thousand_sources_are_synced_and_listed_within_a_second(database: str) -> None:
    specs = [spec(f"source{number:04}") for number in range(1000)]
    async with open_at(database) as store:
        began = time.perf_counter()
        assert len((await store.sync_sources(specs)).added) == 1000
        assert await store.sync_sources(specs) == SyncReport()
        assert [status.source.name for status in await store.sources()] == [one.name for one in specs]
        assert time.perf_counter() - began < 1


@pytest.mark.slow
async def test_fifty_thousand_entries_in_one_step(database: str) -> None:
    entries = [entry(f"guid {number}", f"Title {number}") for number in range(50_000)]
    async with open_at(database) as store:
        source_id = one(await source_ids(store, spec()))
        began = time.perf_counter()
        answer = await store.record([step(await taken(store, source_id), *entries)])
        assert answer == [Recorded(50_000, 0)]
        entries[7] = entry("guid 7", "Another")
        answer = await store.record([step(await taken(store, source_id, force=True), *entries)])
        assert answer == [Recorded(0, 1)]
        # Far below the lease and the time-out of a poll.
        assert time.perf_counter() - began < 30
