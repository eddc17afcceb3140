"""The one URL under which an article is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.page.canonical import canonical_url, without_tracking
from page.pages import URL, article, read


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("https://news.example/router-flaw", "https://news.example/router-flaw"),
        ("/router-flaw", "https://news.example/router-flaw"),
        ("//www.news.example/router-flaw#top", "https://www.news.example/router-flaw"),
        ("HTTPS://News.Example:443/Router?id=1&utm_source=x", "https://news.example/Router?id=1"),
        ("https://origin.example/its-own-article", "https://origin.example/its-own-article"),
        ("https://news.example/?p=123", "https://news.example/?p=123"),
    ],
)
def test_what_the_page_declares_is_believed(declared: str, expected: str) -> None:
    assert canonical_url([declared], URL) == expected


@pytest.mark.parametrize(
    "declared",
    [
        None,
        "",
        "https://news.example/",
        "https://news.example/en/",
        "https://other.example",
        "https://news.example/index.html",
        "https://news.example/login",
        "https://consent.news.example/x",
        "https://news.example/tag/routers",
        "https://news.example/category/news/routers",
        "ftp://news.example/router-flaw",
        "javascript:void(0)",
        "https://user:secret@news.example/router-flaw",
        "http://localhost/router-flaw",
        "https://news.example/" + "x" * 2000,
        "http://[",
        "http://news.example:port/x",
    ],
)
def test_what_cannot_be_the_article_is_not_believed(declared: str | None) -> None:
    assert canonical_url([declared], URL) == URL


def test_the_next_best_declaration_is_asked() -> None:
    assert canonical_url(["/", None, "/router-flaw", "/other"], URL) == "https://news.example/router-flaw"


@pytest.mark.parametrize(
    ("declared", "final", "expected"),
    [
        ("/blog/", "/blog/2026/router-flaw", "/blog/2026/router-flaw"),
        ("/news/security", "/news/security/router-flaw", "/news/security/router-flaw"),
        ("/router-flaw", "/router-flaw/amp", "/router-flaw"),
        ("/node/4711", "/node/4711/router-flaw", "/node/4711"),
        ("/router/", "/router/print", "/router/"),
        ("/tag/routers", "/tag/routers/", "/tag/routers"),
        ("/news/", "/news/", "/news/"),
    ],
)
def test_a_section_is_no_article_in_it(declared: str, final: str, expected: str) -> None:
    site = "https://news.example"
    assert canonical_url([declared], site + final) == site + expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://news.example/a?utm_source=x&id=1&UTM_Medium=y#top", "https://news.example/a?id=1"),
        (
            "https://news.example/a?fbclid=1&gclid=2&mc_cid=3&msclkid=4&_hsenc=5&igshid=6",
            "https://news.example/a",
        ),
        ("https://news.example/a?ID=1&b&c=%20", "https://news.example/a?ID=1&b&c=%20"),
        ("https://jo:secret@News.Example:8443/a", "https://news.example:8443/a"),
        ("http://news.example:80/a", "http://news.example/a"),
        ("https://[2001:db8::1]:443/a", "https://[2001:db8::1]/a"),
        ("https://news.example", "https://news.example"),
        ("http://[", "http://["),
    ],
)
def test_what_tells_who_sent_the_reader_is_dropped(url: str, expected: str) -> None:
    assert without_tracking(url) == expected


def test_the_link_comes_before_open_graph() -> None:
    link = '<link rel="alternate nofollow" href="/no"><link rel="shortlink CANONICAL" href="/one-link">'
    graph = '<meta property="og:url" content="https://news.example/from-graph">'
    assert read(article(link + graph)).canonical_url == "https://news.example/one-link"
    assert read(article(graph)).canonical_url == "https://news.example/from-graph"
    assert read(article('<link rel="canonical" href="/">' + graph)).canonical_url.endswith("/from-graph")
    assert read(article(), url=URL + "?utm_source=feed#x").canonical_url == URL


@given(st.text(max_size=100))
def test_arbitrary_text_never_raises(declared: str) -> None:
    assert canonical_url([declared], URL).startswith(("https://", "http://"))


@given(st.lists(st.sampled_from(["a", "utm_x=1", "b=2", "gclid=", "", "c=%3d"]), max_size=6).map("&".join))
def test_cleaning_twice_changes_nothing(query: str) -> None:
    once = without_tracking(f"{URL}?{query}")
    assert without_tracking(once) == once
