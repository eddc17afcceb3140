"""What the fast path gives for a feed beside what feedparser gives, in everything that entries are made of."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any
from unittest import mock

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed import parse
from digestd.feed.encoding import decode, mend, without_margin
from digestd.feed.fast.document import read_in_pieces
from digestd.feed.fast.doubt import Doubt
from digestd.feed.lenient import read_leniently
from digestd.feed.parse import parse_feed
from digestd.feed.pieces import MOST_BYTES, parse_in_pieces
from digestd.model import Document

URL = "https://example.org/dir/feed.xml?a=b"

# Of pieces to read a document in: it ends them within tags, references and text.
_MOST_CHARACTERS = 97

_TEXTS = ("id", "link", "title", "author", "language", "summary", "published", "updated", "created")
_OF_FEEDS = ("title", "language", "ttl", "sy_updateperiod", "sy_updatefrequency")
_OF_CONTENTS = ("type", "language", "base", "is_summary", "value")


def verdict(body: bytes, url: str = URL, content_type: str | None = None) -> str:
    """`same` where the fast path reads `body`, else why it does not. Asserts that it gives what feedparser gives, and
    that pieces of any size do."""
    raw = decode(body, content_type)
    text = without_margin(raw)
    found = _found(text, url, len(text) + 1)
    assert _found(text, url, 1 + len(body) % _MOST_CHARACTERS) == found
    if isinstance(found, str):
        if mend(raw) != text:
            assert result(parse_feed, body, url, content_type) == result(
                by_feedparser, body, url, content_type
            )
        return found
    expected = read_leniently(text, url)
    assert not expected["bozo"], expected["bozo_exception"]
    assert kept(found) == kept(expected)
    assert result(parse_feed, body, url, content_type) == result(by_feedparser, body, url, content_type)
    if len(body) <= MOST_BYTES:
        with suppress(Doubt):
            assert in_pieces(body, url, content_type) == parse_feed(body, url, content_type)
    return "same"


def _found(text: str, url: str, characters: int) -> dict[str, Any] | str:
    """What the fast path gives for `text`, read in pieces of so many `characters`, or why it is in doubt."""
    steps = read_in_pieces(text, url, characters)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found
        except Doubt as doubt:
            return str(doubt)


def by_feedparser(body: bytes, url: str, content_type: str | None) -> Document:
    """What :func:`digestd.feed.parse.parse_feed` gives when everything is in doubt."""
    with mock.patch.object(parse, "read", side_effect=Doubt("everything")):
        return parse_feed(body, url, content_type)


def in_pieces(body: bytes, url: str, content_type: str | None = None) -> Document:
    """What the steps of :func:`digestd.feed.pieces.parse_in_pieces` lead to."""
    steps = parse_in_pieces(body, url, content_type)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            document: Document = end.value
            return document


def result(
    parser: Callable[[bytes, str, str | None], Document], body: bytes, url: str, content_type: str | None
) -> Document | str:
    """The document, or the words of the refusal."""
    try:
        return parser(body, url, content_type)
    except (NotAFeed, ParserFailed) as refusal:
        return str(refusal)


def kept(parsed: Any) -> dict[str, Any]:
    """What of a result in feedparser's form becomes part of a document, in a form to compare."""
    feed = parsed["feed"]
    return {
        "version": parsed.get("version") or "",
        "feed": [_text(feed, name) for name in _OF_FEEDS] + [_part(feed, "title_detail")],
        "links": [link for link in _links(feed) if link[0] not in ("enclosure", "license")],
        "entries": [_entry(entry) for entry in parsed["entries"]],
    }


def _entry(entry: Any) -> dict[str, Any]:
    contents, authors = dict.get(entry, "content"), dict.get(entry, "authors")
    return {
        **{name: _text(entry, name) for name in _TEXTS},
        "title_detail": _part(entry, "title_detail"),
        "summary_detail": _part(entry, "summary_detail"),
        "contents": [[dict.get(one, name) for name in _OF_CONTENTS] for one in _list(contents)],
        "alternates": [href for rel, href in _links(entry) if rel == "alternate"],
        "authors": [_text(one, "name") for one in _list(authors)],
    }


def _links(holder: Any) -> list[tuple[str, str]]:
    return [(_text(link, "rel"), _text(link, "href")) for link in _list(dict.get(holder, "links"))]


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(holder: Any, name: str) -> str:
    value = dict.get(holder, name)
    return value if isinstance(value, str) else ""


def _part(holder: Any, name: str) -> list[Any] | None:
    value = dict.get(holder, name)
    return [dict.get(value, key) for key in _OF_CONTENTS[:-1]] if isinstance(value, dict) else None
