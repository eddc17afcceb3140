from __future__ import annotations

import os
import sqlite3
import stat
import threading
from contextlib import closing
from datetime import datetime
from pathlib import Path
from unittest.mock import ANY

import psycopg
import pytest
import trio
from sqlalchemy import URL, NullPool, create_engine, insert, make_url, text
from sqlalchemy.exc import DBAPIError, StatementError

from digestd.errors import StoreUnavailable
from digestd.store import ClaimRequest, LeaseLost, Wait
from digestd.store.checking import check_store
from digestd.store.engine import create, database_url, folder_of, for_looking
from digestd.store.outage import masked, outage
from digestd.store.owner import current_owner
from digestd.store.schema import UtcDateTime, sources
from digestd.store.sql import open_store
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import open_at
from support.postgres import PostgresServer


async def refusal(url: str) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        async with open_at(url):
            pass
    return str(refused.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_say_postgresql_means_psycopg(scheme: str) -> None:
    assert database_url(f"{scheme}://u:p@host/name") == make_url("postgresql+psycopg://u:p@host/name")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
async def test_sqlite_in_memory_is_refused(url: str) -> None:
    assert await refusal(url) == (
        "database.url names SQLite in memory or by URI: name a file, like sqlite:////var/lib/digestd/digestd.db"
    )


@pytest.mark.parametrize("url", ["", "digestd.db", "postgresql://host:port/name"])
async def test_what_is_no_url_is_refused(url: str) -> None:
    assert await refusal(url) == (
        "database.url cannot be read: write it like sqlite:////var/lib/digestd/digestd.db "
        "or postgresql://user:password@host/name"
    )


async def test_another_database_is_refused() -> None:
    assert await refusal("mysql://u:p@host/name") == (
        "database.url names 'mysql': digestd keeps its data in sqlite or postgresql"
    )


def test_passwords_are_masked_wherever_they_stand() -> None:
    url = database_url(
        "postgresql://u:secret@host/name?password=secret&sslpassword=secret&host=/run&passwrod=secret&sslmode=require"
    )
    assert masked(url) == (
        "postgresql+psycopg://u:***@host/name?host=%2Frun&password=***&passwrod=***&sslmode=require&sslpassword=***"
    )


def test_only_sqlite_has_a_folder_on_this_machine(tmp_path: Path) -> None:
    assert folder_of(f"sqlite:///{tmp_path}/digestd.db") == tmp_path
    assert folder_of("postgresql://host/name") is None


class TestSqlite:
    async def test_makes_its_directory_and_file_for_the_owner_only(self, tmp_path: Path) -> None:
        path = tmp_path / "state" / "digestd.db"
        async with open_at(f"sqlite:///{path}") as store:
            await store.sync_sources([spec()])
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"digestd.db": 0o600, "digestd.db-wal": 0o600, "digestd.db-shm": 0o600}
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    async def test_leaves_the_mode_of_a_file_that_was_there(self, migrated_sqlite: Path) -> None:
        migrated_sqlite.chmod(0o640)
        async with open_at(f"sqlite:///{migrated_sqlite}"):
            pass
        assert stat.S_IMODE(migrated_sqlite.stat().st_mode) == 0o640

    def test_connections_are_set_up(self, tmp_path: Path) -> None:
        engine = create(database_url(f"sqlite:///{tmp_path}/a.db"), pool_size=9, connect_timeout_seconds=5)
        with engine.connect() as connection:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            found = [connection.execute(text(f"PRAGMA {name}")).scalar_one() for name in names]
        engine.dispose()
        assert found == ["wal", 1, 1, 5000]

    async def test_a_new_file_that_another_process_sets_up_just_now_is_waited_for(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "digestd.db"
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            # What SQLite answers with "database is locked" at once, without its busy time-out.
            other.execute("CREATE TABLE another (a)")
            other.execute("BEGIN IMMEDIATE")
            ending = threading.Timer(0.2, other.execute, ["ROLLBACK"])
            ending.start()
            async with open_at(f"sqlite:///{path}") as store:
                assert await store.sources() == []
            ending.join()

    async def test_a_file_that_is_no_database_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("not a database, but long enough to have been taken for one\n" * 20)
        assert await refusal(f"sqlite:///{path}") == (
            f"the database sqlite:///{path} cannot be opened: file is not a database; "
            "check database.url and that the database is up"
        )
        assert path.read_text().startswith("not a database")

    async def test_a_directory_that_is_a_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "state").touch()
        path = tmp_path / "state" / "digestd.db"
        assert await refusal(f"sqlite:///{path}") == (
            f"the database file {path} cannot be made: File exists; name another in database.url "
            "or make its directory writable"
        )

    @pytest.mark.skipif(not Path("/proc/sys").is_dir(), reason="no directory here that nobody can write to")
    async def test_a_directory_that_cannot_be_written_is_refused(self) -> None:
        message = await refusal("sqlite:////proc/digestd.db")
        assert message == (
            "the database file /proc/digestd.db cannot be made: No such file or directory; "
            "name another in database.url or make its directory writable"
        )

    async def test_a_directory_as_the_file_is_refused(self, tmp_path: Path) -> None:
        assert await refusal(f"sqlite:///{tmp_path}") == (
            f"the database sqlite:///{tmp_path} cannot be opened: unable to open database file; "
            "check database.url and that the database is up"
        )


class TestPostgres:
    async def test_a_server_that_is_not_there_is_refused(self, tmp_path: Path) -> None:
        message = await refusal(f"postgresql://u:secret@/name?host={tmp_path}")
        assert message.startswith("the database postgresql+psycopg://u:***@/name?host=")
        assert "No such file or directory" in message
        assert message.endswith("; check database.url and that the database is up")
        assert "secret" not in message

    async def test_a_database_that_is_not_there_is_refused(self, postgres_server: PostgresServer) -> None:
        message = await refusal(postgres_server.url("nowhere"))
        assert 'database "nowhere" does not exist' in message

    async def test_an_option_libpq_does_not_know_is_refused(self) -> None:
        message = await refusal("postgresql://u@/name?colour=red")
        assert 'invalid connection option "colour"' in message

    def test_connections_are_set_up(self, postgres_url: str) -> None:
        engine = create(database_url(postgres_url), pool_size=3, connect_timeout_seconds=0.5)
        names = "statement_timeout lock_timeout idle_in_transaction_session_timeout timezone application_name"
        with engine.connect() as connection:
            found = [connection.execute(text(f"SHOW {name}")).scalar_one() for name in names.split()]
            parameters = connection.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
        engine.dispose()
        assert found == ["6s", "4s", "6s", "UTC", "digestd"]
        assert (parameters["tcp_user_timeout"], parameters["connect_timeout"]) == ("6000", "1")

    def test_what_the_url_says_wins(self, postgres_url: str) -> None:
        url = database_url(f"{postgres_url}&application_name=mine&options=-c%20lock_timeout%3D1s")
        engine = create(url, pool_size=1, connect_timeout_seconds=5)
        with engine.connect() as connection:
            found = [
                connection.execute(text(f"SHOW {name}")).scalar_one()
                for name in ("lock_timeout", "statement_timeout", "application_name")
            ]
        engine.dispose()
        assert found == ["1s", "6s", "mine"]


def test_errors_do_not_show_the_values_of_rows(database: str) -> None:
    url = database_url(database)
    engines = (
        create(url, pool_size=1, connect_timeout_seconds=5),
        for_looking(url, connect_timeout_seconds=5),
    )
    for engine in engines:
        with engine.connect() as connection, pytest.raises(DBAPIError) as wrong:
            connection.execute(text("SELECT :value FROM nowhere"), {"value": "hunter2"})
        engine.dispose()
        assert "hunter2" not in str(wrong.value)


def test_a_look_finds_a_file_whatever_its_name(tmp_path: Path, migrated_sqlite: Path) -> None:
    path = tmp_path / "50% of #1" / "a b%20c?mode=memory&d.db"
    path.parent.mkdir()
    path.write_bytes(migrated_sqlite.read_bytes())
    engine = for_looking(URL.create("sqlite", database=str(path)), connect_timeout_seconds=5)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM sources")).scalar_one() == 0
    engine.dispose()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
async def test_what_root_makes_in_the_folder_of_a_service_belongs_to_the_service(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    os.chown(folder, 1234, 1235)
    async with open_at(f"sqlite:///{folder / 'digestd.db'}"):
        owners = {file.name: (file.stat().st_uid, file.stat().st_gid) for file in folder.iterdir()}
    assert owners == dict.fromkeys(("digestd.db", "digestd.db-wal", "digestd.db-shm"), (1234, 1235))


async def test_a_file_that_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300)
    expected = (
        f"the database file {path} cannot be looked at: File name too long; "
        "let this user into its directory or name another in database.url"
    )
    url = f"sqlite:///{path}"
    with pytest.raises(StoreUnavailable) as checked:
        check_store(url, connect_timeout_seconds=5)
    assert str(checked.value) == expected
    with pytest.raises(StoreUnavailable) as opened:
        async with open_store(url, owner="me", pool_size=1, connect_timeout_seconds=5, create_file=False):
            pass
    assert str(opened.value) == expected


async def test_opening_is_given_up_at_once(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", (int.from_bytes(b"digestd"),))
        with trio.fail_after(4):
            with trio.move_on_after(0.5) as patience:
                async with open_at(postgres_url):
                    pass
        assert patience.cancelled_caught
        # The thread that was given up ends before its connection is forgotten.
        ours = "application_name = 'digestd' AND datname = current_database()"
        other.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {ours}")
        await trio.sleep(0.2)


async def test_the_leases_of_a_dead_owner_are_freed_at_start(database: str) -> None:
    me = current_owner()
    dead = "/".join([*me.split("/")[:4], "1"])
    async with open_at(database, dead) as store:
        source_id = one(await source_ids(store, spec()))
        claim = await taken(store, source_id)
    async with open_at(database, me) as store:
        assert (await taken(store, source_id)).unfinished_claims == 1
        assert await store.record([step(claim)]) == [LeaseLost()]
    async with open_at(database, me) as store:
        answer = one(await store.claim([ClaimRequest(source_id, 60)]))
        assert answer == Wait(ANY, "leased", 2)


@pytest.mark.parametrize("table", ["sources", "articles"])
async def test_a_start_waits_for_no_row_that_another_holds(postgres_url: str, table: str) -> None:
    """It would fail when that takes long, as the change of a long list does; a lease ends by itself."""
    me = current_owner()
    dead = "/".join([*me.split("/")[:4], "1"])
    async with open_at(postgres_url, dead) as store:
        ids = await source_ids(store, spec("a"), spec("b"))
        for source_id in ids:
            claim = await taken(store, source_id)
            await store.record([step(claim, entry(f"{source_id}"))])
            await taken(store, source_id, force=True)
        await store.claim_pages(10, 60)
    owned = {"sources": "lease_expires_at", "articles": "next_extraction_at"}
    with psycopg.connect(postgres_url) as other:
        other.execute(f"SELECT id FROM {table} WHERE id = (SELECT min(id) FROM {table}) FOR UPDATE".encode())
        with trio.fail_after(2):
            async with open_at(postgres_url, me):
                pass
        held = other.execute(
            f"SELECT count(*) FROM {table} WHERE {owned[table]} > clock_timestamp()".encode()
        ).fetchone()
        assert held == (1,), "all others were freed"


def test_a_moment_without_a_zone_is_refused(database: str) -> None:
    engine = create_engine(database_url(database), poolclass=NullPool)
    with (
        engine.connect() as connection,
        pytest.raises(StatementError, match=r"the moment 2026-01-01T00:00:00 has no zone"),
    ):
        connection.execute(insert(sources).values(last_fetched_at=datetime(2026, 1, 1)))


def test_moments_in_sqlite_are_text_that_sorts() -> None:
    moment = datetime.fromisoformat("0033-01-02T03:04:05+05:00")
    dialect = create_engine("sqlite://").dialect
    assert UtcDateTime().process_bind_param(moment, dialect) == "0033-01-01T22:04:05.000000+00:00"


def test_a_fault_of_the_statement_is_no_outage(database: str) -> None:
    engine = create_engine(database_url(database), poolclass=NullPool)
    with engine.connect() as connection, pytest.raises(DBAPIError) as wrong:
        connection.execute(text("SELECT nothing FROM nowhere"))
    assert outage(wrong.value, "db") is None


def test_a_file_without_rights_is_no_surprise(tmp_path: Path) -> None:
    path = tmp_path / "digestd.db"
    sqlite3.connect(path).close()
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file")
    with pytest.raises(StoreUnavailable) as refused:
        create(database_url(f"sqlite:///{path}"), pool_size=1, connect_timeout_seconds=5)
    assert str(refused.value) == (
        f"the database file {path} cannot be made: it is there, but not to be read and written by this user; "
        "name another in database.url or make its directory writable"
    )
