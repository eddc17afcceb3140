"""PURE: what becomes of sources of which one leads to where another one is. Every store follows these plans.

Of two the younger is paused, as a `duplicate`, and its cursor says of whom; the older stays as it is. Where the one
that is kept leaves, is disabled, gets another URL or does not lead there any more, the other is polled again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from digestd.config.options import AccessOptions
from digestd.feed.moving import SHARED, WANTED, normalised
from digestd.masking import mask_url
from digestd.model import State
from digestd.store import Duplicate
from digestd.store.sourcelist import WITHOUT_LEASE
from digestd.store.text import storable

_OF = "duplicate_of"
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Candidate:
    """The columns of a source by which it is found to be another one, or not to be any more."""

    id: int
    name: str
    kind: str
    url: str
    effective_url: str | None
    options: Mapping[str, Any]
    enabled: bool
    enabled_override: bool | None
    state: State
    cursor: Mapping[str, Any] | None

    @property
    def is_polled(self) -> bool:
        """Whether it would be polled, were it no duplicate."""
        enabled = self.enabled if self.enabled_override is None else self.enabled_override
        return bool(enabled) and self.state != "removed"

    @property
    def is_wanted(self) -> bool:
        """Whether a person wants it polled beside the one that it duplicates."""
        return bool((self.cursor or {}).get(WANTED))


@dataclass(slots=True)
class MovePlan:
    """Columns to set by source id, whether the source has moved, and which were found to be one instead."""

    moved: bool = False
    updates: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    duplicates: list[Duplicate] = field(default_factory=list)


def leads_to(url: str, effective_url: str | None, target: str) -> bool:
    """Whether a source with these URLs is where `target` is."""
    wanted = normalised(target)
    return wanted is not None and wanted in (normalised(url), effective_url and normalised(effective_url))


def plan_move(
    mover: Candidate,
    target: str,
    others: Iterable[Candidate],
    originals: Mapping[int, Candidate],
    now: datetime,
) -> MovePlan:
    """Plan what it makes of `mover`, and of `others` that lead to `target`, that it has moved there. For those that are
    duplicates their `originals` (by id) stand.

    Where none of them is polled, of its kind and with its credentials, it is asked there from now on. Else nothing
    moves: it is paused if any of these is older, else they are, but for who is wanted nevertheless.
    """
    standing = {one.id: one for one in (_standing_for(one, originals, mover) for one in others)}.values()
    sharing = [one for one in standing if one.is_polled and _asked_with(one) == _asked_with(mover)]
    plan = MovePlan()
    if not sharing:
        plan.moved = True
        plan.updates[mover.id] = {"effective_url": storable(target), "changed_at": now}
        return plan
    oldest = min(sharing, key=lambda one: one.id)
    if oldest.id < mover.id:
        _pause(plan, mover, oldest, target, now)
        return plan
    for one in sharing:
        if one.state != "duplicate":
            _pause(plan, one, mover, target, now)
    if plan.duplicates:
        plan.updates[mover.id] = {"cursor": {**(mover.cursor or {}), SHARED: True}}
    return plan


def plan_parting(
    duplicates: Iterable[Candidate],
    others: Mapping[int, Candidate],
    now: datetime,
    *,
    apart_from: int | None = None,
) -> Mapping[int, Mapping[str, Any]]:
    """Plan, by source id, what lets those of the `duplicates` be polled again whose reason has gone: the one of
    `others` (by id) that is kept for them is not polled, or has another URL, or is `apart_from` them now."""
    return {one.id: _alone(one, now) for one in duplicates if not _still(one, others, apart_from)}


def plan_wanting(duplicate: Candidate, now: datetime) -> Mapping[str, Any]:
    """Plan what lets `duplicate` be polled though it is one, since a person said so."""
    columns = _alone(duplicate, now)
    return {**columns, "cursor": {**(columns["cursor"] or {}), WANTED: True}}


def original_of(duplicate: Candidate) -> int | None:
    """The id of the source that is kept for `duplicate`; None where its row does not say."""
    written = (duplicate.cursor or {}).get(_OF)
    return written[0] if isinstance(written, list) and written and isinstance(written[0], int) else None


def _standing_for(one: Candidate, originals: Mapping[int, Candidate], mover: Candidate) -> Candidate:
    """Which source is polled for `one`, where it is not `mover` itself."""
    original = original_of(one) if one.state == "duplicate" else None
    return one if original is None or original == mover.id else originals.get(original, one)


def _still(duplicate: Candidate, others: Mapping[int, Candidate], apart_from: int | None) -> bool:
    original = original_of(duplicate)
    kept = None if original is None or original == apart_from else others.get(original)
    written = (duplicate.cursor or {}).get(_OF)
    return kept is not None and kept.is_polled and written == _reference(kept)


def _pause(plan: MovePlan, one: Candidate, kept: Candidate, target: str, now: datetime) -> None:
    if one.is_wanted:
        return
    plan.duplicates.append(Duplicate(one.name, kept.name))
    where = mask_url(target)[:_SHOWN_CHARACTERS]
    plan.updates[one.id] = {
        **WITHOUT_LEASE,
        "state": "duplicate",
        "consecutive_failures": 0,
        "last_error": storable(
            f"duplicate: a permanent redirect shows that it is the same as {kept.name!r} ({where}), which is polled "
            f"instead; take one of the two out, or poll both: digestd sources enable {one.name!r}"
        ),
        "cursor": {**(one.cursor or {}), _OF: _reference(kept)},
        "changed_at": now,
    }


def _alone(duplicate: Candidate, now: datetime) -> Mapping[str, Any]:
    cursor = {name: value for name, value in (duplicate.cursor or {}).items() if name != _OF}
    return {"state": "active", "last_error": None, "cursor": cursor or None, "changed_at": now}


def _reference(kept: Candidate) -> list[Any]:
    """The id of `kept`, and a mark of the URL that it was configured with."""
    return [kept.id, hashlib.sha256(kept.url.encode("utf-8", "surrogatepass")).hexdigest()[:16]]


def _asked_with(one: Candidate) -> tuple[str, Mapping[str, Any]]:
    """What tells documents of one URL apart: how they are read, and as whom they are asked for."""
    return one.kind, {name: one.options[name] for name in AccessOptions.model_fields.keys() & one.options}
