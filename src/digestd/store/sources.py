"""The statements on `sources`: claiming, giving back, listing. Each runs in its caller's transaction."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, bindparam, case, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from digestd.model import UNFINISHED_CLAIMS_LIMIT, PollState, Source, SourceSpec, SourceStatus, State
from digestd.store import Claim, ClaimRequest, Gone, Lease, Wait
from digestd.store.chunks import chunks
from digestd.store.claims import PutOff, Standing, Take, decide_claim
from digestd.store.direct import AnyConnection, Direct
from digestd.store.hosts import reserve
from digestd.store.schema import UtcDateTime, articles, entries_set_aside, sources
from digestd.store.sourcelist import WITHOUT_LEASE, Kept

# A row that another transaction holds just now is being claimed or recorded on: that takes moments.
_LOCKED = Wait(1.0, "leased")

# The statements of every poll are built once: building one costs as much as running it.
_LOCK_SOME = (
    select(sources)
    .where(sources.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(sources.c.id)
    .with_for_update(skip_locked=True)
)
# Most claims are alone: a list is expanded at each call.
_LOCK_ONE = select(sources).where(sources.c.id == bindparam("id")).with_for_update(skip_locked=True)
# The database's time comes with the rows: a question of its own would cost as much as the host's start does.
_TIME = func.clock_timestamp(type_=UtcDateTime()).label("moment")
_LOCKS = {
    "sqlite": (_LOCK_ONE, _LOCK_SOME),
    "postgresql": (_LOCK_ONE.add_columns(_TIME), _LOCK_SOME.add_columns(_TIME)),
}
# In the order in which a status is made of them; the others come last, so that what cannot be read is noticed.
_STATUS = (
    *("id", "name", "kind", "url", "category", "language", "interval_seconds", "jitter_seconds", "options"),
    *(
        "enabled",
        "enabled_override",
        "origin",
        "effective_url",
        "state",
        "last_fetched_at",
        "last_success_at",
    ),
    *("last_new_at", "next_fetch_at", "schedule_reason", "consecutive_failures", "unfinished_claims"),
    *("last_error", "unchanged_polls"),
)
_LISTED = select(
    *(sources.c[name] for name in _STATUS), *(one for one in sources.c if one.name not in _STATUS)
).order_by(sources.c.id)
# What a list of sources is compared with: without the moments and cursors, which take longest to read.
_SAID = select(
    *(
        sources.c[name]
        for name in (
            *("id", "name", "kind", "url", "enabled", "category", "language", "interval_seconds"),
            *("jitter_seconds", "options", "origin", "state"),
        )
    )
).order_by(sources.c.id)
_BRIEF = select(
    *(
        sources.c[name]
        for name in ("id", "name", "kind", "url", "enabled", "enabled_override", "origin", "state")
    )
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
_UNUSED = (
    update(sources)
    .where(sources.c.id == bindparam("row_id"))
    .values(
        unfinished_claims=case((sources.c.unfinished_claims > 0, sources.c.unfinished_claims - 1), else_=0),
        **WITHOUT_LEASE,
    )
)
_RELEASE = _UNUSED.where(sources.c.lease_token == bindparam("token"))
_RELEASE_OWN = _UNUSED.where(sources.c.lease_owner == bindparam("owner"))


def claim(
    connection: AnyConnection, requests: Sequence[ClaimRequest], owner: str
) -> list[Claim | Wait | Gone]:
    """See `Store.claim`; `owner` is who leases."""
    ids = {request.source_id for request in requests}
    rows, now = _locked(connection, ids)
    skipped = _existing(connection, ids - rows.keys())
    decisions = [*_decided(rows, skipped, requests, now)]
    starts = [
        request.host if isinstance(decision, Take) else None
        for request, decision in zip(requests, decisions, strict=True)
    ]
    waits = reserve(connection, starts, now)
    answers: list[Claim | Wait | Gone] = []
    writes: list[Mapping[str, Any]] = []
    for request, decision, wait in zip(requests, decisions, waits, strict=True):
        if isinstance(decision, Wait | Gone):
            answers.append(decision)
            continue
        row = rows[request.source_id]
        if wait is not None:
            answers.append(replace(wait, unfinished_claims=row.unfinished_claims))
        elif isinstance(decision, Take):
            token = secrets.token_hex(16)
            writes.append(_claimed(row, decision.after, row.last_error, owner, token))
            answers.append(Claim(_source(row), _poll_state(row), token, *_counts(row)))
        else:
            writes.append(_claimed(row, decision.after, decision.last_error, None, None))
            answers.append(decision.wait)
    if writes:
        connection.execute(_WRITE_CLAIM, writes)
    return answers


def _locked(connection: AnyConnection, ids: Collection[int]) -> tuple[dict[int, Row[Any]], datetime]:
    """The rows of `ids` that no other transaction holds, and the database's time; SQLite has the machine's."""
    one, some = _LOCKS[connection.dialect.name]
    if len(ids) == 1:
        found = connection.execute(one, {"id": next(iter(ids))}).all()
    elif isinstance(connection, Direct):
        # A question costs it less than putting a list into one.
        found = [row for one_id in sorted(ids) for row in connection.execute(one, {"id": one_id}).all()]
    else:
        found = connection.execute(some, {"ids": sorted(ids)}).all()
    # Without any row nothing is compared with the time.
    clock = found and connection.dialect.name == "postgresql"
    return {row.id: row for row in found}, found[0].moment if clock else datetime.now(UTC)


def _decided(
    rows: Mapping[int, Row[Any]], skipped: set[int], requests: Sequence[ClaimRequest], now: datetime
) -> Iterator[Take | PutOff | Wait | Gone]:
    standings = {source_id: _standing(row) for source_id, row in rows.items()}
    for request in requests:
        standing = standings.get(request.source_id)
        if standing is None:
            yield _LOCKED if request.source_id in skipped else Gone("unknown")
            continue
        decision = decide_claim(standing, request, now, UNFINISHED_CLAIMS_LIMIT)
        if isinstance(decision, Take | PutOff):
            # The same source may be asked for twice in one call.
            standings[request.source_id] = decision.after
        yield decision


def release(connection: Connection, leases: Sequence[Lease], owner: str) -> None:
    """See `Store.release`; `owner` is whose leases without a known token are."""
    ordered = sorted(leases, key=lambda lease: lease.source_id)
    if known := [{"row_id": one.source_id, "token": one.token} for one in ordered if one.token is not None]:
        connection.execute(_RELEASE, known)
    if unknown := [{"row_id": one.source_id, "owner": owner} for one in ordered if one.token is None]:
        connection.execute(_RELEASE_OWN, unknown)


def free_leases(connection: Connection, is_dead: Callable[[str], bool]) -> None:
    """Free the leases of owners that `is_dead` is true of. Their claims stay counted: they never ended.

    Of what another transaction holds nothing is waited for: a start must not fail for it, and a lease ends by itself.
    """
    owners = connection.execute(select(sources.c.lease_owner).distinct()).scalars()
    dead = [owner for owner in owners if owner is not None and is_dead(owner)]
    if dead:
        theirs = select(sources.c.id).where(sources.c.lease_owner.in_(dead)).with_for_update(skip_locked=True)
        connection.execute(update(sources).where(sources.c.id.in_(theirs)).values(WITHOUT_LEASE))


def kept_sources(connection: Connection) -> list[Kept]:
    """Every source, removed ones too, as the file knows it."""
    rows, damaged = _readable(connection, _SAID)
    kept = [
        Kept(row_id, SourceSpec(*spec), origin, state) for row_id, *spec, origin, state in map(tuple, rows)
    ]
    # Of a damaged row only what is readable is compared: the file then writes what it holds of the source anew.
    kept += [Kept(row.id, SourceSpec(row.name, row.kind, row.url), row.origin, row.state) for row in damaged]
    return kept


def statuses(
    connection: Connection, now: datetime, *, count_articles: bool, name: str | None = None
) -> list[SourceStatus]:
    """See `Store.sources`."""
    kept = _counts_by_source(connection, articles, name) if count_articles else {}
    set_aside = _counts_by_source(connection, entries_set_aside, name) if count_articles else {}
    rows, damaged = _readable(connection, _LISTED, *([] if name is None else [sources.c.name == name]))
    found = [_status(row, kept.get(row.id, 0), set_aside.get(row.id, 0), now) for row in rows]
    found += [_damaged_status(row) for row in damaged]
    return _by_name(status for status in found if status.state != "removed")


def statuses_of(connection: Connection, ids: Sequence[int], now: datetime) -> list[SourceStatus]:
    """The sources `ids` by name, removed ones too, with their state; nothing is counted."""
    found: list[SourceStatus] = []
    for some in chunks(ids):
        rows, damaged = _readable(connection, _LISTED, sources.c.id.in_(some))
        found += [_status(row, 0, 0, now) for row in rows]
        found += [_damaged_status(row) for row in damaged]
    return _by_name(found)


def _by_name(found: Iterable[SourceStatus]) -> list[SourceStatus]:
    # Sorted here: databases differ in how they collate.
    return sorted(found, key=lambda one: one.source.name)


def _readable(
    connection: Connection, what: Select[Any], *which: ColumnElement[bool]
) -> tuple[Sequence[Row[Any]], list[Row[Any]]]:
    """`what` of the rows of `sources`, by id, that `which` is true of, and of those where it cannot be read (somebody
    wrote no JSON into `options`, or no moment into a time) the columns that can."""
    try:
        return connection.execute(what.where(*which)).all(), []
    except SQLAlchemyError:
        raise
    # The border between rows: which errors a damaged value makes depends on where it stands.
    except Exception:  # noqa: BLE001 - see above
        return _one_by_one(connection, what, _BRIEF.where(*which))


def _one_by_one(
    connection: Connection, what: Select[Any], brief: Select[Any]
) -> tuple[list[Row[Any]], list[Row[Any]]]:
    rows, damaged = [], []
    for row in connection.execute(brief).all():
        try:
            rows.append(connection.execute(what.where(sources.c.id == row.id)).one())
        except SQLAlchemyError:
            raise
        except Exception:  # noqa: BLE001 - the border between rows, as above
            damaged.append(row)
    return rows, damaged


def _damaged_status(row: Row[Any]) -> SourceStatus:
    spec = SourceSpec(row.name, row.kind, row.url, enabled=_enabled(row))
    error = f"its row in the table sources (id {row.id}) cannot be read: somebody changed it by hand; mend it there"
    # A row that stays as it was found: degraded, whatever it says, unless it is not polled at all.
    state: State = "removed" if row.state == "removed" else "degraded"
    return SourceStatus(
        Source(row.id, spec, row.origin),
        state=state,
        consecutive_failures=1,
        last_error=error,
        overridden=row.enabled_override is not None,
    )


def _counts_by_source(connection: Connection, table: Table, name: str | None) -> dict[int, int]:
    counting = select(table.c.source_id, func.count().label("number")).group_by(table.c.source_id)
    if name is not None:
        named = select(sources.c.id).where(sources.c.name == name).scalar_subquery()
        counting = counting.where(table.c.source_id == named)
    return {row.source_id: row.number for row in connection.execute(counting)}


def _existing(connection: AnyConnection, ids: set[int]) -> set[int]:
    if not ids or isinstance(connection, Direct):
        # In SQLite nobody locks a row: what was not found is not there.
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
        enabled=_enabled(row),
        state=row.state,
        next_fetch_at=row.next_fetch_at,
        schedule_reason=row.schedule_reason,
        unfinished_claims=row.unfinished_claims,
        lease_expires_at=row.lease_expires_at,
        last_fetched_at=row.last_fetched_at,
    )


def _counts(row: Row[Any]) -> tuple[int, int]:
    return row.consecutive_failures, row.unfinished_claims


def _poll_state(row: Row[Any]) -> PollState:
    return PollState(row.etag, row.last_modified, row.body_hash, row.cursor)


def _source(row: Row[Any]) -> Source:
    return Source(row.id, _spec(row, enabled=_enabled(row)), row.origin, row.effective_url)


def _enabled(row: Row[Any]) -> bool:
    """What a command said goes over what the file says."""
    return bool(row.enabled if row.enabled_override is None else row.enabled_override)


def _spec(row: Row[Any], *, enabled: bool) -> SourceSpec:
    return SourceSpec(
        name=row.name,
        kind=row.kind,
        url=row.url,
        enabled=enabled,
        category=row.category,
        language=row.language,
        interval_seconds=row.interval_seconds,
        jitter_seconds=row.jitter_seconds,
        options=row.options,
    )


def _status(row: Row[Any], article_count: int, set_aside: int, now: datetime) -> SourceStatus:
    # By place, as _LISTED has them: by name a list of 100,000 takes a second longer.
    source_id, name, kind, url, category, language, interval, jitter, options, *rest = tuple(row)
    enabled, override, origin, effective_url, state, fetched, success, new, due, *rest = rest
    reason, failures, unfinished, error, unchanged, *_ = rest
    enabled = bool(enabled if override is None else override)
    spec = SourceSpec(name, kind, url, enabled, category, language, interval, jitter, options)
    return SourceStatus(
        Source(source_id, spec, origin, effective_url),
        state=state,
        last_fetched_at=fetched,
        last_success_at=success,
        last_new_at=new,
        next_fetch_at=due,
        due_in_seconds=None if due is None else (due - now).total_seconds(),
        schedule_reason=reason,
        consecutive_failures=failures,
        unfinished_claims=unfinished,
        last_error=error,
        articles=article_count,
        entries_set_aside=set_aside,
        overridden=override is not None,
        unchanged_polls=unchanged,
    )
