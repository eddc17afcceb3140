"""Random lives of a document: entries come, go, are edited and change their company, while articles are deleted by hand
and by retention at any moment. Nothing that is served is deleted by retention, nothing that was deleted comes back."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from digestd.model import Entry
from digestd.store import RetentionLimits
from store.builders import entry, one, source_ids, spec
from store.conftest import Bench, MemoryBench, SqlBench, bench_at
from store.documents import let_days_pass, purge_all, serve
from support.postgres import PostgresServer

# Told apart by their links: two have a guid of their own, two share one.
ENTRIES = [
    entry("1", "One", link="https://x.example/1"),
    entry("2", "Two", link="https://x.example/2"),
    entry("shared", "Three", link="https://x.example/3"),
    entry("shared", "Four", link="https://x.example/4"),
]
_EVIDENCE_DAYS = 90


@dataclass(frozen=True)
class Turn:
    """One thing that happens. A document has `entries`, with the titles of their `edition`; only the first `shown` of
    them come where it is cut off."""

    what: str
    entries: frozenset[int] = frozenset({0, 1, 2, 3})
    edition: int = 0
    shown: int = 4
    days: float = 1.0
    limits: RetentionLimits = field(default_factory=RetentionLimits)


NUMBERS = st.frozensets(st.integers(0, 3))
LIMITS = st.builds(
    RetentionLimits,
    days=st.sampled_from([None, 1.0, 30.0]),
    max_per_source=st.sampled_from([None, 1, 2]),
)
TURNS = st.lists(
    st.one_of(
        st.builds(Turn, st.just("serve"), entries=NUMBERS, edition=st.integers(0, 2)),
        st.builds(Turn, st.just("cut off"), edition=st.integers(0, 2), shown=st.integers(0, 3)),
        st.builds(Turn, st.just("delete"), entries=NUMBERS),
        st.builds(Turn, st.just("purge"), limits=LIMITS),
        st.builds(Turn, st.just("wait"), days=st.sampled_from([0.5, 2.0, 31.0, 91.0])),
        st.just(Turn("unchanged")),
    ),
    min_size=3,
    max_size=14,
)


class Life:
    """Plays turns on one store, beside a simple account of what was served and what was deleted."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.source_id = 0
        self.document: list[Entry] = []
        # Of what was deleted: for how many days whole documents have been without it; None while it may be there.
        self.absent_days: dict[str, float | None] = {}
        self.unproven_days = 0.0

    async def begin(self) -> None:
        self.source_id = one(await source_ids(self.bench.store, spec()))

    async def play(self, turn: Turn) -> list[Any]:
        before = self.links()
        if turn.what in ("serve", "cut off"):
            await self._serve(turn, cut_off=turn.what == "cut off")
        elif turn.what == "unchanged":
            await serve(self.bench, self.source_id)
        elif turn.what == "delete":
            await self._delete(turn)
        elif turn.what == "purge":
            await purge_all(self.bench.store, turn.limits)
            served = {one.link for one in self.document}
            deleted = before - self.links()
            assert not deleted & served, "what is in the document was deleted"
            self.absent_days |= dict.fromkeys(deleted)
        else:
            let_days_pass(self.bench, turn.days)
            self.unproven_days += turn.days
        return self.seen()

    async def _serve(self, turn: Turn, *, cut_off: bool) -> None:
        if not cut_off:
            chosen = [ENTRIES[number] for number in sorted(turn.entries)]
            self.document = [self._edited(one, turn.edition) for one in chosen]
        shown = self.document[: turn.shown] if cut_off else self.document
        before = self.links()
        await serve(self.bench, self.source_id, *shown, whole=not cut_off)
        for link in (self.links() - before) & self.absent_days.keys():
            absent = self.absent_days.pop(link)
            assert absent is not None, f"{link} came back while it was served"
            assert absent >= _EVIDENCE_DAYS, f"{link} came back after {absent} days"
        self.absent_days |= dict.fromkeys({str(one.link) for one in shown} & self.absent_days.keys())
        if shown and not cut_off:
            self._account({str(one.link) for one in shown})

    def _account(self, served: set[str]) -> None:
        """A whole document was served: what is not in it was absent since the last one, or is from now on."""
        for link in self.absent_days.keys() - served:
            absent = self.absent_days[link]
            self.absent_days[link] = 0.0 if absent is None else absent + self.unproven_days
        self.unproven_days = 0.0

    async def _delete(self, turn: Turn) -> None:
        links = {ENTRIES[number].link for number in turn.entries}
        chosen = [row for row in self.bench.articles() if row["url"] in links]
        deleted = await self.bench.store.delete_articles([row["id"] for row in chosen])
        assert {article.url for article in deleted} == {row["url"] for row in chosen}
        self.absent_days |= dict.fromkeys(str(row["url"]) for row in chosen)

    def links(self) -> set[str]:
        return {str(row["url"]) for row in self.bench.articles()}

    def seen(self) -> list[Any]:
        """What can be seen without knowing ids and times."""
        rows = [("article", row) for row in self.bench.articles()]
        rows += [("tombstone", row) for row in self.bench.tombstones()]
        names = ("entry_key", "identity", "url", "title", "content_hash")
        return sorted([kind, *(row[name] for name in names), row["left_at"] is None] for kind, row in rows)

    @staticmethod
    def _edited(one: Entry, edition: int) -> Entry:
        title = f"{one.title}, edition {edition}" if edition else one.title
        return replace(one, title=title, content_hash=f"{one.content_hash[:60]}{edition}")


async def play_all(turns: Sequence[Turn], benches: Sequence[Bench]) -> None:
    lives = [Life(bench) for bench in benches]
    for life in lives:
        await life.begin()
    for turn in turns:
        first, *others = [await life.play(turn) for life in lives]
        for other in others:
            assert other == first


REKEYED = [
    Turn("serve", frozenset({2})),
    Turn("delete", frozenset({2})),
    Turn("serve", frozenset({2, 3})),
    Turn("delete", frozenset({3})),
    Turn("serve", frozenset({3}), edition=1),
    Turn("serve", frozenset({2, 3}), edition=1),
]

LONG_GONE = [
    Turn("serve", frozenset({0, 1})),
    Turn("serve", frozenset({0})),
    Turn("wait", days=91.0),
    Turn("serve", frozenset({0})),
    Turn("purge", limits=RetentionLimits(max_per_source=1)),
    Turn("purge", limits=RetentionLimits(max_per_source=1)),
]


@settings(max_examples=250)
@given(turns=TURNS)
@example(turns=REKEYED)
@example(turns=LONG_GONE)
def test_in_memory(turns: list[Turn]) -> None:
    trio.run(play_all, turns, [MemoryBench()])


@settings(max_examples=40)
@given(turns=TURNS)
@example(turns=REKEYED)
@example(turns=LONG_GONE)
def test_sqlite_agrees(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory, turns: list[Turn]
) -> None:
    async def compare() -> None:
        path = tmp_path_factory.mktemp("retention") / "digestd.db"
        shutil.copy(migrated_sqlite, path)
        async with bench_at(f"sqlite:///{path}") as bench:
            await play_all(turns, [MemoryBench(), bench])

    trio.run(compare)


@pytest.fixture(scope="module")
def shared_database(migrated_postgres: str, postgres_server: PostgresServer) -> str:
    """One database for all examples: each empties it first."""
    return postgres_server.create_database("retention_lives", migrated_postgres)


@settings(max_examples=30)
@given(turns=TURNS)
@example(turns=REKEYED)
@example(turns=LONG_GONE)
@pytest.mark.slow
def test_postgresql_agrees(shared_database: str, turns: list[Turn]) -> None:
    async def compare() -> None:
        async with bench_at(shared_database) as bench:
            empty(bench)
            await play_all(turns, [MemoryBench(), bench])

    trio.run(compare)


def empty(bench: SqlBench) -> None:
    with bench.engine.begin() as connection:
        connection.execute(
            text("TRUNCATE sources, articles, article_versions, entries_set_aside, fetches, tombstones")
        )
