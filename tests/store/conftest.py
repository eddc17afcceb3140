"""The three stores behind one face, so that one suite can ask the same of each."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest
import trio
from sqlalchemy import Engine, NullPool, create_engine, select, text, update

from digestd.store import Store
from digestd.store.engine import database_url
from digestd.store.schema import UtcDateTime, article_versions, articles, sources, tombstones
from digestd.store.sql import open_store
from support.memory_store import MemoryStore
from support.postgres import PostgresServer

OWNER = "test-owner"


def open_at(url: str, owner: str = OWNER) -> AbstractAsyncContextManager[Store]:
    """The store at `url`, as tests open it."""
    return open_store(url, owner=owner, pool_size=2, connect_timeout_seconds=5)


class Bench(Protocol):
    """A store, and what a test needs to see and do behind its back."""

    store: Store

    def age(self, seconds: float) -> None:
        """Let `seconds` pass by the store's clock, as far as schedules, leases and retention go."""

    def row(self, source_id: int) -> dict[str, Any]:
        """Every column of a source."""

    def disown(self, source_id: int) -> None:
        """Let the lease of a source be another process's."""

    def articles(self) -> list[dict[str, Any]]:
        """Every column of every article, oldest first."""

    def tombstones(self) -> list[dict[str, Any]]:
        """Every column of every tombstone, by id."""

    def versions(self) -> list[dict[str, Any]]:
        """Every column but the id of every version, by its article and number."""

    def change(self, article_id: int, **columns: Any) -> None:
        """Change columns of an article."""


class MemoryBench:
    def __init__(self) -> None:
        self._offset = timedelta()
        self._memory = MemoryStore(lambda: datetime.now(UTC) + self._offset, owner=OWNER)
        self.store: Store = self._memory

    def age(self, seconds: float) -> None:
        self._offset += timedelta(seconds=seconds)

    def row(self, source_id: int) -> dict[str, Any]:
        return dict(self._memory.rows[source_id])

    def disown(self, source_id: int) -> None:
        self._memory.rows[source_id]["lease_owner"] = "another"

    def articles(self) -> list[dict[str, Any]]:
        return [dict(values) for values in self._memory.kept.values()]

    def tombstones(self) -> list[dict[str, Any]]:
        return [dict(values) for _, values in sorted(self._memory.tombstones.items())]

    def versions(self) -> list[dict[str, Any]]:
        return [dict(values) for _, kept in sorted(self._memory.versions.items()) for values in kept]

    def change(self, article_id: int, **columns: Any) -> None:
        self._memory.kept[article_id].update(columns)


@dataclass
class SqlBench:
    store: Store
    engine: Engine

    def age(self, seconds: float) -> None:
        """Nobody can turn a real database's clock: every moment of the sources, and those that decide about articles
        and tombstones, are moved into the past instead."""
        moments = [column for column in sources.c if isinstance(column.type, UtcDateTime)]
        moments += [articles.c.next_extraction_at, articles.c.left_at, tombstones.c.left_at]
        with self.engine.begin() as connection:
            for column in moments:
                finding = select(column.table.c.id, column).where(column.is_not(None))
                for row_id, moment in connection.execute(finding).all():
                    moved = update(column.table).where(column.table.c.id == row_id)
                    connection.execute(moved.values({column: moment - timedelta(seconds=seconds)}))

    def row(self, source_id: int) -> dict[str, Any]:
        with self.engine.connect() as connection:
            query = select(sources).where(sources.c.id == source_id)
            return dict(connection.execute(query).one()._mapping)

    def disown(self, source_id: int) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(sources).where(sources.c.id == source_id).values(lease_owner="another"))

    def articles(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(articles).order_by(articles.c.id))
            return [dict(row._mapping) for row in rows]

    def tombstones(self) -> list[dict[str, Any]]:
        with self.engine.connect() as connection:
            rows = connection.execute(select(tombstones).order_by(tombstones.c.id))
            return [dict(row._mapping) for row in rows]

    def versions(self) -> list[dict[str, Any]]:
        columns = [column for column in article_versions.c if column.name != "id"]
        in_order = (article_versions.c.article_id, article_versions.c.number)
        with self.engine.connect() as connection:
            rows = connection.execute(select(*columns).order_by(*in_order))
            return [dict(row._mapping) for row in rows]

    def change(self, article_id: int, **columns: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(articles).where(articles.c.id == article_id).values(columns))


@asynccontextmanager
async def bench_at(url: str) -> AsyncIterator[SqlBench]:
    """A bench over the store at `url`."""
    async with open_at(url) as store:
        yield SqlBench(store, create_engine(database_url(url), poolclass=NullPool))


async def _open_and_close(url: str) -> None:
    async with open_at(url):
        pass


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the schema and nothing in it, to be copied."""
    path = tmp_path_factory.mktemp("store") / "template.db"
    trio.run(_open_and_close, f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer) -> str:
    """The name of a PostgreSQL database with the schema and nothing in it, to be copied."""
    trio.run(_open_and_close, postgres_server.create_database("digestd_template"))
    return "digestd_template"


def fresh_database(kind: str, request: pytest.FixtureRequest, directory: Path) -> Iterator[str]:
    """The URL of a migrated, empty database of `kind`, and its end."""
    if kind == "sqlite":
        path = directory / f"{uuid.uuid4().hex}.db"
        shutil.copy(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("migrated_postgres")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = f"store_{uuid.uuid4().hex}"
    yield server.create_database(name, template)
    server.drop_database(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database: SQLite in a file, then PostgreSQL."""
    yield from fresh_database(request.param, request, tmp_path)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def bench_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | None]:
    """Where the store of `bench` lies: nowhere, for the one in memory."""
    if request.param == "memory":
        yield None
    else:
        yield from fresh_database(request.param, request, tmp_path)


@pytest.fixture
async def bench(bench_url: str | None) -> AsyncIterator[Bench]:
    """Each of the three stores in turn."""
    if bench_url is None:
        yield MemoryBench()
        return
    async with bench_at(bench_url) as sql_bench:
        yield sql_bench


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """PostgreSQL keeps no JSON and no moments that cannot be read: only SQLite's rows can be damaged so."""
    path = tmp_path / "digestd.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    return f"sqlite:///{path}"


def damage(bench: SqlBench, source_id: int, column: str, value: str) -> None:
    """Write `value` into a column of a source behind the store's back."""
    with bench.engine.begin() as connection:
        connection.execute(
            text(f"UPDATE sources SET {column} = :value WHERE id = :id"), {"value": value, "id": source_id}
        )
