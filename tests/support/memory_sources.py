"""The store in memory: what commands change of sources, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

from digestd.model import Origin, SourceSpec, SourceStatus
from digestd.store import Changes, ListOwner, Recorded, StepRecord
from digestd.store.duplicates import Candidate, leads_to, plan_move, plan_parting, plan_wanting
from digestd.store.sourcelist import (
    Kept,
    columns,
    plan_addition,
    plan_additions,
    plan_enabling,
    plan_poll,
    plan_removal,
)
from digestd.store.text import storable


class MemorySources:
    """Works on the `rows` of sources of a :class:`support.memory_store.MemoryStore`; `ids` gives those of new ones."""

    def __init__(
        self, rows: dict[int, dict[str, Any]], now: Callable[[], datetime], ids: Iterator[int]
    ) -> None:
        self.list_owner: ListOwner | None = None
        self._rows = rows
        self._now = now
        self._ids = ids

    def kept(self) -> list[Kept]:
        """Every source as the file knows it."""
        return [self._kept(row) for row in self._rows.values()]

    def add(self, spec: SourceSpec) -> bool:
        """See `Store.add_source`."""
        row = self._found(spec.name)
        if row is None:
            source_id = next(self._ids)
            self._rows[source_id] = {**plan_addition(None, spec, self._now()), "id": source_id}
        elif row["state"] != "removed":
            return False
        else:
            row.update(plan_addition(self._kept(row), spec, self._now()))
        return True

    def add_all(self, specs: Sequence[SourceSpec]) -> list[bool]:
        """See `Store.add_sources`."""
        plan = plan_additions(self.kept(), specs, self._now())
        self._write(plan.updates)
        for values in plan.inserts:
            source_id = next(self._ids)
            self._rows[source_id] = {**values, "id": source_id}
        return plan.added

    def set_enabled(self, name: str, enabled: bool) -> Origin | None:
        """See `Store.set_enabled`."""
        row = self._standing(name)
        if row is None:
            return None
        origin: Origin = row["origin"]
        row.update(plan_enabling(origin, enabled, said=row["enabled"], now=self._now()))
        if enabled and row["state"] == "duplicate":
            row.update(plan_wanting(_candidate(row), self._now()))
        self.part()
        return origin

    def remove(self, name: str) -> Origin | None:
        """See `Store.remove_source`."""
        row = self._standing(name)
        if row is None:
            return None
        origin: Origin = row["origin"]
        if origin == "cli":
            row.update(plan_removal(self._now()))
            self.part()
        return origin

    def poll_now(self, name: str) -> bool:
        """See `Store.poll_now`."""
        row = self._standing(name)
        if row is not None:
            now = self._now()
            leased = row["lease_expires_at"] is not None and row["lease_expires_at"] > now
            row.update(plan_poll(row["unfinished_claims"], now, leased=leased))
        return row is not None

    def move(self, step: StepRecord, recorded: Recorded) -> Recorded:
        """Do what `step` says of where its source is; `recorded` with what came of it."""
        target, row = step.effective_url, self._rows[step.source_id]
        if target is None:
            return recorded
        if not target:
            moved = row["effective_url"] is not None
            if moved:
                row.update(effective_url=None, changed_at=self._now())
            self.part(apart_from=step.source_id)
            return replace(recorded, moved=moved)
        every = self._candidates()
        others = [
            one
            for one in every.values()
            if one.id != step.source_id and leads_to(one.url, one.effective_url, target)
        ]
        plan = plan_move(_candidate(row), target, others, every, self._now())
        self._write(plan.updates)
        return replace(recorded, moved=plan.moved, duplicates=tuple(plan.duplicates))

    def part(self, *, apart_from: int | None = None) -> None:
        """Let the duplicates be polled again whose reason has gone."""
        every = self._candidates()
        duplicates = [one for one in every.values() if one.state == "duplicate"]
        self._write(plan_parting(duplicates, every, self._now(), apart_from=apart_from))

    def _candidates(self) -> dict[int, Candidate]:
        return {one.id: one for one in map(_candidate, self._rows.values())}

    def _write(self, updates: Mapping[int, Mapping[str, Any]]) -> None:
        for source_id, values in updates.items():
            self._rows[source_id].update(values)

    def changed(
        self,
        since: datetime | None,
        told: Collection[tuple[int, object]],
        status_of: Callable[[Mapping[str, Any]], SourceStatus],
    ) -> Changes:
        """See `Store.changed_sources`."""
        overlapping = (self._now() if since is None else since) - timedelta(seconds=60)
        pairs = ((row["id"], row["changed_at"]) for row in self._rows.values())
        found = frozenset((row_id, moment) for row_id, moment in pairs if moment > overlapping)
        untold = frozenset() if since is None else found.difference(told)
        statuses = [status_of(self._rows[row_id]) for row_id, _ in untold]
        owner = self.list_owner
        return Changes(
            statuses=tuple(sorted(statuses, key=lambda one: one.source.name)),
            latest=self._now(),
            list_fingerprint=owner.fingerprint if owner else None,
            list_owner=owner.owner if owner else None,
            list_written_at=owner.written_at if owner else None,
            told=found,
        )

    def _found(self, name: str) -> dict[str, Any] | None:
        return next((row for row in self._rows.values() if row["name"] == storable(name)), None)

    def _standing(self, name: str) -> dict[str, Any] | None:
        row = self._found(name)
        return None if row is None or row["state"] == "removed" else row

    def _kept(self, row: Mapping[str, Any]) -> Kept:
        return Kept(row["id"], written_spec(row), row["origin"], row["state"])


def _candidate(row: Mapping[str, Any]) -> Candidate:
    return Candidate(**{field.name: row[field.name] for field in fields(Candidate)})


def written_spec(row: Mapping[str, Any]) -> SourceSpec:
    """What the file, or the command that added it, says of a source."""
    return SourceSpec(**{name: row[name] for name in columns(SourceSpec("", "", ""))})


def effective_spec(row: Mapping[str, Any]) -> SourceSpec:
    """The same, with the last word that a command has on whether it is enabled."""
    override = row["enabled_override"]
    return written_spec(row) if override is None else replace(written_spec(row), enabled=override)
