"""Entries of what an API says go the way that entries of feeds go."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.api import HEADLINE_CHARACTERS, api_entry, date_of, headline
from digestd.feed.entry import Prose

BASE = "https://board.example/a/1"


def test_an_entry_is_known_by_its_key_whatever_else_changes() -> None:
    one = api_entry(key="t3_a", link=BASE, title="One", content=Prose("<p>a</p>", True, BASE))
    other = api_entry(key="t3_a", link=None, title="Other", content=Prose("b", False, BASE))
    assert one.identity == other.identity
    assert one.content_hash != other.content_hash
    assert api_entry(key="t3_b", link=BASE, title="One").identity != one.identity


def test_html_is_sanitised_with_links_made_absolute_and_text_is_escaped() -> None:
    html = Prose('<p onclick="x()">see <a href="/b">b</a><script>x()</script></p>', True, BASE)
    entry = api_entry(key="1", link=BASE, title=" a \n b ", content=html, summary=Prose("1 < 2", False, BASE))
    assert entry.title == "a b"
    assert entry.content == '<p>see <a href="https://board.example/b" rel="noopener noreferrer">b</a></p>'
    assert entry.summary == "1 &lt; 2"


def test_dates_are_read_as_those_of_feeds_best_first() -> None:
    entry = api_entry(key="1", link=None, title="", dates=["", date_of(1795420800), "2026-11-24"])
    assert entry.published_at == datetime(2026, 11, 23, 8, tzinfo=UTC)
    for other in (None, "1795420800", True, -1, 0, float("inf"), float("nan"), 1e30):
        assert date_of(other) == ""
    assert date_of(1795420800.5) == "2026-11-23T08:00:00.500000+00:00"


def test_what_is_complete_needs_no_page() -> None:
    short = Prose("short", False, BASE)
    assert api_entry(key="1", link=BASE, title="", content=short, complete=True).complete
    assert not api_entry(key="1", link=BASE, title="", content=short).complete


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Short one", "Short one"),
        ("two\nlines", "two lines"),
        ("word " * 40, "word " * 22 + "word…"),
        ("x" * 300, "x" * 119 + "…"),
    ],
)
def test_a_post_without_a_title_is_called_by_its_beginning(text: str, title: str) -> None:
    assert headline(text) == title
    assert headline(f"<p>{text}</p>", is_html=True) == title


@given(st.text(max_size=400), st.booleans())
def test_no_headline_is_longer_than_one(text: str, is_html: bool) -> None:
    assert len(headline(text, is_html=is_html)) <= HEADLINE_CHARACTERS
