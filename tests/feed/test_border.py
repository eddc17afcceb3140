"""An entry that cannot be read does not fail its document, and is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from digestd.feed import jsonfeed, parsed, rss_in_json
from digestd.feed.border import read_each
from digestd.feed.entry import make_entry
from digestd.feed.identity import identity_of
from digestd.feed.parse import parse_feed
from digestd.model import Entry, LeftOut

URL = "https://example.org/feed"
RSS = """<rss version="2.0"><channel><item><guid>1</guid><title>one</title></item>
<item><guid>2</guid><title>odd  title</title></item><item><guid>3</guid><title>three</title></item></channel></rss>"""
ITEMS = [
    {"id": str(number), "title": title} for number, title in enumerate(("one", "odd  title", "three"), 1)
]
JSON_FEED = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": ITEMS})
RSS_AS_JSON = json.dumps(
    {"rss": {"channel": {"item": [{"guid": {"#value": i["id"]}, "title": i["title"]} for i in ITEMS]}}}
)


def trip(**fields: Any) -> Entry:
    if str(fields["title"]).startswith("odd"):
        raise KeyError("media\x00:odd")
    return make_entry(**fields)


@pytest.mark.parametrize("body", [RSS, JSON_FEED, RSS_AS_JSON])
def test_the_others_are_read_and_it_is_told(body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (parsed, jsonfeed, rss_in_json):
        monkeypatch.setattr(module, "make_entry", trip)
    document = parse_feed(body.encode(), URL, None)
    assert [entry.guid for entry in document.entries] == ["1", "3"]
    (left_out,) = document.left_out
    assert (left_out.guid, left_out.title) == ("2", "odd title")
    assert left_out.reason == "it cannot be read: KeyError: 'media\\x00:odd'"
    assert left_out.key == identity_of("2", None, "", None, None)
    assert "odd  title" in left_out.written
    assert document.whole


def refuse(one: object) -> Entry:
    raise ValueError("no " + "x" * 1_000)


def test_nameless_entries_are_told_apart_by_their_place() -> None:
    entries, left_out = read_each(["a", "b"], refuse, lambda one: ("", ""))
    assert entries == ()
    assert [one.written for one in left_out] == ['"a"', '"b"']
    assert len({one.key for one in left_out}) == 2


def test_what_is_told_is_short_and_storable() -> None:
    (left_out,) = read_each(["é" * 200_000], refuse, lambda one: ("g\ud800" * 500, "t\x00" * 500))[1]
    assert left_out == LeftOut(
        left_out.key,
        ("g\ufffd" * 100),
        "t" * 200,
        ("it cannot be read: ValueError: no " + "x" * 200)[:200],
        ('"' + "\\u00e9" * 20_000)[:100_000],
    )


def test_what_is_nested_too_deeply_is_told_without_its_text() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    (left_out,) = read_each([deep], refuse, lambda one: ("1", ""))[1]
    assert left_out.written == '"nested too deeply to be kept"'


def test_running_out_of_memory_says_nothing_about_one_entry() -> None:
    def out_of_memory(one: object) -> Entry:
        raise MemoryError

    with pytest.raises(MemoryError):
        read_each(["a"], out_of_memory, lambda one: ("", ""))
