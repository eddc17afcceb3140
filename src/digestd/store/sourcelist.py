"""PURE: what has to change so that the kept sources are those of the file. Every store follows this one
plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from digestd.model import Origin, SourceSpec, State
from digestd.store import SyncReport
from digestd.store.text import storable

# A poll that is under way when its source changes must not record on what the source is now: without its
# lease it is fenced off.
WITHOUT_LEASE: Mapping[str, Any] = {"lease_owner": None, "lease_token": None, "lease_expires_at": None}
"""The columns of a lease as they stand when nobody holds it."""

# What was learnt of the old URL says nothing of the new one.
_FORGET: Mapping[str, Any] = {
    "effective_url": None,
    "etag": None,
    "last_modified": None,
    "body_hash": None,
    "cursor": None,
    "state": "active",
    "next_fetch_at": None,
    "schedule_reason": None,
    "consecutive_failures": 0,
    "unfinished_claims": 0,
    "last_error": None,
    **WITHOUT_LEASE,
}

_NEW: Mapping[str, Any] = {
    **_FORGET,
    "origin": "file",
    "last_fetched_at": None,
    "last_success_at": None,
    "last_new_at": None,
}


@dataclass(frozen=True, slots=True)
class Kept:
    """A source as it is kept, as far as the file has a say in it."""

    id: int
    spec: SourceSpec
    origin: Origin
    state: State


@dataclass(slots=True)
class SyncPlan:
    """Rows to insert, columns to set by source id, and the report of both."""

    inserts: list[Mapping[str, Any]] = field(default_factory=list)
    updates: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    report: SyncReport = field(default_factory=SyncReport)


def plan_sync(kept: Sequence[Kept], specs: Sequence[SourceSpec]) -> SyncPlan:
    """Plan what makes the `kept` sources of origin `file` be `specs`; see `Store.sync_sources` for the
    rules."""
    wanted = {spec.name: spec for spec in map(_storable_spec, specs)}
    known = {row.spec.name: row for row in kept}
    leaving = {
        row.spec.name: row
        for row in sorted(kept, key=lambda row: row.id)
        if row.origin == "file" and row.state != "removed" and row.spec.name not in wanted
    }
    plan = SyncPlan()
    returned = [_return(plan, row, wanted[row.spec.name]) for row in kept if _returns(row, wanted)]
    changed = [
        row.spec.name
        for row in kept
        if row.state != "removed" and row.spec.name in wanted and _change(plan, row, wanted[row.spec.name])
    ]
    added, renamed = [], []
    for spec in wanted.values():
        if spec.name in known:
            continue
        old = next((row for row in leaving.values() if _same_place(row.spec, spec)), None)
        if old is None:
            plan.inserts.append({**_NEW, **columns(spec)})
            added.append(spec.name)
        else:
            del leaving[old.spec.name]
            plan.updates[old.id] = {"name": spec.name, **_difference(old, spec)}
            renamed.append((old.spec.name, spec.name))
    for row in leaving.values():
        plan.updates[row.id] = {"state": "removed", **WITHOUT_LEASE}
    plan.report = SyncReport(tuple(added), tuple(changed), tuple(renamed), tuple(leaving), tuple(returned))
    return plan


def columns(spec: SourceSpec) -> dict[str, Any]:
    """The columns that hold `spec`; its options as JSON would give them back."""
    return {
        "name": spec.name,
        "kind": spec.kind,
        "url": spec.url,
        "enabled": spec.enabled,
        "category": spec.category,
        "language": spec.language,
        "interval_seconds": spec.interval_seconds,
        "jitter_seconds": spec.jitter_seconds,
        "options": json.loads(json.dumps(dict(spec.options))),
    }


def _storable_spec(spec: SourceSpec) -> SourceSpec:
    return replace(
        spec,
        name=storable(spec.name),
        kind=storable(spec.kind),
        url=storable(spec.url),
        category=storable(spec.category),
        language=storable(spec.language),
    )


def _returns(row: Kept, wanted: Mapping[str, SourceSpec]) -> bool:
    return row.state == "removed" and row.spec.name in wanted


def _same_place(one: SourceSpec, other: SourceSpec) -> bool:
    return (one.kind, one.url) == (other.kind, other.url)


def _difference(row: Kept, spec: SourceSpec) -> dict[str, Any]:
    old = columns(row.spec)
    difference = {name: value for name, value in columns(spec).items() if value != old[name]}
    if row.origin != "file":
        difference["origin"] = "file"
    return difference if _same_place(row.spec, spec) else {**difference, **_FORGET}


def _change(plan: SyncPlan, row: Kept, spec: SourceSpec) -> bool:
    difference = _difference(row, spec)
    if difference:
        plan.updates[row.id] = difference
    return bool(difference)


def _return(plan: SyncPlan, row: Kept, spec: SourceSpec) -> str:
    plan.updates[row.id] = {"state": "active", **_difference(row, spec)}
    return spec.name
