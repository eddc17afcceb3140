"""The counters of one process, as the JSON event `worker.metrics` and for the summary of `--once`."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from digestd.feed.silence import is_labelled
from digestd.model import Outcome, SourceStatus

POLL_SECONDS_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the classes of poll durations; one more class is open. The last is the default deadline."""


@dataclass(slots=True, eq=False)
class StoreCall:
    """One call of the store: when it was made, and when it got a connection, by any clock in seconds."""

    made: float
    began: float | None = None


@dataclass(slots=True)
class StoreCalls:
    """How the calls of the store fare. `open` are those that have not ended; `wait_seconds` is what the others spent in
    line for a connection, `seconds` what they took then. `slow` ones are those that took several seconds of both."""

    open: set[StoreCall] = field(default_factory=set)
    ended: int = 0
    slow: int = 0
    wait_seconds: float = 0.0
    seconds: float = 0.0

    @property
    def running(self) -> int:
        """Calls that have a connection."""
        return len(self.open) - self.waiting

    @property
    def waiting(self) -> int:
        """Calls in line for a connection."""
        return sum(call.began is None for call in self.open)

    def end(self, call: StoreCall, now: float) -> tuple[float, float]:
        """Count `call` as ended at `now`; the seconds it waited and took."""
        self.open.remove(call)
        began = now if call.began is None else call.began
        waited, took = began - call.made, now - began
        self.ended += 1
        self.wait_seconds += waited
        self.seconds += took
        return waited, took


@dataclass(slots=True)
class Metrics:
    """Totals since `started` (any clock in seconds). Only the event loop's thread writes them.

    `failing` has the error of every source whose last poll failed, by name, `silent` the names of those that bring
    nothing any more; `last_fetch` is when a poll last ended well. `overflows` counts polls in whose document nothing
    was known. `pages_by_outcome` counts the attempts at article pages: `done`, `failed`, `skipped`, `retry` (a failure
    that is tried again) and `put_off`; `pages_pending` and the age of the oldest are as they were counted last.
    """

    started: float
    sources_checked: int = 0
    sources_fetched: int = 0
    sources_unchanged: int = 0
    sources_deferred: int = 0
    articles_new: int = 0
    articles_updated: int = 0
    entries_set_aside: int = 0
    overflows: int = 0
    restarts: int = 0
    store_outages: int = 0
    fetch_seconds: float = 0.0
    errors_by_cause: Counter[str] = field(default_factory=Counter)
    polls_by_seconds: list[int] = field(default_factory=lambda: [0] * (len(POLL_SECONDS_BOUNDS) + 1))
    failing: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    last_fetch: datetime | None = None
    pages_by_outcome: Counter[str] = field(default_factory=Counter)
    page_seconds: float = 0.0
    pages_pending: int | None = None
    pages_oldest_seconds: float | None = None
    store: StoreCalls = field(default_factory=StoreCalls)
    _reported_polls: int = 0
    _reported_seconds: float = 0.0

    @property
    def errors(self) -> int:
        """Failed polls, of whatever cause."""
        return self.errors_by_cause.total()

    def poll_ended(self, outcome: Outcome, seconds: float, cause: str | None = None) -> None:
        """Count one poll that ended with `outcome` after `seconds`, with the `cause` of its failure."""
        self.sources_checked += 1
        self.fetch_seconds += seconds
        self.polls_by_seconds[bisect_left(POLL_SECONDS_BOUNDS, seconds)] += 1
        if outcome == "failed":
            self.errors_by_cause[cause or "unknown"] += 1
        elif outcome == "unchanged":
            self.sources_unchanged += 1
        else:
            self.sources_fetched += 1

    def page_ended(self, outcome: str, seconds: float) -> None:
        """Count one attempt at an article's page that ended with `outcome` after `seconds`."""
        self.pages_by_outcome[outcome] += 1
        self.page_seconds += seconds

    def remember(self, statuses: Iterable[SourceStatus]) -> None:
        """Begin with what earlier runs left: which of `statuses` fail or are silent, and when a poll last ended
        well."""
        for status in statuses:
            if is_labelled(status.last_error):
                self.silent.add(status.source.name)
            if status.failing:
                self.failing[status.source.name] = status.last_error or "unknown"
            if status.last_success_at is not None:
                self.last_fetch = max(self.last_fetch or status.last_success_at, status.last_success_at)

    def renamed(self, old: str, new: str) -> None:
        """Let what is known of the source `old` be known of `new`."""
        if (error := self.failing.pop(old, None)) is not None:
            self.failing[new] = error
        if old in self.silent:
            self.silent.remove(old)
            self.silent.add(new)

    def source_polled(self, name: str, error: str | None, at: datetime) -> None:
        """Note how the last poll of the source `name` ended: with `error`, or well."""
        if error is not None:
            self.failing[name] = error
        else:
            self.failing.pop(name, None)
            self.last_fetch = at

    def source_silent(self, name: str, *, silent: bool) -> None:
        """Note whether the source `name`, which answers, has fallen silent."""
        if silent:
            self.silent.add(name)
        else:
            self.silent.discard(name)

    def event(self, now: float) -> dict[str, Any]:
        """The keys of `worker.metrics`: totals, but `worker.fetch.duration`, the mean seconds of a poll since the
        last event (None when there was none)."""
        polls = self.sources_checked - self._reported_polls
        seconds = self.fetch_seconds - self._reported_seconds
        self._reported_polls, self._reported_seconds = self.sources_checked, self.fetch_seconds
        return {
            "worker.fetch.duration": round(seconds / polls, 6) if polls else None,
            "worker.fetch.sources": self.sources_checked,
            "worker.fetch.articles": self.articles_new,
            "worker.fetch.errors": self.errors,
            "worker.uptime": round(now - self.started, 3),
            **self.summary(now),
            "store_calls": self.store.ended,
            "store_calls_waiting": self.store.waiting,
            "store_seconds": round(self.store.seconds, 3),
            "store_wait_seconds": round(self.store.wait_seconds, 3),
        }

    def summary(self, now: float) -> dict[str, Any]:
        """The totals that `worker.metrics` and the summary of `--once` share."""
        return {
            "sources_checked": self.sources_checked,
            "sources_fetched": self.sources_fetched,
            "sources_unchanged": self.sources_unchanged,
            "sources_deferred": self.sources_deferred,
            "articles_new": self.articles_new,
            "articles_updated": self.articles_updated,
            "entries_set_aside": self.entries_set_aside,
            "fetch_overflows": self.overflows,
            **self._pages(),
            "errors": self.errors,
            "errors_by_cause": dict(self.errors_by_cause),
            "task_restarts": self.restarts,
            "store_outages": self.store_outages,
            "store_slow_calls": self.store.slow,
            "duration_seconds": round(now - self.started, 3),
        }

    def _pages(self) -> dict[str, Any]:
        oldest = self.pages_oldest_seconds
        return {
            "pages_done": self.pages_by_outcome["done"],
            "pages_failed": self.pages_by_outcome["failed"],
            "pages_skipped": self.pages_by_outcome["skipped"],
            "pages_retried": self.pages_by_outcome["retry"],
            "pages_pending": self.pages_pending,
            "pages_oldest_seconds": None if oldest is None else round(oldest),
        }
