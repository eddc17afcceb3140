"""The store in memory: what commands change of sources, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from digestd.model import Origin, SourceSpec, SourceStatus
from digestd.store import Changes, ListOwner
from digestd.store.sourcelist import Kept, columns, plan_addition, plan_enabling, plan_poll, plan_removal
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

    def set_enabled(self, name: str, enabled: bool) -> Origin | None:
        """See `Store.set_enabled`."""
        row = self._standing(name)
        if row is None:
            return None
        origin: Origin = row["origin"]
        row.update(plan_enabling(origin, enabled, said=row["enabled"], now=self._now()))
        return origin

    def remove(self, name: str) -> Origin | None:
        """See `Store.remove_source`."""
        row = self._standing(name)
        if row is None:
            return None
        origin: Origin = row["origin"]
        if origin == "cli":
            row.update(plan_removal(self._now()))
        return origin

    def poll_now(self, name: str) -> bool:
        """See `Store.poll_now`."""
        row = self._standing(name)
        if row is not None:
            now = self._now()
            leased = row["lease_expires_at"] is not None and row["lease_expires_at"] > now
            row.update(plan_poll(row["unfinished_claims"], now, leased=leased))
        return row is not None

    def changed(
        self,
        since: datetime | None,
        told: Collection[tuple[int, object]],
        status_of: Callable[[Mapping[str, Any]], SourceStatus],
    ) -> Changes:
        """See `Store.changed_sources`."""
        found: frozenset[tuple[int, object]] = frozenset()
        if since is not None:
            overlapping = since - timedelta(seconds=60)
            pairs = ((row["id"], row["changed_at"]) for row in self._rows.values())
            found = frozenset((row_id, moment) for row_id, moment in pairs if moment > overlapping)
        statuses = [status_of(self._rows[row_id]) for row_id, _ in found.difference(told)]
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


def written_spec(row: Mapping[str, Any]) -> SourceSpec:
    """What the file, or the command that added it, says of a source."""
    return SourceSpec(**{name: row[name] for name in columns(SourceSpec("", "", ""))})


def effective_spec(row: Mapping[str, Any]) -> SourceSpec:
    """The same, with the last word that a command has on whether it is enabled."""
    override = row["enabled_override"]
    return written_spec(row) if override is None else replace(written_spec(row), enabled=override)
