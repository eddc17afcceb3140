"""The document of `/health`."""

from __future__ import annotations

from datetime import timedelta

import digestd
from digestd.metrics import Metrics
from digestd.web.health import health_document
from web.states import MOMENT, state


def test_a_daemon_that_is_well_says_everything() -> None:
    assert health_document(state()) == {
        "status": "ok",
        "reason": None,
        "notes": [],
        "version": digestd.__version__,
        "uptime_seconds": 3600.5,
        "last_fetch": "2026-11-23T18:30:15+00:00",
        "sources": {"enabled": 4, "running": 3, "failing": 1},
        "slots": {"in_use": 1, "total": 10},
        "store": "ok",
        "store_unavailable_since": None,
        "totals": {
            "sources_checked": 6,
            "sources_fetched": 3,
            "sources_unchanged": 1,
            "sources_deferred": 2,
            "articles_new": 40,
            "articles_updated": 3,
            "entries_set_aside": 1,
            "fetch_overflows": 7,
            "feeds_fast": 8,
            "feeds_feedparser": 2,
            "pages_done": 2,
            "pages_failed": 1,
            "pages_skipped": 0,
            "pages_retried": 1,
            "pages_pending": 7,
            "pages_oldest_seconds": 90,
            "errors": 2,
            "errors_by_cause": {"timeout": 1, "dns": 1},
            "task_restarts": 4,
            "store_outages": 5,
            "store_slow_calls": 6,
            "duration_seconds": 3600.5,
        },
        "failing": [{"name": "Fenwick CERT", "error": "dns: no address for cert.fenwick.example"}],
        "more_failing": 0,
    }


def test_without_progress_it_is_failing_and_says_why() -> None:
    document = health_document(state(stalled="a poll has held its slot for 95 s"))
    assert (document["status"], document["reason"]) == ("failing", "a poll has held its slot for 95 s")


def test_an_outage_no_sources_and_a_shutdown_are_progress_and_are_said() -> None:
    away = health_document(state(store_away_since=MOMENT + timedelta(seconds=30)))
    assert (away["status"], away["store"], away["store_unavailable_since"], away["notes"]) == (
        "ok",
        "unavailable",
        "2026-11-23T18:30:45+00:00",
        ["the database is unavailable: polls wait, nothing is lost"],
    )
    idle = health_document(state(enabled=0, running=0, metrics=Metrics(0)))
    assert (idle["status"], idle["last_fetch"], idle["notes"]) == ("ok", None, ["no source is enabled"])
    ending = health_document(state(stopping=True))
    assert (ending["status"], ending["notes"]) == ("ok", ["shutting down: polls in flight may end"])


def test_at_most_fifty_failing_sources_are_named_and_the_others_counted() -> None:
    metrics = Metrics(0)
    metrics.failing.update({f"source {number}": "tls: expired" for number in range(63)})
    document = health_document(state(metrics=metrics))
    assert [failing["name"] for failing in document["failing"]] == [
        f"source {number}" for number in range(50)
    ]
    assert (document["more_failing"], document["sources"]["failing"]) == (13, 63)
