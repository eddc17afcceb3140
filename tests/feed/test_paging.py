"""Which pages of older entries are asked for, and how far they were read: decided over what servers write and rows
hold."""

from __future__ import annotations

import json
from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed import paging
from digestd.feed.parse import parse_feed
from digestd.model import Document, Entry, PollState

URL = "https://one.example/feed"
BEFORE = PollState('"old"', "Mon", "1:old", {"asked": "me"})
REACHED = PollState('"new"', "Tue", "1:new", {"asked": "me", "degraded": "oddly"})


def document(*guids: str, url: str = URL) -> Document:
    entries = tuple(Entry(identity=guid, content_hash="c", guid=guid) for guid in guids)
    return Document(url, "atom10", entries=entries)


def begun(before: PollState = BEFORE) -> PollState:
    state = paging.begin(document("9", "8"), f"{URL}?page=2", before, REACHED, URL)
    assert state is not None
    return state


def left(state: PollState | None) -> paging.Paging:
    assert state is not None
    found = paging.in_hand(state)
    assert found is not None
    return found


def test_validators_are_held_back_until_the_end_and_all_else_is_not() -> None:
    state = begun()
    assert (state.etag, state.last_modified, state.body_hash) == ('"old"', "Mon", "1:old")
    assert state.cursor is not None
    assert (state.cursor["asked"], state.cursor["degraded"]) == ("me", "oddly")
    assert paging.ended(state, left(state)) == REACHED


def test_it_survives_its_row() -> None:
    state = begun()
    kept = replace(state, cursor=json.loads(json.dumps(state.cursor)))
    assert kept == state
    assert paging.in_hand(kept) == left(state)


def test_each_page_moves_it_on_and_none_twice() -> None:
    state = begun()
    onward = paging.onward(state, left(state), document("7", "6"), f"{URL}?page=3")
    assert (left(onward).next_url, left(onward).pages) == (f"{URL}?page=3", 1)
    for asked in (URL, f"{URL}?page=2", f"{URL}?page=2#again", f"{URL}?page=3"):
        assert onward is not None
        assert paging.onward(onward, left(onward), document("5"), asked) is None
    assert paging.onward(state, left(state), document("7"), None) is None


def test_a_page_is_read_without_what_the_one_before_it_brought() -> None:
    state = begun()
    shifted = document("8", "7", "6")
    assert [one.guid for one in paging.unread(shifted, left(state)).entries] == ["7", "6"]
    edited = replace(shifted.entries[0], content_hash="another")
    assert paging.unread(replace(shifted, entries=(edited,)), left(state)).entries == (edited,)


@pytest.mark.parametrize(
    ("before", "pages"), [(PollState(), paging.PAGES_AT_FIRST), (BEFORE, paging.PAGES_AFTER_OVERFLOW)]
)
def test_there_is_an_end_to_it(before: PollState, pages: int) -> None:
    state: PollState | None = begun(before)
    read = 0
    while state is not None:
        read += 1
        last = left(state)
        offered = f"{URL}?page={read + 2}"
        state = paging.onward(state, last, document(f"p{read}"), offered)
        assert state is None or len(json.dumps(state.cursor)) < 5_000
    assert read == pages
    assert paging.stops_short(last, offered) == (before == BEFORE)
    assert not paging.stops_short(last, None)


def test_the_third_failure_in_a_row_gives_it_up() -> None:
    state = begun()
    once = paging.set_back(state)
    twice = paging.set_back(once)
    assert [left(one).tries for one in (state, once, twice)] == [0, 1, 2]
    assert paging.set_back(twice) == REACHED
    recovered = paging.onward(twice, left(twice), document("7"), f"{URL}?page=3")
    assert left(recovered).tries == 0
    assert paging.set_back(BEFORE) is BEFORE


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
WRITTEN: dict[str, Any] = dict((begun().cursor or {})["older"])


@given(st.dictionaries(st.sampled_from([*WRITTEN, "unknown"]), JSON), JSON)
def test_a_damaged_row_is_no_paging_and_no_bug(changes: dict[str, Any], instead: Any) -> None:
    assert paging.in_hand(PollState(cursor={"older": instead})) is None
    state = PollState(cursor={"older": WRITTEN | changes})
    found = paging.in_hand(state)
    if found is not None:
        paging.set_back(state)
        paging.unread(document("1"), found)
        paging.onward(state, found, document("1"), URL + "?x")


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ('<?page=2>; rel="next"', f"{URL}?page=2"),
        ("<?page=2>; rel=next", f"{URL}?page=2"),
        ('<?page=2>;rel="last NEXT"', f"{URL}?page=2"),
        ('</>; rel=start, </a,b;c>; title="a, b; <c>"; rel=next', "https://one.example/a,b;c"),
        ("</old>; rel=next, </archive>; rel=prev-archive", "https://one.example/archive"),
        ('</other>; rel=next; anchor="/else", </mine>; rel=next', "https://one.example/mine"),
        ("</one>; rel=first; rel=next", None),
        ("</one>; rel=previous", None),
        ("</one>; rel=next-archive", None),
        ('</one>; rel="unclosed, </two>; rel=next', "https://one.example/two"),
        ("</one; rel=next", None),
        ("mailto:x; rel=next", None),
        ("<mailto:x>; rel=next", None),
        ("", None),
        (None, None),
    ],
)
def test_links_of_the_header(field: str | None, expected: str | None) -> None:
    assert paging.linked_page(field, URL) == expected


@given(st.text(st.sampled_from('<>;,="rel next\\ \t/a')))
def test_no_header_is_a_bug(field: str) -> None:
    paging.linked_page(field, URL)


@pytest.mark.parametrize("piece", ["<", "<>", "<>;", '<>;a="', " ", "<a>;a=a,", '"', ";a" * 3, "<a> , "])
def test_a_hostile_header_costs_little(piece: str) -> None:
    began = perf_counter()
    paging.linked_page(piece * (1_000_000 // len(piece)), URL)
    assert perf_counter() - began < 0.1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a.example/1", "https://A.example:443/2?x", True),
        ("http://a.example:80", "http://u:p@a.example/", True),
        ("http://a.example/", "https://a.example/", False),
        ("https://a.example/", "https://b.a.example/", False),
        ("https://a.example/", "https://a.example:8443/", False),
        ("https://a.example:99999/", "https://a.example:99999/", False),
        ("https://[a/", "https://[a/", False),
        ("ftp://a.example/", "ftp://a.example/", False),
    ],
)
def test_origins(one: str, other: str, same: bool) -> None:
    assert paging.same_origin(one, other) is same


ATOM = "<feed xmlns='http://www.w3.org/2005/Atom'>{}<title>t</title><entry><id>1</id></entry></feed>"
RSS = (
    "<rss version='2.0' xmlns:a='http://www.w3.org/2005/Atom'><channel>{}<title>t</title>"
    "<item><guid>1</guid>{}</item></channel></rss>"
)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (ATOM.format("<link rel='next' href='?page=2'/>"), f"{URL}?page=2"),
        (ATOM.format("<link rel='next' xml:base='/sub/' href='x'/>"), "https://one.example/sub/x"),
        (
            ATOM.format("<link rel='self' href='/feed'/><link rel='prev-archive' href='/a'/>"),
            "https://one.example/a",
        ),
        (ATOM.format("<link rel='previous' href='/a'/><link href='/b'/>"), None),
        (
            RSS.format("<link>/</link><a:link rel='next' href='https://one.example/2'/>", ""),
            "https://one.example/2",
        ),
        (RSS.format("<link>/</link>", "<a:link rel='next' href='/entry'/>"), None),
        (
            '{"version":"https://jsonfeed.org/version/1.1","next_url":"/2","items":[]}',
            "https://one.example/2",
        ),
        ('{"version":"https://jsonfeed.org/version/1.1","next_url":[],"items":[]}', None),
    ],
)
def test_links_of_documents(body: str, expected: str | None) -> None:
    assert parse_feed(body.encode(), URL, None).older == expected
