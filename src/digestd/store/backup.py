"""Backups: one SQLite file that holds a whole database, whichever kind that is, at one moment.

So a backup of PostgreSQL needs no program beside digestd, can be looked into with any SQLite, and can be restored into
SQLite; and a database moves from one kind to the other by being backed up and restored.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from sqlalchemy import URL, Connection, Engine, func, select, text
from sqlalchemy.exc import DBAPIError

from digestd.errors import BackupError, StoreUnavailable
from digestd.store.copying import Progress, copy_rows, is_empty
from digestd.store.engine import create, database_url, file_of, for_looking, give_to_owner_of_folder
from digestd.store.migrate import REVISIONS, migrate, revision
from digestd.store.outage import cause, masked
from digestd.store.patience import patient
from digestd.store.schema import metadata

_PAGES_AT_A_TIME = 1024
_SIDE_FILES = ("", "-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds: the revision of its schema, the rows of each table, and its size in bytes."""

    revision: str
    rows: Mapping[str, int]
    size_bytes: int


def back_up(url: str, file: Path, *, connect_timeout_seconds: float, progress: Progress) -> Backup:
    """Write the database at `url` (`database.url`), as it is at one moment, into the new file `file`, readable by its
    owner alone. Processes that use the database go on meanwhile. Blocks.

    `file` is there when it is whole and on the disk, and not before; whatever ends this early leaves none.
    `StoreUnavailable` and `SchemaError` when the database is not to be had or not ours; `BackupError` when `file` is
    there already, cannot be written, or what was written is damaged.
    """
    database = database_url(url)
    with _made_whole(file) as unfinished:
        if database.get_backend_name() == "sqlite":
            _back_up_sqlite(database, unfinished, progress)
        else:
            _back_up_postgres(database, unfinished, connect_timeout_seconds, progress)
        return look_into(unfinished)


def restore(file: Path, url: str, *, connect_timeout_seconds: float, progress: Progress) -> Backup:
    """Fill the database at `url` with what the backup `file` holds, all or nothing; what that is, is returned.

    The database must be empty: of SQLite there is no file yet, in PostgreSQL no table of ours has a row. A backup that
    an older digestd wrote is brought up to date on the way, `file` itself is never changed. Blocks.

    `BackupError` when `file` is none of ours or is damaged, or when the database is not empty; `SchemaError` when a
    newer digestd wrote it; `StoreUnavailable` when the database is not to be had.
    """
    database = database_url(url)
    backup = look_into(file)
    if database.get_backend_name() == "sqlite":
        _restore_sqlite(file, file_of(database), progress)
        return backup
    with _up_to_date(file, backup, progress) as current:
        _restore_postgres(current, database, connect_timeout_seconds, progress)
    return backup


def look_into(file: Path) -> Backup:
    """What the backup `file` holds. `BackupError` when it is no backup, or damaged; `SchemaError` when a newer digestd
    wrote it. Reads all of it."""
    if not file.is_file():
        raise BackupError(f"there is no file {file}")
    engine = for_looking(_sqlite_url(file), connect_timeout_seconds=1)
    try:
        with engine.connect() as connection:
            found = revision(connection)
            if found is None:
                raise BackupError(f"{file} is no backup: it holds no tables of digestd's")
            if (damage := connection.execute(text("PRAGMA quick_check(1)")).scalar_one()) != "ok":
                raise BackupError(f"{file} is damaged: {damage}")
            return Backup(found, _counts(connection), file.stat().st_size)
    except DBAPIError as error:
        raise BackupError(f"{file} cannot be read as a backup: {cause(error.orig or error)}") from error
    finally:
        engine.dispose()


def _counts(connection: Connection) -> Mapping[str, int]:
    there = set(connection.execute(text("SELECT name FROM sqlite_schema WHERE type = 'table'")).scalars())
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
        if table.name in there
    }


def _back_up_sqlite(database: URL, unfinished: Path, progress: Progress) -> None:
    path = file_of(database)
    if not path.is_file():
        raise StoreUnavailable(
            f"there is no database {path} to back up; if the daemon keeps its own elsewhere, set STATE_DIRECTORY or "
            "database.url as it has them"
        )
    _copy_pages(path, unfinished, progress)


def _copy_pages(path: Path, target: Path, progress: Progress) -> None:
    """Copy a database that others may write to meanwhile, by SQLite's own means (sqlite.org/backup.html)."""
    looking = f"file:{quote(str(path.absolute()))}?mode=ro"
    with (
        closing(sqlite3.connect(looking, uri=True, isolation_level=None)) as origin,
        closing(sqlite3.connect(target, isolation_level=None)) as copy,
    ):
        # What is read in one transaction stays as it is: without it the copy would begin anew with each write.
        origin.execute("BEGIN")
        origin.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        origin.backup(
            copy,
            pages=_PAGES_AT_A_TIME,
            progress=lambda _, remaining, total: progress("pages", total - remaining, total),
        )
        origin.execute("COMMIT")
    _without_log(target)


def _without_log(file: Path) -> None:
    """Make it one file by itself, that may be copied and read wherever it is put."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _back_up_postgres(
    database: URL, unfinished: Path, connect_timeout_seconds: float, progress: Progress
) -> None:
    file = _file_engine(unfinished)
    with _postgres(database, connect_timeout_seconds) as engine, _disposing(file):
        migrate(file)
        # All tables as they are at one moment.
        snapshot = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with snapshot.begin() as origin, file.begin() as target:
            _take_time(origin)
            _check_current(origin)
            copy_rows(origin, target, progress)
    _without_log(unfinished)


def _check_current(connection: Connection) -> None:
    found = revision(connection)
    if found is None:
        raise BackupError(f"the database {masked(connection.engine.url)} holds nothing yet")
    if found != REVISIONS[-1]:
        raise BackupError(
            f"the database {masked(connection.engine.url)} is at revision {found}, and this digestd backs up "
            f"{REVISIONS[-1]}: use the digestd that ran on it so far, or start this one once"
        )


def _restore_sqlite(file: Path, path: Path, progress: Progress) -> None:
    # The log of another database beside this one would be taken for its own.
    for each in (Path(f"{path}{ending}") for ending in _SIDE_FILES):
        if each.exists():
            raise BackupError(
                f"{each} is there already, and a restore overwrites nothing: stop digestd and move it away"
            )
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _made_whole(path) as unfinished:
        _copy_pages(file, unfinished, progress)
        give_to_owner_of_folder(unfinished)


@contextmanager
def _up_to_date(file: Path, backup: Backup, progress: Progress) -> Iterator[Path]:
    """`file`, or a copy of it whose schema is ours."""
    if backup.revision == REVISIONS[-1]:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="digestd-") as folder:
        copy = Path(folder) / "backup.db"
        _copy_pages(file, copy, progress)
        engine = _file_engine(copy)
        with _disposing(engine):
            migrate(engine)
        yield copy


def _restore_postgres(file: Path, database: URL, connect_timeout_seconds: float, progress: Progress) -> None:
    looking = for_looking(_sqlite_url(file), connect_timeout_seconds=1)
    with _postgres(database, connect_timeout_seconds) as engine, _disposing(looking):
        migrate(engine)
        with engine.begin() as target, looking.connect() as origin:
            _take_time(target)
            tables = ", ".join(table.name for table in metadata.sorted_tables)
            target.execute(text(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
            if not is_empty(target):
                raise BackupError(
                    f"the database {masked(engine.url)} is not empty, and a restore overwrites nothing: "
                    "name an empty one in database.url"
                )
            copy_rows(origin, target, progress)
        with engine.connect() as connection:
            # So that the first polls find what they look for by the right index.
            connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("ANALYZE"))


def _take_time(connection: Connection) -> None:
    patient(connection)
    connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


@contextmanager
def _postgres(url: URL, connect_timeout_seconds: float) -> Iterator[Engine]:
    """An engine for `url`; what its server refuses becomes :class:`StoreUnavailable`."""
    engine = create(url, pool_size=1, connect_timeout_seconds=connect_timeout_seconds)
    with _disposing(engine):
        try:
            yield engine
        except DBAPIError as error:
            # The other of the two databases is a file.
            if not isinstance(error.orig, psycopg.Error):
                raise
            raise StoreUnavailable(
                f"the database {masked(engine.url)} cannot be used: {cause(error.orig)}"
            ) from error


@contextmanager
def _disposing(engine: Engine) -> Iterator[None]:
    try:
        yield
    finally:
        engine.dispose()


@contextmanager
def _made_whole(file: Path) -> Iterator[Path]:
    """Where to write what shall become the new file `file`: it appears there when the block ends well, and on the
    disk; else nothing is left. `BackupError` when `file` is there already or cannot be written."""
    if file.exists():
        raise BackupError(f"{file} is there already and is not overwritten")
    unfinished = file.with_name(f".{file.name}.unfinished-{os.getpid()}")
    try:
        os.close(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            yield unfinished
            _to_disk(unfinished)
            unfinished.rename(file)
            _to_disk(file.parent)
        finally:
            for ending in _SIDE_FILES:
                Path(f"{unfinished}{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise BackupError(f"{file} cannot be written: {error.strerror or error}") from error
    except (sqlite3.Error, DBAPIError) as error:
        raise BackupError(
            f"{file} cannot be written: {cause(getattr(error, 'orig', None) or error)}"
        ) from error


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _file_engine(file: Path) -> Engine:
    return create(_sqlite_url(file), pool_size=1, connect_timeout_seconds=1)


def _sqlite_url(file: Path) -> URL:
    return URL.create("sqlite", database=str(file))
