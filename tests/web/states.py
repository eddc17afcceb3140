"""States of a daemon for the tests of the web room."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from digestd.metrics import Metrics, StoreCall, StoreCalls
from digestd.web.state import DaemonState

MOMENT = datetime(2026, 11, 23, 18, 30, 15, 250_000, tzinfo=UTC)


def metrics_of_an_hour() -> Metrics:
    """Six polls, two of which failed, one source that is failing."""
    metrics = Metrics(100.0)
    for seconds in (0.05, 0.1, 0.7):
        metrics.poll_ended("feed", "fetched", seconds)
    metrics.poll_ended("feed", "unchanged", 0.15)
    metrics.poll_ended("page", "failed", 61.0, "timeout")
    metrics.poll_ended("feed", "failed", 3.0, "dns")
    for seconds in (0.5, 40.0, 5_000.0):
        metrics.lateness.observe(seconds)
    for seconds in (0.0005, 0.015):
        metrics.loop_lag.observe(seconds)
    metrics.states |= {
        "Fenwick CERT": "degraded",
        "Gone Fen": "gone",
        "Twin": "duplicate",
        "Triplet": "duplicate",
    }
    metrics.sources_deferred = 2
    metrics.articles_new, metrics.articles_updated, metrics.entries_set_aside = 40, 3, 1
    metrics.restarts, metrics.store_outages, metrics.overflows = 4, 5, 7
    metrics.feed_parses.update(fast=8, feedparser=2)
    metrics.silent |= {"Old Fen News", "Marsh Advisories"}
    metrics.failing["Fenwick CERT"] = "dns: no address for cert.fenwick.example"
    metrics.last_fetch = MOMENT
    for outcome, seconds in (("done", 1.5), ("done", 0.5), ("failed", 0.25), ("retry", 0.25)):
        metrics.page_ended(outcome, seconds)
    metrics.pages_pending, metrics.pages_oldest_seconds = 7, 90.4
    calls = {StoreCall(99.0), StoreCall(99.5), StoreCall(98.0, began=98.5)}
    metrics.store = StoreCalls(4, calls, ended=200, slow=6, wait_seconds=0.5, seconds=3.5)
    return metrics


def state(**changes: Any) -> DaemonState:
    """A daemon that is well after an hour, but for `changes`."""
    well = DaemonState(
        uptime_seconds=3600.5,
        stalled=None,
        stopping=False,
        enabled=4,
        running=3,
        slots_in_use=1,
        slots=10,
        store_away_since=None,
        free_bytes=5_000_000_000,
        metrics=metrics_of_an_hour(),
    )
    return replace(well, **changes)
