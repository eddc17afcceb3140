"""PURE: what has to change so that the kept sources are those of the file, or as a command wants them. Every store
follows this one plan."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from digestd.model import UNFINISHED_CLAIMS_LIMIT, Origin, SourceSpec, State
from digestd.store import ClaimRequest, ListOwner, SyncReport
from digestd.store.claims import PutOff, Standing, decide_claim
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
    "unchanged_polls": 0,
    "enabled_override": None,
    "last_fetched_at": None,
    "last_success_at": None,
    "last_new_at": None,
    "last_whole_at": None,
}

_REMOVED: Mapping[str, Any] = {"state": "removed", "enabled_override": None, **WITHOUT_LEASE}

_ASKED_FOR = "asked for"


@dataclass(frozen=True, slots=True)
class Kept:
    """A source as it is kept, as far as the file has a say in it. `spec` is as it was written there, its options as
    JSON gave them back."""

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


def plan_sync(kept: Sequence[Kept], specs: Sequence[SourceSpec], now: datetime) -> SyncPlan:
    """Plan what makes the `kept` sources of origin `file` be `specs` from `now` on; see `Store.sync_sources` for the
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
    new = [spec for spec in wanted.values() if spec.name not in known]
    renamed = _renamed(leaving, new)
    for spec in new:
        if (old := renamed.get(spec.name)) is None:
            plan.inserts.append(_new(spec, "file", now))
        else:
            del leaving[old.spec.name]
            plan.updates[old.id] = {"name": spec.name, **_difference(old, spec)}
    for row in leaving.values():
        plan.updates[row.id] = _REMOVED
    plan.updates = {source_id: {**changes, "changed_at": now} for source_id, changes in plan.updates.items()}
    plan.report = SyncReport(
        added=tuple(spec.name for spec in new if spec.name not in renamed),
        changed=tuple(changed),
        renamed=tuple((old.spec.name, name) for name, old in renamed.items()),
        removed=tuple(leaving),
        returned=tuple(returned),
    )
    return plan


@dataclass(slots=True)
class AdditionPlan:
    """Rows to insert, columns to set by source id, and which of the sources are added."""

    inserts: list[Mapping[str, Any]] = field(default_factory=list)
    updates: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    added: list[bool] = field(default_factory=list)


def plan_additions(kept: Sequence[Kept], specs: Sequence[SourceSpec], now: datetime) -> AdditionPlan:
    """Plan what makes `specs` sources of origin `cli` from now on beside those that are `kept`; see `Store.add_sources`
    for the rules."""
    plan = AdditionPlan()
    removed = {row.spec.name: row for row in kept if row.state == "removed"}
    standing = [row.spec for row in kept if row.state != "removed"]
    names = {spec.name for spec in standing}
    places = {(spec.kind, spec.url) for spec in standing}
    for spec in map(_storable_spec, specs):
        is_new = spec.name not in names and (spec.kind, spec.url) not in places
        plan.added.append(is_new)
        if not is_new:
            continue
        names.add(spec.name)
        places.add((spec.kind, spec.url))
        if (old := removed.get(spec.name)) is None:
            plan.inserts.append(plan_addition(None, spec, now))
        else:
            plan.updates[old.id] = plan_addition(old, spec, now)
    return plan


def plan_addition(removed: Kept | None, spec: SourceSpec, now: datetime) -> Mapping[str, Any]:
    """Plan what makes `spec` a source of origin `cli` from `now` on: the columns of a new row, or those to set in that
    of the source `removed`, which had its name."""
    spec = _storable_spec(spec)
    if removed is None:
        return _new(spec, "cli", now)
    forgotten = {} if _same_place(removed.spec, spec) else _FORGET
    taken_up = {"origin": "cli", "state": "active", "enabled_override": None, "changed_at": now}
    return {**forgotten, **columns(spec), **taken_up}


def plan_enabling(origin: Origin, enabled: bool, *, said: bool, now: datetime) -> Mapping[str, Any]:
    """Plan what makes a source `enabled` from `now` on, of which the file, or the command that added it, `said` that it
    is."""
    if origin == "cli":
        return {"enabled": enabled, "changed_at": now}
    return {"enabled_override": None if enabled == said else enabled, "changed_at": now}


def plan_removal(now: datetime) -> Mapping[str, Any]:
    """Plan what removes a source from `now` on."""
    return {**_REMOVED, "changed_at": now}


def plan_poll(unfinished_claims: int, now: datetime, *, leased: bool) -> Mapping[str, Any]:
    """Plan what makes a source due from `now` on that has so many unfinished claims, the one in force among them if it
    is `leased`."""
    # Where a claim would put it off, it counts as put off already. So a source that kills its process is still
    # polled alone, and put off again if it does so once more.
    waiting = Standing(True, "active", None, _ASKED_FOR, unfinished_claims - leased, None)
    decision = decide_claim(waiting, ClaimRequest(0, 0), now, UNFINISHED_CLAIMS_LIMIT)
    reason = decision.after.schedule_reason if isinstance(decision, PutOff) else _ASKED_FOR
    return {"next_fetch_at": None, "schedule_reason": reason, "changed_at": now}


def replaced(standing: ListOwner | None, fingerprint: str, owner: str) -> ListOwner | None:
    """Tell whose list it is that `owner` replaces by one with this fingerprint: None if it is its own, or says the
    same."""
    if standing is None or standing.fingerprint == fingerprint or standing.owner == owner:
        return None
    return standing


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
        "options": _as_kept(spec.options),
    }


def _as_kept(options: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(json.dumps(dict(options))) if options else {}
    return kept


def _new(spec: SourceSpec, origin: Origin, now: datetime) -> Mapping[str, Any]:
    return {**_NEW, **columns(spec), "origin": origin, "changed_at": now}


def _storable_spec(spec: SourceSpec) -> SourceSpec:
    texts = (spec.name, spec.kind, spec.url, spec.category, spec.language)
    # As nearly all are.
    if all(text is None or (text.isascii() and text.isprintable()) for text in texts):
        return spec
    return replace(
        spec,
        name=storable(spec.name),
        kind=storable(spec.kind),
        url=storable(spec.url),
        category=storable(spec.category),
        language=storable(spec.language),
    )


def _renamed(leaving: Mapping[str, Kept], new: Sequence[SourceSpec]) -> dict[str, Kept]:
    """By new name the source that goes on under it: of those `leaving` the first of the same kind and URL."""
    free: dict[tuple[str, str], deque[Kept]] = defaultdict(deque)
    for row in leaving.values():
        free[row.spec.kind, row.spec.url].append(row)
    return {spec.name: free[spec.kind, spec.url].popleft() for spec in new if free[spec.kind, spec.url]}


def _returns(row: Kept, wanted: Mapping[str, SourceSpec]) -> bool:
    return row.state == "removed" and row.spec.name in wanted


def _same_place(one: SourceSpec, other: SourceSpec) -> bool:
    return (one.kind, one.url) == (other.kind, other.url)


def _difference(row: Kept, spec: SourceSpec) -> dict[str, Any]:
    if row.origin == "file" and row.spec == spec:
        return {}
    difference = {name: value for name, value in columns(spec).items() if value != getattr(row.spec, name)}
    if row.origin != "file":
        difference["origin"] = "file"
    if "enabled" in difference:
        difference["enabled_override"] = None
    return difference if _same_place(row.spec, spec) else {**difference, **_FORGET}


def _change(plan: SyncPlan, row: Kept, spec: SourceSpec) -> bool:
    difference = _difference(row, spec)
    if difference:
        plan.updates[row.id] = difference
    return bool(difference)


def _return(plan: SyncPlan, row: Kept, spec: SourceSpec) -> str:
    plan.updates[row.id] = {"state": "active", **_difference(row, spec)}
    return spec.name
