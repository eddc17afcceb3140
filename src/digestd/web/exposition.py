"""The families of metrics behind `/metrics`. The door to prometheus-client.

Names and units as Prometheus wants them (https://prometheus.io/docs/practices/naming/). Labels hold words of
ours, never a URL or the name of a source: each value is a time series that is kept for good.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from digestd import __version__
from digestd.metrics import Histogram, Metrics
from digestd.model import FeedParser
from digestd.web.state import DaemonState

PAGE_OUTCOMES = ("done", "failed", "skipped", "retry", "put_off")


class StateCollector(Collector):
    """Turns the state that `read` gives into metrics, anew at each scrape: nothing is counted twice."""

    def __init__(self, read: Callable[[], DaemonState]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """See :class:`prometheus_client.registry.Collector`."""
        state = self._read()
        metrics = state.metrics
        yield InfoMetricFamily("digestd_build", "The version that runs.", value={"version": __version__})
        yield from _process(state)
        yield from _sources(state)
        yield from _fetches(state)
        yield from _articles(metrics)
        yield from _pages(metrics)
        yield from _store(state)


class Exposition:
    """Writes the metrics, and those of the process, in the format that the client asks for."""

    def __init__(self, read: Callable[[], DaemonState]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StateCollector(read))
        ProcessCollector(registry=self._registry)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their content type: OpenMetrics where the Accept header `accept` names it, else the
        Prometheus text format."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _process(state: DaemonState) -> Iterator[Metric]:
    yield _gauge("uptime_seconds", "Seconds since the start.", state.uptime_seconds)
    yield _gauge("healthy", "Whether polling goes on, as /health says: 1 or 0.", state.stalled is None)
    text = "How late the event loop wakes what sleeps, measured every second."
    yield _histogram("event_loop_lag_seconds", text, state.metrics.loop_lag)


def _sources(state: DaemonState) -> Iterator[Metric]:
    metrics = state.metrics
    others = Counter(metrics.states.values())
    values = {name: others[name] for name in ("degraded", "duplicate", "gone")}
    values["active"] = state.enabled - values["degraded"] - values["gone"]
    text = "Enabled sources by the state that `digestd sources` shows; those paused as duplicates are not polled."
    family = GaugeMetricFamily("digestd_sources", text, labels=["state"])
    for name, value in sorted(values.items()):
        family.add_metric([name], value)
    yield family
    yield _gauge("sources_enabled", "Sources that are to be polled.", state.enabled)
    yield _gauge("sources_running", "Sources that have a task.", state.running)
    text = "Sources whose last poll failed, or that may crash digestd."
    yield _gauge("sources_failing", text, len(metrics.failing))
    text = "Sources that answer and bring nothing any more, by their own habit."
    yield _gauge("sources_silent", text, len(metrics.silent))
    yield _counter("source_restarts", "Restarts of a source's task after a bug.", metrics.restarts)


def _fetches(state: DaemonState) -> Iterator[Metric]:
    metrics = state.metrics
    text = "How long polls took, from the claim to the commit."
    family = HistogramMetricFamily("digestd_fetch_duration_seconds", text, labels=["kind", "outcome"])
    for labels, histogram in sorted(metrics.fetches.items()):
        family.add_metric(labels, _buckets(histogram), histogram.sum)
    yield family
    text = "How long after it was due a poll began, whatever it waited for."
    yield _histogram("fetch_lateness_seconds", text, metrics.lateness)
    yield _counters("fetch_errors", "Polls that failed.", "cause", metrics.errors_by_cause)
    text = "Polls that were put off: a host wanted to be left alone, or we were busy."
    yield _counter("fetches_deferred", text, metrics.sources_deferred)
    text = "Polls that found nothing in the document that was known: entries before may have been missed."
    yield _counter("fetch_overflows", text, metrics.overflows)
    text = "XML feeds that were read, by the parser: the fast one, or feedparser for what that doubts."
    parses = {parser: metrics.feed_parses[parser] for parser in get_args(FeedParser)}
    yield _counters("feed_parses", text, "parser", parses)
    yield _gauge("fetches_in_flight", "Polls in flight.", state.slots_in_use)
    text = "Polls that may be in flight at one time (worker.max_sources)."
    yield _gauge("fetch_slots", text, state.slots)
    if metrics.last_fetch is not None:
        text = "When a poll last ended well, in seconds since 1970."
        yield _gauge("last_success_timestamp_seconds", text, metrics.last_fetch.timestamp())


def _articles(metrics: Metrics) -> Iterator[Metric]:
    yield _counter("articles_new", "Articles seen for the first time.", metrics.articles_new)
    yield _counter("articles_updated", "Articles whose text changed.", metrics.articles_updated)
    yield _counter("entries_set_aside", "Entries that could not be kept.", metrics.entries_set_aside)


def _pages(metrics: Metrics) -> Iterator[Metric]:
    outcomes = {name: metrics.pages_by_outcome[name] for name in PAGE_OUTCOMES}
    yield _counters("pages", "Attempts at article pages that ended.", "outcome", outcomes)
    text = "How long attempts at article pages took, from the claim to the commit."
    count = metrics.pages_by_outcome.total()
    yield SummaryMetricFamily("digestd_page_duration_seconds", text, count, metrics.page_seconds)
    if metrics.pages_pending is not None:
        yield _gauge("pages_pending", "Articles whose page is waited for.", metrics.pages_pending)
        text = "For how long the pending article that has waited longest has been known, in seconds."
        yield _gauge("pages_oldest_pending_seconds", text, metrics.pages_oldest_seconds or 0.0)


def _store(state: DaemonState) -> Iterator[Metric]:
    calls = state.metrics.store
    text = "Whether the database answered last time: 1 or 0."
    yield _gauge("store_available", text, state.store_away_since is None)
    yield _counter("store_outages", "Times the database went away.", state.metrics.store_outages)
    if state.free_bytes is not None:
        text = "Bytes that are free where the SQLite database is kept."
        yield _gauge("database_free_bytes", text, state.free_bytes)
    text = "Connections to the database that may be in use at one time (database.pool_size)."
    yield _gauge("store_connections", text, calls.connections)
    yield _gauge("store_connections_in_use", "Calls of the database under way.", calls.running)
    text = "Calls that wait for a connection to the database."
    yield _gauge("store_calls_waiting", text, calls.waiting)
    text = "How long calls of the database took, without their wait for a connection."
    yield SummaryMetricFamily("digestd_store_call_duration_seconds", text, calls.ended, calls.seconds)
    text = "How long calls of the database waited for a connection."
    yield SummaryMetricFamily("digestd_store_call_wait_seconds", text, calls.ended, calls.wait_seconds)
    yield _counter("store_slow_calls", "Calls of the database that waited or took over 5 s.", calls.slow)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"digestd_{name}", text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(f"digestd_{name}", text, value=value)


def _counters(name: str, text: str, label: str, values: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(f"digestd_{name}", text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


def _histogram(name: str, text: str, histogram: Histogram) -> Metric:
    return HistogramMetricFamily(f"digestd_{name}", text, _buckets(histogram), histogram.sum)


def _buckets(histogram: Histogram) -> list[tuple[str, int]]:
    bounds = [*(str(bound) for bound in histogram.bounds), "+Inf"]
    return list(zip(bounds, accumulate(histogram.counts), strict=True))
