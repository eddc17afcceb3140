from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
import trio
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, create_engine, text

import digestd.store
from digestd.errors import SchemaError
from digestd.store import ArticleQuery
from digestd.store.engine import database_url
from digestd.store.migrate import REVISIONS
from digestd.store.outage import masked
from digestd.store.schema import metadata
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import bench_at, open_at
from support.postgres import PostgresServer


def behind(url: str, work: Callable[[Connection], None]) -> None:
    with create_engine(database_url(url), poolclass=NullPool).begin() as connection:
        work(connection)


def execute(url: str, *statements: str) -> None:
    def run(connection: Connection) -> None:
        for statement in statements:
            connection.execute(text(statement))

    behind(url, run)


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that digestd has never seen."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/digestd.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


def test_the_migrations_build_what_the_tables_describe(database: str) -> None:
    def compare(connection: Connection) -> None:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": True}
        )
        assert compare_metadata(context, metadata) == []

    behind(database, compare)


def test_every_revision_of_the_history_is_known_and_in_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(digestd.store.__file__).with_name("migrations")))
    history = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(history)) == REVISIONS


async def test_an_empty_database_is_migrated_and_stays_so(empty_database: str) -> None:
    async with open_at(empty_database) as store:
        await store.sync_sources([spec()])
    async with open_at(empty_database) as store:
        assert [status.source.name for status in await store.sources()] == ["a"]


async def test_of_several_that_start_at_once_one_migrates(empty_database: str) -> None:
    opened = []

    async def start(number: int) -> None:
        async with open_at(empty_database) as store:
            opened.append(await store.sources())

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for number in range(6):
                nursery.start_soon(start, number)
    assert opened == [[]] * 6


async def test_a_newer_database_is_left_alone(database: str) -> None:
    execute(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError) as refused:
        async with open_at(database):
            pass
    assert str(refused.value) == (
        f"the database {masked(database_url(database))} is at revision '9999', and this digestd "
        f"knows only up to '{REVISIONS[-1]}': install the newer digestd that wrote it"
    )


async def test_a_schema_that_changes_while_we_run_is_told(database: str) -> None:
    named = f"the database {masked(database_url(database))}"
    remedy = "start digestd anew, and it is brought up to date"
    expected = {
        "UPDATE alembic_version SET version_num = '9999'": (
            f"{named} is at revision '9999', and this digestd knows only up to '{REVISIONS[-1]}': "
            "install the newer digestd that wrote it"
        ),
        "UPDATE alembic_version SET version_num = '0001'": (
            f"{named} is at revision '0001', and this digestd needs '{REVISIONS[-1]}': {remedy}"
        ),
        "DROP TABLE alembic_version": (
            f"{named} has a table 'article_versions' that digestd did not make: "
            "give digestd a database of its own in database.url"
        ),
    }
    async with open_at(database) as store:
        await store.check_schema()
        for statement, problem in expected.items():
            execute(database, statement)
            with pytest.raises(SchemaError) as told:
                await store.check_schema()
            assert str(told.value) == problem


async def test_a_database_of_somebody_else_is_left_alone(empty_database: str) -> None:
    execute(empty_database, "CREATE TABLE articles (a INTEGER)", "CREATE TABLE mine (a INTEGER)")
    with pytest.raises(SchemaError) as refused:
        async with open_at(empty_database):
            pass
    assert str(refused.value) == (
        f"the database {masked(database_url(empty_database))} has a table 'articles' that digestd "
        "did not make: give digestd a database of its own in database.url"
    )


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_hold_all_text_is_refused(
    postgres_server: PostgresServer, encoding: str
) -> None:
    name = f"in_{encoding.lower()}"
    making = f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
    with psycopg.connect(postgres_server.url("postgres"), autocommit=True) as connection:
        connection.execute(making)
    url = postgres_server.url(name)
    with pytest.raises(SchemaError) as refused:
        async with open_at(url):
            pass
    assert str(refused.value) == (
        f"the database {masked(database_url(url))} keeps text as {encoding}, in which most of the world's cannot be "
        "written: make it anew with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
    )


async def test_a_migration_that_fails_leaves_nothing_behind(
    empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went")

    # After both tables, before the last index.
    monkeypatch.setattr("alembic.operations.Operations.create_index", fail)
    with pytest.raises(RuntimeError, match="the power went"):
        async with open_at(empty_database):
            pass
    monkeypatch.undo()
    async with open_at(empty_database) as store:
        assert await store.sources() == []


async def test_a_store_from_before_there_were_versions_goes_on(database: str) -> None:
    async with bench_at(database) as bench:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        await bench.store.record([step(claim, entry("1"), entry("2"))])
        for title in ("Edited", "Edited again"):
            edited = entry("1", title)
            await bench.store.record([step(await taken(bench.store, source_id, force=True), edited)])
        before = bench.articles()
    # As revision 0007 had it.
    execute(
        database,
        "DROP TABLE budgets",
        "DROP TABLE article_versions",
        "DROP INDEX ix_articles_revised",
        "ALTER TABLE articles DROP COLUMN facts",
        "UPDATE alembic_version SET version_num = '0007'",
    )
    async with bench_at(database) as bench:
        assert (bench.articles(), bench.versions()) == (before, [])
        (shown,) = await bench.store.articles(ArticleQuery(revised=True))
        assert (shown.title, shown.changes, shown.facts) == ("Edited again", None, None)
        newer = entry("1", "A third time", facts={"severity": "HIGH"})
        await bench.store.record([step(await taken(bench.store, source_id, force=True), newer)])
        (version,) = await bench.store.article_versions(shown.id)
        assert (version.number, version.title, version.said_at) == (3, "Edited again", shown.updated_at)
        assert version.changes == {"title": ["Edited again", "A third time"]}


def test_a_database_that_is_up_to_date_is_opened_without_alembic(migrated_sqlite: Path) -> None:
    program = f"""
import sys, trio
from digestd.store.sql import open_store

async def main():
    url = "sqlite:///{migrated_sqlite}"
    async with open_store(url, owner="me", pool_size=1, connect_timeout_seconds=5) as store:
        await store.sources()

trio.run(main)
print("alembic" in sys.modules)
"""
    path = ":".join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"


def test_the_statements_that_are_part_of_the_interface_work(
    migrated_postgres: str, postgres_url: str
) -> None:
    trio.run(_open_and_sync, postgres_url)

    def ask(connection: Connection) -> None:
        assert connection.execute(text("SELECT name, last_fetched_at FROM sources")).all() == [("a", None)]
        counting = "SELECT count(*) FROM articles WHERE fetched_at > now() - interval '1 hour'"
        assert connection.execute(text(counting)).scalar_one() == 0

    behind(postgres_url, ask)


async def _open_and_sync(url: str) -> None:
    async with open_at(url) as store:
        await store.sync_sources([spec()])
