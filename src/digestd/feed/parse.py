"""Bytes in, a :class:`~digestd.model.Document` out: what is well-formed by a parser of ours, and the rest by
feedparser."""

from __future__ import annotations

from dataclasses import replace

from digestd.errors import ParserFailed
from digestd.feed.encoding import decode, mend, without_margin
from digestd.feed.fast.document import read
from digestd.feed.fast.doubt import Doubt
from digestd.feed.jsonfeed import parse_json_feed
from digestd.feed.parsed import document_of
from digestd.feed.refusal import (
    looks_like_html,
    not_a_feed,
    refuse_too_many,
    refuse_too_many_elements,
    refuse_too_much_text,
)
from digestd.feed.truncation import is_cut_off
from digestd.model import Document


def parse_feed(body: bytes, url: str, content_type: str | None) -> Document:
    """Read `body`, which came from `url` as `content_type` (the whole header field, or None).

    RSS, RDF, Atom, CDF and JSON Feed are told by what is in the body. A feed without entries is a document
    without entries; one that was cut off has the entries that came, and is not `whole`. Raises
    :class:`~digestd.errors.NotAFeed` where something else came, and :class:`~digestd.errors.ParserFailed`
    where feedparser raises or there is more than we take. Bounded neither in time nor in memory: to be run
    where it can be killed.
    """
    raw = decode(body, content_type)
    # What expat takes needs no mending.
    document = _parse_if_sound(without_margin(raw), url) or _parse_mended(raw, url)
    refuse_too_much_text(document, len(body))
    return document


def parse_fast(text: str, url: str) -> Document:
    """Read the document `text`, without a margin and from `url`, to exactly what :func:`parse_feed` makes of it by way
    of feedparser; or raise :class:`~digestd.feed.fast.doubt.Doubt`. Takes time and memory in proportion to the length
    of `text` and, for every single value in it, to what nh3 takes for that (:mod:`digestd.feed.markup`)."""
    try:
        refuse_too_many_elements(text)
    except ParserFailed as error:
        raise Doubt("many entries") from error
    parsed = read(text, url)
    if not parsed["entries"] and not parsed["version"]:
        raise Doubt("no feed")
    document = document_of(parsed, text, url, whole=True)
    if document.left_out:
        # What is told of it is what feedparser gives.
        raise Doubt("an entry that cannot be read")
    return replace(document, parser="fast")


def _parse_if_sound(text: str, url: str) -> Document | None:
    try:
        return parse_fast(text, url)
    except Doubt:
        return None


def _parse_mended(raw: str, url: str) -> Document:
    text = mend(raw)
    if not text:
        raise not_a_feed(raw)
    if text[0] in "{[":
        return parse_json_feed(text, url)
    refuse_too_many_elements(text)
    document = None if text == without_margin(raw) else _parse_if_sound(text, url)
    return document or _parse_leniently(text, raw, url)


def _parse_leniently(text: str, raw: str, url: str) -> Document:
    # Only here: who reads nothing but sound documents does without it.
    from digestd.feed.lenient import read_leniently

    parsed = read_leniently(text, url)
    entries = parsed.get("entries") or []
    if not entries and (not parsed.get("version") or looks_like_html(text)):
        raise not_a_feed(raw)
    refuse_too_many(len(entries))
    document = document_of(parsed, text, url, whole=not (parsed.get("bozo") and is_cut_off(text)))
    return replace(document, parser="feedparser")
