"""Random lives of two sources: SQLite and PostgreSQL have to agree with the store in memory at every turn."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from digestd.model import PollState
from digestd.store import Claim, ClaimRequest, Lease, Wait
from store.builders import entry, spec, step
from store.conftest import Bench, MemoryBench, SqlBench, bench_at
from support.postgres import PostgresServer

ENTRIES = [
    entry(guid, title, link=link)
    for guid in ("1", "2")
    for title in ("One", "Two\0")
    for link in ("https://x.example/1", None)
]
# The same entries with other texts and facts: revisions.
ENTRIES += [
    replace(
        one, content=severity, facts={"severity": severity}, content_hash=f"{severity}{number}".ljust(64, "0")
    )
    for number, one in enumerate(ENTRIES[:2])
    for severity in ("LOW", "HIGH")
]


@dataclass(frozen=True)
class Turn:
    """One thing that happens: to which of the sources, and with what."""

    what: str
    source: int = 0
    flag: bool = False
    entries: tuple[int, ...] = ()


TURNS = st.lists(
    st.builds(
        Turn,
        what=st.sampled_from(
            ["claim", "claim", "record", "record", "release", "wait a lease", "wait a day", "sync"]
        ),
        source=st.integers(0, 1),
        flag=st.booleans(),
        entries=st.lists(st.integers(0, len(ENTRIES) - 1), max_size=4).map(tuple),
    ),
    max_size=12,
)


class Life:
    """Plays turns on one store, and tells what can be seen of each without knowing tokens and times."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._ids: list[int] = []
        self._claims: dict[int, Claim] = {}

    async def begin(self) -> None:
        await self._bench.store.sync_sources([spec("a"), spec("b")])
        self._ids = [status.source.id for status in await self._bench.store.sources()]

    async def play(self, turn: Turn) -> Any:
        acts: dict[str, Callable[[Turn], Awaitable[Any]]] = {
            "claim": self._claim,
            "record": self._record,
            "release": self._release,
            "sync": self._sync,
            "wait a lease": self._wait,
            "wait a day": self._wait,
        }
        return await acts[turn.what](turn), await self._seen()

    async def _claim(self, turn: Turn) -> Any:
        request = ClaimRequest(self._ids[turn.source], 60, force=turn.flag)
        (answer,) = await self._bench.store.claim([request])
        if isinstance(answer, Wait):
            return replace(answer, seconds=round(answer.seconds, -2))
        if isinstance(answer, Claim):
            self._claims[turn.source] = answer
            return replace(answer, token="", source=replace(answer.source, id=0))
        return answer

    async def _record(self, turn: Turn) -> Any:
        claim = self._claims.get(turn.source)
        if claim is None:
            return None
        entries = [ENTRIES[number] for number in turn.entries]
        state = PollState(etag=str(turn.entries), cursor={"page": len(entries)})
        record = step(claim, *entries, final=turn.flag, next_state=state, next_delay_seconds=3000)
        return await self._bench.store.record([record])

    async def _release(self, turn: Turn) -> None:
        claim = self._claims.get(turn.source)
        if claim is not None:
            await self._bench.store.release([Lease(claim.source.id, claim.token)])

    async def _sync(self, turn: Turn) -> Any:
        changed = spec("a", url="https://new.example/") if turn.flag else spec("a")
        return await self._bench.store.sync_sources([changed] + [spec("b")] * turn.source)

    async def _wait(self, turn: Turn) -> None:
        self._bench.age(61 if turn.what == "wait a lease" else 86_401)

    async def _seen(self) -> list[Any]:
        kept = [
            (article["entry_key"], article["title"], article["url"], article["content_hash"])
            for article in self._bench.articles()
        ]
        names = (
            "state",
            "etag",
            "cursor",
            "unfinished_claims",
            "schedule_reason",
            "last_error",
            "lease_owner",
        )
        rows = [self._bench.row(source_id) for source_id in self._ids]
        versions = [
            (version["number"], version["title"], version["content"], version["facts"], version["changes"])
            for version in self._bench.versions()
        ]
        return [
            sorted(kept, key=repr),
            sorted(versions, key=repr),
            *([row[name] for name in names] for row in rows),
        ]


async def play_all(turns: Sequence[Turn], benches: Sequence[Bench]) -> None:
    lives = [Life(bench) for bench in benches]
    for life in lives:
        await life.begin()
    for turn in turns:
        first, *others = [await life.play(turn) for life in lives]
        for other in others:
            assert other == first


@settings(max_examples=40)
@given(turns=TURNS)
def test_sqlite_agrees(
    migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory, turns: list[Turn]
) -> None:
    async def compare() -> None:
        path = tmp_path_factory.mktemp("agreement") / "digestd.db"
        shutil.copy(migrated_sqlite, path)
        async with bench_at(f"sqlite:///{path}") as bench:
            await play_all(turns, [MemoryBench(), bench])

    trio.run(compare)


@pytest.fixture(scope="module")
def shared_database(migrated_postgres: str, postgres_server: PostgresServer) -> str:
    """One database for all examples: each empties it first."""
    return postgres_server.create_database("agreement", migrated_postgres)


@settings(max_examples=30)
@given(turns=TURNS)
@pytest.mark.slow
def test_postgresql_agrees(shared_database: str, turns: list[Turn]) -> None:
    async def compare() -> None:
        async with bench_at(shared_database) as bench:
            empty(bench)
            await play_all(turns, [MemoryBench(), bench])

    trio.run(compare)


def empty(bench: SqlBench) -> None:
    with bench.engine.begin() as connection:
        tables = "sources, articles, article_versions, entries_set_aside, fetches, tombstones"
        connection.execute(text(f"TRUNCATE {tables}"))
