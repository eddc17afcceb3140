"""What is made of RSS, RDF and Atom, and what is refused in which words."""

from __future__ import annotations

import pickle
import time
from datetime import UTC, datetime
from pathlib import Path
from unittest import mock

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed import refusal
from digestd.feed.parse import parse_feed
from digestd.model import Document, Entry

URL = "https://example.org/blog/feed.xml"


def rss(items: str, channel: str = "") -> bytes:
    namespaces = (
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:media="http://search.yahoo.com/mrss/"'
    )
    return f'<rss version="2.0" {namespaces}><channel>{channel}{items}</channel></rss>'.encode()


def atom(entries: str, attributes: str = "") -> bytes:
    return f'<feed xmlns="http://www.w3.org/2005/Atom" {attributes}>{entries}</feed>'.encode()


def read(body: bytes, url: str = URL, content_type: str | None = "text/xml") -> Document:
    return parse_feed(body, url, content_type)


def only(body: bytes, url: str = URL) -> Entry:
    (entry,) = read(body, url).entries
    return entry


def refused(body: bytes, content_type: str | None = "text/xml") -> str:
    with pytest.raises(NotAFeed) as caught:
        parse_feed(body, URL, content_type)
    return str(caught.value)


def test_an_item_of_rss() -> None:
    body = rss(
        """<item><title>Flaw in &amp;quot;Foo&amp;quot; &lt;b&gt;fixed&lt;/b&gt;</title>
        <link>/a?b=1&amp;c=2</link>
        <guid isPermaLink="false"> a-1 </guid><dc:creator>Ann</dc:creator><dc:creator>Bob</dc:creator>
        <pubDate>Fri, 10 Jan 2020 10:00:00 +0200</pubDate>
        <description>Short &lt;script&gt;x&lt;/script&gt;&amp;amp;</description>
        <content:encoded><![CDATA[<p>Long <a href="more">text</a></p>]]></content:encoded></item>""",
        "<title>A &amp;amp; B</title><language>en_US</language>",
    )
    document = read(body)
    assert (document.url, document.format, document.title, document.language) == (
        URL,
        "rss20",
        "A & B",
        "en-US",
    )
    (entry,) = document.entries
    assert entry == Entry(
        identity=entry.identity,
        content_hash=entry.content_hash,
        guid="a-1",
        link="https://example.org/a?b=1&c=2",
        title='Flaw in "Foo" fixed',
        author="Ann, Bob",
        language="en-US",
        summary="Short &amp;",
        content='<p>Long <a href="https://example.org/blog/more" rel="noopener noreferrer">text</a></p>',
        published_at=datetime(2020, 1, 10, 8, tzinfo=UTC),
        published_raw="Fri, 10 Jan 2020 10:00:00 +0200",
    )


def test_an_entry_of_atom_with_its_own_bases() -> None:
    body = atom(
        """<entry xml:base="sub/" xml:lang="de"><title type="text">&lt;textarea&gt; &amp;amp; XSS</title>
        <link href="post"/><id>urn:x:1</id><updated>2020-01-10T00:00:00Z</updated>
        <author><name>Ann</name></author><content type="xhtml" xml:base="deep/">
        <div xmlns="http://www.w3.org/1999/xhtml"><a href="x">x</a></div></content>
        </entry>""",
        'xml:base="https://cdn.example/"',
    )
    document = read(body)
    assert document.format == "atom10"
    (entry,) = document.entries
    assert (entry.guid, entry.link) == ("urn:x:1", "https://cdn.example/sub/post")
    assert (entry.title, entry.author, entry.language) == ("<textarea> &amp; XSS", "Ann", "de")
    assert entry.content == '<a href="https://cdn.example/sub/deep/x" rel="noopener noreferrer">x</a>'
    assert entry.summary is None
    assert entry.published_at == datetime(2020, 1, 10, tzinfo=UTC)


def test_an_item_of_rdf() -> None:
    body = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
        <channel rdf:about="c"><title>C</title></channel>
        <item rdf:about="https://example.org/1"><title>One</title><link>https://example.org/1</link></item></rdf:RDF>"""
    document = read(body)
    assert (document.format, document.title) == ("rss10", "C")
    assert [(entry.guid, entry.link) for entry in document.entries] == [("https://example.org/1",) * 2]


def test_the_longest_html_content_counts_not_the_first() -> None:
    entry = only(
        rss(
            """<item><title>T</title><description>S</description>
            <media:description type="plain">A caption that goes on and on, much longer than the article,
            but it is only plain text.</media:description>
            <content:encoded>&lt;p&gt;The article.&lt;/p&gt;</content:encoded>
            <content:encoded>&lt;p&gt;No.&lt;/p&gt;</content:encoded></item>"""
        )
    )
    assert entry.content == "<p>The article.</p>"


def test_a_summary_that_says_the_same_as_the_content_is_kept_once() -> None:
    entry = only(rss("<item><content:encoded>&lt;p&gt;Text&lt;/p&gt;</content:encoded></item>"))
    assert (entry.summary, entry.content) == (None, "<p>Text</p>")


def test_plain_text_is_escaped_to_be_html() -> None:
    entry = only(atom("<entry><summary>a &lt;b&gt; &amp; c</summary></entry>"))
    assert entry.summary == "a &lt;b&gt; &amp; c"


def test_an_entry_without_anything_is_kept() -> None:
    entries = read(rss("<item/><item><title>T</title></item>")).entries
    assert [(e.guid, e.link, e.title, e.published_at, e.published_raw) for e in entries] == [
        (None, None, "", None, None),
        (None, None, "T", None, None),
    ]


@pytest.mark.parametrize(
    "link",
    ["javascript:alert(1)", "data:text/html,x", "mailto:a@b.org", "ftp://e.org/", "http://", "http://[x"],
)
def test_only_links_to_the_web_are_links(link: str) -> None:
    assert only(rss(f"<item><title>T</title><link>{link}</link></item>")).link is None


def test_a_guid_is_kept_raw_and_is_a_link_only_where_it_looks_like_one() -> None:
    body = rss(
        "<item><guid>12345</guid></item><item><guid>/p/1</guid></item><item><guid>https://e.org/2</guid></item>"
    )
    assert [(entry.guid, entry.link) for entry in read(body).entries] == [
        ("12345", None),
        ("/p/1", "https://example.org/p/1"),
        ("https://e.org/2", "https://e.org/2"),
    ]
    moved = read(body, "https://moved.example/feed").entries
    assert [entry.identity for entry in moved] == [entry.identity for entry in read(body).entries]


def test_a_link_with_white_space_inside_is_usable() -> None:
    assert only(rss("<item><link>https://e.org/a\n  b c</link></item>")).link == "https://e.org/a%20%20b%20c"


def test_dates_fall_back_and_feedparsers_are_not_used() -> None:
    body = rss(
        """<item><pubDate>2020/1/10</pubDate></item>
        <item><pubDate>soon</pubDate><dc:date>2020-02-03</dc:date></item>
        <item><pubDate>0000-00-00</pubDate></item><item><pubDate>30000-01-01</pubDate></item><item/>"""
    )
    assert [(entry.published_at, entry.published_raw) for entry in read(body).entries] == [
        (datetime(2020, 1, 10, tzinfo=UTC), "2020/1/10"),
        (datetime(2020, 2, 3, tzinfo=UTC), "2020-02-03"),
        (None, "0000-00-00"),
        (None, "30000-01-01"),
        (None, None),
    ]


@pytest.mark.parametrize(
    "before", [b"\n\n  ", b"\xef\xbb\xbf", b"\xef\xbb\xbf\r\n", b" \xef\xbb\xbf\n", b"\x00\n"]
)
def test_what_stands_before_the_declaration_does_not_matter(before: bytes) -> None:
    body = b"<?xml version='1.0' encoding='utf-8'?>" + rss("<item><title>L\u00fccke &#8211; x</title></item>")
    with mock.patch.object(feedparser.api, "LooseFeedParser", side_effect=AssertionError):
        assert only(before + body).title == "Lücke \u2013 x"


def test_a_reference_to_no_character_spoils_only_itself() -> None:
    entries = read(
        rss("<item><title>a&#xD800;b</title></item><item><title>&#xD83D;&#xDE00;&#99999999;</title></item>")
    )
    assert [entry.title for entry in entries.entries] == ["ab", "\U0001f600"]


def test_a_feed_without_entries_is_a_document() -> None:
    assert read(rss("", "<title>T</title>")) == Document(url=URL, format="rss20", title="T")
    assert read(atom("")).entries == ()


def test_a_malformed_feed_is_read_as_far_as_it_goes() -> None:
    body = rss("<item><title>A & B &nbsp; C</title><link>https://e.org/1</item><item><title>D</title></item>")
    assert [entry.title for entry in read(body).entries] == ["A & B C", "D"]
    assert read(body[: body.index(b"D</title")]).entries[0].title == "A & B C"


def test_a_body_that_is_a_path_opens_no_file(tmp_path: Path) -> None:
    file = tmp_path / "feed.xml"
    file.write_bytes(rss("<item/>"))
    assert refused(str(file).encode()) == "plain text came instead of a feed"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "an empty document came instead of a feed"),
        (b"\xef\xbb\xbf \n", "an empty document came instead of a feed"),
        (
            b"<!DOCTYPE html><html><head><title>"
            b"Just a\n moment &amp; \x1b\xc2\x9b[1m\xe2\x80\xae</title></head></html>",
            "an HTML page (title 'Just a moment & [1m') came instead of a feed",
        ),
        (b"<html><body>Hi</body></html>", "an HTML page came instead of a feed"),
        (b"<p>Sorry</p>", "an HTML page came instead of a feed"),
        (
            b"Oops: <body><title>" + b"x" * 100 + b"</title>",
            f"an HTML page (title '{'x' * 79}…') came instead of a feed",
        ),
        (
            b"<?xml version='1.0'?><!-- x --><urlset><url/></urlset>",
            "an XML document of another kind (its root is <urlset>) came instead of a feed",
        ),
        (
            b"<!DOCTYPE x [<!ENTITY a 'b'><!ENTITY c '>'>]>\n<x/>",
            "an XML document of another kind (its root is <x>) came instead of a feed",
        ),
        (b"Not found", "plain text came instead of a feed"),
        (
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\x81\x8d",
            "data that is no text (an image, an archive, a compressed body) came instead of a feed",
        ),
        (b'{"a": 1}', "JSON without the version of a JSON Feed came instead of a feed"),
        (b"[1]", "JSON without the version of a JSON Feed came instead of a feed"),
    ],
)
def test_says_what_came_instead_of_a_feed(body: bytes, message: str) -> None:
    assert refused(body) == message
    assert refused(body, None) == message


def test_looking_for_the_root_takes_no_time() -> None:
    begin = time.perf_counter()
    for head in (
        b"<!-- -->" * 8_000,
        b"<!--" * 16_000,
        b"<title>" * 9_000,
        b"<title" * 9_000,
        b"<?" * 30_000,
    ):
        assert refused(head + b"x")
        assert refused(b"<html>" + head)
    assert time.perf_counter() - begin < 5


def test_a_page_with_a_namespace_of_feeds_is_still_a_page() -> None:
    body = b'<html xmlns:a="http://www.w3.org/2005/Atom"><head><title>T</title></head></html>'
    assert refused(body) == "an HTML page (title 'T') came instead of a feed"


def test_what_feedparser_raises_is_a_failed_document() -> None:
    body = rss("<item>&undefined;</item>")
    with (
        mock.patch.object(feedparser, "parse", side_effect=KeyError("rating")),
        pytest.raises(ParserFailed) as caught,
    ):
        read(body)
    assert str(caught.value) == "feedparser cannot read the document: KeyError: 'rating'"
    assert isinstance(caught.value.__cause__, KeyError)


def test_feedparser_does_raise_on_odd_documents() -> None:
    with pytest.raises(ParserFailed) as caught:
        read(rss("<item><textInput><media:license>1</media:license></textInput></item>"))
    assert str(caught.value) == "feedparser cannot read the document: KeyError: 'textinput'"


def test_too_many_entries_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refusal, "MOST_ENTRIES", 2)
    assert len(read(rss("<item/>" * 2)).entries) == 2
    # Before they are read, which could take minutes.
    with (
        mock.patch.object(feedparser, "parse", side_effect=TimeoutError),
        pytest.raises(ParserFailed) as caught,
    ):
        read(rss("<item/>" * 3))
    assert str(caught.value) == "the feed has 3 entries, more than the 2 that are read"


def test_a_long_exception_is_cut_in_the_message() -> None:
    with (
        mock.patch.object(feedparser, "parse", side_effect=ValueError("x" * 300)),
        pytest.raises(ParserFailed) as caught,
    ):
        read(rss("<item>&undefined;</item>"))
    assert str(caught.value) == "feedparser cannot read the document: ValueError: " + "x" * 200


def test_a_base_that_is_no_url_that_works_is_ignored() -> None:
    content = '<content type="html">&lt;a href="x"&gt;x&lt;/a&gt;</content>'
    long = f'xml:base="https://long.example/{"x" * 2_000}/"'
    assert only(atom(f"<entry>{content}</entry>", long)).content == (
        '<a href="https://example.org/blog/x" rel="noopener noreferrer">x</a>'
    )


def test_a_document_that_grows_beyond_reason_is_refused() -> None:
    links = "&lt;a href=x&gt;" * 3_000
    body = atom(
        f'<entry><content type="html">{links}</content></entry>',
        f'xml:base="https://b.example/{"x" * 1_900}/"',
    )
    with pytest.raises(ParserFailed) as caught:
        read(body)
    characters = 3_000 * len(f'<a href="https://b.example/{"x" * 1_900}/x" rel="noopener noreferrer"></a>')
    assert str(caught.value) == (
        f"the feed of {len(body):,} bytes grew to {characters:,} characters when it was read, "
        "more than the 4,194,304 that are kept"
    )


def test_a_large_document_may_grow_with_its_size() -> None:
    (entry,) = read(rss(f"<item><description>{'x' * 5_000_000}</description></item>")).entries
    assert len(entry.summary or "") == 5_000_000


def test_the_parser_and_what_it_gives_pass_between_processes() -> None:
    assert pickle.loads(pickle.dumps(parse_feed)) is parse_feed
    document = read(rss("<item><title>T</title></item>"))
    assert pickle.loads(pickle.dumps(document)) == document


_TAGS = [
    "item",
    "entry",
    "title",
    "link",
    "guid",
    "id",
    "description",
    "summary",
    "content",
    "content:encoded",
    "pubDate",
]
_TAGS += [
    "media:content",
    "media:title",
    "dc:date",
    "dc:creator",
    "author",
    "name",
    "source",
    "image",
    "width",
    "updated",
]
_ATTRIBUTES = [
    "",
    ' type="html"',
    ' type="xhtml"',
    ' href="x"',
    ' xml:base="../"',
    ' rel="self"',
    ' isPermaLink="true"',
    " a",
]
_LEAVES = st.text(max_size=8) | st.sampled_from(
    ["&lt;p&gt;", "&#xD800;", "&nbsp;", "<![CDATA[", "]]>", "2020-13-45", "//["]
)


def _element(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tags, attributes = st.sampled_from(_TAGS), st.sampled_from(_ATTRIBUTES)
    inner = st.lists(children, max_size=4).map("".join)
    closed = st.builds("<{0}{1}>{2}</{0}>".format, tags, attributes, inner)
    return (
        closed
        | st.builds("<{0}{1}>{2}".format, tags, attributes, inner)
        | st.builds("<{0}{1}/>".format, tags, attributes)
    )


_TREES = st.recursive(_LEAVES, _element, max_leaves=12)


@given(_TREES.map(rss) | _TREES.map(atom) | st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_anything_is_a_document_or_one_of_two_errors(body: bytes) -> None:
    try:
        document = read(body)
    except (NotAFeed, ParserFailed):
        return
    for entry in document.entries:
        pickle.dumps(entry)
        text = (
            entry.guid,
            entry.link,
            entry.title,
            entry.author,
            entry.summary,
            entry.content,
            entry.published_raw,
        )
        assert not any("\x00" in value for value in text if value)
        "".join(value for value in text if value).encode()
