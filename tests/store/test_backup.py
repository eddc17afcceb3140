"""Backups hold the whole database at one moment, and come back into either kind, all or nothing."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from sqlalchemy import NullPool, create_engine, insert, select, text

from digestd.errors import BackupError, SchemaError, StoreUnavailable
from digestd.store.backup import back_up, restore
from digestd.store.engine import database_url
from digestd.store.migrate import REVISIONS
from digestd.store.outage import masked
from digestd.store.schema import metadata
from store.builders import aged, entry, polled, spec
from store.conftest import open_at
from support.postgres import PostgresServer


def untold(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody follows."""


def backed_up(url: str, file: Path) -> None:
    back_up(url, file, connect_timeout_seconds=5, progress=untold)


def restored(file: Path, url: str) -> None:
    restore(file, url, connect_timeout_seconds=5, progress=untold)


def everything(url: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    with create_engine(database_url(url), poolclass=NullPool).connect() as connection:
        return {
            table.name: [
                dict(row._mapping)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }


def execute(url: str, *statements: str) -> None:
    with create_engine(database_url(url), poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


@pytest.fixture(params=["sqlite", "postgresql"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that digestd has never seen, beside `database`."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/elsewhere/digestd.db"
    url: str = request.getfixturevalue("postgres_url")
    return url


async def fill(url: str) -> None:
    """Something in every table, in every form that a column may have."""
    async with open_at(url) as store:
        # One batch more than one, and the last article deleted, so that its id is not the highest any more.
        odd = "\u2603 \u202e \x7f \U0001f600"
        many = [entry(f"g{number}", odd * (number % 3 + 1)) for number in range(1100)]
        options = {"headers": {"A": "ü"}, "none": None, "number": 1.5}
        ids = await polled(store, a=many, b=[entry("one", content="<p>x</p>")])
        await store.add_source(spec("c", options=options, interval_seconds=0.1 + 0.2))
        newest = everything(url)["articles"][-1]["id"]
        await store.delete_articles([newest])
        await store.pause_hosts([])
    now = datetime(2026, 11, 29, 3, 15, 0, 123456, tzinfo=UTC)
    with create_engine(database_url(url), poolclass=NullPool).begin() as connection:
        for table in metadata.sorted_tables:
            if connection.execute(select(table).limit(1)).first() is None:
                row = {
                    column.name: {"INTEGER": 1, "BIGINT": ids["a"], "DOUBLE": 0.1}.get(
                        str(column.type), now if "DATE" in repr(column.type).upper() else "x"
                    )
                    for column in table.columns
                    if not (column.primary_key and table.dialect_options["sqlite"]["autoincrement"])
                }
                connection.execute(insert(table), row)


async def test_whatever_is_backed_up_is_restored_into_either_kind(
    database: str, elsewhere: str, tmp_path: Path
) -> None:
    await fill(database)
    before = everything(database)
    assert all(before.values()), "something in every table"
    told: list[tuple[str, int, int]] = []
    file = tmp_path / "digestd.backup"
    made = back_up(database, file, connect_timeout_seconds=5, progress=lambda *step: told.append(step))
    assert made.rows == {name: len(rows) for name, rows in before.items()}
    assert made.revision == REVISIONS[-1]
    assert made.size_bytes == file.stat().st_size
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir() if "backup" in each.name] == ["digestd.backup"]
    assert all(0 <= done <= total for _, done, total in told)
    assert told[-1][1] == told[-1][2]
    restored(file, elsewhere)
    assert everything(elsewhere) == before
    # What a backup holds is data of digestd's, and it goes on: no id is given out a second time.
    async with open_at(elsewhere) as store:
        await polled(store, after=[entry("after")])
    ids = [row["id"] for row in everything(elsewhere)["articles"]]
    assert max(ids) > max(row["id"] for row in before["tombstones"])


BALLAST = 250


@pytest.fixture
def writer(database: str) -> Iterator[Callable[[], int]]:
    """Somebody who writes two tables in one transaction, over and over; gives how often so far."""
    engine = create_engine(database_url(database), poolclass=NullPool)
    statements = (
        "INSERT INTO hosts (host_key, host, next_start_at) VALUES ('{n}', 'h', '2026-01-01T00:00:00.000000+00:00')",
        "UPDATE source_lists SET fingerprint = '{n}'",
    )
    execute(
        database,
        "INSERT INTO source_lists (id, fingerprint, owner, written_at) "
        "VALUES (1, '0', 'x', '2026-01-01T00:00:00.000000+00:00')",
        # Several thousand pages: more than SQLite copies at one time.
        *(statements[0].format(n=f"ballast {n}").replace("'h'", f"'{'h' * 40_000}'") for n in range(BALLAST)),
    )
    ended = threading.Event()
    written = itertools.count(1)
    done = [0]

    def write() -> None:
        while not ended.is_set():
            number = next(written)
            with engine.begin() as connection:
                for statement in statements:
                    connection.execute(text(statement.format(n=number)))
            done[0] = number

    thread = threading.Thread(target=write)
    thread.start()
    yield lambda: done[0]
    ended.set()
    thread.join()


@pytest.mark.slow
def test_a_backup_is_of_one_moment_and_ends_while_others_write(
    database: str, writer: Callable[[], int], tmp_path: Path
) -> None:
    seen = []

    def slowly(_what: str, _done: int, _total: int) -> None:
        # Between any two pieces somebody writes.
        before = writer()
        while writer() < before + 3:
            pass
        seen.append(writer())
        assert len(seen) < 200, "it begins anew whenever somebody writes"

    for number in range(3):
        file = tmp_path / f"{number}.backup"
        back_up(database, file, connect_timeout_seconds=5, progress=slowly)
        rows = everything(f"sqlite:///{file}")
        assert rows["source_lists"][0]["fingerprint"] == str(len(rows["hosts"]) - BALLAST)
    assert len(seen) > 6


def test_nothing_is_overwritten(database: str, tmp_path: Path) -> None:
    file = tmp_path / "digestd.backup"
    file.write_text("mine")
    with pytest.raises(BackupError) as refused:
        backed_up(database, file)
    assert str(refused.value) == f"{file} is there already and is not overwritten"
    assert file.read_text() == "mine"


def test_what_ends_a_backup_early_leaves_nothing(database: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()

    def interrupted(_what: str, _done: int, _total: int) -> None:
        raise SystemExit(143)

    with pytest.raises(SystemExit):
        back_up(database, folder / "digestd.backup", connect_timeout_seconds=5, progress=interrupted)
    assert list(folder.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(database: str, tmp_path: Path) -> None:
    file = tmp_path / "nowhere" / "digestd.backup"
    with pytest.raises(BackupError) as refused:
        backed_up(database, file)
    assert str(refused.value) == f"{file} cannot be written: No such file or directory"


def test_without_a_database_there_is_nothing_to_back_up(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable) as refused:
        backed_up(f"sqlite:///{tmp_path}/none.db", tmp_path / "digestd.backup")
    assert str(refused.value).startswith(f"there is no database {tmp_path}/none.db to back up; if the daemon")
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    url = f"postgresql:///digestd?host={tmp_path}"
    with pytest.raises(StoreUnavailable) as refused:
        backed_up(url, tmp_path / "digestd.backup")
    assert str(refused.value).startswith(f"the database {masked(database_url(url))} cannot be used: ")
    assert list(tmp_path.iterdir()) == []


def test_an_older_postgresql_is_backed_up_by_what_ran_on_it(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = postgres_server.create_database("older", "digestd_template")
    try:
        execute(url, "UPDATE alembic_version SET version_num = '0006'")
        with pytest.raises(BackupError) as refused:
            backed_up(url, tmp_path / "digestd.backup")
    finally:
        postgres_server.drop_database("older")
    assert str(refused.value) == (
        f"the database {masked(database_url(url))} is at revision 0006, and this digestd backs up {REVISIONS[-1]}: "
        "use the digestd that ran on it so far, or start this one once"
    )


async def test_a_backup_of_an_older_digestd_is_brought_up_to_date(
    sqlite_url: str, elsewhere: str, tmp_path: Path
) -> None:
    async with open_at(sqlite_url) as store:
        await polled(store, a=[entry("one")])
    before = everything(sqlite_url)
    execute(
        sqlite_url,
        "DROP TABLE budgets",
        f"UPDATE alembic_version SET version_num = '{REVISIONS[-2]}'",
    )
    file = tmp_path / "digestd.backup"
    backed_up(sqlite_url, file)
    content = file.read_bytes()
    restored(file, elsewhere)
    async with open_at(elsewhere):
        pass
    assert everything(elsewhere) == before
    assert file.read_bytes() == content


def test_a_newer_backup_is_refused(sqlite_url: str, elsewhere: str, tmp_path: Path) -> None:
    file = tmp_path / "digestd.backup"
    backed_up(sqlite_url, file)
    execute(f"sqlite:///{file}", "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match=r"is at revision '9999', and this digestd knows only up to"):
        restored(file, elsewhere)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file {file}"),
        (b"", "{file} is no backup: it holds no tables of digestd's"),
        (b"PGDMP" + bytes(5000), "{file} cannot be read as a backup: file is not a database"),
    ],
)
def test_what_is_no_backup_is_told(elsewhere: str, tmp_path: Path, content: bytes | None, words: str) -> None:
    file = tmp_path / "digestd.backup"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(BackupError) as refused:
        restored(file, elsewhere)
    assert str(refused.value) == words.format(file=file)


async def test_a_damaged_backup_is_told_and_nothing_restored(
    sqlite_url: str, elsewhere: str, tmp_path: Path
) -> None:
    async with open_at(sqlite_url) as store:
        await polled(store, a=[aged(hour, f"g{hour}") for hour in range(200)])
    file = tmp_path / "digestd.backup"
    backed_up(sqlite_url, file)
    with file.open("r+b") as opened:
        opened.seek(40 * 4096)
        opened.write(b"\xff" * 8 * 4096)
    with pytest.raises(BackupError, match=r"is damaged: |cannot be read as a backup: "):
        restored(file, elsewhere)


async def test_nothing_is_restored_into_a_database_that_is_used(
    database: str, sqlite_url: str, tmp_path: Path
) -> None:
    async with open_at(database) as store:
        await polled(store, a=[entry("one")])
    before = everything(database)
    file = tmp_path / "digestd.backup"
    backed_up(sqlite_url, file)
    with pytest.raises(BackupError) as refused:
        restored(file, database)
    assert everything(database) == before
    url = database_url(database)
    assert str(refused.value) == (
        f"{url.database} is there already, and a restore overwrites nothing: stop digestd and move it away"
        if url.get_backend_name() == "sqlite"
        else f"the database {masked(url)} is not empty, and a restore overwrites nothing: "
        "name an empty one in database.url"
    )


def test_the_log_of_another_database_is_not_taken_for_its_own(sqlite_url: str, tmp_path: Path) -> None:
    file = tmp_path / "digestd.backup"
    backed_up(sqlite_url, file)
    (tmp_path / "new.db-wal").write_bytes(b"")
    with pytest.raises(BackupError, match=r"new\.db-wal is there already"):
        restored(file, f"sqlite:///{tmp_path}/new.db")
    assert not (tmp_path / "new.db").exists()


async def test_a_row_that_cannot_be_copied_is_named_and_nothing_restored(
    sqlite_url: str, postgres_url: str, tmp_path: Path
) -> None:
    async with open_at(sqlite_url) as store:
        await polled(store, a=[aged(hour, f"g{hour}") for hour in range(600)])
    execute(sqlite_url, "UPDATE articles SET fetched_at = 'yesterday' WHERE id = 550")
    file = tmp_path / "digestd.backup"
    backed_up(sqlite_url, file)
    with pytest.raises(BackupError) as refused:
        restored(file, postgres_url)
    assert str(refused.value) == (
        "between rows 501 and 600 of the table articles is one that cannot be copied: "
        "Invalid isoformat string: 'yesterday'"
    )
    assert everything(postgres_url)["sources"] == []


def test_a_server_that_ends_in_the_middle_leaves_no_backup(
    own_postgres_server: PostgresServer, tmp_path: Path
) -> None:
    url = own_postgres_server.create_database("digestd")

    async def fill_it() -> None:
        async with open_at(url) as store:
            await polled(store, a=[aged(hour, f"g{hour}") for hour in range(600)])

    trio.run(fill_it)

    def killed(what: str, done: int, _total: int) -> None:
        if what == "articles" and done:
            own_postgres_server.stop("immediate")

    with pytest.raises(StoreUnavailable):
        back_up(url, tmp_path / "digestd.backup", connect_timeout_seconds=5, progress=killed)
    assert not (tmp_path / "digestd.backup").exists()
