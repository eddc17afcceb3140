"""Bytes in, a :class:`~digestd.model.Document` out: what is well-formed by a parser of ours, and the rest by
feedparser."""

from __future__ import annotations

from dataclasses import replace

from digestd.feed.encoding import decode, mend
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
    text = mend(raw)
    if not text:
        raise not_a_feed(raw)
    document = parse_json_feed(text, url) if text[0] in "{[" else _parse_xml(text, raw, url)
    refuse_too_much_text(document, len(body))
    return document


def _parse_xml(text: str, raw: str, url: str) -> Document:
    refuse_too_many_elements(text)
    try:
        document = parse_fast(text, url)
    except Doubt:
        return _parse_leniently(text, raw, url)
    return document


def parse_fast(text: str, url: str) -> Document:
    """Read the document `text`, mended and from `url`, to exactly what :func:`parse_feed` makes of it by way of
    feedparser; or raise :class:`~digestd.feed.fast.doubt.Doubt`."""
    parsed = read(text, url)
    if not parsed["entries"] and not parsed["version"]:
        raise Doubt("no feed")
    refuse_too_many(len(parsed["entries"]))
    document = document_of(parsed, text, url, whole=True)
    if document.left_out:
        # What is told of it is what feedparser gives.
        raise Doubt("an entry that cannot be read")
    return replace(document, parser="fast")


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
