"""Random lives of a queue of extraction: SQLite and PostgreSQL have to agree with the store in memory at every turn."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from digestd.store import ArticleQuery, PageClaim, PageRecord
from store.builders import YESTERDAY, aged, done, polled
from store.conftest import Bench, MemoryBench, SqlBench, bench_at
from support.postgres import PostgresServer


@dataclass(frozen=True)
class Turn:
    """One thing that happens, and with what."""

    what: str
    number: int = 0
    flag: bool = False


TURNS = st.lists(
    st.builds(
        Turn,
        what=st.sampled_from(
            ["claim", "claim", "claim", "done", "done", "failed", "later", "wait", "retry", "lose", "queue"]
        ),
        number=st.integers(0, 7),
        flag=st.booleans(),
    ),
    max_size=25,
)


class Life:
    """Plays turns on one store, and tells what can be seen of each without knowing ids and times."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._ids: dict[str, int] = {}
        self._claims: list[PageClaim] = []

    async def begin(self) -> None:
        entries = {name: [aged(hours, f"{name} {hours}") for hours in range(4)] for name in "ab"}
        undated = [replace(one, published_at=None, published_raw=None) for one in entries["a"][2:]]
        self._ids = await polled(self._bench.store, a=[*entries["a"][:2], *undated], b=entries["b"])

    async def play(self, turn: Turn) -> Any:
        acts: dict[str, Callable[[Turn], Awaitable[Any]]] = {
            "claim": self._claim,
            "done": self._done,
            "failed": self._end,
            "later": self._end,
            "wait": self._wait,
            "retry": self._retry,
            "lose": self._lose,
            "queue": self._queue,
        }
        return await acts[turn.what](turn), self._seen()

    async def _claim(self, turn: Turn) -> Any:
        given_ids = [self._ids["a"]] if turn.flag else None
        answer = await self._bench.store.claim_pages(turn.number + 1, 60, source_ids=given_ids)
        self._claims += answer.claims
        due = answer.due_in_seconds
        claims = [replace(claim, article_id=0, source_id=0) for claim in answer.claims]
        return claims, None if due is None else round(due, -1)

    async def _done(self, turn: Turn) -> Any:
        said = "The same." if turn.flag else ""
        return await self._record(turn, lambda claim: done(claim, said, author="Ada", published_at=YESTERDAY))

    async def _end(self, turn: Turn) -> Any:
        ending = {"failed": "failed", "later": "pending"}[turn.what]
        return await self._record(
            turn,
            lambda claim: PageRecord(
                claim.article_id,
                claim.attempt,
                ending,  # type: ignore[arg-type]
                claim.failures + 1,
                "why",
                300,
            ),
        )

    async def _record(self, turn: Turn, record: Callable[[PageClaim], PageRecord]) -> Any:
        if not self._claims:
            return None
        # Now and then one that was recorded before, or claimed anew since.
        claim = self._claims[-1 - turn.number % len(self._claims)]
        return await self._bench.store.record_pages([record(claim)])

    async def _wait(self, turn: Turn) -> None:
        self._bench.age(61 if turn.flag else 3000)

    async def _retry(self, turn: Turn) -> Any:
        query = ArticleQuery(source="a" if turn.flag else None, limit=turn.number)
        return await self._bench.store.retry_pages(query)

    async def _lose(self, turn: Turn) -> None:
        self._bench.change(self._bench.articles()[turn.number]["id"], url=None)

    async def _queue(self, _turn: Turn) -> Any:
        queue = await self._bench.store.page_queue()
        return queue.pending, queue.due, queue.oldest_seconds is None

    def _seen(self) -> list[Any]:
        rows = sorted(self._bench.articles(), key=lambda row: str(row["title"]))
        return [self._shown(row) for row in rows]

    def _shown(self, row: dict[str, Any]) -> Any:
        names = (
            "title",
            "url",
            "text",
            "text_hash",
            "canonical_url",
            "author",
            "published_from",
            "extraction",
        )
        counts = ("attempts", "failures", "unfinished", "owner", "error")
        moment: datetime | None = row["next_extraction_at"]
        return [row[name] for name in names], [row[f"extraction_{name}"] for name in counts], moment is None


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
@pytest.mark.slow
def test_sqlite_agrees_on_pages(
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
    return postgres_server.create_database("page_agreement", migrated_postgres)


@settings(max_examples=30)
@given(turns=TURNS)
@pytest.mark.slow
def test_postgresql_agrees_on_pages(shared_database: str, turns: list[Turn]) -> None:
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
