"""What publishers say of when to come back, read from documents, header fields and the database."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.hints import (
    LONGEST_SECONDS,
    of_document,
    of_headers,
    remembered,
    skipped,
    stated,
    to_cursor,
)
from digestd.feed.parse import parse_feed
from digestd.model import Document, Entry, Hints

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DATE = "Mon, 23 Nov 2026 12:00:00 GMT"
SYNDICATION = "xmlns:sy='http://purl.org/rss/1.0/modules/syndication/'"


def read(channel: str, items: str = "<item><guid>1</guid></item>") -> Hints:
    body = f"<rss version='2.0' {SYNDICATION}><channel><title>t</title>{channel}{items}</channel></rss>"
    return parse_feed(body.encode(), "https://one.example/feed", None).hints


def period(said: str, times: str | None = None) -> Hints:
    frequency = "" if times is None else f"<sy:updateFrequency>{times}</sy:updateFrequency>"
    return read(f"<sy:updatePeriod>{said}</sy:updatePeriod>{frequency}")


def dated(*hours_ago: float | None) -> Document:
    entries = [
        Entry(str(number), "", published_at=None if hours is None else NOW - timedelta(hours=hours))
        for number, hours in enumerate(hours_ago)
    ]
    return Document("https://one.example/feed", "rss20", entries=tuple(entries))


@pytest.mark.parametrize(
    ("ttl", "seconds"),
    [("60", 3_600), (" 5 ", 300), ("1.5", 90), ("0", None), ("-5", None), ("soon", None), ("", None)],
)
def test_ttl_is_minutes(ttl: str, seconds: float | None) -> None:
    assert read(f"<ttl>{ttl}</ttl>").ttl_seconds == seconds


def test_no_ttl_is_longer_than_ten_years() -> None:
    assert read(f"<ttl>{'9' * 12}</ttl>").ttl_seconds == LONGEST_SECONDS
    assert read(f"<ttl>{'9' * 400}</ttl>").ttl_seconds is None


@pytest.mark.parametrize(
    ("said", "times", "seconds"),
    [
        ("hourly", None, 3_600),
        ("hourly", "2", 1_800),
        (" Daily\n", "1", 86_400),
        ("weekly", "0", 7 * 86_400),
        ("monthly", "never", 30 * 86_400),
        ("yearly", "-3", 365 * 86_400),
        ("always", "1", None),
    ],
)
def test_update_period_over_frequency(said: str, times: str | None, seconds: float | None) -> None:
    assert period(said, times).ttl_seconds == seconds


def test_of_two_the_slower_one_counts() -> None:
    assert read("<ttl>5</ttl><sy:updatePeriod>hourly</sy:updatePeriod>").ttl_seconds == 3_600
    assert read("<ttl>500</ttl><sy:updatePeriod>hourly</sy:updatePeriod>").ttl_seconds == 30_000


def test_hours_and_days_to_leave_out() -> None:
    said = read(
        "<skipHours><hour>23</hour><hour> 3 </hour><hour>24</hour><hour>25</hour><hour>x</hour>"
        "<hour>3</hour></skipHours>"
        "<skipDays><day>Sunday</day><day>monday</day><day>Caturday</day></skipDays>"
    )
    assert (said.skip_hours, said.skip_days) == ((0, 3, 23), (0, 6))


def test_they_may_stand_behind_the_items() -> None:
    items = "<item><guid>1</guid></item><skipHours><hour>3</hour></skipHours>"
    assert read("", items).skip_hours == (3,)


def test_what_an_item_says_is_not_the_feed_s() -> None:
    items = "<item><guid>1</guid><skipHours><hour>3</hour></skipHours><ttl>90</ttl></item>"
    assert read("", items) == Hints()


def test_who_leaves_out_everything_leaves_out_nothing() -> None:
    hours = "".join(f"<hour>{hour}</hour>" for hour in range(24))
    days = "".join(f"<day>{day:%A}</day>" for day in (NOW + timedelta(days=n) for n in range(7)))
    assert read(f"<skipHours>{hours}</skipHours><skipDays>{days}</skipDays>") == Hints()


def test_an_atom_feed_says_none_of_this() -> None:
    body = b"<feed xmlns='http://www.w3.org/2005/Atom'><title>t</title><entry><id>1</id></entry></feed>"
    assert parse_feed(body, "https://one.example/feed", None).hints == Hints()


@given(st.text(), st.text(), st.text(), st.lists(st.text()), st.lists(st.text()))
def test_whatever_is_written_there_is_read_within_bounds(
    ttl: str, said: str, times: str, hours: list[str], days: list[str]
) -> None:
    hints = stated(ttl, said, times, hours, days)
    assert hints.ttl_seconds is None or 0 < hints.ttl_seconds <= LONGEST_SECONDS
    assert all(0 <= hour < 24 for hour in hints.skip_hours)
    assert all(0 <= day < 7 for day in hints.skip_days)


def test_the_gap_is_the_median_of_the_newest_twenty() -> None:
    assert of_document(dated(0, 2, 3, 50), NOW).gap_seconds == 2 * 3_600
    assert of_document(dated(50, 0, None, 3, 2), NOW).gap_seconds == 2 * 3_600
    assert of_document(dated(0, 2, 5), NOW).gap_seconds == 2.5 * 3_600
    steady = [float(hour) for hour in range(20)]
    assert (
        of_document(dated(*steady, 1_000, 5_000, 9_000, *range(10_000, 40_000, 1_000)), NOW).gap_seconds
        == 3_600
    )


def test_few_dates_or_equal_ones_show_no_habit() -> None:
    assert of_document(dated(), NOW) == Hints()
    assert of_document(dated(3, 5), NOW) == Hints(newest_at=NOW - timedelta(hours=3))
    assert of_document(dated(3, 3, 3, 3), NOW).gap_seconds is None


def test_dates_in_the_future_show_nothing() -> None:
    hints = of_document(dated(-5, -9, -100, 1, 2, 3), NOW)
    assert hints == Hints(gap_seconds=3_600, newest_at=NOW - timedelta(hours=1))
    assert of_document(dated(-5), NOW).newest_at is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"cache-control": "max-age=600"}, 600),
        ({"cache-control": "public, Max-Age = 600 , s-maxage=9999"}, 600),
        ({"cache-control": 'max-age="600"'}, 600),
        ({"cache-control": "max-age=600, max-age=900"}, 600),
        ({"cache-control": "max-age=600", "age": "200"}, 400),
        ({"cache-control": "max-age=600", "age": "old"}, 600),
        ({"cache-control": "max-age=600", "age": "600"}, None),
        ({"cache-control": "max-age=0", "expires": "Mon, 23 Nov 2026 13:00:00 GMT"}, None),
        ({"cache-control": "max-age=-5"}, None),
        ({"cache-control": "max-age=６０"}, None),
        ({"cache-control": "s-maxage=600"}, None),
        ({"cache-control": "no-cache, max-age=600"}, None),
        ({"cache-control": "max-age=600, no-store"}, None),
        ({"cache-control": 'x="max-age=5", max-age=600'}, 600),
        ({"cache-control": "x-max-age=5"}, None),
        ({"cache-control": "public", "expires": "Mon, 23 Nov 2026 13:00:00 GMT", "date": DATE}, 3_600),
        ({"expires": "Mon, 23 Nov 2026 13:00:00 GMT", "date": "Mon, 23 Nov 2026 12:59:00 GMT"}, 60),
        ({"expires": "Mon, 23 Nov 2026 12:30:00 GMT"}, 1_800),
        ({"expires": "Mon, 23 Nov 2026 12:30:00 GMT", "date": "today"}, 1_800),
        ({"expires": "Mon, 23 Nov 2026 11:30:00 GMT"}, None),
        ({"expires": "0"}, None),
        ({"expires": "-1"}, None),
        ({"expires": "Mon, 99 Nov 99999 13:00:00 GMT"}, None),
        ({"cache-control": "max-age=999999999999"}, LONGEST_SECONDS),
    ],
)
def test_how_long_an_answer_may_be_cached(headers: dict[str, str], seconds: float | None) -> None:
    assert of_headers(headers, NOW) == seconds


fields = st.text(st.characters(max_codepoint=0x2FFF)) | st.from_regex(
    r"(max-age|no-cache|expires)[=, \"0-9a-z-]*"
)


@given(st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age"]), fields))
def test_no_header_field_breaks_anything(headers: dict[str, str]) -> None:
    seconds = of_headers(headers, NOW)
    assert seconds is None or 0 < seconds <= LONGEST_SECONDS


@pytest.mark.parametrize(
    "field", ["," * 100_000, " " * 100_000, "a" * 100_000, 'a="' * 30_000, "a= " * 30_000]
)
def test_hostile_fields_take_no_time(field: str) -> None:
    began = time.process_time()
    for name in ("cache-control", "expires", "date", "age"):
        of_headers({"expires": DATE, name: field}, NOW)
        of_headers({"cache-control": "max-age=5", name: field}, NOW)
    assert time.process_time() - began < 0.2


@pytest.mark.parametrize("piece", ["<skipHours>", "<hour>", "<hour>3", "<item", "</item>", "<day> "])
def test_hostile_documents_take_no_time(piece: str) -> None:
    began = time.process_time()
    skipped("<skipHours><skipDays>" + piece * 500_000)
    assert time.process_time() - began < 0.5


whole_seconds = st.none() | st.integers(1, int(LONGEST_SECONDS)).map(float)
hinted = st.builds(
    Hints,
    cache_seconds=whole_seconds,
    ttl_seconds=whole_seconds,
    skip_hours=st.sets(st.integers(0, 23), max_size=23).map(lambda found: tuple(sorted(found))),
    skip_days=st.sets(st.integers(0, 6), max_size=6).map(lambda found: tuple(sorted(found))),
    gap_seconds=whole_seconds,
    newest_at=st.none()
    | st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(microsecond=0)),
)


@given(hinted)
def test_what_is_kept_comes_back(hints: Hints) -> None:
    assert remembered({"asked": "x", **to_cursor(hints)}) == hints


def test_of_nothing_nothing_is_kept() -> None:
    assert to_cursor(Hints()) == {}
    assert remembered(None) == remembered({"asked": "x"}) == Hints()


def test_less_than_a_second_is_kept_as_one() -> None:
    assert remembered(to_cursor(Hints(gap_seconds=0.1))).gap_seconds == 1


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("2026-11-23T12:00:00"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.dictionaries(st.sampled_from(["cache", "ttl", "hours", "days", "gap", "newest"]), json_values)
    | json_values
)
def test_a_damaged_row_gives_what_is_sound_of_it(row: Any) -> None:
    hints = remembered({"hints": row})
    for seconds in (hints.cache_seconds, hints.ttl_seconds, hints.gap_seconds):
        assert seconds is None or (math.isfinite(seconds) and 0 < seconds <= LONGEST_SECONDS)
    assert len(hints.skip_hours) < 24
    assert len(hints.skip_days) < 7
    assert hints.newest_at is None or hints.newest_at.tzinfo is not None
