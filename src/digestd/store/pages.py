"""The statements that claim articles for extraction and look after their queue. Each runs in its caller's
transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Row,
    bindparam,
    case,
    func,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from digestd.errors import StoreUnavailable
from digestd.store import ArticleQuery, PageClaim, PageClaims, PageQueue
from digestd.store.chunks import chunks
from digestd.store.listing import allowed_ids
from digestd.store.outage import cause
from digestd.store.pageclaims import (
    RETRIED,
    WITHOUT_LINK,
    Candidate,
    leased,
    page_claim,
    unreadable,
    when_due,
)
from digestd.store.pageturns import PageRequest, candidates_of
from digestd.store.savepoint import savepoint
from digestd.store.schema import READY, WAITING, articles, sources

# In one claim; whatever else is due follows in the next ones.
_WOKEN = 500

_kept = articles.c


# Built once: building a statement costs as much as running it.
_IDS = _kept.id.in_(bindparam("ids", expanding=True))
_CLAIMED: tuple[Column[Any], ...] = (
    _kept.id,
    _kept.source_id,
    _kept.url,
    _kept.title,
    _kept.summary,
    _kept.content,
    _kept.published_from,
    _kept.extraction_attempts,
    _kept.extraction_failures,
    _kept.extraction_unfinished,
)
_LOCK = (
    select(*_CLAIMED, sources.c.name.label("source_name"))
    .join(sources, sources.c.id == _kept.source_id)
    .where(READY, _IDS)
    .with_for_update(of=articles, skip_locked=True)
)
_COUNT_CLAIM = {
    "extraction_attempts": _kept.extraction_attempts + 1,
    "extraction_unfinished": _kept.extraction_unfinished + 1,
}
_DUE = (
    select(_kept.id, _kept.extraction_owner, _kept.extraction_unfinished)
    .where(WAITING, _kept.next_extraction_at <= bindparam("moment"))
    .order_by(_kept.next_extraction_at)
    .limit(_WOKEN)
    .with_for_update(skip_locked=True)
)
_FIRST_DUE = select(func.min(_kept.next_extraction_at)).where(WAITING)


def claim(connection: Connection, request: PageRequest, now: datetime, owner: str) -> tuple[PageClaims, int]:
    """See `Store.claim_pages`; `owner` is who leases. Returns too after which source the next claim shall begin.

    A row that cannot be read or written costs the others nothing.
    """
    refused = _wake(connection, now)
    candidates, after = candidates_of(connection, request)
    claims, unclaimable = _claim_of(
        connection, candidates, request.limit, leased(owner, now, request.lease_seconds)
    )
    if claims:
        return PageClaims(tuple(claims)), after
    # Others hold them, or they have just left the queue: either way there may be more behind them.
    due = (
        0.0
        if len(unclaimable) < len(candidates)
        else _due_in_seconds(connection, request.source_ids, refused, now)
    )
    return PageClaims((), due), after


def queue(connection: Connection, now: datetime) -> PageQueue:
    """See `Store.page_queue`."""
    oldest = func.min(_kept.fetched_at)
    is_due = case((_kept.next_extraction_at <= now, 1))
    ready, first = connection.execute(select(func.count(), oldest).where(READY)).one()
    counting = select(func.count(), func.count(is_due), oldest).where(WAITING)
    waiting, due, second = connection.execute(counting).one()
    ages = [(now - moment).total_seconds() for moment in (first, second) if moment is not None]
    return PageQueue(ready + waiting, ready + due, max(ages, default=None))


def retry(connection: Connection, query: ArticleQuery, now: datetime) -> int:
    """See `Store.retry_pages`."""
    ended = _kept.extraction.in_(["failed", "skipped"])
    leased_by_one = _kept.extraction_owner.is_not(None) & (_kept.next_extraction_at > now)
    tried = (_kept.extraction_failures > 0) | (_kept.extraction_unfinished > 0)
    waits = (_kept.extraction == "pending") & (_kept.next_extraction_at.is_not(None) | tried) & ~leased_by_one
    qualified = _kept.url.is_not(None) & (ended | waits)
    # In the order of their ids, as every transaction that locks several rows takes them.
    ids = sorted(connection.execute(allowed_ids(query, qualified)).scalars())
    put_back = update(articles).where(_IDS, qualified).values(RETRIED)
    return sum(connection.execute(put_back, {"ids": chunk}).rowcount for chunk in chunks(ids))


def free_leases(connection: Connection, is_dead: Callable[[str], bool], now: datetime) -> None:
    """End the leases of owners that `is_dead` is true of. Their claims stay counted: they never ended. Of what another
    transaction holds nothing is waited for."""
    owned = _kept.extraction_owner.is_not(None)
    owners = connection.execute(select(_kept.extraction_owner).where(owned).distinct()).scalars()
    dead = [owner for owner in owners if owner is not None and is_dead(owner)]
    if dead:
        leased = select(_kept.id).where(_kept.extraction_owner.in_(dead), _kept.next_extraction_at > now)
        ended = update(articles).where(_kept.id.in_(leased.with_for_update(skip_locked=True)))
        connection.execute(ended.values(next_extraction_at=now))


def _wake(connection: Connection, now: datetime) -> list[int]:
    """Let what waited for a moment that has come be ready, or see to it as :func:`when_due` says. Returns the ids of
    the rows that cannot be written."""
    alike: dict[tuple[tuple[str, Any], ...], list[int]] = {}
    for row in connection.execute(_DUE, {"moment": now}):
        changes = when_due(row.extraction_owner, row.extraction_unfinished, now)
        alike.setdefault(tuple(changes.items()), []).append(row.id)
    return [
        article_id for columns, ids in alike.items() for article_id in _change(connection, ids, dict(columns))
    ]


def _change(connection: Connection, ids: Sequence[int], columns: Mapping[str, Any]) -> list[int]:
    """Set `columns` of the articles `ids`; returns those that the database refuses to change."""
    try:
        with savepoint(connection):
            connection.execute(update(articles).where(_IDS).values(columns), {"ids": ids})
    except SQLAlchemyError:
        if len(ids) == 1:
            return list(ids)
        return [refused for article_id in ids for refused in _change(connection, [article_id], columns)]
    return []


def _claim_of(
    connection: Connection, candidates: Sequence[Candidate], limit: int, lease: Mapping[str, Any]
) -> tuple[list[PageClaim], list[int]]:
    """Claim up to `limit` of `candidates`. Returns the ids too of those that can neither be claimed nor failed."""
    if not candidates:
        return [], []
    try:
        with savepoint(connection):
            return _claim_first(connection, candidates, limit, lease), []
    except StoreUnavailable:
        raise
    # The border between articles: which errors a damaged row makes depends on what is wrong with it.
    except Exception as error:  # noqa: BLE001 - see above
        if len(candidates) == 1:
            reason = cause(getattr(error, "orig", None) or error)
            return [], _change(connection, [candidates[0].article_id], unreadable(reason))
    claims: list[PageClaim] = []
    unclaimable: list[int] = []
    for candidate in candidates:
        some, refused = _claim_of(connection, [candidate], limit - len(claims), lease)
        claims += some
        unclaimable += refused
    return claims, unclaimable


def _claim_first(
    connection: Connection, candidates: Sequence[Candidate], limit: int, lease: Mapping[str, Any]
) -> list[PageClaim]:
    """Claim the first `limit` of `candidates` that no other transaction holds. Those without a link are skipped."""
    rows = _lock(connection, candidates, limit)
    linked = [row for row in rows if row.url is not None]
    unlinked = [row.id for row in rows if row.url is None]
    for ids, changes in ((unlinked, WITHOUT_LINK), ([row.id for row in linked], {**_COUNT_CLAIM, **lease})):
        if ids:
            connection.execute(update(articles).where(_IDS).values(changes), {"ids": ids})
    return [page_claim(row._asdict()) for row in linked]


def _lock(connection: Connection, candidates: Sequence[Candidate], limit: int) -> list[Row[*tuple[Any, ...]]]:
    """Up to `limit` of the rows of `candidates`, the first of them that no other transaction holds."""
    locked: list[Row[*tuple[Any, ...]]] = []
    left = list(candidates)
    while left and len(locked) < limit:
        wanted = limit - len(locked)
        ids = [one.article_id for one in left[:wanted]]
        del left[:wanted]
        rows = {row.id: row for row in connection.execute(_LOCK, {"ids": ids})}
        locked += [rows[article_id] for article_id in ids if article_id in rows]
    return locked


def _due_in_seconds(
    connection: Connection, source_ids: Collection[int] | None, refused: Sequence[int], now: datetime
) -> float | None:
    """When the first article that waits is due; those `refused` never are."""
    statement = _FIRST_DUE.where(_kept.id.not_in(refused)) if refused else _FIRST_DUE
    if source_ids is None:
        moments = [connection.execute(statement).scalar_one()]
    else:
        # With + 0, so that no index of all articles is taken for it: few of them wait.
        of_given = statement.where((_kept.source_id + 0).in_(bindparam("source_ids", expanding=True)))
        parts = [{"source_ids": chunk} for chunk in chunks(sorted(source_ids))]
        moments = [connection.execute(of_given, part).scalar_one() for part in parts]
    waits = [(moment - now).total_seconds() for moment in moments if moment is not None]
    return max(0.0, min(waits)) if waits else None
