"""The feeds that a page names, whatever else stands in it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import DocumentError
from digestd.page.advertised import LONGEST_FEED_URL, MOST_FEEDS, MOST_LINKS, read_advertised

URL = "https://lab.example/news/"
RSS = "rel=alternate type=application/rss+xml"


def facts(head: str, body: str = "") -> dict[str, list[Any]]:
    page = f"<html><head><title> The\n lab </title>{head}</head><body>{body}</body></html>"
    return dict(read_advertised(page.encode(), URL, "text/html").facts)


def test_feeds_are_told_in_the_order_of_the_page_each_once() -> None:
    head = (
        f"<link {RSS} href=a.xml title='One  feed'><link {RSS} href=/b><link {RSS} href=a.xml title=Again>"
        "<link rel='ALTERNATE stylesheet' type='application/atom+xml; charset=utf-8' href=c>"
        "<link rel=alternate type=application/feed+json href=d><link rel=alternate type=application/rdf+xml href=e>"
    )
    assert facts(head)["feeds"] == [
        ["https://lab.example/news/a.xml", "One feed"],
        ["https://lab.example/b", ""],
        ["https://lab.example/news/c", ""],
        ["https://lab.example/news/d", ""],
        ["https://lab.example/news/e", ""],
    ]


@pytest.mark.parametrize(
    "link",
    [
        f"<link {RSS} href='{URL}'>",
        f"<link {RSS} href='javascript:alert(1)'>",
        f"<link {RSS} href='file:///etc/passwd'>",
        f"<link {RSS} href='/{'x' * LONGEST_FEED_URL}'>",
        "<link rel=stylesheet type=application/rss+xml href=/a>",
        "<link rel=alternate type=text/html href=/a>",
        "<link rel=alternate type=application/json href=/wp-json/>",
        f"<link {RSS}>",
    ],
)
def test_what_is_no_feed_beside_the_page_is_not_told(link: str) -> None:
    assert facts(link)["feeds"] == []


def test_relative_addresses_are_seen_from_the_base_of_the_page() -> None:
    assert facts(f"<base href='https://cdn.example/x/'><link {RSS} href=feed>")["feeds"] == [
        ["https://cdn.example/x/feed", ""]
    ]


def test_links_that_look_like_feeds_are_told_of_its_own_site() -> None:
    body = "".join(
        f"<a href='{href}'>x</a>"
        for href in (
            "/rss",
            "/rss#again",
            "/blog/feed/",
            "news.atom",
            "/all-rss.xml",
            "https://other.example/rss",
            "/rss-is-dead",
            "/feedback",
            "/about",
            "/data.xml",
        )
    )
    assert facts("", body)["links"] == [
        "https://lab.example/rss",
        "https://lab.example/blog/feed/",
        "https://lab.example/news/news.atom",
        "https://lab.example/all-rss.xml",
    ]
    # What is advertised is not told twice.
    assert facts(f"<link {RSS} href=/rss>", body)["links"][0] == "https://lab.example/blog/feed/"


def test_there_are_no_more_than_so_many() -> None:
    head = "".join(f"<link {RSS} href=/f{number}>" for number in range(100))
    body = "".join(f"<a href=/{number}/rss>x</a>" for number in range(100))
    found = facts(head, body)
    assert (len(found["feeds"]), len(found["links"])) == (MOST_FEEDS, MOST_LINKS)


def test_titles_are_plain_text() -> None:
    head = f"<link {RSS} href=/a title='Evil &#x202e;feed&#x1b;[31m {'x' * 1_000}'>"
    (feed,) = facts(head)["feeds"]
    assert feed[1].startswith("Evil feed")
    assert "\u202e" not in feed[1]
    assert len(feed[1]) <= 200


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        document = read_advertised(b"<html><head>" + body, URL, None)
    except DocumentError:
        return
    assert document.facts["feeds"] == [] or document.facts["feeds"][0][0].startswith("http")
