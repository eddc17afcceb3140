"""Two documents mean the same where only their building dates, comments and counts differ."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.meaning import LONGEST_BYTES, meaning_of


def rss(head: str = "", item: str = "") -> bytes:
    return f"<rss><channel><title>t</title>{head}<item><guid>1</guid>{item}</item></channel></rss>".encode()


def atom(head: str = "", entry: str = "") -> bytes:
    return f"<feed>{head}<entry><id>1</id>{entry}</entry></feed>".encode()


@pytest.mark.parametrize(
    "document",
    [
        rss("<lastBuildDate>Mon</lastBuildDate>"),
        rss("<pubDate>Mon</pubDate>"),
        rss("<dc:date>2026</dc:date>"),
        rss("<!-- made in 20 ms -->"),
        rss(item="<!-- <title>not shown</title> -->"),
        rss(item="<slash:comments>5</slash:comments>"),
        rss(item="<thr:total>5</thr:total>"),
        rss(item='<media:statistics views="12"/>'),
        rss(item='<media:starRating count="3" average="4.5" />'),
    ],
)
def test_what_changes_by_itself_means_nothing(document: bytes) -> None:
    assert meaning_of(document) == meaning_of(rss())


def test_in_atom_too() -> None:
    built = atom("<updated>2026-11-23T10:00:00Z</updated>")
    assert (
        meaning_of(built) == meaning_of(atom("<updated>2026-11-24T10:00:00Z</updated>")) == meaning_of(atom())
    )
    one = "<link rel='replies' href='/1' thr:count='1' thr:updated='2026'/>"
    other = "<link rel='replies' href='/1' thr:count='2' thr:updated='2027'/>"
    assert meaning_of(atom(entry=one)) == meaning_of(atom(entry=other))


@pytest.mark.parametrize(
    "document",
    [
        rss("<description>other</description>"),
        rss(item="<pubDate>Mon</pubDate>"),
        rss(item="<title>other</title>"),
        rss(item="<comments>https://one.example/1#comments</comments>"),
        rss(item="<!-- no end <title>shown</title>"),
        rss(item="<title><slash:comments></title>"),
    ],
)
def test_everything_else_means_something(document: bytes) -> None:
    assert meaning_of(document) != meaning_of(rss())


def test_dates_of_entries_count_since_some_are_known_by_them() -> None:
    assert meaning_of(atom(entry="<updated>1</updated>")) != meaning_of(atom(entry="<updated>2</updated>"))


def test_no_xml_and_what_is_long_has_none() -> None:
    for body in (b"", b'{"items": []}', "<rss>".encode("utf-16"), b"<" + b"x" * LONGEST_BYTES):
        assert meaning_of(body) is None


@given(
    st.binary(max_size=300).map(lambda tail: b"<rss>" + tail),
    st.sampled_from([b"<!-- a -->", b"<!-- b --><!---->"]),
)
def test_it_is_a_digest_of_any_bytes(body: bytes, comment: bytes) -> None:
    meaning = meaning_of(body)
    assert meaning is not None
    assert len(meaning) == 64
    assert meaning_of(comment + body) == meaning


@pytest.mark.parametrize(
    "piece",
    [
        b"<!--",
        b"<!-- -",
        b"<a:pubDate ",
        b"<pubDate>",
        b"<updated><",
        b" thr:count='",
        b"<media:statistics ",
        b"<",
    ],
)
def test_no_text_takes_long(piece: bytes) -> None:
    body = b"<rss>" + piece * (LONGEST_BYTES // len(piece) - 10)
    begin = time.process_time()
    meaning_of(body)
    assert time.process_time() - begin < 0.25
