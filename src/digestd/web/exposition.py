"""The families of metrics behind `/metrics`. The door to prometheus-client.

Names and units as Prometheus wants them (https://prometheus.io/docs/practices/naming/). Labels hold words of
ours, never a URL or the name of a source: each value is a time series that is kept for good.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from digestd import __version__
from digestd.metrics import POLL_SECONDS_BOUNDS, Metrics
from digestd.web.state import DaemonState


class StateCollector(Collector):
    """Turns the state that `read` gives into metrics, anew at each scrape: nothing is counted twice."""

    def __init__(self, read: Callable[[], DaemonState]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """See :class:`prometheus_client.registry.Collector`."""
        state = self._read()
        yield InfoMetricFamily("digestd_build", "The version that runs.", value={"version": __version__})
        yield from _gauges(state)
        yield from _counters(state.metrics)
        yield _labelled("digestd_polls", "Polls that ended.", "outcome", _outcomes(state.metrics))
        causes = state.metrics.errors_by_cause
        yield _labelled("digestd_poll_errors", "Polls that failed.", "cause", causes)
        yield _durations(state.metrics)
        yield from _pages(state.metrics)


class Exposition:
    """Writes the metrics in the format that the client asks for."""

    def __init__(self, read: Callable[[], DaemonState]) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(StateCollector(read))

    def render(self, accept: str) -> tuple[bytes, str]:
        """The metrics and their content type: OpenMetrics where the Accept header `accept` names it, else the
        Prometheus text format."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


def _gauges(state: DaemonState) -> Iterator[Metric]:
    values = (
        ("healthy", "Whether polling goes on, as /health says: 1 or 0.", state.stalled is None),
        ("uptime_seconds", "Seconds since the start.", state.uptime_seconds),
        ("sources_enabled", "Sources that are to be polled.", state.enabled),
        ("sources_running", "Sources that have a task.", state.running),
        (
            "sources_failing",
            "Sources whose last poll failed, or that may crash digestd.",
            len(state.metrics.failing),
        ),
        (
            "sources_silent",
            "Sources that answer and bring nothing any more, by their own habit.",
            len(state.metrics.silent),
        ),
        ("slots_in_use", "Polls in flight.", state.slots_in_use),
        ("slots", "Polls that may be in flight at one time (worker.max_sources).", state.slots),
        (
            "store_available",
            "Whether the database answered last time: 1 or 0.",
            state.store_away_since is None,
        ),
        ("store_calls_running", "Calls of the database under way.", state.metrics.store.running),
        (
            "store_calls_waiting",
            "Calls that wait for a connection to the database (database.pool_size).",
            state.metrics.store.waiting,
        ),
    )
    for name, text, value in values:
        yield GaugeMetricFamily(f"digestd_{name}", text, value=value)
    if state.metrics.last_fetch is not None:
        text = "When a poll last ended well, in seconds since 1970."
        moment = state.metrics.last_fetch.timestamp()
        yield GaugeMetricFamily("digestd_last_fetch_timestamp_seconds", text, value=moment)


def _counters(metrics: Metrics) -> Iterator[Metric]:
    values = (
        ("articles_new", "Articles seen for the first time.", metrics.articles_new),
        ("articles_updated", "Articles whose text changed.", metrics.articles_updated),
        ("entries_set_aside", "Entries that could not be kept.", metrics.entries_set_aside),
        (
            "fetch_overflows",
            "Polls that found nothing in the document that was known: entries before may have been missed.",
            metrics.overflows,
        ),
        ("source_restarts", "Restarts of a source's task after a bug.", metrics.restarts),
        ("store_outages", "Times the database went away.", metrics.store_outages),
        ("store_calls", "Calls of the database that ended.", metrics.store.ended),
        ("store_slow_calls", "Calls of the database that took over 5 s.", metrics.store.slow),
        ("store_seconds", "Seconds that calls of the database took.", metrics.store.seconds),
        (
            "store_wait_seconds",
            "Seconds that calls of the database waited for a connection.",
            metrics.store.wait_seconds,
        ),
    )
    for name, text, value in values:
        yield CounterMetricFamily(f"digestd_{name}", text, value=value)


def _outcomes(metrics: Metrics) -> dict[str, int]:
    return {
        "fetched": metrics.sources_fetched,
        "unchanged": metrics.sources_unchanged,
        "failed": metrics.errors,
        "deferred": metrics.sources_deferred,
    }


def _labelled(name: str, text: str, label: str, values: dict[str, int]) -> Metric:
    family = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(values.items()):
        family.add_metric([value], count)
    return family


def _durations(metrics: Metrics) -> Metric:
    bounds = [*(str(bound) for bound in POLL_SECONDS_BOUNDS), "+Inf"]
    buckets = list(zip(bounds, accumulate(metrics.polls_by_seconds), strict=True))
    text = "How long polls took, from the claim to the commit."
    return HistogramMetricFamily("digestd_poll_duration_seconds", text, buckets, metrics.fetch_seconds)


def _pages(metrics: Metrics) -> Iterator[Metric]:
    text = "Attempts at article pages that ended."
    outcomes = {
        name: metrics.pages_by_outcome[name] for name in ("done", "failed", "skipped", "retry", "put_off")
    }
    yield _labelled("digestd_pages", text, "outcome", outcomes)
    text = "Seconds spent on article pages, from the claim to the commit."
    yield CounterMetricFamily("digestd_page_seconds", text, value=metrics.page_seconds)
    if metrics.pages_pending is not None:
        text = "Articles whose page is waited for."
        yield GaugeMetricFamily("digestd_pages_pending", text, value=metrics.pages_pending)
        text = "For how long the pending article that has waited longest has been known, in seconds."
        oldest = metrics.pages_oldest_seconds or 0.0
        yield GaugeMetricFamily("digestd_pages_oldest_pending_seconds", text, value=oldest)
