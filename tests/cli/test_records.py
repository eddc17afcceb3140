"""What programs and spreadsheets are told: the fields of `--json` and `--csv`, and which sources count as failing."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from digestd.cli.records import (
    ArticleRecord,
    SetAsideRecord,
    SourceRecord,
    article_record,
    is_degraded,
    print_records,
    set_aside_record,
    source_record,
)
from digestd.cli.spreadsheet import csv_text
from digestd.feed.health import health_of
from digestd.metrics import Metrics
from digestd.model import Article, Source, SourceSpec, SourceStatus
from digestd.store import EntrySetAside

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LINK = "https://u:hunter2@a.example/x?api_key=hunter2"
ARTICLE = Article(
    1, "s", "t", LINK, "a", "en", None, None, NOW, "entry", NOW, canonical_url=LINK, text="four"
)
ENTRY = EntrySetAside("s", None, "t", "why", "{}", NOW, NOW)
SOURCE = SourceStatus(Source(1, SourceSpec("s", "feed", LINK), "file"), "active")
DISABLED = replace(SOURCE, source=Source(1, SourceSpec("s", "feed", LINK, enabled=False), "file"))


@pytest.mark.parametrize(
    ("shape", "record"),
    [
        (ArticleRecord, article_record(ARTICLE)),
        (SetAsideRecord, set_aside_record(ENTRY)),
        (SourceRecord, source_record(SOURCE, health_of(SOURCE))),
    ],
)
def test_csv_has_the_fields_of_json_in_their_order_and_no_secret(
    shape: type, record: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    print_records("json", shape, [record])
    as_json = capsys.readouterr().out
    print_records("csv", shape, [record])
    as_csv = capsys.readouterr().out
    assert as_csv == csv_text(tuple(json.loads(as_json)[0]), [record])
    assert json.loads(as_json) == [record]
    assert "hunter2" not in as_json + as_csv


@pytest.mark.parametrize(
    ("status", "failing", "degraded"),
    [
        (SOURCE, False, False),
        (replace(SOURCE, last_error="paused: later"), False, False),
        (replace(SOURCE, consecutive_failures=1, last_error="dns: no"), True, False),
        (replace(SOURCE, state="degraded", consecutive_failures=3, last_error="dns: no"), True, True),
        (replace(SOURCE, state="degraded", last_error="shape: no entries"), False, True),
        (replace(SOURCE, state="degraded", unfinished_claims=3), True, True),
        (replace(SOURCE, unfinished_claims=1), False, False),
        (replace(DISABLED, state="degraded", consecutive_failures=3), False, False),
    ],
)
def test_failing_is_what_is_counted_and_degraded_is_a_state(
    status: SourceStatus, failing: bool, degraded: bool
) -> None:
    assert (status.failing, is_degraded(status)) == (failing, degraded)
    assert source_record(status, health_of(status))["failing"] is failing


@pytest.mark.parametrize(
    "status",
    [
        SOURCE,
        replace(SOURCE, consecutive_failures=1, last_error="dns: no"),
        replace(SOURCE, state="degraded", last_error="shape: no entries"),
    ],
)
def test_metrics_and_health_mean_the_same_by_failing(status: SourceStatus) -> None:
    metrics = Metrics(started=0)
    metrics.remember([status])
    assert ("s" in metrics.failing) is status.failing
