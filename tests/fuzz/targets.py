"""What outsiders send, surface by surface: each target reads any bytes, and asserts what must hold whatever they are.

A target raises nothing but `AssertionError` for a promise that is broken, and whatever else is a bug. It knows nothing
of the fuzzer, so a test feeds it fixed seeds too.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import httpx2

from digestd.errors import BadURL, NoArticle, NotAFeed, ParserFailed, ProtocolFailed, RedirectFailed, TooLarge
from digestd.feed.dates import LONGEST_DATE, parse_date
from digestd.feed.entry import LONGEST_AUTHOR, LONGEST_GUID, LONGEST_LINK
from digestd.feed.html import clean, cleaned_to_text, to_text
from digestd.feed.identity import LONGEST_TITLE
from digestd.feed.link import absolute_link
from digestd.feed.parse import parse_feed
from digestd.feed.shape import explain
from digestd.ingest.network.coding import BodyDecoder
from digestd.ingest.network.framing import Framing
from digestd.ingest.network.urls import masked, redirected, target_of
from digestd.masking import mask_link, mask_url
from digestd.model import Entry
from digestd.page.charset import decode_html
from digestd.page.listing import read_listing
from digestd.page.metadata import LONGEST_AUTHOR as LONGEST_BYLINE
from digestd.page.metadata import author_of, declared, language_of, titles_of
from digestd.page.permission import forbids_keeping
from digestd.page.published import declared_date
from digestd.page.robots import LONGEST_CRAWL_DELAY_SECONDS, parse_robots, product_token
from digestd.page.sitemap import read_sitemap
from digestd.page.tree import parse_page, words_of
from fuzz.harmless import BASE, assert_harmless
from fuzz.spelling import DATES, FEEDS, HTML, SITEMAPS, spelled
from support.composed_feeds import composed
from support.feed_comparison import verdict

URL = "https://example.org/blog/feed.xml"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "correct-horse-battery"
CONTENT_TYPES = (
    None,
    "text/xml",
    "application/json",
    "text/html; charset=utf-16",
    "text/xml; charset=shift_jis",
)
CODINGS = ("gzip", "deflate", "br", "zstd", "identity", "gzip, br", "zstd, deflate", "compress", "br, br, br")
BODY_LIMIT = 256 * 1024


def feed(data: bytes) -> None:
    """A document that should be a feed, in XML or JSON: entries within their bounds, or a refusal in words."""
    choice, body = (data[:1] or b"\0")[0], data[1:]
    if choice & 1:
        body = spelled(body, FEEDS).encode("utf-8", "surrogatepass")
    content_type = CONTENT_TYPES[choice // 2 % len(CONTENT_TYPES)]
    try:
        document = parse_feed(body, URL, content_type)
    except (NotAFeed, ParserFailed) as refusal:
        told = explain(str(refusal), body, URL, {"content-type": content_type or ""})
        assert told
        return
    except RecursionError:
        return  # a refusal, once the worker has caught it
    for entry in document.entries:
        _check_entry(entry)


def _check_entry(entry: Entry) -> None:
    assert len(entry.identity) == len(entry.content_hash) == 64
    bounds = {
        entry.guid: LONGEST_GUID,
        entry.link: LONGEST_LINK,
        entry.title: LONGEST_TITLE,
        entry.author: LONGEST_AUTHOR,
        entry.published_raw: LONGEST_DATE,
    }
    for text, longest in bounds.items():
        assert text is None or len(text) <= longest
    assert entry.link is None or entry.link.lower().startswith(("http://", "https://"))
    assert entry.published_at is None or entry.published_at.utcoffset() == timedelta()
    for shown in filter(None, (entry.summary, entry.content)):
        assert_harmless(shown)


def parsers(data: bytes) -> None:
    """A document that should be a feed in XML, spelled out or composed: what the fast parser reads, it reads as
    feedparser does."""
    choice, plan = (data[:1] or b"\0")[0], data[1:]
    if choice & 1:
        verdict(*composed(plan))
    else:
        verdict(spelled(plan, FEEDS).encode("utf-8", "surrogatepass"))


def dates(data: bytes) -> None:
    """A date: none, or a moment in UTC that does not change."""
    raw = spelled(data, DATES)
    moment = parse_date(raw)
    assert moment == parse_date(raw)
    if moment is not None:
        assert len(raw) <= LONGEST_DATE
        assert moment.utcoffset() == timedelta()
        assert parse_date(moment.isoformat()) == moment


def sanitiser(data: bytes) -> None:
    """A fragment of HTML: harmless, stable, and as text the same by the cheap way as by the long one."""
    shown = clean(spelled(data, HTML), BASE)
    assert_harmless(shown)
    assert cleaned_to_text(shown) == to_text(shown)


def urls(data: bytes) -> None:
    """A URL, and where a redirect or a link leads from it: http or https without user info, or a refusal; and no secret
    in what is shown of it."""
    first, _, second = data.decode("utf-8", "surrogateescape").partition("\n")
    _check_target(first)
    _check_redirect(second)
    for text in (first, second):
        mask_link(text)
        assert SECRET not in mask_url(f"https://user:{SECRET}@{text}")
        link = absolute_link(URL, text)
        assert link is None or link.lower().startswith(("http://", "https://"))


def _check_target(text: str) -> None:
    try:
        target = target_of(text)
    except BadURL as refusal:
        told = str(refusal)
        assert told
        return
    assert target.url.scheme in ("http", "https")
    assert target.url.raw_host
    assert not target.url.userinfo
    assert target.authorization is None or target.authorization.isascii()
    assert target_of(str(target.url)).url.raw_host == target.url.raw_host


def _check_redirect(location: str) -> None:
    try:
        onward = redirected(httpx2.URL(URL), location)
    except RedirectFailed:
        return
    assert onward.scheme == "https"
    assert not onward.userinfo
    assert masked(onward)


def answer(data: bytes) -> None:
    """The bytes of an answer: the same refusal however they are split, a body never longer than its limit, and what was
    compressed comes back."""
    split, choice, rest = (data[:1] or b"\0")[0], (data[1:2] or b"\0")[0], data[2:]
    assert _framed(rest) == _framed(rest[:split], rest[split:])
    _undo(CODINGS[choice % len(CODINGS)], rest, split)
    decoder = BodyDecoder("gzip", BODY_LIMIT)
    assert b"".join(decoder.decode(gzip.compress(rest, 1))) == rest
    decoder.finish()


def _framed(*pieces: bytes) -> str:
    framing = Framing()
    try:
        for piece in pieces:
            framing.receive(piece)
    except ProtocolFailed as refusal:
        return str(refusal)
    return ""


def _undo(coding: str, body: bytes, split: int) -> None:
    came = 0
    try:
        decoder = BodyDecoder(coding, BODY_LIMIT)
        for piece in (body[:split], body[split:]):
            came += sum(map(len, decoder.decode(piece)))
        decoder.finish()
    except (ProtocolFailed, TooLarge):
        pass
    assert came <= BODY_LIMIT


def robots(data: bytes) -> None:
    """A robots.txt, and an X-Robots-Tag: rules that answer any question, or a directive that we know."""
    rules = parse_robots(data)
    text = data.decode("latin-1")
    agent = product_token(text)
    assert agent
    for url in (URL, text):
        assert rules.allows(url, "digestd") in (True, False)
        rules.allows(url, agent)
    delay = rules.crawl_delay("digestd")
    assert delay is None or 0 <= delay <= LONGEST_CRAWL_DELAY_SECONDS
    assert forbids_keeping(text, "digestd") in (None, "noindex", "none", "noarchive", "nosnippet")


def page(data: bytes) -> None:
    """The page of an article, up to what it declares of itself: within bounds, or a refusal in words."""
    choice, body = (data[:1] or b"\0")[0], data[1:]
    try:
        tree = parse_page(decode_html(body, CONTENT_TYPES[choice % len(CONTENT_TYPES)]))
    except (NoArticle, ParserFailed) as refusal:
        told = str(refusal)
        assert told
        return
    said = declared(tree, URL)
    assert said.canonical_url.lower().startswith(("http://", "https://"))
    assert all(len(title) <= LONGEST_TITLE for title in titles_of(tree, said))
    author = author_of(tree, said)
    assert author is None or 0 < len(author) <= LONGEST_BYLINE
    language_of(tree, said)
    date = declared_date(tree, said.metas, said.article, NOW)
    assert date is None or date[0] <= NOW
    words_of(tree)


def sitemap(data: bytes) -> None:
    """A sitemap, an index or news, or what came instead: entries and sitemaps on the web, each once."""
    choice, body = (data[:1] or b"\0")[0], data[1:]
    if choice & 1:
        body = spelled(body, SITEMAPS).encode("utf-8", "surrogatepass")
    if choice & 2:
        body = gzip.compress(body, mtime=0)
    try:
        document = read_sitemap(body, URL, "", ("a",) if choice & 4 else (), NOW)
    except (NotAFeed, ParserFailed):
        return
    for entry in document.entries:
        _check_entry(entry)
        assert entry.link is not None
    links = [entry.link for entry in document.entries]
    assert len(set(links)) == len(links)
    for part, _ in document.facts.get("parts", ()):
        assert absolute_link("", part) is not None
    if "buckets" in document.facts:
        again = read_sitemap(body, URL, document.facts["buckets"], ("a",) if choice & 4 else (), NOW)
        assert again.entries == ()


def listing(data: bytes) -> None:
    """A page that should list articles: entries on the web, each once."""
    choice, body = (data[:1] or b"\0")[0], data[1:]
    if choice & 1:
        body = spelled(body, HTML).encode("utf-8", "surrogatepass")
    try:
        document = read_listing(body, URL, "text/html", "li a, div" if choice & 2 else None, ())
    except (NoArticle, NotAFeed, ParserFailed):
        return
    for entry in document.entries:
        _check_entry(entry)
    links = [entry.link for entry in document.entries]
    assert None not in links
    assert len(set(links)) == len(links)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "feed": feed,
    "parsers": parsers,
    "dates": dates,
    "sanitiser": sanitiser,
    "urls": urls,
    "answer": answer,
    "robots": robots,
    "page": page,
    "sitemap": sitemap,
    "listing": listing,
}
