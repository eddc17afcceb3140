"""The door to nh3: what is left of HTML from outside."""

from __future__ import annotations

import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.html import clean, cleaned_to_text, from_text, to_text

BASE = "https://example.org/blog/post"


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("plain text", "plain text"),
        ("a & b", "a &amp; b"),
        ("<p onclick='x()'>Hi</p><script>x()</script><style>p{}</style>", "<p>Hi</p>"),
        ("<form><input>in</form><iframe src='/x'>no</iframe>", "in"),
        ("<a href='javascript:x()'>a</a>", '<a rel="noopener noreferrer">a</a>'),
        ("<img src='data:image/png;base64,AA'>", "<img>"),
        (
            "<a href='other?a=1'>a</a>",
            '<a href="https://example.org/blog/other?a=1" rel="noopener noreferrer">a</a>',
        ),
        ("<a href='mailto:a@b.org'>a</a>", '<a href="mailto:a@b.org" rel="noopener noreferrer">a</a>'),
        ("<img src='//cdn.org/i.png' width=1 height='1' alt='a>b'>", ""),
        (
            "<img src='/i.png' width=1 height=300>",
            '<img src="https://example.org/i.png" width="1" height="300">',
        ),
        ("<p><b>unclosed", "<p><b>unclosed</b></p>"),
        ("NUL \x00 and \ud800<br>", "NUL  and \ufffd<br>"),
    ],
)
def test_cleans(value: str, left: str) -> None:
    assert clean(value, BASE) == left


@pytest.mark.parametrize(
    "base", ["", "javascript:x", "mailto:a@b.org", "post/1", "http://[", "file:///etc/x"]
)
def test_without_a_web_address_as_base_relative_links_lose_their_target(base: str) -> None:
    assert clean("<a href='x'>a</a>", base) == '<a rel="noopener noreferrer">a</a>'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("  two\n words ", "two words"),
        ("<p>one</p><p>two<br>three</p>", "one two three"),
        ("wo<b>r</b>d", "word"),
        ("AT&amp;T &#8217;s &lt;b&gt; &nbsp; x", "AT&T \u2019s <b> x"),
        ("<script>no</script>yes<style>no</style>", "yes"),
        ("a <!-- no --> b", "a b"),
        ("5 < 6 & 7 > 2", "5 < 6 & 7 > 2"),
        ("&#xD800;&#0;", "\ufffd\ufffd"),
    ],
)
def test_turns_html_into_text(value: str, text: str) -> None:
    assert to_text(value) == text


def test_text_as_html_shows_the_text() -> None:
    assert from_text("<b> & \x00") == "&lt;b&gt; &amp; "


def test_html_nested_beyond_reason_is_read_as_text_and_in_time() -> None:
    deep = "<div onclick=x()>" * 200_000 + "text"
    unclosed = "<a" * 200_000
    begin = time.perf_counter()
    assert to_text(unclosed) == unclosed
    assert clean(deep, BASE).strip() == "text"
    assert to_text(deep) == "text"
    assert time.perf_counter() - begin < 2


_FRAGMENTS = st.lists(
    st.sampled_from(
        ["<", ">", "&", '"', "'", "<p>", "</p>", "<a href=", "<img src=x width=1 height=1>", "javascript:"]
    )
    | st.sampled_from(
        ["<script>", "</script", "onclick=", "<svg><style>", "<!--", "&#0;", "&lt;script&gt;", "\x00"]
    )
    | st.text(max_size=5),
    max_size=20,
).map("".join)


@given(_FRAGMENTS)
def test_what_is_cleaned_is_clean(value: str) -> None:
    once = clean(value, BASE)
    assert clean(once, BASE) == once
    assert "<script" not in once.lower()
    assert "<svg" not in once.lower()


@given(st.text())
def test_text_survives_html(text: str) -> None:
    assert html.unescape(from_text(text)) == html.unescape(from_text(html.unescape(from_text(text))))
    assert to_text("<p>" + from_text(text)) == to_text(from_text(text) + "<p>")


@given(st.text(alphabet="<>/&;abp divbrli \n\"'=#60", max_size=60) | st.text(max_size=40))
def test_the_cheap_way_to_text_gives_the_same(fragment: str) -> None:
    cleaned = clean(fragment, "https://example.org/")
    assert cleaned_to_text(cleaned) == to_text(cleaned)


def test_words_at_inline_tags_stay_whole() -> None:
    assert cleaned_to_text("<p>a<b>b</b>c</p><p>d &amp;amp; e<br>f</p>") == "abc d &amp; e f"
