"""Whether a feed carries an article in full."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed import entry
from digestd.feed.completeness import COMPLETE_CHARACTERS, is_complete
from digestd.feed.html import cleaned_to_text
from digestd.feed.parse import parse_feed
from digestd.model import Entry

LONG = "All of it is here. " * 100
URL = "https://example.org/feed"
NAMESPACES = (
    'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    'xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" xmlns:media="http://search.yahoo.com/mrss/"'
)


def rss_entry(inside: str) -> Entry:
    body = f'<rss version="2.0" {NAMESPACES}><channel><item>{inside}</item></channel></rss>'
    (entry,) = parse_feed(body.encode(), URL, None).entries
    return entry


def test_the_length_decides() -> None:
    assert is_complete("x" * COMPLETE_CHARACTERS)
    assert not is_complete("x" * (COMPLETE_CHARACTERS - 1))
    assert COMPLETE_CHARACTERS == 1_500


@pytest.mark.parametrize(
    "end",
    [
        "and so…",
        "and so...",
        "and so [...]",
        "and so […] ",
        "and so (…)",
        "and so…»",
        "and so. . .",
        "and so… Continue reading The title →",
        "and so [...] Read more",
        "and so […] The post The title appeared first on The blog.",
        "and so... The post The title first appeared on The blog.",
    ],
)
def test_an_ellipsis_at_the_end_means_that_there_is_more(end: str) -> None:
    assert not is_complete(LONG + end)


@pytest.mark.parametrize(
    "end",
    [
        "the end.",
        "wait… and then the end.",
        "The post The title appeared first on The blog.",
        "Read more in our … report of last year about the same group and its tools. " * 3,
    ],
)
def test_another_end_is_the_end(end: str) -> None:
    assert is_complete(LONG + end)


@given(st.text(alphabet=".… ]}»Read more the post appeared first on continue", max_size=3_000))
def test_no_end_takes_long(end: str) -> None:
    began = time.perf_counter()
    is_complete(LONG + end)
    assert time.perf_counter() - began < 0.1


def test_content_of_rss_and_atom_counts() -> None:
    assert rss_entry(f"<content:encoded><![CDATA[<p>{LONG}</p>]]></content:encoded>").complete
    assert rss_entry(f"<description>Short</description><content:encoded>{LONG}</content:encoded>").complete
    atom = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><content type="html">{LONG}</content></entry></feed>'
    assert parse_feed(atom.encode(), URL, None).entries[0].complete
    json_feed = (
        f'{{"version":"https://jsonfeed.org/version/1","items":[{{"id":"1","content_html":"{LONG}"}}]}}'
    )
    assert parse_feed(json_feed.encode(), URL, None).entries[0].complete


def test_a_summary_or_description_never_counts() -> None:
    assert not rss_entry(f"<description>{LONG}</description>").complete
    atom = f'<feed xmlns="http://www.w3.org/2005/Atom"><entry><summary>{LONG}</summary></entry></feed>'
    assert not parse_feed(atom.encode(), URL, None).entries[0].complete


@pytest.mark.parametrize("first", ["itunes:summary", "description", "media:description"])
def test_a_second_description_is_none_the_more_a_content(first: str) -> None:
    twice = f"<{first}>Short</{first}><description>{LONG}</description>"
    assert not rss_entry(twice).complete
    with_content = f"<content:encoded>{LONG}{LONG}</content:encoded>"
    assert rss_entry(twice + with_content).complete


def test_markup_does_not_count_as_text() -> None:
    markup = '<img src="https://example.org/picture.png">' * 100
    assert not rss_entry(f"<content:encoded><![CDATA[<p>Short</p>{markup}]]></content:encoded>").complete


_WORDS = (
    "word",
    "a",
    "…",
    "...",
    "&hellip;",
    "Read more",
    "<p>",
    "</p>",
    "<b>",
    "<br>",
    "[...]",
    "x" * 700,
    "\n",
    " ",
)


@given(
    st.lists(st.sampled_from(_WORDS), max_size=300),
    st.sampled_from(["word ", "<p>", "<b>word</b> ", "x", "&amp; "]),
    st.integers(0, 2_000),
    st.lists(st.sampled_from(_WORDS), max_size=5),
)
def test_the_end_tells_what_the_whole_does(
    before: list[str], filling: str, times: int, end: list[str]
) -> None:
    content = " ".join(before) + filling * times + "".join(end)
    whole = len(content) >= COMPLETE_CHARACTERS and is_complete(cleaned_to_text(content))
    assert entry._is_complete(content) == whole
