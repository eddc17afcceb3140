"""No step of a reading in pieces takes long, whatever stands in the document."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import pytest

from digestd.feed import pieces
from digestd.feed.fast.doubt import Doubt
from digestd.feed.markup import is_light
from digestd.feed.pieces import parse_in_pieces
from digestd.model import Entry
from support.corpus import corpus_path
from support.feed_comparison import URL, in_pieces

# On a quiet machine it is a third of it.
MOST_SECONDS = 0.02


def of_values(values: Sequence[str]) -> bytes:
    items = "".join(f"<item><description><![CDATA[{value}]]></description></item>" for value in values)
    return f"<rss version='2.0'><channel>{items}</channel></rss>".encode()


def filled(value: str) -> bytes:
    return of_values([value] * (60_000 // (len(value) + 60)))


def of_items(item: str) -> bytes:
    body = f"<rss version='2.0'><channel>{'<item>' + item + '</item>'}</channel></rss>"
    return body.replace(
        "</channel>", f"<item>{item}</item>" * (60_000 // (len(item) + 13)) + "</channel>"
    ).encode()


HOSTILE = {
    "nested": filled("<b>" * 1_400),
    "a little nested": filled("<b>" * 140),
    "never closed": filled("".join(f"<font size={number}>" for number in range(700)) + "<p>" * 700),
    "links": filled("<a href=//x>" * 1_000),
    "many links": filled("<a href=//x>" * 490),
    "brackets": filled("<" * 49_000),
    "ampersands": filled("&" * 49_000),
    "attributes": filled("<a " + " ".join(f"a{number}" for number in range(990)) + ">"),
    "hidden images": filled("<p style='width:1px'><img src=a>" * 490),
    "styles": filled(f"<img style='{'a' * 900}'>"),
    "small values": of_values(["<b>x"] * 800),
    "nothing": of_values([""] * 1_200),
    "items": of_items(""),
    "dates": of_items(f"<pubDate>{'10 ' * 60}</pubDate>"),
    "addresses": of_items(f"<author>{'a.b@c.d.' * 110}</author>"),
    "titles": of_items(f"<title>&lt;b>{'x ' * 400}&lt;/b></title>"),
    "paths": of_items("<link>/../../a/../b</link>" * 200),
    "XHTML": (
        "<feed xmlns='http://www.w3.org/2005/Atom'><entry><content type='xhtml'>"
        f"{'<i/>' * 15_000}</content></entry></feed>"
    ).encode(),
}


def steps(body: bytes) -> Iterator[float]:
    """The processor time of each step, to the end or to doubt."""
    reading = parse_in_pieces(body, URL, None)
    while True:
        begin = time.thread_time()
        try:
            next(reading)
        except (StopIteration, Doubt):
            yield time.thread_time() - begin
            return
        yield time.thread_time() - begin


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_no_step_takes_long(kind: str) -> None:
    body = HOSTILE[kind]
    assert 30_000 < len(body) <= pieces.MOST_BYTES
    assert min(max(steps(body)) for _ in range(3)) < MOST_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["feeds-hostile", "feeds-real"])
def test_no_step_takes_long_with_documents_from_outside(folder: str) -> None:
    bodies = [path.read_bytes() for path in corpus_path(folder).rglob("*") if path.is_file()]
    for body in bodies:
        if len(body) <= pieces.MOST_BYTES:
            assert min(max(steps(body)) for _ in range(3)) < MOST_SECONDS


def test_most_real_feeds_that_are_small_are_light() -> None:
    bodies = [path.read_bytes() for path in sorted(corpus_path("feeds-real").glob("*.xml"))]
    small = [body for body in bodies if len(body) <= pieces.MOST_BYTES][:40]
    light = 0
    for body in small:
        try:
            light += bool(in_pieces(body, URL).url)
        except Doubt:
            continue
    assert light >= 0.9 * len(small)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b" " * (pieces.MOST_BYTES + 1), "a large document"),
        (b"<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'/>", "no feed"),
        (of_values(["<b>" * 500]), "much markup"),
        (
            b"<rss version='2.0'><channel><item><title>"
            + b"&lt;b>" * 500
            + b"</title></item></channel></rss>",
            "much markup",
        ),
        (
            b"<rss version='2.0'><channel><item><author>"
            + b"&lt;b>" * 300
            + b"</author></item></channel></rss>",
            "much markup",
        ),
    ],
)
def test_what_is_not_for_here(body: bytes, reason: str) -> None:
    with pytest.raises(Doubt) as caught:
        in_pieces(body, URL)
    assert str(caught.value) == reason


def test_a_feed_without_entries_is_one() -> None:
    document = in_pieces(b"<rss version='2.0'><channel><title>t</title></channel></rss>", URL)
    assert (document.title, document.entries, document.parser) == ("t", (), "fast")


def test_an_entry_that_trips_us_is_told_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    def trip(*arguments: object) -> Entry:
        raise KeyError("odd")

    monkeypatch.setattr(pieces, "entry_of", trip)
    with pytest.raises(Doubt, match="an entry that cannot be read"):
        in_pieces(of_values(["x"]), URL)


@pytest.mark.parametrize(
    ("fragment", "light"),
    [
        ("<p>" * 999, True),
        ("<p>" * 1_001, False),
        ("&amp;" * 1_001, False),
        ("<div>" * 141, True),
        ("<div>" * 142, False),
        ("<div></div>" * 400, True),
        ("<div>" * 30 + "<br>" * 600 + "</div>" * 30, True),
        ("<div>" * 40 + "<br>" * 600 + "</div>" * 40, False),
        (f"<a {'b ' * 1_100}>", False),
        ("<a b='>" + "c" * 2_100 + "'>", False),
        ("word " * 10_000, True),
    ],
)
def test_what_is_light(fragment: str, light: bool) -> None:
    assert is_light(fragment) is light
