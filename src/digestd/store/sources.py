"""The statements on `sources`: claiming, giving back, the list of the file. Each runs in its caller's
transaction."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, bindparam, case, func, insert, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from digestd.model import PollState, Source, SourceSpec, SourceStatus, State
from digestd.store import UNFINISHED_CLAIMS_LIMIT, Claim, ClaimRequest, Gone, Lease, SyncReport, Wait
from digestd.store.claims import PutOff, Standing, Take, decide_claim
from digestd.store.schema import articles, entries_set_aside, sources
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
_BRIEF = select(
    *(sources.c[name] for name in ("id", "name", "kind", "url", "enabled", "origin", "state"))
).order_by(sources.c.id)
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
    rows, damaged = _readable(connection)
    kept = [Kept(row.id, _spec(row), row.origin, row.state) for row in rows]
    # Of a damaged row only what is readable is compared: the file then writes what it holds of the source anew.
    kept += [Kept(row.id, SourceSpec(row.name, row.kind, row.url), row.origin, row.state) for row in damaged]
    plan = plan_sync(kept, specs)
    # In the order of their ids, as every transaction that locks several rows takes them: no two wait in a
    # circle.
    for source_id, changes in sorted(plan.updates.items()):
        connection.execute(update(sources).where(sources.c.id == source_id).values(changes))
    if plan.inserts:
        connection.execute(insert(sources), plan.inserts)
    return plan.report


def statuses(connection: Connection, now: datetime, *, count_articles: bool) -> list[SourceStatus]:
    """See `Store.sources`."""
    kept = _counts_by_source(connection, articles) if count_articles else {}
    set_aside = _counts_by_source(connection, entries_set_aside) if count_articles else {}
    rows, damaged = _readable(connection)
    found = [_status(row, kept.get(row.id, 0), set_aside.get(row.id, 0), now) for row in rows]
    found += [_damaged_status(row) for row in damaged]
    found = [status for status in found if status.state != "removed"]
    # Sorted here: databases differ in how they collate.
    return sorted(found, key=lambda one: one.source.name)


def _readable(connection: Connection) -> tuple[Sequence[Row[Any]], list[Row[Any]]]:
    """Every row of `sources` by id, and of those that cannot be read (somebody wrote no JSON into `options`, or no
    moment into a time) the columns that can."""
    every = select(sources).order_by(sources.c.id)
    try:
        return connection.execute(every).all(), []
    except SQLAlchemyError:
        raise
    # The border between rows: which errors a damaged value makes depends on where it stands.
    except Exception:  # noqa: BLE001 - see above
        return _one_by_one(connection, every)


def _one_by_one(connection: Connection, every: Select[Any]) -> tuple[list[Row[Any]], list[Row[Any]]]:
    rows, damaged = [], []
    for brief in connection.execute(_BRIEF).all():
        try:
            rows.append(connection.execute(every.where(sources.c.id == brief.id)).one())
        except SQLAlchemyError:
            raise
        except Exception:  # noqa: BLE001 - the border between rows, as above
            damaged.append(brief)
    return rows, damaged


def _damaged_status(row: Row[Any]) -> SourceStatus:
    spec = SourceSpec(row.name, row.kind, row.url, enabled=bool(row.enabled))
    error = f"its row in the table sources (id {row.id}) cannot be read: somebody changed it by hand; mend it there"
    # A row that stays as it was found: degraded, whatever it says, unless it is not polled at all.
    state: State = "removed" if row.state == "removed" else "degraded"
    return SourceStatus(
        Source(row.id, spec, row.origin), state=state, consecutive_failures=1, last_error=error
    )


def _counts_by_source(connection: Connection, table: Table) -> dict[int, int]:
    counting = select(table.c.source_id, func.count().label("number")).group_by(table.c.source_id)
    return {row.source_id: row.number for row in connection.execute(counting)}


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


def _status(row: Row[Any], article_count: int, set_aside: int, now: datetime) -> SourceStatus:
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
        entries_set_aside=set_aside,
    )
