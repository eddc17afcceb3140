"""What a command changes of sources, in one transaction of the caller's. All who share the database follow it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from digestd.model import Origin, SourceSpec
from digestd.store import moving
from digestd.store.changes import tell
from digestd.store.patience import unhurried
from digestd.store.schema import sources
from digestd.store.sourcelist import (
    Kept,
    plan_addition,
    plan_additions,
    plan_enabling,
    plan_poll,
    plan_removal,
)
from digestd.store.sources import kept_sources
from digestd.store.sync import alone, write
from digestd.store.text import storable


def add(connection: Connection, spec: SourceSpec, now: datetime) -> bool:
    """See `Store.add_source`."""
    row = _found(connection, spec.name, now)
    if row is None:
        connection.execute(insert(sources), [plan_addition(None, spec, now)])
        tell(connection)
        return True
    if row.state == "removed":
        old = Kept(row.id, SourceSpec(row.name, row.kind, row.url), row.origin, row.state)
        _change(connection, row.id, plan_addition(old, spec, now))
    return bool(row.state == "removed")


def add_all(connection: Connection, specs: Sequence[SourceSpec], now: datetime) -> list[bool]:
    """See `Store.add_sources`."""
    unhurried(connection)
    alone(connection)
    plan = plan_additions(kept_sources(connection), specs, now)
    write(connection, plan.updates)
    if plan.inserts:
        connection.execute(insert(sources), plan.inserts)
    if any(plan.added):
        tell(connection)
    return plan.added


def set_enabled(connection: Connection, name: str, enabled: bool, now: datetime) -> Origin | None:
    """See `Store.set_enabled`."""
    row = _found(connection, name, now)
    if row is None or row.state == "removed":
        return None
    _change(connection, row.id, plan_enabling(row.origin, enabled, said=row.enabled, now=now))
    if enabled and row.state == "duplicate":
        moving.want(connection, row.id, now)
    moving.part(connection, now)
    return _origin(row)


def remove(connection: Connection, name: str, now: datetime) -> Origin | None:
    """See `Store.remove_source`."""
    row = _found(connection, name, now)
    if row is None or row.state == "removed":
        return None
    if row.origin == "cli":
        _change(connection, row.id, plan_removal(now))
        moving.part(connection, now)
    return _origin(row)


def poll_now(connection: Connection, name: str, now: datetime) -> bool:
    """See `Store.poll_now`."""
    row = _found(connection, name, now)
    if row is None or row.state == "removed":
        return False
    _change(connection, row.id, plan_poll(row.unfinished_claims, now, leased=bool(row.leased)))
    return True


def _found(connection: Connection, name: str, now: datetime) -> Row[Any] | None:
    """The source called `name`, removed or not, which nobody else changes until the transaction ends."""
    alone(connection)
    # Not the whole row: one that is damaged elsewhere is to be disabled and removed like any other.
    names = ("id", "name", "kind", "url", "origin", "state", "enabled", "unfinished_claims")
    columns: list[ColumnElement[Any]] = [sources.c[column] for column in names]
    columns.append((sources.c.lease_expires_at > now).label("leased"))
    return connection.execute(select(*columns).where(sources.c.name == storable(name))).one_or_none()


def _change(connection: Connection, source_id: int, changes: Mapping[str, Any]) -> None:
    connection.execute(update(sources).where(sources.c.id == source_id).values(changes))
    tell(connection)


def _origin(row: Row[Any]) -> Origin:
    origin: Origin = row.origin
    return origin
