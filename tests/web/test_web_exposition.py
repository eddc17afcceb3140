"""The metrics, as Prometheus reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

import digestd
from digestd.metrics import Metrics
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


def test_everything_that_is_counted_is_shown() -> None:
    assert samples(scrape(state())) == {
        f"digestd_build_info{{version={digestd.__version__}}}": 1,
        "digestd_healthy": 1,
        "digestd_uptime_seconds": 3600.5,
        "digestd_sources_enabled": 4,
        "digestd_sources_running": 3,
        "digestd_sources_failing": 1,
        "digestd_sources_silent": 2,
        "digestd_slots_in_use": 1,
        "digestd_slots": 10,
        "digestd_store_available": 1,
        "digestd_store_calls_running": 1,
        "digestd_store_calls_waiting": 2,
        "digestd_last_fetch_timestamp_seconds": MOMENT.timestamp(),
        "digestd_articles_new_total": 40,
        "digestd_articles_updated_total": 3,
        "digestd_entries_set_aside_total": 1,
        "digestd_fetch_overflows_total": 7,
        "digestd_source_restarts_total": 4,
        "digestd_store_outages_total": 5,
        "digestd_store_calls_total": 200,
        "digestd_store_slow_calls_total": 6,
        "digestd_store_seconds_total": 3.5,
        "digestd_store_wait_seconds_total": 0.5,
        "digestd_polls_total{outcome=fetched}": 3,
        "digestd_polls_total{outcome=unchanged}": 1,
        "digestd_polls_total{outcome=failed}": 2,
        "digestd_polls_total{outcome=deferred}": 2,
        "digestd_poll_errors_total{cause=dns}": 1,
        "digestd_poll_errors_total{cause=timeout}": 1,
        "digestd_poll_duration_seconds_bucket{le=0.1}": 2,
        "digestd_poll_duration_seconds_bucket{le=0.25}": 3,
        "digestd_poll_duration_seconds_bucket{le=0.5}": 3,
        "digestd_poll_duration_seconds_bucket{le=1.0}": 4,
        "digestd_poll_duration_seconds_bucket{le=2.5}": 4,
        "digestd_poll_duration_seconds_bucket{le=5.0}": 5,
        "digestd_poll_duration_seconds_bucket{le=10.0}": 5,
        "digestd_poll_duration_seconds_bucket{le=30.0}": 5,
        "digestd_poll_duration_seconds_bucket{le=60.0}": 5,
        "digestd_poll_duration_seconds_bucket{le=+Inf}": 6,
        "digestd_poll_duration_seconds_count": 6,
        "digestd_poll_duration_seconds_sum": pytest.approx(65.0),
        "digestd_pages_total{outcome=done}": 2,
        "digestd_pages_total{outcome=failed}": 1,
        "digestd_pages_total{outcome=skipped}": 0,
        "digestd_pages_total{outcome=retry}": 1,
        "digestd_pages_total{outcome=put_off}": 0,
        "digestd_page_seconds_total": 2.5,
        "digestd_pages_pending": 7,
        "digestd_pages_oldest_pending_seconds": 90.4,
    }


def test_trouble_shows_in_the_gauges() -> None:
    shown = samples(scrape(state(stalled="it hangs", store_away_since=MOMENT)))
    assert (shown["digestd_healthy"], shown["digestd_store_available"]) == (0, 0)


def test_before_the_first_fetch_there_is_no_moment_of_it() -> None:
    shown = samples(scrape(state(metrics=Metrics(0))))
    assert "digestd_last_fetch_timestamp_seconds" not in shown
    assert "digestd_pages_pending" not in shown
    assert shown["digestd_poll_duration_seconds_count"] == 0


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_names_are_ours_and_labels_are_bounded_in_both_formats(accept: str) -> None:
    families = scrape(state(), accept)
    assert samples(families) == samples(scrape(state()))
    for family in families:
        assert re.fullmatch(r"digestd_[a-z_]+", family.name)
        assert family.documentation.endswith((".", ": 1 or 0.", "(worker.max_sources)."))
        assert {key for sample in family.samples for key in sample.labels} <= {
            "outcome",
            "cause",
            "le",
            "version",
        }


def test_the_content_type_follows_what_the_client_accepts() -> None:
    exposition = Exposition(lambda: state())
    assert exposition.render("*/*")[1] == "text/plain; version=0.0.4; charset=utf-8"
    assert exposition.render(OPENMETRICS)[1].startswith("application/openmetrics-text; version=1.0.0")
