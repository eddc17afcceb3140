"""The document behind `/health`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from typing import Any

from digestd import __version__
from digestd.web.state import DaemonState

MOST_FAILING_SHOWN = 50


def health_document(state: DaemonState) -> dict[str, Any]:
    """`state` as JSON data; times in RFC 3339.

    `status` is "failing", with a `reason`, where there is no progress. A database outage, a quiet hour and
    sources that fail are progress; `notes` says so in words.
    """
    metrics = state.metrics
    shown = list(islice(metrics.failing.items(), MOST_FAILING_SHOWN))
    return {
        "status": "failing" if state.stalled else "ok",
        "reason": state.stalled,
        "notes": _notes(state),
        "version": __version__,
        "uptime_seconds": round(state.uptime_seconds, 3),
        "last_fetch": _stamp(metrics.last_fetch),
        "sources": {"enabled": state.enabled, "running": state.running, "failing": len(metrics.failing)},
        "slots": {"in_use": state.slots_in_use, "total": state.slots},
        "store": "unavailable" if state.store_away_since else "ok",
        "store_unavailable_since": _stamp(state.store_away_since),
        "totals": metrics.summary(metrics.started + state.uptime_seconds),
        "failing": [{"name": name, "error": error} for name, error in shown],
        "more_failing": len(metrics.failing) - len(shown),
    }


def _notes(state: DaemonState) -> list[str]:
    notes = {
        "shutting down: polls in flight may end": state.stopping,
        "no source is enabled": not state.enabled,
        "the database is unavailable: polls wait, nothing is lost": state.store_away_since is not None,
    }
    return [note for note, applies in notes.items() if applies]


def _stamp(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else None
