"""Answers of Hacker News' search, and which window comes next."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.hackernews import Round, address, cursor_after, onward, read_hits, round_in
from digestd.model import Document
from support.hackernews_site import hit

URL = "https://hn.algolia.com/api/v1/search_by_date"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = int(NOW.timestamp())


def read(*hits: Any, points: int = 0, begin: int = 0, until: int | None = None, **other: object) -> Document:
    body = json.dumps({"hits": hits, "nbHits": len(hits), **other}).encode()
    return read_hits(body, URL, points, begin, until)


def test_a_story_and_what_it_says() -> None:
    document = read(hit(46000001, SECOND, title="A bug &amp; in it"))
    (entry,) = document.entries
    assert (entry.guid, entry.title, entry.link) == (
        "46000001",
        "A bug &amp; in it",
        "https://example.com/46000001",
    )
    assert (entry.author, entry.published_at, entry.content, entry.complete) == ("someone", NOW, None, False)
    assert document.facts == {"hits": 1, "total": 1, "oldest": SECOND}


@pytest.mark.parametrize("url", [None, "", " ", "javascript:alert(1)", 7])
def test_what_has_no_address_of_its_own_leads_to_its_page(url: object) -> None:
    text = "<p>Which <i>scanner</i>?<script>x</script>"
    (entry,) = read(hit(46000002, SECOND, url=url, story_text=text)).entries
    assert entry.link == "https://news.ycombinator.com/item?id=46000002"
    assert (entry.content, entry.complete) == ("<p>Which <i>scanner</i>?</p>", True)


def test_a_comment_has_its_beginning_as_title() -> None:
    comment = {"title": None, "url": None, "comment_text": "I <i>saw</i> that, too.", "points": None}
    (entry,) = read(hit(46000003, SECOND, **comment), points=5).entries
    assert (entry.title, entry.content) == ("I saw that, too.", "I <i>saw</i> that, too.")


def test_votes_change_nothing_of_it() -> None:
    one, other = (read(hit(1, SECOND, points=points, num_comments=points)).entries[0] for points in (5, 500))
    assert one == other


def test_an_entry_that_cannot_be_read_costs_the_others_nothing() -> None:
    odd: list[Any] = [None, [], {}, {"objectID": {}}, {"objectID": "../x"}, {"objectID": "1" * 30}]
    document = read(*odd, hit(1, SECOND, created_at_i="x", title=["x"], author={}, _tags=5, points="x"))
    assert [entry.guid for entry in document.entries] == ["1"]
    assert len(document.left_out) == len(odd)
    assert {one.reason for one in document.left_out} == {
        "it cannot be read: ValueError: it has no number as its objectID"
    }
    assert document.entries[0].title == "Hacker News 1"


def test_fewer_votes_than_asked_for_are_no_entries() -> None:
    document = read(hit(1, SECOND, points=4), hit(2, SECOND, points=5), points=5)
    assert [entry.guid for entry in document.entries] == ["2"]
    assert document.facts["hits"] == 2


def test_what_is_no_answer_is_refused() -> None:
    for text in (b"[]", b"{}", b'{"hits": {}}'):
        with pytest.raises(
            NotAFeed, match=r"^JSON came, and not what the search answers: it has no list call"
        ):
            read_hits(text, URL, 0, 0, None)
    with pytest.raises(NotAFeed, match=r"^JSON that cannot be read came instead of a feed"):
        read_hits(b"<html>", URL, 0, 0, None)
    with pytest.raises(ParserFailed, match=r"^the JSON is nested too deeply to be read"):
        read_hits(b'{"hits":' + b"[" * 200_000, URL, 0, 0, None)
    with pytest.raises(ParserFailed, match=r"^the answer has 1,001 hits; 1,000 were asked for"):
        read(*[{}] * 1_001)


def test_huge_texts_are_cut() -> None:
    huge = "word " * 400_000
    (entry,) = read(hit(1, SECOND, title=huge, author=huge, story_text=huge, url="https://a/" + huge)).entries
    assert len(entry.content or "") <= 100_000
    assert (len(entry.title) <= 2_000, len(entry.author or "") <= 1_000) == (True, True)
    assert entry.link is None or len(entry.link) < 9_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["1", SECOND]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(sorted(hit(1, 1))) | st.text(), inner, max_size=8)
    ),
    max_leaves=20,
)


@settings(max_examples=40)
@given(
    items=st.lists(JSON, max_size=5),
    total=JSON,
    cursor=st.dictionaries(st.sampled_from(["round", "done"]), JSON),
)
def test_no_json_trips_it(items: list[Any], total: Any, cursor: dict[str, Any]) -> None:
    one = round_in(cursor, NOW)
    assert 0 <= one.begin <= SECOND
    document = read(*items, nbHits=total, begin=one.begin, until=one.until)
    json.dumps(cursor_after(one, onward(one, document.facts)))


@settings(max_examples=40)
@given(
    begin=st.integers(0, 50),
    length=st.integers(1, 50),
    answers=st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 99), st.booleans()), min_size=60),
)
def test_every_round_ends(begin: int, length: int, answers: list[tuple[int, int, bool]]) -> None:
    one: Round | None = Round(begin, begin + length, begin + length)
    for hits, place, more in answers:
        if one is None:
            break
        assert one.until is not None
        oldest = begin + place % (one.until - begin)
        left = onward(one, {"hits": hits, "total": hits + more, "oldest": oldest})
        assert left is None or (left.until is not None and begin < left.until < one.until)
        one = left
    assert one is None


def test_a_round_that_never_ends_is_ended() -> None:
    facts = {"hits": 1, "total": 10**9, "oldest": SECOND}
    assert onward(Round(0, None, SECOND, 498), facts) == Round(0, SECOND + 1, SECOND, 499)
    assert onward(Round(0, None, SECOND, 499), facts) is None


@pytest.mark.parametrize(
    ("cursor", "begin"),
    [
        ({}, SECOND - 172_800),
        ({"done": SECOND - 900}, SECOND - 900 - 172_800),
        ({"done": SECOND - 864_000}, SECOND - 864_000 - 172_800),
        # A clock that was set back, and rows that nobody of ours wrote.
        ({"done": SECOND + 3_600}, SECOND - 172_800),
        ({"done": 5}, SECOND - 172_800),
        ({"done": True}, SECOND - 172_800),
        ({"round": {"begin": 5, "until": 4, "end": 6}}, SECOND - 172_800),
        ({"round": {"begin": 5}}, SECOND - 172_800),
    ],
)
def test_a_round_begins_two_days_before_the_last_one(cursor: dict[str, Any], begin: int) -> None:
    assert round_in(cursor, NOW) == Round(begin, None, SECOND)


def test_a_round_in_hand_goes_on() -> None:
    left = Round(SECOND - 172_800, SECOND - 50, SECOND, 3)
    assert round_in(cursor_after(left, left), NOW) == left
    assert cursor_after(left, None) == {"done": SECOND}


def test_how_it_is_asked() -> None:
    one = Round(100, 200, 300)
    assert address("https://a.example", "CVE 2026", ["story"], 6, one) == (
        "https://a.example/api/v1/search_by_date?query=CVE+2026&tags=story&numericFilters="
        "created_at_i%3E99%2Ccreated_at_i%3C200%2Cpoints%3E5&hitsPerPage=1000&page=0"
    )
    assert address("https://a.example", "", ["story"], 6) == (
        "https://a.example/api/v1/search_by_date?query=&tags=story&numericFilters=points%3E5"
    )
