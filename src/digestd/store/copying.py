"""Rows from one database of digestd's into another, whichever of the two kinds each is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sqlalchemy import Connection, Table, func, insert, select, text
from sqlalchemy.exc import DataError, IntegrityError

from digestd.errors import BackupError
from digestd.store.outage import cause
from digestd.store.schema import metadata

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is copied (`articles`, `pages`, …), how much of it is done, and how much there is."""

BATCH_ROWS = 500
"""Rows in hand at one time: an article with its text may have a megabyte."""


def copy_rows(origin: Connection, target: Connection, progress: Progress) -> None:
    """Copy every row of every table from `origin` to `target`, whose tables are there and empty, with the ids and where
    they go on: an id that was given out and deleted is not given out again. Blocks.

    `BackupError` when a row cannot be read or written; errors of the connections escape as they are.
    """
    for table in metadata.sorted_tables:
        _copy_table(origin, target, table, progress)
        if table.dialect_options["sqlite"]["autoincrement"]:
            _go_on_from(target, table, _last_id(origin, table))


def is_empty(connection: Connection) -> bool:
    """Whether no table has a row."""
    return all(connection.execute(select(table).limit(1)).first() is None for table in metadata.sorted_tables)


def _copy_table(origin: Connection, target: Connection, table: Table, progress: Progress) -> None:
    total = origin.execute(select(func.count()).select_from(table)).scalar_one()
    progress(table.name, 0, total)
    # In the order of their keys: SQLite reads and writes such rows one behind the other.
    ordered = select(table).order_by(*table.primary_key.columns)
    done = 0
    try:
        with origin.execute(ordered, execution_options={"yield_per": BATCH_ROWS}) as rows:
            for batch in rows.mappings().partitions():
                target.execute(insert(table), [dict(row) for row in batch])
                done += len(batch)
                progress(table.name, done, total)
    # What is about the row itself; a full disk and a database that has gone away escape.
    except (DataError, IntegrityError, ValueError) as error:
        place = f"between rows {done + 1} and {min(done + BATCH_ROWS, total)} of the table {table.name}"
        raise BackupError(
            f"{place} is one that cannot be copied: {cause(getattr(error, 'orig', None) or error)}"
        ) from error


def _last_id(connection: Connection, table: Table) -> int:
    """The last id that was given out, whether its row is still there or not."""
    if connection.dialect.name == "sqlite":
        query = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
        return connection.execute(query, {"table": table.name}).scalar() or 0
    sequence = _sequence(connection, table)
    last, called = connection.execute(text(f"SELECT last_value, is_called FROM {sequence}")).one()  # noqa: S608 - ours
    return int(last) if called else 0


def _go_on_from(connection: Connection, table: Table, last: int) -> None:
    """Let the next id be the one after `last`."""
    if last == 0:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table.name})
        row = {"table": table.name, "last": last}
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"), row)
        return
    sequence = _sequence(connection, table)
    connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})


def _sequence(connection: Connection, table: Table) -> str:
    """The name of the sequence behind the ids of `table`, quoted and with its schema, in PostgreSQL."""
    query = text("SELECT pg_get_serial_sequence(:table, 'id')")
    return str(connection.execute(query, {"table": table.name}).scalar_one())
