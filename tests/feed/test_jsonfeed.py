"""JSON Feed and RSS in JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.entry import LONGEST_GUID
from digestd.feed.parse import parse_feed
from digestd.model import Document, Entry

URL = "https://example.org/feed.json"
V1, V11 = "https://jsonfeed.org/version/1", "https://jsonfeed.org/version/1.1"


def read(feed: object) -> Document:
    return parse_feed(json.dumps(feed).encode(), URL, "application/feed+json")


def only(item: dict[str, Any], version: str = V11, **feed: Any) -> Entry:
    (entry,) = read({"version": version, "items": [item], **feed}).entries
    return entry


def test_an_item() -> None:
    item = {
        "id": 7,
        "url": "/posts/7",
        "external_url": "https://other.example/",
        "title": "T <b>",
        "content_html": "<p>Text <img src='i.png'></p><script>x</script>",
        "summary": "a < b",
        "date_published": "2020-01-10T10:00:00+02:00",
        "authors": [{"name": "Ann"}, {"name": "Bob"}, {"url": "x"}, 5],
        "language": "de",
    }
    document = read({"version": V11, "title": "F", "language": "en", "items": [item]})
    assert (document.url, document.format, document.title, document.language) == (URL, "json11", "F", "en")
    (entry,) = document.entries
    assert entry == Entry(
        identity=entry.identity,
        content_hash=entry.content_hash,
        guid="7",
        link="https://example.org/posts/7",
        title="T <b>",
        author="Ann, Bob",
        language="de",
        summary="a &lt; b",
        content='<p>Text <img src="https://example.org/i.png"></p>',
        published_at=datetime(2020, 1, 10, 8, tzinfo=UTC),
        published_raw="2020-01-10T10:00:00+02:00",
    )


def test_version_1_has_one_author_and_items_fall_back_to_the_feed() -> None:
    document = read(
        {"version": V1, "author": {"name": "Ann"}, "language": "en", "items": [{"content_text": "a\n<b>"}]}
    )
    assert document.format == "json1"
    (entry,) = document.entries
    assert (entry.author, entry.language, entry.content) == ("Ann", "en", "a\n&lt;b&gt;")


def test_an_item_without_url_links_to_what_it_has() -> None:
    assert only({"id": "x", "external_url": "https://e.org/"}).link == "https://e.org/"
    assert only({"id": "https://e.org/1", "url": "javascript:x"}).link == "https://e.org/1"
    assert only({"id": "x"}).link is None


@pytest.mark.parametrize(
    ("written", "guid"), [(7, "7"), (7.0, "7"), (7.5, "7.5"), (True, None), (None, None), ([1], None)]
)
def test_ids_that_are_no_text_are_coerced_or_missing(written: object, guid: str | None) -> None:
    assert only({"id": written}).guid == guid


def test_wrong_types_are_missing_values_and_no_item_is_lost() -> None:
    wrong = {
        "title": [],
        "url": {},
        "summary": 3,
        "content_html": None,
        "authors": "Ann",
        "date_published": 2020,
    }
    entry = only(wrong | {"id": "1"}, authors=[[]], title={})
    assert (entry.title, entry.link, entry.summary, entry.author) == ("", None, "3", None)
    assert len(read({"version": V1, "items": [{"id": 1}, "no item", None, {"id": 2}]}).entries) == 2


def test_nul_and_lone_surrogates_are_mended() -> None:
    # json.dumps writes them as escapes, as a server may.
    entry = only({"id": "a\x00\ud800", "title": "\udfff\x00"})
    assert (entry.guid, entry.title) == ("a\ufffd", "\ufffd")


def test_a_byte_order_mark_and_utf16_are_read() -> None:
    text = json.dumps({"version": V1, "items": [{"id": "ü"}]}, ensure_ascii=False)
    for codec in ("utf-8-sig", "utf-16"):
        assert parse_feed(text.encode(codec), URL, "application/json").entries[0].guid == "ü"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"version": 1, "items": []}', "JSON without the version of a JSON Feed came instead of a feed"),
        (
            '{"version": "https://jsonfeed.org/version/2", "items": []}',
            "JSON without the version of a JSON Feed came instead of a feed",
        ),
        (f'{{"version": "{V1}"}}', "a JSON Feed without its list of items came instead of a feed"),
        (
            f'{{"version": "{V1}", "items": {{}}}}',
            "a JSON Feed without its list of items came instead of a feed",
        ),
        ('{"rss": {"channel": {}}}', "RSS as JSON without its items came instead of a feed"),
        (
            '{"version": ',
            "JSON that cannot be read came instead of a feed: Expecting value: line 1 column 13 (char 12)",
        ),
    ],
)
def test_says_what_is_wrong(body: str, message: str) -> None:
    with pytest.raises(NotAFeed) as caught:
        parse_feed(body.encode(), URL, None)
    assert str(caught.value) == message


def test_json_nested_too_deeply_is_refused() -> None:
    with pytest.raises(ParserFailed) as caught:
        parse_feed(b'{"a":' * 200_000, URL, None)
    assert str(caught.value) == "the JSON is nested too deeply to be read"


def test_an_integer_too_long_for_python_stays_as_it_is_written() -> None:
    digits = "7" * 5_000
    body = f'{{"version": "{V11}", "items": [{{"id": {digits}}}, {{"id": -12}}]}}'
    entries = parse_feed(body.encode(), URL, None).entries
    assert [entry.guid for entry in entries] == [digits[:LONGEST_GUID], "-12"]


def test_rss_in_json() -> None:
    item = {
        "title": "A &amp; B",
        "link": "/1",
        "description": "<p>Text</p>",
        "pubDate": "Mon, 26 Jun 2017 12:20:05 GMT",
        "guid": {"#value": "g-1", "isPermaLink": "false"},
    }
    document = read(
        {"rss": {"version": "2.0", "channel": {"title": "T", "language": "en-us", "item": [item, {}]}}}
    )
    assert (document.format, document.title, document.language) == ("rssjson", "T", "en-us")
    entry, empty = document.entries
    assert (entry.guid, entry.link, entry.title) == ("g-1", "https://example.org/1", "A & B")
    assert (entry.summary, entry.content) == ("<p>Text</p>", None)
    assert entry.published_at == datetime(2017, 6, 26, 12, 20, 5, tzinfo=UTC)
    assert empty.guid is None
    assert len(read({"rss": {"channel": {"item": item}}}).entries) == 1


_NAMES = st.sampled_from(
    ["id", "url", "title", "content_html", "content_text", "summary", "date_published", "authors"]
)
_NAMES |= st.sampled_from(
    ["author", "name", "language", "rss", "channel", "item", "items", "guid", "#value", "version"]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.just(V1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(_NAMES, _VALUES, max_size=6), st.lists(_VALUES, max_size=3), st.booleans())
def test_any_json_is_a_document_or_one_of_two_errors(
    feed: dict[str, Any], items: list[Any], is_feed: bool
) -> None:
    if is_feed:
        feed |= {"version": V1, "items": items}
    try:
        document = read(feed)
    except (NotAFeed, ParserFailed):
        assert not is_feed or "rss" in feed
        return
    assert "rss" in feed or len(document.entries) == sum(isinstance(item, dict) for item in feed["items"])
