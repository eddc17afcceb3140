"""How the daemon does at one moment: what it hands to the web server at every request."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digestd.metrics import Metrics


@dataclass(frozen=True, slots=True)
class DaemonState:
    """What `/health` and `/metrics` show.

    `stalled` says in words why there is no progress; None while there is. `enabled` counts the sources to be
    polled, `running` those of them that have a task. `store_away_since` is None while the database answers.
    `free_bytes` is what is left of the disk that holds it, where it is a file of ours.
    """

    uptime_seconds: float
    stalled: str | None
    stopping: bool
    enabled: int
    running: int
    slots_in_use: int
    slots: int
    store_away_since: datetime | None
    free_bytes: int | None
    metrics: Metrics
