"""Articles, written: all at once, or one by one where the database refuses some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import Executable, bindparam, update
from sqlalchemy.exc import StatementError

from digestd.feed.identity import Assignment
from digestd.store import StepRecord, setaside, versions
from digestd.store.direct import AnyConnection
from digestd.store.entries import changed_article, follows, new_article, version_before
from digestd.store.outage import cause
from digestd.store.savepoint import savepoint
from digestd.store.schema import articles
from digestd.store.upserts import insert_into

# So many articles are updated at one time: what they said before is in memory meanwhile.
_UPDATED_AT_ONCE = 100

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Write:
    """The parameters of one row, the entry that it is written for, and the version that it replaces."""

    one: Assignment
    values: Row
    before: Row | None = None


def insert(
    connection: AnyConnection, step: StepRecord, assignments: Sequence[Assignment], now: datetime
) -> tuple[int, list[Row]]:
    """Make articles of the new ones among `assignments`; returns how many, and what to keep of those that the database
    refused."""
    # Documents begin with what is newest: from their end on, ids rise with time.
    writes = [
        _Write(one, new_article(step.source_id, one.entry_key, one.entry, now, skip_page=step.skip_pages))
        for one in reversed(assignments)
        if one.article_id is None
    ]
    return _write(connection, _inserting(connection.dialect.name), writes)


@cache
def _inserting(dialect: str) -> Executable:
    # Under the fence nobody else writes articles of this source; should it ever happen, theirs is the same
    # article.
    return insert_into(articles, dialect).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def revise(
    connection: AnyConnection, assignments: Sequence[Assignment], now: datetime
) -> tuple[int, list[Row]]:
    """Let the articles of `assignments` that are changed follow their entries, and keep what they said before; returns
    as :func:`insert` does."""
    following = {
        one.article_id: one
        for one in assignments
        if one.article_id is not None and (one.changed or one.held_back)
    }
    ids = sorted(following)
    changed, set_aside = 0, []
    for start in range(0, len(ids), _UPDATED_AT_ONCE):
        some = ids[start : start + _UPDATED_AT_ONCE]
        count, refused = _revise(connection, some, following, now)
        changed += count
        set_aside += refused
    return changed, set_aside


def _revise(
    connection: AnyConnection, ids: Sequence[int], following: Mapping[int, Assignment], now: datetime
) -> tuple[int, list[Row]]:
    by_columns: dict[frozenset[str], list[_Write]] = {}
    for article_id, row in versions.standing(connection, ids).items():
        one = following[article_id]
        if not follows(one, row):
            continue
        changes = changed_article(one.entry, now, updates=one.updates)
        values = {"row_id": article_id} | {f"new_{name}": value for name, value in changes.items()}
        before = version_before(row, one.entry, now, updates=one.updates)
        by_columns.setdefault(frozenset(changes), []).append(_Write(one, values, before))
    changed, set_aside = 0, []
    for columns, writes in by_columns.items():
        count, refused = _write(connection, _following(columns), writes)
        changed += count
        set_aside += refused
        versions.let_go(connection, {write.values["row_id"]: write.one.updates + 1 for write in writes})
    return changed, set_aside


@cache
def _following(columns: frozenset[str]) -> Executable:
    """The statement that sets `columns` of an article; built once for each of the few sets there are."""
    new_values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in sorted(columns)}
    statement = update(articles).where(articles.c.id == bindparam("row_id")).values(new_values)
    return statement.execution_options(preserve_rowcount=True)


def _write(
    connection: AnyConnection, statement: Executable, writes: Sequence[_Write]
) -> tuple[int, list[Row]]:
    """Execute `statement` for all `writes` at once and, if the database refuses that, for each by itself.

    Returns how many rows were written, and what to keep of the entries whose row was refused.
    """
    if not writes:
        return 0, []
    with suppress(StatementError), savepoint(connection):
        return _execute(connection, statement, writes), []
    written = 0
    set_aside = []
    for write in writes:
        try:
            with savepoint(connection):
                written += _execute(connection, statement, [write])
        except StatementError as error:
            reason = cause(error.orig or error)
            set_aside.append(setaside.refused_row(write.one.entry_key, write.one.entry, reason))
    return written, set_aside


def _execute(connection: AnyConnection, statement: Executable, writes: Sequence[_Write]) -> int:
    if before := [write.before for write in writes if write.before is not None]:
        connection.execute(versions.keeping(connection.dialect.name), before)
    return connection.execute(statement, [write.values for write in writes]).rowcount
