"""What retention costs with 100,000 articles: of 10,000 sources with ten each, and of one source with all of them."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert, text

from digestd.store import Recorded, RetentionLimits
from digestd.store.schema import articles, tombstones
from store.builders import entry
from store.conftest import SqlBench, bench_at
from store.documents import delete, purge_all, serve
from store.plans import analyse, explained, fill_articles, fill_sources, looked_through, sent

pytestmark = pytest.mark.slow

ARTICLES = 100_000
SOURCES = 10_000
PAST = datetime.now(UTC) - timedelta(days=40)
BOTH = RetentionLimits(days=30, max_per_source=5)
# Which part of their articles has left, and when: half of it too long ago.
_LEFT = """UPDATE articles SET left_at = CASE WHEN id % 2 = 0 THEN {old} ELSE {recent} END WHERE id % 5 > 0"""
_TOMBSTONES_READ = re.compile(r"Seq Scan on tombstones|SCAN tombstones\b(?! USING)")


@pytest.fixture
async def filled(database: str) -> AsyncIterator[SqlBench]:
    async with bench_at(database) as bench:
        fill_sources(bench, SOURCES, PAST)
        fill_articles(bench, 0, ARTICLES - 1, PAST)
        await leave(bench)
        analyse(bench)
        yield bench


async def leave(bench: SqlBench) -> None:
    """Let four of five articles have left their documents, two of them forty days ago."""
    cast = "" if bench.engine.dialect.name == "sqlite" else "::timestamptz"
    old = f"'{PAST.isoformat(timespec='microseconds')}'{cast}"
    recent = f"'{(datetime.now(UTC) - timedelta(days=2)).isoformat(timespec='microseconds')}'{cast}"
    with bench.engine.begin() as connection:
        connection.execute(text(_LEFT.format(old=old, recent=recent)))
        connection.execute(text(f"UPDATE sources SET last_whole_at = {recent}"))


async def test_a_pass_over_many_sources_stays_on_indexes(filled: SqlBench) -> None:
    with sent() as statements:
        await filled.store.purge(BOTH, 5_000)
    # There are no versions here, and nothing is looked through in their table.
    assert looked_through(filled, statements) <= {"article_versions"}
    plan = explained(filled, statements)
    assert "ix_articles_left" in plan
    assert "ix_articles_source_id_published_at" in plan
    assert _TOMBSTONES_READ.search(plan) is None
    began = time.perf_counter()
    purged = await purge_all(filled.store, BOTH)
    seconds = time.perf_counter() - began
    print(
        f"\n{filled.engine.dialect.name}: {purged.articles} articles, {purged.after} pieces, {seconds:.1f} s"
    )
    assert 39_000 < purged.articles <= 60_000
    assert seconds < 60
    began = time.perf_counter()
    assert (await purge_all(filled.store, BOTH)).articles == 0
    print(f"nothing to delete: {time.perf_counter() - began:.2f} s")
    assert time.perf_counter() - began < 10


async def test_one_source_with_all_of_them(filled: SqlBench) -> None:
    with filled.engine.begin() as connection:
        connection.execute(text("UPDATE articles SET source_id = 7"))
    analyse(filled)
    with sent() as statements:
        await filled.store.purge(BOTH)
    plan = explained(filled, statements)
    # There are no versions here, and nothing is looked through in their table.
    assert looked_through(filled, statements) <= {"article_versions"}
    assert "ix_articles_left" in plan
    longest = 0.0
    after: int | None = 0
    pieces = 0
    while after is not None:
        began = time.perf_counter()
        after = (await filled.store.purge(RetentionLimits(days=30, max_per_source=30_000), after)).after
        longest = max(longest, time.perf_counter() - began)
        pieces += 1
    print(f"\n{filled.engine.dialect.name}: {pieces} pieces, the longest {longest * 1000:.0f} ms")
    # Far below the time-out of a statement, and a poll of that source can wait for it.
    assert longest < 3
    # The newest 30,000 of the 60,000 that are not too old, and the third of the others that is in the document.
    assert len(filled.articles()) == 40_000


async def test_a_whole_document_reads_no_more_than_its_own_articles(filled: SqlBench) -> None:
    """Of a source with many articles few are in the document; which of them left is found without the others."""
    row = filled.articles()[0] | {"source_id": 7, "left_at": PAST, "deleted_at": PAST}
    buried = [row | {"id": 10**6 + n, "entry_key": f"b{n:x}", "identity": f"b{n:x}"} for n in range(9_000)]
    others = [row | {"id": 10**7 + n, "entry_key": f"k{n:x}", "identity": f"k{n:x}"} for n in range(9_000)]
    with filled.engine.begin() as connection:
        for table, rows in ((tombstones, buried), (articles, others)):
            names = table.c.keys()
            connection.execute(insert(table), [{name: one[name] for name in names} for one in rows])
    analyse(filled)
    served = [entry(f"{number}") for number in range(20)]
    await serve(filled, 7, *served)
    await delete(filled, "3")
    await delete(filled, "7")
    with sent() as statements:
        assert await serve(filled, 7, entry("new"), *served[5:]) == Recorded(1, 0)
    assert looked_through(filled, statements) <= {"entries_set_aside"}
    plan = explained(filled, statements)
    assert "ix_articles_in_document" in plan
    assert "ix_tombstones_source_id_identity" in plan
    # Either has the few tombstones that are served together.
    assert "ix_tombstones_in_document" in plan or "ix_tombstones_source_id_left_at" in plan
