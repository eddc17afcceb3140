"""Sitemaps, indexes, news, text, gzip: what is read of them, and what they may not cost."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.model import Document
from digestd.page import sitemap
from digestd.page.sitemap import MOST_PARTS, read_robots, read_sitemap
from digestd.page.sitemap_xml import MOST_URLS, mended

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
URL = "https://example.com/sitemap.xml"
SPACE = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urlset(*urls: str, lastmod: str = "") -> bytes:
    modified = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    each = "".join(f"<url><loc>{url}</loc>{modified}</url>" for url in urls)
    return f'<?xml version="1.0"?>\n<urlset {SPACE}>{each}</urlset>'.encode()


def read(body: bytes, known: str = "", match: tuple[str, ...] = (), url: str = URL) -> Document:
    return read_sitemap(body, url, known, match, NOW)


def links(document: Document) -> list[str | None]:
    return [entry.link for entry in document.entries]


def test_its_urls_become_entries_in_order_and_once() -> None:
    document = read(urlset("https://example.com/b", " /a ", "https://example.com/b", "mailto:x", ""))
    assert links(document) == ["https://example.com/b", "https://example.com/a"]
    assert (document.whole, document.format, document.facts["urls"]) == (True, "urlset", 2)
    assert read(urlset()).entries == ()


def test_news_has_titles_dates_and_a_language() -> None:
    body = f"""<urlset {SPACE} xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"
     xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
     <url><loc>https://example.com/news/a</loc><lastmod>2026-11-23</lastmod>
     <image:image><image:loc>https://example.com/i.png</image:loc><image:title>A picture</image:title></image:image>
     <news:news><news:publication><news:name>Example</news:name><news:language>en</news:language></news:publication>
     <news:publication_date>2026-11-23T07:30:00Z</news:publication_date>
     <news:title>Headline &amp; more</news:title></news:news></url></urlset>""".encode()
    (entry,) = read(body).entries
    assert (entry.title, entry.language, entry.link) == (
        "Headline & more",
        "en",
        "https://example.com/news/a",
    )
    assert entry.published_at == datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lastmod", "published"),
    [
        ("2026-11-23T07:59:00Z", None),
        ("2026-11-22", None),
        ("2020-01-02", datetime(2020, 1, 2, tzinfo=UTC)),
        ("x", None),
    ],
)
def test_when_it_was_changed_is_a_date_only_where_it_says_that_it_is_no_news(
    lastmod: str, published: datetime | None
) -> None:
    (entry,) = read(urlset("/a", lastmod=lastmod)).entries
    assert entry.published_at == published


def test_only_buckets_that_say_something_new_are_given() -> None:
    urls = [f"https://example.com/{number}" for number in range(1_000)]
    first = read(urlset(*urls))
    assert len(first.entries) == 1_000
    known = first.facts["buckets"]
    # Another order and other dates say nothing.
    same = read(urlset(*reversed(urls), lastmod="2026-11-23"), known)
    assert (same.entries, same.facts["buckets"], same.facts["complete"]) == ((), known, False)
    more = read(urlset("https://example.com/new", *urls), known)
    assert "https://example.com/new" in links(more)
    assert len(more.entries) < 150
    fewer = read(urlset(*urls[1:]), known)
    assert len(fewer.entries) < 150
    assert len(read(urlset(*urls), "rubbish,of,another").entries) == 1_000


@given(st.sets(st.integers(0, 400), max_size=60), st.sets(st.integers(0, 400), max_size=60), st.booleans())
def test_whatever_came_before_nothing_new_is_left_out(before: set[int], after: set[int], many: bool) -> None:
    common = [f"/common/{number}" for number in range(2_000 if many else 0)]
    first = read(urlset(*common, *(f"/{number}" for number in before)))
    second = read(urlset(*(f"/{number}" for number in sorted(after)), *common), first.facts["buckets"])
    new = {f"https://example.com/{number}" for number in after - before}
    assert new <= set(links(second))
    assert read(urlset(*common, *(f"/{number}" for number in after)), second.facts["buckets"]).entries == ()


def test_patterns_choose_among_the_urls() -> None:
    body = urlset("/news/a", "/shop/b", "/advisories/2026/c")
    assert links(read(body, match=("/news/", r"/\d{4}/"))) == [
        "https://example.com/news/a",
        "https://example.com/advisories/2026/c",
    ]


def test_an_index_names_its_sitemaps_those_of_its_own_site() -> None:
    body = f"""<sitemapindex {SPACE}><sitemap><loc>/one.xml</loc><lastmod>2026-11-01</lastmod></sitemap>
    <sitemap><loc>https://cdn.example.com/two.xml.gz</loc></sitemap><sitemap><loc>{URL}</loc></sitemap>
    <sitemap><loc>https://victim.example.org/x.xml</loc></sitemap></sitemapindex>""".encode()
    document = read(body)
    assert document.facts["parts"] == [
        ("https://example.com/one.xml", "2026-11-01"),
        ("https://cdn.example.com/two.xml.gz", ""),
    ]
    many = "".join(f"<sitemap><loc>/{number}.xml</loc></sitemap>" for number in range(MOST_PARTS + 5))
    facts = read(f"<sitemapindex>{many}</sitemapindex>".encode()).facts
    assert (len(facts["parts"]), facts["left_out"]) == (MOST_PARTS, 5)
    assert facts["parts"][-1] == (f"https://example.com/{MOST_PARTS + 4}.xml", "")


def test_text_and_gzip_in_any_number_of_members() -> None:
    text = (
        b"\xef\xbb\xbfhttps://example.com/a\r\n  https://example.com/b\n\nnot a url\nhttps://example.com/a\n"
    )
    assert links(read(text)) == ["https://example.com/a", "https://example.com/b"]
    body = urlset(*(f"/{number}" for number in range(5_000)))
    half = len(body) // 2
    assert links(read(gzip.compress(text))) == links(read(text))
    for packed in (gzip.compress(body), gzip.compress(body[:half]) + gzip.compress(body[half:])):
        assert links(read(packed)) == links(read(body))
    cut = read(gzip.compress(body)[:-2_000])
    assert 0 < len(cut.entries) < 5_000
    assert not cut.whole


def test_what_was_cut_off_gives_its_whole_urls_alone() -> None:
    body = urlset("/a", "/b", "/c-is-long")
    cut = read(body[: body.index(b"-is-long")])
    assert links(cut) == ["https://example.com/a", "https://example.com/b"]
    assert not cut.whole


@pytest.mark.parametrize(
    "written", ["/a?x=1&y=2", "/a?x=1&amp;y=2", "<![CDATA[/a?x=1&y=2]]>", "/a?x=1&#38;y=2", "/a?x=1&#x26;y=2"]
)
@pytest.mark.parametrize("before", [0, 1_000, 1_085, 1_086, 1_087, 1_088, 1_089])
def test_an_ampersand_is_one_escaped_or_not_wherever_a_piece_ends(written: str, before: int) -> None:
    # Of 60 characters each, so that a piece of 64 KiB ends near the one that is looked at.
    others = [f"https://example.com/{number:017}" for number in range(before)]
    document = read(urlset(*others, written, "/b"))
    assert links(document)[before:] == ["https://example.com/a?x=1&y=2", "https://example.com/b"]
    assert document.whole


@given(
    st.lists(st.sampled_from(["&", "&amp;", "a", "<![CDATA[", "]]>", "&#38;", "x" * 40]), max_size=40),
    st.data(),
)
def test_no_piece_of_a_text_is_lost_or_changed_where_it_ends(texts: list[str], data: st.DataObject) -> None:
    text = "".join(texts).encode()
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    pieces = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    one = b"".join(mended(iter(pieces)))
    assert one == b"".join(mended(iter([text])))


def test_a_section_that_ends_with_its_piece_keeps_its_ampersand() -> None:
    assert b"".join(mended(iter([b"&<![CDATA[&]]>", b"&"]))) == b"&amp;<![CDATA[&]]>&amp;"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "an empty document came instead of a sitemap"),
        (b"hello", "plain text came instead of a sitemap"),
        (b"<!doctype html><html><head><title>Log in</title></head><body>x</body></html>",
         "an HTML page (title 'Log in') came instead of a sitemap"),
        (b"<rss version='2.0'><channel/></rss>",
         "a feed came instead of a sitemap; give the source `kind: feed`"),
        (b"<note><to/></note>", "an XML document of another kind (its root is <note>) came instead of a sitemap"),
    ],
)  # fmt: skip
def test_what_is_no_sitemap_is_told(body: bytes, message: str) -> None:
    with pytest.raises(NotAFeed) as raised:
        read(body)
    assert str(raised.value) == message


LAUGHS = (
    b'<!DOCTYPE u [<!ENTITY a "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY %c "%b">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><urlset><url><loc>&j;</loc></url></urlset>"
)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (LAUGHS, "the sitemap has a document type, which sitemaps have not; it is not read"),
        (
            b'<!DOCTYPE urlset SYSTEM "file:///etc/passwd"><urlset><url><loc>/a</loc></url></urlset>',
            "the sitemap has a document type, which sitemaps have not; it is not read",
        ),
        (b"<urlset>" + b"<a>" * 40, "the sitemap is nested more than 16 elements deep"),
        (b"<urlset>" + b"<a/>" * 1_000_001, "the sitemap has more than 1,000,000 elements"),
        (
            gzip.compress(urlset() + b" " * (65 * 2**20)),
            "the sitemap has more than 64 MiB, more than the protocol allows",
        ),
        (gzip.compress(urlset("/a"))[:20] + b"x" * 100, "the sitemap is compressed by gzip, and damaged"),
    ],
)
def test_what_would_cost_too_much_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(ParserFailed) as raised:
        read(body)
    assert str(raised.value) == message


def test_no_entity_is_loaded_or_put_in() -> None:
    document = read(b"<urlset><url><loc>/a&xxe;b</loc></url><url><loc>/c</loc></url></urlset>")
    assert links(document) == ["https://example.com/a&xxe;b", "https://example.com/c"]


def test_a_full_sitemap_is_read_within_the_time_of_a_worker() -> None:
    body = urlset(
        *(f"https://example.com/news/2026/11/a-long-slug-of-an-article-{n}" for n in range(MOST_URLS + 3))
    )
    began = time.process_time()
    document = read(body)
    assert (len(document.entries), document.facts["left_out"]) == (MOST_URLS, 3)
    # Three seconds is what a worker gets; here other tests run beside.
    assert time.process_time() - began < 6
    assert len(document.facts["buckets"]) < 4_000


@given(st.binary(max_size=400), st.booleans())
def test_whatever_comes_it_is_read_or_refused(noise: bytes, packed: bool) -> None:
    for body in (noise, b"<urlset>" + noise + b"</urlset>", b"<urlset><url><loc>" + noise):
        try:
            document = read(gzip.compress(body) if packed else body)
        except (NotAFeed, ParserFailed):
            continue
        assert all((entry.link or "").startswith("http") for entry in document.entries)


def test_a_robots_txt_names_sitemaps_wherever_they_are() -> None:
    robots = b"User-agent: *\nDisallow: /x\nSitemap: https://example.com/a.xml\r\n  SITEMAP : /b.xml\n#Sitemap: /c\n"
    document = read_robots(
        robots + b"sitemap:https://other.example.org/d.xml", "https://example.com/robots.txt"
    )
    assert [url for url, _ in document.facts["parts"]] == [
        "https://example.com/a.xml",
        "https://example.com/b.xml",
        "https://other.example.org/d.xml",
    ]
    with pytest.raises(NotAFeed) as raised:
        read_robots(b"User-agent: *\n", "https://example.com/robots.txt")
    assert str(raised.value) == "the robots.txt names no sitemap; look for one, or use `kind: page`"
    assert sitemap.ROBOTS_BYTES == 500 * 1024
