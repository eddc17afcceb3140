"""A document that ends too early is told from one that is merely ill-formed."""

from __future__ import annotations

import time

import pytest

from digestd.feed.parse import parse_feed
from digestd.feed.truncation import is_cut_off

URL = "https://example.org/feed"
RSS = "<?xml version='1.0'?><rss version='2.0'><channel><title>T</title>{}</channel></rss>"
ATOM = "<a:feed xmlns:a='http://www.w3.org/2005/Atom'><a:title>T</a:title>{}</a:feed>"
RDF = (
    "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#' xmlns='http://purl.org/rss/1.0/'>"
    "<channel><title>T</title></channel>{}</rdf:RDF>"
)
CDF = "<CHANNEL HREF='https://example.org/'><TITLE>T</TITLE>{}</CHANNEL>"
ITEMS = "".join(
    f"<item><title>{number}</title><link>https://example.org/{number}</link></item>" for number in range(20)
)
ENTRIES = "".join(f"<a:entry><a:id>urn:{number}</a:id></a:entry>" for number in range(20))
FEEDS = {
    "rss": RSS.format(ITEMS),
    "atom": ATOM.format(ENTRIES),
    "rdf": RDF.format(ITEMS),
    "cdf": CDF.format(ITEMS),
}


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_half_a_feed_is_not_whole(feed: str) -> None:
    assert parse_feed(feed.encode(), URL, None).whole
    half = parse_feed(feed[: len(feed) // 2].encode(), URL, None)
    assert not half.whole
    assert len(half.entries) < 20


@pytest.mark.parametrize("feed", FEEDS.values(), ids=FEEDS)
def test_an_ill_formed_feed_with_its_end_is_whole(feed: str) -> None:
    broken = feed.replace("</title>", "&nosuch; & <b></title>", 1).replace("urn:1<", "urn: & <")
    assert parse_feed(broken.encode(), URL, None).whole


@pytest.mark.parametrize(
    "after",
    ["\n<!-- cached by example -->\n", "<script>count()</script>", " " * 4_000, "<br /><b>Warning</b>: x"],
)
def test_what_a_server_appends_cuts_nothing_off(after: str) -> None:
    assert parse_feed((RSS.format("<item>&</item>") + after).encode(), URL, None).whole


def test_a_feed_without_items_that_ends_early_is_not_whole() -> None:
    assert not parse_feed(b"<rss version='2.0'><channel><title>T</title>", URL, None).whole


def test_the_closing_tag_of_something_else_is_no_end() -> None:
    # In RSS 1.0 the channel ends before the items begin.
    assert is_cut_off("<rdf:RDF><channel></channel><item>")
    assert is_cut_off("<rss><channel></channel>")
    assert is_cut_off("<!-- made from <feed> --><rss><item></feed>")
    assert is_cut_off("<rss><item>how to end it: </rss>" + " and more" * 1_000)


def test_the_end_is_found_in_any_case_and_behind_any_prefix() -> None:
    assert not is_cut_off("<RSS><item></rss >")
    assert not is_cut_off("<feed><entry></a:feed>")


def test_of_an_unknown_root_nothing_is_said() -> None:
    assert not is_cut_off("<items><item>")


def test_looking_for_the_end_takes_no_time() -> None:
    begin = time.perf_counter()
    for text in ("<!--" * 1_000_000, "<" * 4_000_000, "<a:" * 1_000_000, "<rss>" + "</a:" * 1_000_000):
        is_cut_off(text)
    assert time.perf_counter() - begin < 2
