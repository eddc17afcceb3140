"""What is one line in an honest document is cut where it is longer: an overlong field costs no other entry anything."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from digestd.feed.dates import LONGEST_DATE, parse_date
from digestd.feed.entry import LONGEST_AUTHOR, LONGEST_GUID, LONGEST_LINK
from digestd.feed.html import to_line
from digestd.feed.identity import LONGEST_TITLE, identity_of
from digestd.feed.parse import parse_feed
from digestd.feed.text import line_of
from digestd.model import Document, Entry

URL = "https://example.org/feed"
MOST_SECONDS = 2.0
LONG = 2_000_000
LONG_AUTHOR = 100_000


def rss(**fields: str) -> bytes:
    return f"<rss version='2.0'><channel><item>{_elements(fields)}</item><item/></channel></rss>".encode()


def atom(**fields: str) -> bytes:
    return f"<feed xmlns='http://www.w3.org/2005/Atom'><entry>{_elements(fields)}</entry><entry/></feed>".encode()


def _elements(fields: dict[str, str]) -> str:
    return "".join(f"<{name}>{value}</{name}>" for name, value in fields.items())


def json_feed(**fields: object) -> bytes:
    return json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [fields, {}]}).encode()


def rss_in_json(**fields: object) -> bytes:
    return json.dumps({"rss": {"channel": {"item": [fields, {}]}}}).encode()


def read(body: bytes) -> Document:
    begin = time.perf_counter()
    document = parse_feed(body, URL, None)
    assert time.perf_counter() - begin < MOST_SECONDS
    return document


def first(body: bytes) -> Entry:
    entries = read(body).entries
    assert len(entries) == 2
    return entries[0]


DATED: dict[str, Callable[[str], bytes]] = {
    "RSS": lambda date: rss(guid="1", pubDate=date),
    "Dublin Core": lambda date: rss(guid="1", **{"dc:date": date}),
    "Atom": lambda date: atom(id="1", published=date),
    "Atom, updated": lambda date: atom(id="1", updated=date),
    "JSON Feed": lambda date: json_feed(id="1", date_published=date),
    "JSON Feed, modified": lambda date: json_feed(id="1", date_modified=date),
    "RSS in JSON": lambda date: rss_in_json(guid="1", pubDate=date),
}


@pytest.mark.parametrize("kind", DATED)
@pytest.mark.parametrize(
    "date", ["1" * LONG, "Mon, " * (LONG // 5), "2020-01-10" + " x" * LONG, "2020-01-10" + "&#49;" * 50_000]
)
def test_an_entry_with_an_overlong_date_is_kept_without_a_date(kind: str, date: str) -> None:
    entry = first(DATED[kind](date))
    assert (entry.guid, entry.published_at) == ("1", None)
    assert entry.published_raw is not None
    assert entry.published_raw[:10] == date[:10]
    assert LONGEST_DATE - 1 <= len(entry.published_raw) <= LONGEST_DATE


@pytest.mark.parametrize("kind", DATED)
def test_a_date_that_is_indented_far_is_read(kind: str) -> None:
    entry = first(DATED[kind](" " * 1_000 + "2020-01-10" + "\n" * 1_000))
    assert (entry.published_at, entry.published_raw) == (datetime(2020, 1, 10, tzinfo=UTC), "2020-01-10")


def test_a_date_is_read_up_to_its_bound() -> None:
    comment = "2020-01-10 (" + "x" * (LONGEST_DATE - 13) + ")"
    assert parse_date(comment) == datetime(2020, 1, 10, tzinfo=UTC)
    assert parse_date(comment + " ") is None


LONG_TEXTS = {
    "one word": "x" * LONG,
    "words": "x " * LONG,
    "NFKC grows it": "\ufdfa" * 1_000_000,
    "markup": "<b>x" * 40_000,
}


@pytest.mark.parametrize("text", LONG_TEXTS)
def test_overlong_titles_and_authors_are_cut(text: str) -> None:
    value = LONG_TEXTS[text]
    escaped = value.replace("<", "&lt;")
    # feedparser's own look for an address in it takes time by the square: without our cut ten seconds, not an hour.
    author = escaped[:LONG_AUTHOR]
    for body in (
        rss(title=escaped, author=author),
        rss(**{"title": escaped, "dc:creator": author}),
        atom(title=escaped, author=f"<name>{author}</name>"),
        json_feed(title=value, authors=[{"name": value}, {"name": value + "y"}]),
        rss_in_json(title=value, author=value),
    ):
        entry = first(body)
        assert 0 < len(entry.title) <= LONGEST_TITLE
        assert entry.author is not None
        assert 0 < len(entry.author) <= LONGEST_AUTHOR


def test_many_authors_are_cut() -> None:
    people = [{"name": f"Author {n}"} for n in range(100_000)]
    author = first(json_feed(id="1", authors=people)).author
    assert author is not None
    assert author.startswith("Author 0, Author 1, ")
    assert LONGEST_AUTHOR - 1 <= len(author) <= LONGEST_AUTHOR


@pytest.mark.parametrize(
    "make",
    [
        lambda guid: rss(guid=guid),
        lambda guid: atom(id=guid),
        lambda guid: json_feed(id=guid),
        lambda guid: rss_in_json(guid=guid),
    ],
)
def test_overlong_guids_are_cut_and_still_tell_entries_apart(make: Callable[[str], bytes]) -> None:
    guids = ["g" * LONG, "g" * LONG + "2"]
    entries = [first(make(guid)) for guid in guids]
    assert [entry.guid for entry in entries] == ["g" * LONGEST_GUID] * 2
    assert [entry.identity for entry in entries] == [
        identity_of(guid, None, "", None, None) for guid in guids
    ]


@pytest.mark.parametrize(
    "make",
    [lambda link: rss(link=link), lambda link: json_feed(url=link), lambda link: rss_in_json(link=link)],
)
def test_an_overlong_link_is_none_and_still_tells_entries_apart(make: Callable[[str], bytes]) -> None:
    link = "http://a.example/".ljust(LONGEST_LINK, "x")
    at_bound, beyond = first(make(link)), first(make(link + "x"))
    assert (at_bound.link, beyond.link) == (link, None)
    assert beyond.identity == identity_of(None, link + "x", "", None, None)


def test_what_a_feed_says_of_itself_is_cut() -> None:
    channel = f"<title>{'x' * LONG}</title><language>{'ab-' * LONG}a</language>"
    document = read(f"<rss version='2.0'><channel>{channel}<item/></channel></rss>".encode())
    assert (document.title, document.language) == ("x" * LONGEST_TITLE, None)


def test_a_line_is_cut_behind_its_blanks() -> None:
    assert line_of("  a \n\x00 b\ud800 ", 100) == "a b\ufffd"
    assert line_of("ab cd", 3) == "ab"
    assert line_of(" " * 29 + "abc", 3) == "a"


def test_markup_is_cut_before_it_is_read() -> None:
    assert to_line("<b>" * 10 + "one &amp; two", 7) == "one & t"
    assert to_line("<b>" * 20 + "text", 5) == ""


def test_a_title_tells_entries_apart_up_to_its_bound() -> None:
    title = "x" * LONGEST_TITLE
    assert identity_of(None, None, title + "y", None, None) == identity_of(None, None, title, None, None)
    assert identity_of(None, None, title, None, None) != identity_of(None, None, title[1:], None, None)
