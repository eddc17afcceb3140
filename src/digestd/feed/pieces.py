"""Small, sound feeds with little markup, read in pieces between which other tasks can run: where no process is worth
its start, and nothing may hold up what else goes on."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import Any

from digestd.errors import ParserFailed
from digestd.feed.border import read_each
from digestd.feed.encoding import decode, without_margin
from digestd.feed.fast.document import read_in_pieces
from digestd.feed.fast.doubt import Doubt
from digestd.feed.markup import is_light
from digestd.feed.parsed import document_of, entry_of, name_of
from digestd.feed.refusal import refuse_too_much_text
from digestd.model import Document, Entry

MOST_BYTES = 64 * 1024
"""Larger documents are not for here."""

# Whatever stands in them, a piece of XML takes some five milliseconds at most, and so do these entries.
_PIECE_CHARACTERS = 8_192
_ENTRIES_PER_PIECE = 20
_CHARACTERS_PER_PIECE = 16_384
_MARKS_PER_PIECE = 1_000


def parse_in_pieces(body: bytes, url: str, content_type: str | None) -> Generator[None, None, Document]:
    """Read the feed `body`, of at most :data:`MOST_BYTES`, to what :func:`digestd.feed.parse.parse_feed` makes of it:
    the value of the generator, each step of which takes a few milliseconds.

    Raises :class:`~digestd.feed.fast.doubt.Doubt` where that is not sure to do it: then it has to be read where it can
    be killed.
    """
    if len(body) > MOST_BYTES:
        raise Doubt("a large document")
    text = without_margin(decode(body, content_type))
    parsed = yield from read_in_pieces(text, url, _PIECE_CHARACTERS)
    if not parsed["entries"] and not parsed["version"]:
        raise Doubt("no feed")
    document = document_of({**parsed, "entries": ()}, text, url, whole=True)
    entries: list[Entry] = []
    for piece in _pieces(parsed["entries"]):
        read, left_out = read_each(piece, lambda entry: entry_of(entry, url, document.language), name_of)
        if left_out:
            raise Doubt("an entry that cannot be read")
        entries += read
        yield
    document = replace(document, entries=tuple(entries), parser="fast")
    try:
        refuse_too_much_text(document, len(body))
    except ParserFailed as error:
        raise Doubt("much text") from error
    return document


def _pieces(entries: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    piece: list[dict[str, Any]] = []
    characters = marks = 0
    for entry in entries:
        piece.append(entry)
        for text in _texts(entry):
            if not is_light(text):
                raise Doubt("much markup")
            characters += len(text)
            marks += text.count("<") + text.count("&")
        full = len(piece) == _ENTRIES_PER_PIECE or marks > _MARKS_PER_PIECE
        if full or characters > _CHARACTERS_PER_PIECE:
            yield piece
            piece, characters, marks = [], 0, 0
    if piece:
        yield piece


def _texts(entry: dict[str, Any]) -> Iterator[str]:
    """Whatever may be read as HTML."""
    contents, authors = entry.get("content"), entry.get("authors")
    yield from (text for name in ("title", "summary", "author") if isinstance(text := entry.get(name), str))
    yield from (part["value"] for part in contents if part["value"]) if isinstance(contents, list) else ()
    yield from (author.get("name") or "" for author in authors) if isinstance(authors, list) else ()
