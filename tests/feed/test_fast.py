"""What is well-formed is read without feedparser to exactly what feedparser makes of it; whatever is not sure is
feedparser's."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from random import Random

import feedparser
import pytest
from feedparser.api import StrictFeedParser
from feedparser.html import _cp1252
from feedparser.sanitizer import _HTMLSanitizer
from feedparser.urls import ACCEPTABLE_URI_SCHEMES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from digestd.feed.fast import doubt, elements, names, values
from digestd.feed.fast.document import read
from digestd.feed.fast.doubt import Doubt
from digestd.feed.lenient import read_leniently
from digestd.feed.parse import parse_feed
from support.composed_feeds import composed
from support.corpus import corpus_path
from support.feed_comparison import URL, by_feedparser, verdict
from support.feed_documents import feeds, tampered

# Where feedparser is plainly wrong and the fast path is to be right: by the name of the file or of the rule. There is
# none so far.
DIFFERENCES: frozenset[str] = frozenset()

_SMALL_BYTES = 16_000
_MOST_BYTES = 5_000_000


def files(folder: str, most_bytes: int = _MOST_BYTES) -> Iterator[tuple[str, bytes]]:
    for path in sorted(corpus_path(folder).rglob("*")):
        if path.name in DIFFERENCES or path.name == "MANIFEST.tsv" or not path.is_file():
            continue
        if path.stat().st_size <= most_bytes:
            yield path.name, path.read_bytes()


def rss(inside: str, attributes: str = "") -> str:
    return f"<rss version='2.0' {attributes}><channel>{inside}</channel></rss>"


def doubted(text: str) -> str:
    """Why the document `text` is feedparser's; a document all the same, or a refusal, if it is read there."""
    with pytest.raises(Doubt) as caught:
        read(text, URL)
    return str(caught.value)


def test_small_real_feeds_are_read_alike_and_hardly_one_is_in_doubt() -> None:
    verdicts = Counter(verdict(body) for name, body in files("feeds-real", _SMALL_BYTES) if _is_xml(body))
    assert verdicts.pop("same") >= 25
    assert verdicts.total() <= 2, verdicts


@pytest.mark.slow
def test_real_feeds_are_read_alike_and_hardly_one_is_in_doubt() -> None:
    verdicts = Counter(verdict(body) for name, body in files("feeds-real") if _is_xml(body))
    assert verdicts.pop("same") >= 0.95 * (verdicts.total() + 200)
    assert verdicts.total() <= 10, verdicts


@pytest.mark.slow
@pytest.mark.parametrize(("folder", "fewest"), [("feeds-conformance", 1_850), ("feeds-hostile", 45)])
def test_cases_and_hostile_documents_are_read_alike(folder: str, fewest: int) -> None:
    verdicts = Counter(verdict(body) for name, body in files(folder) if _is_xml(body))
    assert verdicts["same"] >= fewest, verdicts


def _is_xml(body: bytes) -> bool:
    return body.lstrip()[:1] not in b"{["


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(feeds())
def test_generated_feeds_are_read_alike(body: bytes) -> None:
    verdict(body)


@pytest.mark.slow
@settings(
    max_examples=1_000,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(feeds())
def test_many_generated_feeds_are_read_alike(body: bytes) -> None:
    verdict(body)


# Shorter plans hold too little to get in each other's way.
PLANS = st.binary(min_size=30, max_size=300)


def composed_verdicts(examples: int) -> Counter[str]:
    """The verdicts on so many feeds that hypothesis plans byte by byte."""
    verdicts = Counter[str]()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(PLANS)
    def compare(plan: bytes) -> None:
        verdicts[verdict(*composed(plan))] += 1

    compare()
    return verdicts


def test_composed_feeds_are_read_alike() -> None:
    verdicts = composed_verdicts(400)
    assert verdicts["same"] > 0.4 * verdicts.total(), verdicts


@pytest.mark.slow
def test_tens_of_thousands_of_composed_feeds_are_read_alike() -> None:
    """Two minutes of a processor."""
    verdicts = composed_verdicts(30_000)
    assert verdicts["same"] > 0.4 * verdicts.total(), verdicts


def tampered_verdicts(times: int, most_bytes: int) -> Counter[str]:
    bodies = [body for _, body in files("feeds-real", most_bytes) if _is_xml(body)]
    chances = (Random(seed) for seed in range(times))
    return Counter(verdict(tampered(chance.choice(bodies), chance)) for chance in chances)


def test_real_feeds_that_were_tampered_with_are_read_alike() -> None:
    verdicts = tampered_verdicts(60, _SMALL_BYTES)
    assert verdicts["same"] > 30


@pytest.mark.slow
def test_many_real_feeds_that_were_tampered_with_are_read_alike() -> None:
    verdicts = tampered_verdicts(1_000, 50_000)
    assert verdicts["same"] > 600


def test_everything_that_feedparser_does_something_about_is_known_here() -> None:
    def handlers(prefix: str) -> set[str]:
        return {name.removeprefix(prefix) for name in dir(StrictFeedParser) if name.startswith(prefix)}

    # Under these names no element can begin; and those that end nothing but their text.
    assert handlers("_start_") - set(elements.STARTS) == {"textInput"}
    only_end_text = {
        "itunes_block",
        "itunes_explicit",
        "itunes_keywords",
        "media_keywords",
        "textInput",
    }
    assert handlers("_end_") - set(elements.ENDS) == only_end_text
    assert set(elements.STARTS) <= handlers("_start_")
    assert set(elements.ENDS) <= handlers("_end_")


def test_what_feedparser_knows_is_known_here() -> None:
    assert {uri.lower(): prefix for uri, prefix in StrictFeedParser.namespaces.items()} == names._KNOWN
    assert _HTMLSanitizer.acceptable_elements == values.HTML_ELEMENTS
    assert set(ACCEPTABLE_URI_SCHEMES) == values._SCHEMES
    assert _cp1252 == values._WINDOWS_1252
    # What it does was read in this line of versions: another one may do it differently.
    assert feedparser.__version__.startswith("6.0.")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rss("<item>&nbsp;</item>"), "not well-formed"),
        (rss("<item>"), "not well-formed"),
        (rss("<x:item/>"), "not well-formed"),
        ("<!DOCTYPE rss [<!ENTITY a 'b'>]>" + rss("&a;"), "a document type"),
        ("<?xml version='1.0'?><!DOCTYPE rss>" + rss(""), "a document type"),
        ("<!doctype rss>" + rss(""), "a document type"),
        ("<!DOCTYPE html>" + rss(""), "a document type"),
        ("<!DOCTYPE rss>" + " " * 1_000 + rss(""), "a document type"),
        ("<!DOCTYPE rss [<!ELEMENT rss ANY>]>" + rss(""), "not well-formed"),
        ("<!DOCTYPE rss SYSTEM 'a'>" + rss("&nbsp;"), "not well-formed"),
        ("<!-- <!ENTITY a 'b'> -->" + rss(""), "a document type"),
        ("<html/>", "an unknown root"),
        ("<channel><item/></channel>", "an unknown root"),
        ("<?xml version='1.0'?>", "nothing but a declaration"),
        (rss("<item XMLNS='http://www.w3.org/2005/Atom'/>"), "an attribute that looks like a declaration"),
        (rss("<item XMLNS:x='urn:b'/>", "xmlns:XMLNS='urn:a'"), "an attribute that looks like a declaration"),
        (rss("<item x:xmlns='urn:b'/>", "xmlns:x='urn:a'"), "an attribute that looks like a declaration"),
        (rss("<item href='x'/>"), "CDF"),
        (rss("<item><title type='image/png'>eA==</title></item>"), "content in base64"),
        (rss("<item><title mode='base64'>eA==</title></item>"), "content in base64"),
        (rss("<item><description><svg/></description></item>"), "SVG or MathML"),
        (
            rss("<item><description type='application/xml'><div>a</div></description></item>"),
            "elements in XML that is no XHTML",
        ),
        (rss("<psc_chapters><psc_chapter/></psc_chapters>"), "a chapter without a place"),
        (
            rss("<psc_chapters><item><psc_chapter start=''/></item></psc_chapters>"),
            "a chapter without a place",
        ),
        (rss("<item><a/></item>", "xmlns='urn:a\u00a0b'"), "white space in a namespace"),
        (rss("<item><links/></item>"), "an element by the name of a structure"),
        (
            rss("<publisher a='b'/><webMaster/>"),
            "attributes in the place of a text",
        ),
        (rss("<item><media_player><b/></media_player></item>"), "an element in one that holds text"),
        (rss("<item><textInput/></item>"), "a text input of an entry"),
        (
            rss("<item><description>a<title>b</title></description></item>"),
            "the end of content that did not begin",
        ),
        (rss("<item><gml_pos/></item>"), "an element that is not read here"),
    ],
)
def test_what_is_in_doubt(text: str, reason: str) -> None:
    assert doubted(text) == reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (rss("<a>" * doubt.MOST_DEPTH + "</a>" * doubt.MOST_DEPTH), "deeply nested"),
        (rss("".join(f"<a{number}/>" for number in range(doubt.MOST_NAMES))), "many names of elements"),
        (
            rss(
                f"<a {' '.join(f'a{number}=`b`' for number in range(doubt.MOST_ATTRIBUTES + 1))}/>".replace(
                    "`", "'"
                )
            ),
            "many attributes",
        ),
        (
            rss("", " ".join(f"xmlns:n{number}='urn:{number}'" for number in range(doubt.MOST_PREFIXES + 1))),
            "many namespaces",
        ),
        (rss(f"<item xml:base='https://example.org/{'a' * 2_000}'/>"), "a long base"),
    ],
)
def test_what_is_more_than_any_feed_has_is_in_doubt(text: str, reason: str) -> None:
    assert doubted(text) == reason
    assert not read_leniently(text, URL)["bozo"]


def test_without_an_address_there_is_no_base() -> None:
    with pytest.raises(Doubt, match="no base"):
        read(rss("<item/>"), "")


LONG = {
    "items": rss("<item/>" * 20_000),
    "elements": "<feed xmlns='http://www.w3.org/2005/Atom'><entry><content type='xhtml'>"
    + "<i/>" * 60_000
    + "</content></entry></feed>",
    "addresses": rss("".join(f"<item><author>{'a.b@c.d.' * 120}</author></item>" for _ in range(300))),
    "words": rss("".join(f"<item><author>{'a' * 990}</author></item>" for _ in range(300))),
    "prefixes": rss("".join(f"<a xmlns:p='urn:{number}'/>" for number in range(12_000))),
    "a token": rss(f"<a b='{'c' * 2_000_000}'/><!-- {'d' * 2_000_000} -->"),
    "text": rss(f"<title>{'&amp;&lt;/' * 100_000}</title>"),
    "references": rss(f"<title>{'&#38;' * 300_000}</title>"),
    "joined": rss("<item>" + "<link>/../../a/../b</link>" * 10_000 + "</item>"),
    "a head": "<!--" + "\n" * 1_000_000 + "<!DOCTYPE" * 100_000 + "-->" + rss(""),
    "written again": rss("<item>" + "<title>é</title>" * 20_000 + "</item>"),
}


@pytest.mark.parametrize("kind", sorted(LONG))
def test_what_is_hostile_takes_time_by_its_length(kind: str) -> None:
    begin = time.process_time()
    with suppress(Doubt):
        read(LONG[kind], URL)
    assert time.process_time() - begin < 1.5


def test_who_read_a_document_is_told() -> None:
    assert parse_feed(rss("<item/>").encode(), URL, None).parser == "fast"
    assert parse_feed(rss("<item>&nbsp;</item>").encode(), URL, None).parser == "feedparser"
    assert (
        parse_feed(b'{"version": "https://jsonfeed.org/version/1.1", "items": []}', URL, None).parser is None
    )


def test_what_is_mended_is_read_without_feedparser_too() -> None:
    body = rss("<item><title>a\x01b</title></item>").encode()
    document = parse_feed(body, URL, None)
    assert (document.parser, document.entries[0].title) == ("fast", "ab")
    assert document == by_feedparser(body, URL, None)
