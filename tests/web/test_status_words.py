"""What the status page says of sources, polls and articles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digestd.model import Fetch, Source, SourceSpec, SourceStatus
from digestd.store.overview import Headline
from digestd.web.pages.words import (
    Mark,
    Moment,
    article_row,
    link_of,
    mark_of,
    moment_of,
    poll_row,
    shortened,
    source_facts,
    source_row,
)

NOW = datetime(2026, 11, 23, 18, 30, 15, tzinfo=UTC)


def status(*, enabled: bool = True, **changes: Any) -> SourceStatus:
    spec = SourceSpec(
        "Fenwick CERT", "feed", "https://user:secret@cert.example/feed?key=secret", enabled=enabled
    )
    made = SourceStatus(Source(7, spec), "active", last_fetched_at=NOW - timedelta(minutes=3))
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("changes", "mark"),
    [
        ({}, Mark("dot", "active")),
        ({"last_fetched_at": None}, Mark("dot", "active", "not polled yet")),
        ({"consecutive_failures": 1}, Mark("cross", "failing", "last poll failed")),
        ({"consecutive_failures": 1_200, "state": "gone"}, Mark("cross", "failing", "1,200 times in a row")),
        (
            {"unfinished_claims": 3, "consecutive_failures": 1},
            Mark("cross", "suspect", "it may crash digestd"),
        ),
        ({"state": "degraded"}, Mark("triangle", "degraded", "its answers look wrong")),
        ({"state": "gone"}, Mark("square", "gone", "its server says so (410)")),
        ({"state": "duplicate"}, Mark("pair", "duplicate", "another source has its URL")),
        (
            {"state": "removed", "consecutive_failures": 1},
            Mark("ring", "removed", "it is not in the settings any more"),
        ),
        ({"enabled": False, "consecutive_failures": 2}, Mark("ring", "disabled", "in the settings")),
        ({"enabled": False, "overridden": True}, Mark("ring", "disabled", "by a command")),
    ],
)
def test_every_state_has_a_word_and_a_shape(changes: dict[str, Any], mark: Mark) -> None:
    assert mark_of(status(**changes)) == mark


@pytest.mark.parametrize(
    ("changes", "words", "why"),
    [
        (
            {"next_fetch_at": NOW + timedelta(minutes=5), "schedule_reason": "backoff:3"},
            "in 5 min",
            "it failed 3 times in a row",
        ),
        (
            {"next_fetch_at": NOW - timedelta(hours=1), "schedule_reason": "interval"},
            "due now",
            "its interval",
        ),
        ({}, "due now", ""),
        ({"enabled": False, "schedule_reason": "interval"}, "not polled", ""),
        ({"state": "duplicate", "next_fetch_at": NOW, "schedule_reason": "interval"}, "not polled", ""),
        ({"next_fetch_at": NOW, "schedule_reason": "something new"}, "due now", "something new"),
    ],
)
def test_the_next_poll_has_its_reason(changes: dict[str, Any], words: str, why: str) -> None:
    row = source_row(status(**changes), NOW)
    assert (row.next_words, row.why) == (words, why)
    assert (row.next_poll is None) == (words == "not polled" or changes.get("next_fetch_at") is None)


def test_a_moment_is_told_three_ways() -> None:
    moment = datetime.fromisoformat("2026-11-23T20:00:15+02:00")
    assert moment_of(moment, NOW) == Moment(
        "2026-11-23T18:00:15+00:00", "30 min ago", "2026-11-23 18:00:15 UTC"
    )
    assert moment_of(None, NOW) is None


def test_secrets_of_urls_are_masked_in_the_facts() -> None:
    facts = dict(
        source_facts(status(source=replace(status().source, effective_url="https://b.example/?a=b")), NOW)
    )
    assert facts["URL"] == "https://***@cert.example/feed?key=***"
    assert facts["Moved to"] == "https://b.example/?a=***"
    assert (facts["Configured"], facts["Last success"]) == ("in a file", "never")
    assert "secret" not in repr(facts)
    assert "Own interval" not in facts
    assert "Category" not in facts


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://news.example/a?id=1#top", "https://news.example/a?id=1#top"),
        ("http://news.example", "http://news.example"),
        ("HTTPS://News.example/", "HTTPS://News.example/"),
        ("https://user:secret@news.example/?token=secret", "https://news.example/?token=***"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("ja\tva\x01script:alert(1)", None),
        ("javascript:alert(1)", None),
        ("data:text/html,<script>", None),
        ("//news.example/", None),
        ("/a", None),
        ("https:///a", None),
        ("https://[news.example/", None),
        ("https://news.example/ a", None),
        ("", None),
        (None, None),
    ],
)
def test_only_addresses_of_the_web_become_links(url: str | None, link: str | None) -> None:
    assert link_of(url) == link


def test_an_article_without_title_and_date_says_so() -> None:
    row = article_row(Headline(1, 7, "Fenwick\u202e CERT", " \x1b ", None, NOW, "first_seen", NOW), NOW)
    assert (row.title, row.link, row.source, row.dated) == ("(no title)", None, "Fenwick CERT", False)


def test_a_poll_is_told_with_what_it_cost_and_brought() -> None:
    fetch = Fetch(
        NOW, "failed", 503, 1.5, 12_345, 0, 0, 1_000, "backoff:2", 3_600, "http_status:\nit is busy"
    )
    row = poll_row(fetch, NOW)
    assert row.mark == Mark("cross", "failed", "HTTP 503")
    assert (row.took, row.size, row.quiet_before) == ("1.50 s", "12,345", "1,000")
    assert row.next_words == "3,600 s later, it failed 2 times in a row"
    assert row.error == "http_status: it is busy"
    assert poll_row(replace(fetch, outcome="fetched", status=None, error=None), NOW).mark == Mark(
        "dot", "fetched"
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("short", "short"),
        ("  a \n b\t", "a b"),
        ("0123456789", "0123456789"),
        ("01234567890", "0123456789…"),
        ("a" + " " * 5_000 + "b", "a…"),
        ("\u202e\x00" * 100, "…"),
    ],
)
def test_a_long_text_is_cut(text: str, shown: str) -> None:
    assert shortened(text, 10) == shown
