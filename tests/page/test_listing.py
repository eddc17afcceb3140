"""Pages that list articles: which links are articles, what they are called, and what they may not cost."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import NoArticle, NotAFeed, ParserFailed
from digestd.model import Document
from digestd.page.listing import MOST_LINKS, read_listing
from digestd.page.selector import xpath_of

BLOG = """<html lang=en-GB><head><title>Lab blog</title>
<link rel="alternate" type="application/rss+xml" href="/feed/"><link rel=stylesheet type=text/css href=/x.css></head>
<body>
<header class="site-header"><a href="/">Lab</a><nav><ul><li><a href="/products/our-great-scanner/">Our great scanner for
you</a><li><a href="/blog/">Blog</a></ul></nav></header>
<main>
<article class="post"><a href="/blog/one-exploit-chain/"><img src=x alt="A picture"></a>
 <h2><a href="/blog/one-exploit-chain/?utm_source=x">One exploit chain</a></h2>
 <time datetime="2026-11-20T08:00:00Z">Friday</time><p>We looked.
 <a href="https://nvd.example/CVE-2026-1">The CVE entry</a></p>
 <a href="/blog/one-exploit-chain/#more">Read more</a></article>
<article class="post"><h2><a href="/blog/two/">Two</a></h2><time datetime="2026-11-19">19 Nov</time>
 <a href="/category/research/">Research and development</a> <a href="/author/jo/">Jo</a></article>
<article class="post"><h2><a href="three-things-about-fuzzing/">Three things about fuzzing</a></h2></article>
</main>
<div class="pagination"><a href="/blog/page/2/">2</a> <a href="/blog/page/3/">Older posts are found here</a></div>
<aside><h3>Popular</h3><a href="/blog/an-old-one-that-was-popular/">An old one that was popular</a></aside>
<footer><a href="/privacy/">Privacy policy of this web site</a></footer></body></html>"""

TABLE = """<html><body><div id=menu><a href="/support.html">Support and services for everybody</a></div>
<h1>Security advisories</h1><table><tr><th>ID<th>Title<th>Date</tr>
<tr><td><a href="advisories/EX-SA-2026-011.html">EX-SA-2026-011</a></td><td>Gateway command injection</td>
<td>2026-11-20</td></tr>
<tr><td><a href="advisories/EX-SA-2026-010.html">EX-SA-2026-010</a></td><td>Login bypass</td><td>2026-11-01</td></tr>
<tr><td><a href="advisories/EX-SA-2026-009.html">EX-SA-2026-009</a></td><td>Crash</td><td>2026-10-11</td></tr>
</table></body></html>"""

LIST = """<html><head><base href="https://cert.example/news/"><base href="/other/"></head><body><ul class="list">
<li>24 Nov 2026 <a href="item.php?id=1234">Attackers use a hole in the mail gateway</a></li>
<li>23 Nov 2026 <a href="item.php?id=1233">Patch now: printers</a></li>
<li>22 Nov 2026 <a href="item.php?id=1232">Warning of calls</a></li></ul></body></html>"""

CARDS = """<html><body><div class="grid">
<div class="card"><a href="/insights/ransomware-in-hospitals"><div class=img></div><h3>Ransomware in hospitals</h3>
<span>Nov 2, 2026</span></a></div>
<div class="card"><a href="/insights/apt-99"><h3>APT 99 returns</h3><span>Nov 1, 2026</span></a></div>
</div></body></html>"""


def read(html: str, url: str, selector: str | None = None, match: tuple[str, ...] = ()) -> Document:
    return read_listing(html.encode(), url, "text/html; charset=utf-8", selector, match)


def told(document: Document) -> list[tuple[str | None, str, str | None]]:
    return [
        (entry.link, entry.title, entry.published_at.date().isoformat() if entry.published_at else None)
        for entry in document.entries
    ]


POSTS = [
    ("https://lab.example/blog/one-exploit-chain/", "One exploit chain", "2026-11-20"),
    ("https://lab.example/blog/two/", "Two", "2026-11-19"),
    ("https://lab.example/blog/three-things-about-fuzzing/", "Three things about fuzzing", None),
]


@pytest.mark.parametrize(
    ("html", "url", "articles"),
    [
        (BLOG, "https://lab.example/blog/", POSTS),
        (
            TABLE,
            "https://vendor.example/security/",
            [
                (f"https://vendor.example/security/advisories/EX-SA-2026-0{number}.html",
                 f"EX-SA-2026-0{number} {title}", date)
                for number, title, date in (
                    ("11", "Gateway command injection", "2026-11-20"),
                    ("10", "Login bypass", "2026-11-01"),
                    ("09", "Crash", "2026-10-11"),
                )
            ],
        ),
        (
            LIST,
            "https://cert.example/",
            [
                (f"https://cert.example/news/item.php?id={number}", title, date)
                for number, title, date in (
                    (1234, "Attackers use a hole in the mail gateway", "2026-11-24"),
                    (1233, "Patch now: printers", "2026-11-23"),
                    (1232, "Warning of calls", "2026-11-22"),
                )
            ],
        ),
        (
            CARDS,
            "https://co.example/insights",
            [
                ("https://co.example/insights/ransomware-in-hospitals", "Ransomware in hospitals", "2026-11-02"),
                ("https://co.example/insights/apt-99", "APT 99 returns", "2026-11-01"),
            ],
        ),
    ],
)  # fmt: skip
def test_without_a_selector_what_looks_like_articles_is_found(
    html: str, url: str, articles: list[tuple[str, str, str | None]]
) -> None:
    assert told(read(html, url)) == articles


@pytest.mark.parametrize(
    "selector",
    ["article.post", "article h2 a", "main article > h2 > a[href]", ".post h2", "h2:not(.x) a, .nothing"],
)
def test_a_selector_finds_links_or_boxes_of_single_articles(selector: str) -> None:
    assert told(read(BLOG, "https://lab.example/blog/", selector)) == POSTS


def test_a_selector_of_one_box_means_all_of_its_links() -> None:
    assert [
        link for link, _, _ in told(read(BLOG, "https://lab.example/blog/", "footer, nav li:first-child"))
    ] == [
        "https://lab.example/products/our-great-scanner/",
        "https://lab.example/privacy/",
    ]
    assert len(read(BLOG, "https://lab.example/blog/", "main").entries) == 6


def test_patterns_choose_among_the_links() -> None:
    document = read(BLOG, "https://lab.example/blog/", None, (r"/two/$", "fuzz"))
    assert told(document) == POSTS[1:]


def test_where_nothing_looks_like_an_article_a_list_of_links_does() -> None:
    plain = (
        "<html><body><nav><a href=/x/y>Elsewhere</a></nav><ul>%s</ul><footer><a href=/z>Z</a></footer></html>"
    )
    items = "".join(f"<li><a href='/articles/{name}'>{name}</a></li>" for name in ("one", "two"))
    document = read(plain % items, "https://lab.example/list")
    assert told(document) == [
        ("https://lab.example/articles/one", "one", None),
        ("https://lab.example/articles/two", "two", None),
    ]
    assert document.facts["sure"] is False
    with pytest.raises(NotAFeed):
        read(plain % items[: items.index("</li>")], "https://lab.example/list")


def test_the_page_s_feed_title_and_language_are_told() -> None:
    document = read(BLOG, "https://lab.example/blog/")
    assert document.facts == {"feed": "https://lab.example/feed/", "left_out": 0, "sure": True}
    assert (document.title, document.language) == ("Lab blog", "en-GB")
    assert read(LIST, "https://cert.example/").facts["feed"] is None


def test_entries_are_known_by_their_link_whatever_the_page_says_of_them() -> None:
    one = read(LIST, "https://cert.example/").entries[0]
    other = read(LIST.replace("Attackers use", "Update: attackers use"), "https://cert.example/").entries[0]
    assert one.identity == other.identity
    assert one.content_hash != other.content_hash


@pytest.mark.parametrize(
    ("html", "selector", "match", "message"),
    [
        ("<html><body><p>Nothing</p></body></html>", None, (),
         "no link of the page looks like an article; say which do (options: links)"),
        (BLOG, "div.nothing a", (), "the selector of options: links finds no link on the page"),
        (BLOG, None, ("/never/",), "no link of the page has a URL that options: match wants"),
        ("<html><body><a href='#top'>To the top of it</a> <a href='mailto:a@b.example'>Write to us now</a>"
         "<a href='javascript:x()'>Run a long script here</a></body></html>", "a", (),
         "the selector of options: links finds no link on the page"),
    ],
)  # fmt: skip
def test_where_nothing_is_found_the_reason_is_told(
    html: str, selector: str | None, match: tuple[str, ...], message: str
) -> None:
    with pytest.raises(NotAFeed) as raised:
        read(html, "https://lab.example/blog/", selector, match)
    assert str(raised.value) == message


def test_a_page_without_an_element_and_one_beyond_bounds_are_refused() -> None:
    with pytest.raises(NoArticle):
        read("", "https://lab.example/")
    with pytest.raises(ParserFailed):
        read("<b>" * 100_001, "https://lab.example/")


def test_a_page_of_thousands_of_links_is_read_within_the_time_of_a_worker() -> None:
    links = "".join(
        f"<div><p><a href='/n/a-long-slug-{n}'>A title of words {n}</a></p></div>" for n in range(15_000)
    )
    began = time.process_time()
    document = read(f"<html><body>{links}</body></html>", "https://lab.example/")
    assert (len(document.entries), document.facts["left_out"]) == (MOST_LINKS, 4_000)
    assert time.process_time() - began < 6


@given(st.text(alphabet="<>/ a=\"'hrefdivltmcus2026-1", max_size=300))
def test_whatever_comes_it_is_read_or_refused(html: str) -> None:
    for selector in (None, "div a, li"):
        try:
            document = read(f"<html><body>{html}</body></html>", "https://lab.example/", selector)
        except (NotAFeed, NoArticle, ParserFailed):
            continue
        assert all((entry.link or "").startswith("http") for entry in document.entries)


@pytest.mark.parametrize("selector", ["a[", "..", "a::before", "a:hover(", "(" * 300, "x" * 501, ""])
def test_what_is_no_selector_is_told_before_it_is_used(selector: str) -> None:
    with pytest.raises(ValueError, match=r"^is (?:no CSS selector|longer than 500 characters)"):
        xpath_of(selector)


def test_dates_are_those_of_the_box_alone() -> None:
    (first, *_) = read(BLOG, "https://lab.example/blog/").entries
    assert first.published_at == datetime(2026, 11, 20, 8, tzinfo=UTC)
