"""The statements that find whose turn it is in the queue of extraction. Each runs in its caller's transaction.

They read one entry of the index for each of a bounded number of sources, so they cost the same however long the queue
is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    ScalarSelect,
    Select,
    Text,
    bindparam,
    literal,
    select,
    type_coerce,
)

from digestd.store.chunks import chunks
from digestd.store.pageclaims import Candidate, in_turn
from digestd.store.schema import READY, articles, sources

# One claim looks at this many sources, the next at those after them: each costs ten microseconds.
_SOURCES_LOOKED_AT = 500
# Other processes claim at the same moment, and take the same articles first.
_SPARE = 4
_LAST_ID = 2**63 - 1

_kept = articles.c
# As the database keeps it: it sorts, and need not be read.
_PUBLISHED = type_coerce(_kept.published_at, Text)
_NEWEST_FIRST = (_kept.published_at.desc(), _kept.id.desc())


@dataclass(frozen=True, slots=True)
class PageRequest:
    """What `Store.claim_pages` is asked, and behind which source it begins to look."""

    limit: int
    lease_seconds: float
    per_source: int | None = None
    source_ids: Collection[int] | None = None
    except_source_ids: frozenset[int] = frozenset()
    after: int = 0


def _next_source(after: ColumnElement[int]) -> ScalarSelect[int]:
    following = (READY, _kept.source_id > after, _kept.source_id <= bindparam("until"))
    return select(_kept.source_id).where(*following).order_by(_kept.source_id).limit(1).scalar_subquery()


def _sources_with_work() -> CTE:
    """The ids of up to `most` sources that have something ready, from behind `after` up to `until`.

    One look into the index for each, however many articles it has (wiki.postgresql.org/wiki/Loose_indexscan).
    """
    first = select(_next_source(bindparam("after")).label("source_id"), literal(1).label("number"))
    found = first.cte("with_work", recursive=True)
    going_on = (found.c.source_id.is_not(None), found.c.number < bindparam("most"))
    return found.union_all(select(_next_source(found.c.source_id), found.c.number + 1).where(*going_on))


def _newest_of(some: FromClause) -> Select[int, Any, int | None]:
    """For each source of `some` its id, and publication and id of its newest article that is ready."""

    def newest(column: ColumnElement[Any]) -> ScalarSelect[Any]:
        its = select(column).where(READY, _kept.source_id == some.c.source_id)
        return its.order_by(*_NEWEST_FIRST).limit(1).scalar_subquery()

    found = some.c.source_id.is_not(None)
    return select(some.c.source_id, newest(_PUBLISHED), newest(_kept.id)).where(found)


# Built once: building a statement costs as much as running it.
_ANY = _newest_of(_sources_with_work())
_GIVEN = _newest_of(
    select(sources.c.id.label("source_id"))
    .where(sources.c.id.in_(bindparam("source_ids", expanding=True)))
    .subquery()
)
_MORE = (
    select(_kept.source_id, _PUBLISHED, _kept.id)
    .where(READY, _kept.source_id == bindparam("its_source"))
    .order_by(*_NEWEST_FIRST)
    .limit(bindparam("most"))
)


def candidates_of(connection: Connection, request: PageRequest) -> tuple[list[Candidate], int]:
    """Find what `request` may be given, in turn, and more than that where there is more.

    Of the sources that it names, or of 500 from behind where it begins on; returned too is where the next one shall
    begin.
    """
    after = request.after
    if request.source_ids is None:
        newest, after = _newest_of_any(connection, after)
    else:
        newest = _newest_of_given(connection, sorted(request.source_ids))
    newest = [one for one in newest if one.source_id not in request.except_source_ids]
    if len(newest) < request.limit:
        # Few sources, so few statements.
        every = [{"its_source": one.source_id, "most": _SPARE * request.limit} for one in newest]
        newest = [Candidate(*row) for its in every for row in connection.execute(_MORE, its)]
    return in_turn(newest, request.per_source)[: _SPARE * request.limit], after


def _newest_of_any(connection: Connection, after: int) -> tuple[list[Candidate], int]:
    newest = _looked_at(connection, after, _LAST_ID, _SOURCES_LOOKED_AT)
    if len(newest) == _SOURCES_LOOKED_AT:
        return newest, newest[-1].source_id
    if after > 0:
        newest += _looked_at(connection, 0, after, _SOURCES_LOOKED_AT - len(newest))
    return newest, newest[-1].source_id if len(newest) == _SOURCES_LOOKED_AT else 0


def _looked_at(connection: Connection, after: int, until: int, most: int) -> list[Candidate]:
    bounds = {"after": after, "until": until, "most": most}
    return [Candidate(*row) for row in connection.execute(_ANY, bounds)]


def _newest_of_given(connection: Connection, source_ids: Sequence[int]) -> list[Candidate]:
    rows = (row for chunk in chunks(source_ids) for row in connection.execute(_GIVEN, {"source_ids": chunk}))
    return [Candidate(*row) for row in rows if row[2] is not None]
