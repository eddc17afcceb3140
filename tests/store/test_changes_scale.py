"""What following changes costs where there are 100,000 sources."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from store.builders import spec
from store.conftest import bench_at, open_at
from store.plans import analyse, explained, fill_sources, looked_through, sent


@pytest.mark.slow
async def test_a_look_at_100_000_sources_reads_only_what_was_changed(database: str) -> None:
    async with bench_at(database) as bench:
        fill_sources(bench, 100_000, datetime.now(UTC) - timedelta(days=1))
        analyse(bench)
        last = await bench.store.changed_sources(None)
        await bench.store.set_enabled("s50000", False)
        with sent() as statements:
            changes = await bench.store.changed_sources(last.latest, last.told)
        assert [status.source.name for status in changes.statuses] == ["s50000"]
        asked = [one for one in statements if "FROM sources" in one[0]]
        assert len(asked) == 2
        assert "ix_sources_changed_at" in explained(bench, asked)
        assert looked_through(bench, asked) == set()
        began = time.perf_counter()
        for _ in range(20):
            changes = await bench.store.changed_sources(changes.latest, changes.told)
            assert changes.statuses == ()
        assert (time.perf_counter() - began) / 20 < 0.02


@pytest.mark.slow
async def test_a_long_list_is_changed_long_before_a_look_would_miss_it(database: str) -> None:
    """Looks go a minute back: a change that takes longer from its moment to its end might never be seen. Every step
    grows with the list as it is, not with its square."""
    specs = [spec(f"s{number}") for number in range(20_000)]
    lists = [
        specs,
        [replace(one, category="x") for one in specs],
        [replace(one, name=f"{one.name} moved") for one in specs],
        [spec(f"t{number}") for number in range(20_000)],
    ]
    async with open_at(database) as store:
        for one_list in lists:
            began = time.perf_counter()
            report = await store.sync_sources(one_list)
            assert len(report.added + report.changed + report.renamed) == len(specs)
            assert time.perf_counter() - began < 12
