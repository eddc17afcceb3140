"""The statements that write what a step brought. Each runs in its caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, and_, bindparam, select, update

from digestd.errors import StoreUnavailable
from digestd.feed.identity import assign
from digestd.store import (
    LeaseLost,
    Recorded,
    Refused,
    StepRecord,
    fetches,
    moving,
    setaside,
    tombstones,
    writing,
)
from digestd.store.chunks import chunks
from digestd.store.direct import AnyConnection
from digestd.store.entries import storable_entry
from digestd.store.outage import masked, outage
from digestd.store.savepoint import savepoint
from digestd.store.schema import articles, sources
from digestd.store.sourcelist import WITHOUT_LEASE
from digestd.store.sync import alone
from digestd.store.text import storable

_HELD = and_(
    sources.c.id == bindparam("row_id"),
    sources.c.lease_token == bindparam("token"),
    sources.c.lease_expires_at > bindparam("moment"),
)
_HOLD = select(sources.c.cursor).where(_HELD).with_for_update()
_BROUGHT = update(sources).where(sources.c.id == bindparam("row_id")).values(last_new_at=bindparam("moment"))
_SEEN = (
    update(articles)
    .where(articles.c.id.in_(bindparam("ids", expanding=True)))
    .values(last_seen_at=bindparam("moment"), left_at=None)
)


def record(
    connection: Connection, records: Sequence[StepRecord], now: datetime
) -> list[Recorded | LeaseLost | Refused]:
    """See `Store.record`. Errors that mean an outage escape, and end the whole transaction."""
    if any(map(moves, records)):
        # Before any row is locked, as whoever changes sources does it.
        alone(connection)
        moving.lock(connection, records)
    elif len(records) == 1 and not records[0].entries and not records[0].left_out:
        # Most polls bring nothing: one statement is its own savepoint, and if it fails, so may the transaction.
        return [_record_alone(connection, records[0], now)]
    answers: dict[int, Recorded | LeaseLost | Refused] = {}
    # In the order of their ids, as every transaction that locks several rows takes them: no two wait in a
    # circle.
    for index in sorted(range(len(records)), key=lambda index: records[index].source_id):
        answers[index] = _record_one(connection, records[index], now)
    return [answers[index] for index in range(len(records))]


def record_all(
    connection: AnyConnection, records: Sequence[StepRecord], now: datetime
) -> list[Recorded | LeaseLost | Refused]:
    """What :func:`record` does with steps none of which :func:`moves`, without a savepoint for anything: an error in
    one, or an entry that the database refuses, is an error of the whole transaction."""
    answers: dict[int, Recorded | LeaseLost | Refused] = {}
    for index in sorted(range(len(records)), key=lambda index: records[index].source_id):
        answers[index] = _record_fenced(connection, records[index], now)
    return [answers[index] for index in range(len(records))]


def moves(step: StepRecord) -> bool:
    """Whether `step` says where its source is from now on."""
    return step.effective_url is not None


def _record_alone(connection: Connection, step: StepRecord, now: datetime) -> Recorded | LeaseLost | Refused:
    try:
        return _record_fenced(connection, step, now)
    except Exception as error:
        # The border between steps, as in _record_one; the transaction that it may have spoilt holds nothing else.
        if (unavailable := outage(error, masked(connection.engine.url))) is not None:
            raise unavailable from error
        return Refused(error)


def _record_one(connection: Connection, step: StepRecord, now: datetime) -> Recorded | LeaseLost | Refused:
    try:
        with savepoint(connection):
            return _record_fenced(connection, step, now)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001
        # The border between steps: a bug in one is for its own task to raise, not for its neighbours.
        return Refused(error)


def _record_fenced(connection: AnyConnection, step: StepRecord, now: datetime) -> Recorded | LeaseLost:
    if step.if_all_new is not None and step.entries:
        return _record_either(connection, step, step.if_all_new, now)
    if not _write_source(connection, step, now):
        return LeaseLost()
    recorded = Recorded(0, 0)
    if step.entries or step.left_out:
        recorded = _record_entries(connection, step, now)
    fetches.keep(connection, step, recorded, now)
    return _moved(connection, step, recorded, now)


def _record_either(
    connection: AnyConnection, step: StepRecord, if_all_new: StepRecord, now: datetime
) -> Recorded | LeaseLost:
    """Write the entries of `step` first: they decide which of the two is written of the source."""
    held = {"row_id": step.source_id, "token": step.token, "moment": now}
    row = connection.execute(_HOLD, held).one_or_none()
    if row is None:
        return LeaseLost()
    recorded = _record_entries(connection, step, now)
    # The answer to this very record can be lost: offered again, it finds its own articles.
    if not if_all_new.final and row.cursor == if_all_new.next_state.cursor:
        recorded = replace(recorded, all_new=True)
    written = if_all_new if recorded.all_new else step
    _write_source(connection, written, now)
    fetches.keep(connection, written, recorded, now)
    return _moved(connection, written, recorded, now)


def _moved(connection: AnyConnection, step: StepRecord, recorded: Recorded, now: datetime) -> Recorded:
    if not moves(step):
        return recorded
    assert isinstance(connection, Connection)
    return moving.move(connection, step, recorded, now)


def _write_source(connection: AnyConnection, step: StepRecord, now: datetime) -> bool:
    changes = _changes(step, now)
    parameters = {f"new_{name}": value for name, value in changes.items()}
    held = {"row_id": step.source_id, "token": step.token, "moment": now}
    statement = _fenced(frozenset(changes), quiet=fetches.is_quiet(step))
    return connection.execute(statement, parameters | held).rowcount > 0


@cache
def _fenced(columns: frozenset[str], *, quiet: bool) -> Executable:
    """The statement that sets `columns` while the lease holds, and counts a `quiet` poll; built once for each of the
    few sets there are."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in sorted(columns)}
    if quiet:
        values["unchanged_polls"] = sources.c.unchanged_polls + 1
    return update(sources).where(_HELD).values(values)


def _changes(step: StepRecord, now: datetime) -> dict[str, Any]:
    state = step.next_state
    changes: dict[str, Any] = {
        "etag": storable(state.etag),
        "last_modified": storable(state.last_modified),
        "body_hash": storable(state.body_hash),
        "cursor": None if state.cursor is None else dict(state.cursor),
        "state": step.state,
        "consecutive_failures": step.consecutive_failures,
        "last_error": storable(step.last_error),
        "last_fetched_at": now,
    }
    if step.succeeded:
        changes["last_success_at"] = now
    if step.proves_absence:
        changes["last_whole_at"] = now
    if step.final:
        changes |= WITHOUT_LEASE
        changes["unfinished_claims"] = 0
        changes["next_fetch_at"] = now + timedelta(seconds=step.next_delay_seconds)
        changes["schedule_reason"] = storable(step.schedule_reason)
    else:
        changes["lease_expires_at"] = now + timedelta(seconds=step.lease_seconds)
    return changes


def _record_entries(connection: AnyConnection, step: StepRecord, now: datetime) -> Recorded:
    entries = [storable_entry(entry) for entry in step.entries]
    found = tombstones.known(connection, step.source_id, entries)
    every = assign(entries, [*found.stored.values()])
    deleted = [one for one in every if one.article_id in found.buried]
    assignments = [one for one in every if one.article_id not in found.buried]
    new, not_inserted = writing.insert(connection, step, assignments, now)
    changed, not_updated = writing.revise(connection, assignments, now)
    _mark_seen(connection, [one.article_id for one in assignments if one.article_id is not None], now)
    tombstones.mark_seen(connection, deleted, now)
    if step.proves_absence:
        tombstones.mark_left(connection, step.source_id, found, deleted, now)
    if new:
        connection.execute(_BROUGHT, {"row_id": step.source_id, "moment": now})
    rows = [*reversed(not_inserted), *not_updated, *(setaside.left_out_row(one) for one in step.left_out)]
    setaside.keep(connection, step.source_id, rows, {one.entry_key for one in every}, now)
    all_new = step.if_all_new is not None and new > 0 and all(one.article_id is None for one in every)
    return Recorded(new, changed, tuple(setaside.told(row) for row in rows), all_new=all_new)


def _mark_seen(connection: AnyConnection, ids: Sequence[int], now: datetime) -> None:
    for chunk in chunks(ids):
        connection.execute(_SEEN, {"ids": chunk, "moment": now})
