"""What processes on one database share: starts and pauses of hosts, whose list of sources is in force, what changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digestd.model import SourceStatus


@dataclass(frozen=True, slots=True)
class HostStart:
    """Ask to start at the host `key` (`host:port`), `delay_seconds` apart from all other starts there; with 0, only
    whether it is paused."""

    key: str
    delay_seconds: float


@dataclass(frozen=True, slots=True)
class HostPause:
    """The host `key` wants to be left alone for `seconds`, of which a day counts."""

    key: str
    seconds: float


@dataclass(frozen=True, slots=True)
class ListOwner:
    """Whose files the sources of origin `file` were last made from: the `fingerprint` of what they say (a digest of at
    most 64 characters), the process, and when."""

    fingerprint: str
    owner: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What `sync_sources` did, as names.

    `replaced` is whose list was in force before, where that was another process with another fingerprint.
    """

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    replaced: ListOwner | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """The sources that somebody changed, as they stand now, by name; removed ones are among them.

    `latest` and `told` are for the next call. The list is the one in force, as in :class:`ListOwner`; None before any
    was written.
    """

    statuses: tuple[SourceStatus, ...]
    latest: datetime
    list_fingerprint: str | None
    list_owner: str | None
    list_written_at: datetime | None
    told: frozenset[tuple[int, object]] = frozenset()
