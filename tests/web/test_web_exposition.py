"""The metrics, as Prometheus reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import digestd
from digestd.metrics import FETCH_SECONDS_BOUNDS, LAG_SECONDS_BOUNDS, LATENESS_SECONDS_BOUNDS, Metrics
from digestd.web.exposition import Exposition
from digestd.web.state import DaemonState
from web.states import MOMENT, state

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def scrape(shown: DaemonState, accept: str = "") -> list[Metric]:
    body, content_type = Exposition(lambda: shown).render(accept)
    parse = parse_openmetrics if content_type.startswith("application/openmetrics-text") else parse_text
    return list(parse(body.decode()))


def samples(families: Iterable[Metric]) -> dict[str, float]:
    """Value by name and labels, as PromQL writes them."""
    return {
        sample.name + "".join(f"{{{key}={value}}}" for key, value in sample.labels.items()): sample.value
        for family in families
        for sample in family.samples
    }


def key(name: str, **labels: object) -> str:
    return f"digestd_{name}" + "".join(f"{{{label}={value}}}" for label, value in sorted(labels.items()))


def histogram(
    name: str, bounds: Sequence[float], counts: Sequence[int], total: float, **labels: str
) -> dict[str, float]:
    """The samples of a histogram; the last of `counts` is all."""
    buckets = zip((*bounds, "+Inf"), counts, strict=True)
    return {key(f"{name}_bucket", le=bound, **labels): count for bound, count in buckets} | {
        key(f"{name}_count", **labels): counts[-1],
        key(f"{name}_sum", **labels): total,
    }


def durations(kind: str, outcome: str, counts: Sequence[int], total: float) -> dict[str, float]:
    bounds = FETCH_SECONDS_BOUNDS
    return histogram("fetch_duration_seconds", bounds, counts, total, kind=kind, outcome=outcome)


def test_everything_that_is_counted_is_shown() -> None:
    late = histogram(
        "fetch_lateness_seconds", LATENESS_SECONDS_BOUNDS, (1, 1, 1, 1, 2, 2, 2, 2, 2, 3), 5040.5
    )
    lag = histogram(
        "event_loop_lag_seconds", LAG_SECONDS_BOUNDS, (1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2), 0.0155
    )
    shown = samples(scrape(state()))
    process = {name for name in shown if name.startswith("process_")}
    assert {name: value for name, value in shown.items() if name not in process} == {
        f"digestd_build_info{{version={digestd.__version__}}}": 1,
        "digestd_healthy": 1,
        "digestd_uptime_seconds": 3600.5,
        **lag,
        "digestd_sources{state=active}": 2,
        "digestd_sources{state=degraded}": 1,
        "digestd_sources{state=duplicate}": 2,
        "digestd_sources{state=gone}": 1,
        "digestd_sources_enabled": 4,
        "digestd_sources_running": 3,
        "digestd_sources_failing": 1,
        "digestd_sources_silent": 2,
        "digestd_source_restarts_total": 4,
        **durations("feed", "fetched", (1, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3), 0.05 + 0.1 + 0.7),
        **durations("feed", "unchanged", (0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1), 0.15),
        **durations("feed", "failed", (0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1), 3.0),
        **durations("page", "fetched", [0] * 11, 0.0),
        **durations("page", "unchanged", [0] * 11, 0.0),
        **durations("page", "failed", [0] * 10 + [1], 61.0),
        **late,
        "digestd_fetch_errors_total{cause=dns}": 1,
        "digestd_fetch_errors_total{cause=timeout}": 1,
        "digestd_fetches_deferred_total": 2,
        "digestd_fetch_overflows_total": 7,
        "digestd_feed_parses_total{parser=fast}": 8,
        "digestd_feed_parses_total{parser=feedparser}": 2,
        "digestd_fetches_in_flight": 1,
        "digestd_fetch_slots": 10,
        "digestd_last_success_timestamp_seconds": MOMENT.timestamp(),
        "digestd_articles_new_total": 40,
        "digestd_articles_updated_total": 3,
        "digestd_entries_set_aside_total": 1,
        "digestd_pages_total{outcome=done}": 2,
        "digestd_pages_total{outcome=failed}": 1,
        "digestd_pages_total{outcome=skipped}": 0,
        "digestd_pages_total{outcome=retry}": 1,
        "digestd_pages_total{outcome=put_off}": 0,
        "digestd_page_duration_seconds_count": 4,
        "digestd_page_duration_seconds_sum": 2.5,
        "digestd_pages_pending": 7,
        "digestd_pages_oldest_pending_seconds": 90.4,
        "digestd_store_available": 1,
        "digestd_store_outages_total": 5,
        "digestd_database_free_bytes": 5_000_000_000,
        "digestd_store_connections": 4,
        "digestd_store_connections_in_use": 1,
        "digestd_store_calls_waiting": 2,
        "digestd_store_call_duration_seconds_count": 200,
        "digestd_store_call_duration_seconds_sum": 3.5,
        "digestd_store_call_wait_seconds_count": 200,
        "digestd_store_call_wait_seconds_sum": 0.5,
        "digestd_store_slow_calls_total": 6,
    }
    assert {"process_resident_memory_bytes", "process_start_time_seconds", "process_open_fds"} <= process


def test_trouble_shows_in_the_gauges() -> None:
    shown = samples(scrape(state(stalled="it hangs", store_away_since=MOMENT)))
    assert (shown["digestd_healthy"], shown["digestd_store_available"]) == (0, 0)


def test_before_the_first_fetch_there_is_no_moment_of_it() -> None:
    shown = samples(scrape(state(metrics=Metrics(0))))
    assert "digestd_last_success_timestamp_seconds" not in shown
    assert "digestd_pages_pending" not in shown
    assert "digestd_database_free_bytes" not in samples(scrape(state(free_bytes=None)))
    assert shown["digestd_fetch_lateness_seconds_count"] == 0


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_names_are_ours_and_labels_are_bounded_in_both_formats(accept: str) -> None:
    families = [family for family in scrape(state(), accept) if not family.name.startswith("process_")]
    plain = samples(scrape(state()))
    assert samples(families) == {
        name: value for name, value in plain.items() if not name.startswith("process_")
    }
    for family in families:
        assert re.fullmatch(r"digestd_[a-z_]+", family.name)
        assert family.documentation.endswith((".", ": 1 or 0."))
        labels = {key for sample in family.samples for key in sample.labels}
        assert labels <= {"kind", "outcome", "state", "cause", "parser", "le", "version"}


def test_causes_that_a_kind_of_others_invents_are_bounded() -> None:
    metrics = Metrics(0)
    for number in range(100):
        metrics.poll_ended("feed", "failed", 1.0, f"cause_{number}")
    for cause in ("https://a.example/", "Large", "x" * 41, "", "cause_7"):
        metrics.poll_ended("feed", "failed", 1.0, cause)
    assert metrics.errors == 105
    assert metrics.errors_by_cause["cause_7"] == 2
    assert metrics.errors_by_cause["unknown"] == 0
    assert len(metrics.errors_by_cause) <= 51 + 1
    assert metrics.errors_by_cause["other"] == 54


def test_the_content_type_follows_what_the_client_accepts() -> None:
    exposition = Exposition(lambda: state())
    assert exposition.render("*/*")[1] == "text/plain; version=0.0.4; charset=utf-8"
    assert exposition.render(OPENMETRICS)[1].startswith("application/openmetrics-text; version=1.0.0")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool (Debian: prometheus)")
def test_promtool_has_nothing_to_say() -> None:
    body, _ = Exposition(state).render("")
    done = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
