"""What is refused and why, in the operator's words."""

from __future__ import annotations

import re

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.encoding import mend
from digestd.feed.html import to_text
from digestd.feed.text import strip_controls
from digestd.model import Document, Entry

MOST_ENTRIES = 50_000
# Sanitised HTML may be longer than what came: links become absolute, characters become references. Real feeds stay
# below twice their size.
MOST_GROWTH = 4
_SMALLEST_ALLOWANCE = MOST_GROWTH * 2**20

# How far into a document we look, and how much of a title goes into a message.
_LOOKED_AT = 65_536
_LONGEST_TITLE = 80

# Possessive, so that no document makes the search try every way to pair the ends of comments.
_PROLOGUE = r"(?:\s+|<\?.*?\?>|<!--.*?-->)*+"
_DOCTYPE = r"(?:<!doctype[^>\[]*(?:\[.*?\]\s*)?>)?"
_ROOT = re.compile(rf"{_PROLOGUE}{_DOCTYPE}{_PROLOGUE}<([a-z_][\w.:-]{{0,80}})", re.DOTALL | re.IGNORECASE)
_HTML_DOCTYPE = re.compile(rf"{_PROLOGUE}<!doctype\s+html\b", re.DOTALL | re.IGNORECASE)
_PAGE_ROOTS = frozenset({"html", "head", "body"})
_FRAGMENT = re.compile(r"<(?:html|head|body|meta|script|div|p|img|table|center)\b", re.IGNORECASE)
_TITLE = re.compile(r"<title[^<>]{0,200}>(.{0,2000}?)</title", re.DOTALL | re.IGNORECASE)
_ENTRY = re.compile(r"<(?:[a-z][\w.-]{0,40}:)?(?:item|entry)[\s/>]", re.IGNORECASE)
_NO_TEXT = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffd]")


def not_a_feed(raw: str, wanted: str = "a feed") -> NotAFeed:
    """The error for `raw`, the text of a document that is not what was `wanted`; it says what it is instead."""
    return NotAFeed(f"{_description(raw[:_LOOKED_AT])} came instead of {wanted}")


def looks_like_html(text: str) -> bool:
    """Whether `text` is an HTML page, by its document type or its first element."""
    head = text[:_LOOKED_AT]
    return bool(_HTML_DOCTYPE.match(head)) or _root(head).lower() in _PAGE_ROOTS


def _root(head: str) -> str:
    match = _ROOT.match(head)
    return match[1] if match else ""


def _description(raw: str) -> str:
    head = mend(raw)
    if not head:
        return "an empty document"
    root = _root(head)
    if looks_like_html(head) or _FRAGMENT.match(f"<{root}>") or (not root and _FRAGMENT.search(head)):
        return _page(head)
    if root:
        return f"an XML document of another kind (its root is <{strip_controls(root)}>)"
    if _NO_TEXT.search(raw):
        return "data that is no text (an image, an archive, a compressed body)"
    return "plain text"


def _page(head: str) -> str:
    match = _TITLE.search(head)
    title = strip_controls(to_text(match[1])) if match else ""
    if len(title) > _LONGEST_TITLE:
        title = title[: _LONGEST_TITLE - 1].rstrip() + "…"
    return f"an HTML page (title '{title}')" if title else "an HTML page"


def refuse_too_many_elements(text: str) -> None:
    """Raise :class:`~digestd.errors.ParserFailed` where the XML `text` begins so many items or entries that
    :func:`refuse_too_many` would refuse it after a long time of reading."""
    # Those that are quoted count too: no feed quotes so many.
    refuse_too_many(sum(1 for _ in _ENTRY.finditer(text)))


def refuse_too_many(entries: int) -> None:
    """Raise :class:`~digestd.errors.ParserFailed` where a document has more than :data:`MOST_ENTRIES`."""
    if entries > MOST_ENTRIES:
        raise ParserFailed(f"the feed has {entries:,} entries, more than the {MOST_ENTRIES:,} that are read")


def refuse_too_much_text(document: Document, body_bytes: int) -> None:
    """Raise :class:`~digestd.errors.ParserFailed` where the texts of `document`, read from a body of `body_bytes`,
    are longer than :data:`MOST_GROWTH` times the body (or that many MiB, for a small body)."""
    most = max(_SMALLEST_ALLOWANCE, MOST_GROWTH * body_bytes)
    characters = sum(map(characters_of, document.entries))
    if characters > most:
        raise ParserFailed(
            f"the feed of {body_bytes:,} bytes grew to {characters:,} characters when it was read, "
            f"more than the {most:,} that are kept"
        )


def characters_of(entry: Entry) -> int:
    """The length of all texts of `entry` together."""
    texts = (
        entry.guid,
        entry.link,
        entry.title,
        entry.author,
        entry.summary,
        entry.content,
        entry.published_raw,
    )
    return sum(len(text) for text in texts if text)
