"""Where the options of the kind x lead, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from digestd.config.kind_options import settled
from digestd.feed.x_place import read_place, sent_query
from digestd.kinds import Tools
from digestd.kinds.x import XKind
from digestd.kinds.x_options import XOptions
from digestd.model import Source, SourceSpec
from support.kind_runs import parse_here
from support.x_reader import SEARCH, USER
from support.x_site import API


def options(url: str | None = None, **given: Any) -> str | list[str]:
    """Where a source with these options is asked, or what is wrong with them."""
    done = settled(XOptions, "x", given, url, Path("/"))
    return done if isinstance(done, list) else done.url


@pytest.mark.parametrize(
    ("url", "given", "place"),
    [
        (None, {"user": "@ExampleCERT"}, USER),
        ("https://x.com/examplecert", {}, USER),
        ("https://twitter.com/examplecert/", {}, USER),
        (None, {"query": " CVE "}, SEARCH),
        ("https://x.com/search?q=CVE&src=typed_query", {}, SEARCH),
        (None, {"query": "a&b=c #d"}, f"{API}/2/tweets/search/recent?query=a%26b%3Dc%20%23d"),
        (
            None,
            {"user": "a", "base_url": "http://127.0.0.1:8080/x/"},
            "http://127.0.0.1:8080/x/2/users/by/username/a",
        ),
    ],
)
def test_places(url: str | None, given: dict[str, Any], place: str) -> None:
    assert options(url, **given) == place
    found = read_place(place)
    assert found.url == place


@pytest.mark.parametrize(
    ("url", "given", "problem"),
    [
        (None, {}, "exactly one of url and the options user and query says what is read"),
        (
            None,
            {"user": "a", "query": "b"},
            "exactly one of url and the options user and query says what is read",
        ),
        (None, {"user": "no name"}, "user: 'no name' is none; write the name as it stands behind the @"),
        (None, {"query": " "}, "query: must not be empty"),
        ("https://example.com/a", {}, "it must be an address at x.com; base_url tells where else the API is"),
        (
            "https://x.com/a/status/1",
            {},
            "it must be the address of a user or a search: https://x.com/name or https://x.com/search?q=…",
        ),
        (None, {"query": "a" * 501}, "query: X takes 512 characters at most, -is:retweet among them"),
        (
            None,
            {"query": "a", "replies": True},
            "the option replies goes with a user; a query finds replies unless it says -is:reply",
        ),
        (
            None,
            {"user": "a", "authors": True},
            "the option authors goes with a query; who posts on a timeline is known",
        ),
        (
            None,
            {"query": "a", "daily_posts": 9},
            "daily_posts: the smallest page may bring 10 posts; allow so many at least",
        ),
        (
            None,
            {"user": "a", "daily_posts": 9, "quotes": True},
            "daily_posts: the smallest page may bring 10 posts; allow so many at least",
        ),
        (
            None,
            {"user": "a", "daily_dollars": 0.1, "user_dollars": 0.2},
            "daily_dollars: one request may cost $0.20; allow so much at least",
        ),
        (
            None,
            {"query": "a", "daily_dollars": 0.1, "authors": True},
            "daily_dollars: one request may cost $0.15; allow so much at least",
        ),
    ],
)
def test_what_is_wrong_with_options(url: str | None, given: dict[str, Any], problem: str) -> None:
    assert options(url, **given) == [f"url: {problem}"]


@pytest.mark.parametrize(
    ("query", "retweets", "sent"),
    [
        ("CVE", False, "CVE -is:retweet"),
        ("CVE", True, "CVE"),
        ("from:a OR from:b", False, "(from:a OR from:b) -is:retweet"),
        ("CVE -is:retweet lang:en", False, "CVE -is:retweet lang:en"),
        ("CVE is:retweet", False, "CVE is:retweet"),
    ],
)
def test_what_a_query_is_sent_as(query: str, retweets: bool, sent: str) -> None:
    assert sent_query(query, retweets=retweets) == sent


def test_how_often_it_asks() -> None:
    assert XKind(Tools(parse_here)).spacing_seconds(Source(1, SourceSpec("one", "x", USER))) == 2.0
