"""The counters of one process, as the JSON event `worker.metrics` and for the summary of `--once`."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, get_args

from digestd.feed.silence import is_labelled
from digestd.model import FeedParser, Outcome, SourceStatus, State

FETCH_SECONDS_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the classes of poll durations; one more class is open. The last is the default deadline."""
LATENESS_SECONDS_BOUNDS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
"""The same, of how late polls begin. 300 s is the default interval."""
LAG_SECONDS_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""The same, of how late the event loop wakes who sleeps. Nothing of ours should take it for over 0.02 s."""
MOST_CAUSES = 50
"""Causes of failures that are told apart. There are half as many, and kinds of others may bring their own."""

_CAUSE = re.compile(r"[a-z][a-z0-9_]{0,39}")


@dataclass(slots=True)
class Histogram:
    """How many values fell into each class: up to each of `bounds`, and above the last; and the sum of them all."""

    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count one value."""
        self.sum += value
        self.counts[bisect_left(self.bounds, value)] += 1


@dataclass(slots=True, eq=False)
class StoreCall:
    """One call of the store: when it was made, and when it got a connection, by any clock in seconds."""

    made: float
    began: float | None = None


@dataclass(slots=True)
class StoreCalls:
    """How the calls of the store fare, which has so many `connections`. `open` are those that have not ended;
    `wait_seconds` is what the others spent in line for a connection, `seconds` what they took then. `slow` ones are
    those that took several seconds of both."""

    connections: int = 0
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

    `fetches` has the seconds that polls took, by kind and outcome, `lateness` how long after they were due they began,
    and `loop_lag` how late the event loop woke its ticker. `failing` has the error of every source whose last poll
    failed, by name, `silent` the names of those that bring nothing any more, `states` the state of each that is not
    `active`; `last_fetch` is when a poll last ended well. `overflows` counts polls in whose document nothing
    was known. `feed_parses` counts the XML feeds that were read, by who read them. `pages_by_outcome` counts the
    attempts at article pages: `done`, `failed`, `skipped`, `retry` (a failure that is tried again) and `put_off`;
    `pages_pending` and the age of the oldest are as they were counted last.
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
    fetches: dict[tuple[str, Outcome], Histogram] = field(default_factory=dict)
    lateness: Histogram = field(default_factory=lambda: Histogram(LATENESS_SECONDS_BOUNDS))
    loop_lag: Histogram = field(default_factory=lambda: Histogram(LAG_SECONDS_BOUNDS))
    errors_by_cause: Counter[str] = field(default_factory=Counter)
    failing: dict[str, str] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    states: dict[str, State] = field(default_factory=dict)
    last_fetch: datetime | None = None
    feed_parses: Counter[FeedParser] = field(default_factory=Counter)
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

    @property
    def fetch_seconds(self) -> float:
        """What all polls took together."""
        return sum(histogram.sum for histogram in self.fetches.values())

    def poll_ended(self, kind: str, outcome: Outcome, seconds: float, cause: str | None = None) -> None:
        """Count one poll of a source of `kind`, which is one of those installed, that ended with `outcome` after
        `seconds`, with the `cause` of its failure."""
        self.sources_checked += 1
        if (kind, outcome) not in self.fetches:
            self._begin(kind)
        self.fetches[kind, outcome].observe(seconds)
        if outcome == "failed":
            self.errors_by_cause[self._bounded(cause or "unknown")] += 1
        elif outcome == "unchanged":
            self.sources_unchanged += 1
        else:
            self.sources_fetched += 1

    def _begin(self, kind: str) -> None:
        # A series that begins with its first failure shows no increase: all begin with the first poll.
        for outcome in get_args(Outcome):
            self.fetches.setdefault((kind, outcome), Histogram(FETCH_SECONDS_BOUNDS))

    def _bounded(self, cause: str) -> str:
        known = cause in self.errors_by_cause
        room = len(self.errors_by_cause) < MOST_CAUSES and _CAUSE.fullmatch(cause)
        return cause if known or room else "other"

    def page_ended(self, outcome: str, seconds: float) -> None:
        """Count one attempt at an article's page that ended with `outcome` after `seconds`."""
        self.pages_by_outcome[outcome] += 1
        self.page_seconds += seconds

    def remember(self, statuses: Iterable[SourceStatus]) -> None:
        """Begin with what earlier runs left: which of `statuses` fail or are silent, and when a poll last ended
        well."""
        for status in statuses:
            self.source_state(status.source.name, status.state)
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
        if (state := self.states.pop(old, None)) is not None:
            self.states[new] = state

    def forget(self, name: str) -> None:
        """The source `name` is not polled any more."""
        self.failing.pop(name, None)
        self.silent.discard(name)
        self.states.pop(name, None)

    def source_state(self, name: str, state: State) -> None:
        """Note the state of the source `name`."""
        if state == "active":
            self.states.pop(name, None)
        else:
            self.states[name] = state

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
            "feeds_fast": self.feed_parses["fast"],
            "feeds_feedparser": self.feed_parses["feedparser"],
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
