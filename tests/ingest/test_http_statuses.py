"""What a status means in words, and how long a server wants to be left alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.ingest.network.statuses import retry_after_seconds, sentence

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
WEEK = 7 * 86_400


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("-5", None),
        ("soon", None),
        ("1e9", None),
        ("inf", None),
        ("٣", None),
        ("9" * 400, WEEK),
        ("604801", WEEK),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sunday, 01-Mar-26 12:02:00 GMT", 120),
        ("Sun Mar  1 12:02:00 2026", 120),
        ("Sun, 01 Mar 2026 13:02:00 +0100", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Fri, 01 Jan 9999 00:00:00 GMT", WEEK),
        ("Sun, 99 Mar 2026 12:02:00 GMT", None),
        ("Sun, 01 Mar 2026 12:02:00 GMT" + " (" * 30, None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, now=NOW) == seconds


def test_a_point_in_time_is_counted_from_the_answers_own_date() -> None:
    moment, date = "Sun, 01 Mar 2020 00:01:00 GMT", "Sun, 01 Mar 2020 00:00:00 GMT"
    assert retry_after_seconds(moment, now=NOW, date=date) == 60
    assert retry_after_seconds(moment, now=NOW, date="yesterday") == 0


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_text_is_a_bounded_wait_or_none(value: str, date: str) -> None:
    seconds = retry_after_seconds(value, now=NOW, date=date)
    assert seconds is None or 0 <= seconds <= WEEK


@pytest.mark.parametrize(
    ("status", "url", "expected"),
    [
        (404, None, "the server answered 404 Not Found: there is nothing at this address; check the URL"),
        (
            410,
            "https://example.org/a",
            "the server answered 410 Gone at https://example.org/a: "
            "it is gone for good; look for its new address or remove the source",
        ),
        (418, None, "the server answered 418 I'm a Teapot"),
        (
            502,
            None,
            "the server answered 502 Bad Gateway: it has trouble of its own; nothing needs to be done here",
        ),
        (599, None, "the server answered 599: it has trouble of its own; nothing needs to be done here"),
        (999, None, "the server answered 999: it has trouble of its own; nothing needs to be done here"),
        (206, None, "the server answered 206 Partial Content: it is only a part of the document"),
    ],
)
def test_sentences(status: int, url: str | None, expected: str) -> None:
    assert sentence(status, url) == expected
