"""The statements on `sources`: claiming, giving back, the list of the file. Each runs in its caller's
transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, case, func, insert, select, text, update

from digestd.model import PollState, Source, SourceSpec, SourceStatus
from digestd.store import UNFINISHED_CLAIMS_LIMIT, Claim, ClaimRequest, Gone, Lease, SyncReport, Wait
from digestd.store.claims import PutOff, Standing, Take, decide_claim
from digestd.store.schema import articles, sources
from digestd.store.sourcelist import WITHOUT_LEASE, Kept, plan_sync

# A row that another transaction holds just now is being claimed or recorded on: that takes moments.
_LOCKED = Wait(1.0, "leased")
_SYNC_LOCK_KEY = int.from_bytes(b"digestd") + 1

# The statements of every poll are built once: building one costs as much as running it.
_LOCK = (
    select(sources)
    .where(sources.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(sources.c.id)
    .with_for_update(skip_locked=True)
)
_WRITE_CLAIM = (
    update(sources)
    .where(sources.c.id == bindparam("row_id"))
    .values(
        {
            name: bindparam(f"new_{name}")
            for name in (
                "state",
                "next_fetch_at",
                "schedule_reason",
                "unfinished_claims",
                "last_error",
                "lease_owner",
                "lease_token",
                "lease_expires_at",
            )
        }
    )
)
_RELEASE = (
    update(sources)
    .where(sources.c.id == bindparam("row_id"), sources.c.lease_token == bindparam("token"))
    .values(
        unfinished_claims=case((sources.c.unfinished_claims > 0, sources.c.unfinished_claims - 1), else_=0),
        **WITHOUT_LEASE,
    )
)


def claim(
    connection: Connection, requests: Sequence[ClaimRequest], now: datetime, owner: str
) -> list[Claim | Wait | Gone]:
    """See `Store.claim`; `owner` is who leases."""
    ids = {request.source_id for request in requests}
    rows = {row.id: row for row in connection.execute(_LOCK, {"ids": sorted(ids)})}
    skipped = _existing(connection, ids - rows.keys())
    standings = {source_id: _standing(row) for source_id, row in rows.items()}
    answers: list[Claim | Wait | Gone] = []
    writes: list[Mapping[str, Any]] = []
    for request in requests:
        row = rows.get(request.source_id)
        if row is None:
            answers.append(_LOCKED if request.source_id in skipped else Gone("unknown"))
            continue
        decision = decide_claim(standings[row.id], request, now, UNFINISHED_CLAIMS_LIMIT)
        if isinstance(decision, Take):
            token = uuid.uuid4().hex
            writes.append(_claimed(row, decision.after, row.last_error, owner, token))
            answers.append(Claim(_source(row), _poll_state(row), token, *_counts(row)))
        elif isinstance(decision, PutOff):
            writes.append(_claimed(row, decision.after, decision.last_error, None, None))
            answers.append(decision.wait)
        else:
            answers.append(decision)
            continue
        # The same source may be asked for twice in one call.
        standings[row.id] = decision.after
    if writes:
        connection.execute(_WRITE_CLAIM, writes)
    return answers


def release(connection: Connection, leases: Sequence[Lease]) -> None:
    """See `Store.release`."""
    ordered = sorted(leases, key=lambda lease: lease.source_id)
    if ordered:
        connection.execute(_RELEASE, [{"row_id": lease.source_id, "token": lease.token} for lease in ordered])


def free_leases(connection: Connection, is_dead: Callable[[str], bool]) -> None:
    """Free the leases of owners that `is_dead` is true of. Their claims stay counted: they never ended."""
    owners = connection.execute(select(sources.c.lease_owner).distinct()).scalars()
    dead = [owner for owner in owners if owner is not None and is_dead(owner)]
    if dead:
        connection.execute(update(sources).where(sources.c.lease_owner.in_(dead)).values(WITHOUT_LEASE))


def sync(connection: Connection, specs: Sequence[SourceSpec]) -> SyncReport:
    """See `Store.sync_sources`."""
    if connection.dialect.name == "postgresql":
        # Two processes that start at once would both insert what neither saw. SQLite has one writer anyway.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SYNC_LOCK_KEY})
    rows = connection.execute(select(sources).order_by(sources.c.id)).all()
    plan = plan_sync([Kept(row.id, _spec(row), row.origin, row.state) for row in rows], specs)
    # In the order of their ids, as every transaction that locks several rows takes them: no two wait in a
    # circle.
    for source_id, changes in sorted(plan.updates.items()):
        connection.execute(update(sources).where(sources.c.id == source_id).values(changes))
    if plan.inserts:
        connection.execute(insert(sources), plan.inserts)
    return plan.report


def statuses(connection: Connection, now: datetime, *, count_articles: bool) -> list[SourceStatus]:
    """See `Store.sources`."""
    counts: dict[int, int] = {}
    if count_articles:
        counting = select(articles.c.source_id, func.count().label("articles")).group_by(articles.c.source_id)
        counts = {row.source_id: row.articles for row in connection.execute(counting)}
    rows = connection.execute(select(sources).where(sources.c.state != "removed"))
    found = [_status(row, counts.get(row.id, 0), now) for row in rows]
    # Sorted here: databases differ in how they collate.
    return sorted(found, key=lambda one: one.source.name)


def _existing(connection: Connection, ids: set[int]) -> set[int]:
    if not ids:
        return set()
    return set(connection.execute(select(sources.c.id).where(sources.c.id.in_(sorted(ids)))).scalars())


def _claimed(
    row: Row[Any], after: Standing, last_error: str | None, owner: str | None, token: str | None
) -> Mapping[str, Any]:
    return {
        "row_id": row.id,
        "new_state": after.state,
        "new_next_fetch_at": after.next_fetch_at,
        "new_schedule_reason": after.schedule_reason,
        "new_unfinished_claims": after.unfinished_claims,
        "new_last_error": last_error,
        "new_lease_owner": owner,
        "new_lease_token": token,
        "new_lease_expires_at": after.lease_expires_at,
    }


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        enabled=row.enabled,
        state=row.state,
        next_fetch_at=row.next_fetch_at,
        schedule_reason=row.schedule_reason,
        unfinished_claims=row.unfinished_claims,
        lease_expires_at=row.lease_expires_at,
    )


def _counts(row: Row[Any]) -> tuple[int, int]:
    return row.consecutive_failures, row.unfinished_claims


def _poll_state(row: Row[Any]) -> PollState:
    return PollState(row.etag, row.last_modified, row.body_hash, row.cursor)


def _source(row: Row[Any]) -> Source:
    return Source(row.id, _spec(row), row.origin, row.effective_url)


def _spec(row: Row[Any]) -> SourceSpec:
    return SourceSpec(
        name=row.name,
        kind=row.kind,
        url=row.url,
        enabled=row.enabled,
        category=row.category,
        language=row.language,
        interval_seconds=row.interval_seconds,
        jitter_seconds=row.jitter_seconds,
        options=row.options,
    )


def _status(row: Row[Any], article_count: int, now: datetime) -> SourceStatus:
    due = None if row.next_fetch_at is None else (row.next_fetch_at - now).total_seconds()
    return SourceStatus(
        source=_source(row),
        state=row.state,
        last_fetched_at=row.last_fetched_at,
        last_success_at=row.last_success_at,
        last_new_at=row.last_new_at,
        next_fetch_at=row.next_fetch_at,
        due_in_seconds=due,
        schedule_reason=row.schedule_reason,
        consecutive_failures=row.consecutive_failures,
        unfinished_claims=row.unfinished_claims,
        last_error=row.last_error,
        articles=article_count,
    )
