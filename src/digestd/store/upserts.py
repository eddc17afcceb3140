"""INSERT … ON CONFLICT, of which SQLAlchemy has one for each database."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from sqlalchemy import Table
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

Upsert: TypeAlias = "postgresql.Insert | sqlite.Insert"


def insert_into(table: Table, dialect: str) -> Upsert:
    """An INSERT into `table` that can say what becomes of conflicts, for the database called `dialect`: `postgresql` or
    `sqlite`."""
    if dialect != "postgresql":
        return sqlite.insert(table)
    # Not with the module: 0.02 s at every start that SQLite has no use for.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)
