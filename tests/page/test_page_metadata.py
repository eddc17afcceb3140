"""What a page declares of its article: title, author, language, date; and what it does not."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from page.pages import NOW, TITLE, URL, article, graph, linked, page, read


@pytest.mark.parametrize(
    ("head", "title"),
    [
        (
            linked(headline="Bug &#8217;n&#8217; fix") + '<meta property="og:title" content="Other">',
            "Bug ’n’ fix",
        ),
        ('<meta property="og:title" content=" From \n Open Graph ">', "From Open Graph"),
        ('<meta name="twitter:title" content="From Twitter">', "From Twitter"),
        ('<meta property="OG:Title" content="One"><meta property="og:title" content="Two">', "One"),
        (linked(headline=["", 7, {"a": "b"}]), TITLE),
        (f'<meta property="og:title" content="{"x" * 3000}">', "x" * 1000),
    ],
)
def test_the_title_is_what_the_page_declares_best(head: str, title: str) -> None:
    assert read(article(head)).title == title


def test_without_declaration_the_only_heading_is_the_title() -> None:
    text = f"<p>{'Some words of the article. ' * 20}</p>"
    assert read(page(f"<h1>The <i>only</i> one</h1>{text}", title="x | Site")).title == "The only one"
    assert read(page(f"<h1>One</h1><h1>Two</h1>{text}", title="x | Site")).title == "x | Site"
    assert read(f"<html><body>{text}</body></html>").title is None
    drawing = "<svg><title>Icon</title></svg>"
    assert read(f"<html><head><title>Page</title></head><body>{drawing}{text}</body></html>").title == "Page"


@pytest.mark.parametrize(
    ("head", "author"),
    [
        (linked(author={"@type": "Person", "name": "Jo Doe"}), "Jo Doe"),
        (linked(author=[{"name": "Jo Doe"}, {"name": "Al Roe"}, {"name": "Jo Doe"}]), "Jo Doe, Al Roe"),
        (linked(author="By  Jo Doe"), "Jo Doe"),
        (linked(author={"name": {"deep": 1}}) + '<meta name="byl" content="By Al Roe">', "Al Roe"),
        ('<meta property="article:author" content="https://social.example/jo">', None),
        ('<meta name="parsely-author" content="Jo Doe">', "Jo Doe"),
        (f'<meta name="author" content="{"x" * 400}">', "x" * 300),
        ('<meta name="author" content=" ">', None),
    ],
)
def test_the_author_is_who_is_declared(head: str, author: str | None) -> None:
    assert read(article(head)).author == author


@pytest.mark.parametrize(
    ("byline", "author"),
    [
        ('<a rel="author" href="/jo">By Jo Doe</a>', "Jo Doe"),
        ('<span itemprop="author">Jo Doe</span>', "Jo Doe"),
        ('<div itemprop="author">Jo Doe, June 30, 2026</div>', None),
        (f'<div itemprop="author">{"Jo Doe likes dogs. " * 10}</div>', None),
    ],
)
def test_a_marked_byline_names_the_author(byline: str, author: str | None) -> None:
    assert read(article(before=byline)).author == author


@pytest.mark.parametrize(
    ("attributes", "head", "language"),
    [
        ('lang="de"', '<meta property="og:locale" content="en_US">', "de"),
        ('xml:lang="pt_BR"', "", "pt-BR"),
        ('lang="{{ lang }}"', '<meta property="og:locale" content="en_US">', "en-US"),
        ("", linked(inLanguage="fr"), "fr"),
        ("", linked(inLanguage={"@type": "Language", "name": "ja"}), "ja"),
        ("", "", None),
    ],
)
def test_the_language_is_what_is_declared(attributes: str, head: str, language: str | None) -> None:
    assert read(article(head, attributes=attributes)).language == language


@pytest.mark.parametrize(
    "declared",
    [
        linked(datePublished="2026-06-30T08:00:00+02:00"),
        '<meta property="article:published_time" content="2026-06-30T06:00:00Z">',
        '<meta name="DC.date" content="2026-06-30 06:00">',
        '<meta name="parsely-pub-date" content="2026-06-30T06:00:00Z">',
        '<meta name="sailthru.date" content="Tue, 30 Jun 2026 06:00:00 +0000">',
        '<meta name="pubdate" content="20260630T060000Z">',
        '<meta itemprop="datePublished" content="2026-06-30T06:00:00Z">',
        '<time itemprop="datePublished" datetime="2026-06-30T06:00:00Z">yesterday</time>',
        '<time pubdate datetime="2026-06-30T06:00Z"></time>',
        '<span property="schema:datePublished" content="2026-06-30T06:00:00Z"></span>',
    ],
)
def test_a_declared_date_is_read(declared: str) -> None:
    assert read(article(before=declared)).published_at == datetime(2026, 6, 30, 6, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "undeclared",
    [
        "<p>Published on June 30, 2026</p>",
        '<time datetime="2026-06-30">June 30</time>',
        '<meta property="article:modified_time" content="2026-06-30T06:00:00Z">',
        linked(dateModified="2026-06-30", dateCreated="2026-06-30"),
        linked(datePublished=None),
        linked(datePublished={"@value": "2026-06-30"}),
        '<script type="application/ld+json">{"@type": "Organization", "datePublished": "2026-06-30"}</script>',
        '<script>{"@type": "Article", "datePublished": "2026-06-30"}</script>',
        '<script type="application/ld+json">{"@type": "Article", "datePublished": "2026-06-30"</script>',
        '<aside><time itemprop="datePublished" datetime="2026-06-30"></time></aside>',
        linked(datePublished="2026-07-01T12:00:01Z"),
        linked(datePublished="1989-12-31"),
        linked(datePublished="0001-01-01T00:00:00Z"),
        linked(datePublished="soon"),
    ],
)
def test_no_date_is_guessed(undeclared: str) -> None:
    found = read(article(before=undeclared, after="<footer>© 2026</footer>"))
    assert (found.published_at, found.published_raw) == (None, None)


def test_a_day_is_its_first_moment() -> None:
    found = read(article(linked(datePublished="2026-06-30")))
    assert (found.published_at, found.published_raw) == (datetime(2026, 6, 30, tzinfo=UTC), "2026-06-30")


def test_the_first_date_that_can_be_believed_counts() -> None:
    head = linked(datePublished="2027-01-01") + '<meta name="pubdate" content="?">'
    head += (
        '<meta name="date" content="2026-05-04"><meta property="article:published_time" content="2026-05-03">'
    )
    assert read(article(head)).published_raw == "2026-05-03"


def test_now_is_the_latest_moment() -> None:
    assert read(article(linked(datePublished="2026-07-01T12:00:00Z"))).published_at == NOW


def test_of_several_articles_the_one_that_names_the_page_counts() -> None:
    other = {"@type": "Article", "url": "https://news.example/other", "datePublished": "2026-01-01"}
    own = {
        "@type": ["WebPage", "https://schema.org/BlogPosting"],
        "mainEntityOfPage": {"@id": f"{URL}/#this"},
    }
    assert read(article(graph(other, {**own, "datePublished": "2026-02-02"}))).published_raw == "2026-02-02"


def test_a_page_is_known_by_its_url_with_and_without_www() -> None:
    other = {"@type": "Article", "datePublished": "2026-01-01"}
    own = {"@type": "Article", "url": URL.replace("//", "//www.") + "/?x", "datePublished": "2026-02-02"}
    assert read(article(graph(other, own))).published_raw == "2026-02-02"


def test_linked_data_beyond_all_measure_is_passed_over() -> None:
    dated = linked(datePublished="2026-01-01")
    empty = '<script type="application/ld+json">{}</script>'
    assert read(article(empty * 19 + dated)).published_raw == "2026-01-01"
    assert read(article(empty * 20 + dated)).published_at is None
    assert read(article(linked(datePublished="2026-01-01", articleBody="x" * 500_000))).published_at is None


def test_articles_that_are_only_linked_do_not_count() -> None:
    item = {"@type": "Article", "datePublished": "2026-01-01"}
    assert read(article(graph({"@type": "ItemList", "itemListElement": [item]}))).published_at is None
    others = [{**item, "url": f"https://news.example/{number}"} for number in range(2)]
    assert read(article(graph(*others))).published_at is None


def test_the_only_article_counts_whatever_its_url() -> None:
    assert (
        read(article(linked(url="https://amp.example/x", datePublished="2026-01-01"))).published_raw
        == "2026-01-01"
    )


def test_an_article_within_its_page_counts() -> None:
    holder = {"@type": "WebPage", "mainEntity": {"@type": "Report", "datePublished": "2026-01-01"}}
    assert read(article(graph(holder))).published_raw == "2026-01-01"


@pytest.mark.parametrize(
    "hostile",
    [
        '<script type="application/ld+json">' + "[" * 100_000 + "</script>",
        '<script type="application/ld+json">' + '{"@graph":' * 5_000 + "1" + "}" * 5_000 + "</script>",
        '<script type="application/ld+json">{"@type": "Article", "datePublished": 1'
        + "0" * 100_000
        + "}</script>",
        '<script type="application/ld+json">[' + '{"@type": "Article"},' * 20_000 + "1]</script>",
        '<script type="application/ld+json">{}</script>' * 10_000,
        '<script type="application/ld+json">{"headline": "\\ud800"}</script>',
    ],
)
def test_hostile_linked_data_counts_as_missing(hostile: str) -> None:
    start = time.perf_counter()
    found = read(article(hostile))
    assert (found.title, found.published_at) == (TITLE, None)
    assert time.perf_counter() - start < 3


def test_linked_data_in_a_comment_is_read() -> None:
    node = '{"@type": "Article", "datePublished": "2026-01-01",\n "headline": "a\nb"}'
    for wrapped in (f"<!-- {node} -->", f"//<![CDATA[\n{node}\n//]]>"):
        found = read(article(f'<script type="application/ld+json; charset=utf-8">{wrapped}</script>'))
        assert (found.published_raw, found.title) == ("2026-01-01", "a b")


def test_a_surrogate_in_linked_data_is_made_fit_to_be_kept() -> None:
    assert read(article(linked(headline="a\ud800b"))).title == "a\ufffdb"
