"""INSERT … ON CONFLICT, of which SQLAlchemy has one for each database."""

from __future__ import annotations

from typing import TypeAlias

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

Upsert: TypeAlias = postgresql.Insert | sqlite.Insert


def insert_into(table: Table, dialect: str) -> Upsert:
    """An INSERT into `table` that can say what becomes of conflicts, for the database called `dialect`: `postgresql` or
    `sqlite`."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
