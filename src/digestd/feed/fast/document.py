"""A document through expat: what feedparser would give for it, or doubt."""

from __future__ import annotations

import re
from collections.abc import Generator
from typing import Any
from xml.parsers import expat

from digestd.feed.fast.doubt import Doubt
from digestd.feed.fast.elements import ENDS, STARTS
from digestd.feed.fast.names import Names
from digestd.feed.fast.state import State

_DECLARATION = "<?xml version='1.0' encoding='utf-8'?>"
_DECLARED = re.compile(r"<\?xml[^>]*?>")
_FIRST_ELEMENT = re.compile(r"<\w", re.ASCII)
_ROOTS = frozenset({"rss", "feed", "rdf_rdf"})
_BUFFER_CHARACTERS = 65_536


def read(text: str, url: str) -> dict[str, Any]:
    """What feedparser gives for the document `text`, which came from `url`, as far as entries are made of it: `feed`,
    `entries` and `version`.

    Raises :class:`~digestd.feed.fast.doubt.Doubt`. Takes time and memory in proportion to the length of `text`.
    """
    # In one piece: expat begins a long token again at the end of each.
    pieces = read_in_pieces(text, url, len(text) + 1)
    while True:
        try:
            next(pieces)
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found


def read_in_pieces(text: str, url: str, characters: int) -> Generator[None, None, dict[str, Any]]:
    """The same in pieces of so many `characters`: a step is one of them."""
    if not url:
        raise Doubt("no base")
    declared = _DECLARED.match(text)
    document = text[declared.end() :] if declared else "\n" + text
    if not document:
        raise Doubt("nothing but a declaration")
    first = _FIRST_ELEMENT.search(document)
    head = document[: first.start()].lower() if first else ""
    if "<!doctype" in head or "<!entity" in head:
        raise Doubt("a document type")
    names = Names[State](STARTS, ENDS)
    state = State(url, names)
    parser = _parser(state, names)
    _feed(parser, _DECLARATION, last=False)
    for begin in range(0, len(document), characters):
        _feed(parser, document[begin : begin + characters], last=begin + characters >= len(document))
        yield
    return {"feed": state.feed, "entries": state.entries, "version": names.version}


def _feed(parser: expat.XMLParserType, piece: str, *, last: bool) -> None:
    try:
        parser.Parse(piece, last)
    except expat.ExpatError as error:
        raise Doubt("not well-formed") from error
    # Where feedparser would raise, or go on in a way of its own.
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise Doubt("an odd structure") from error


def _parser(state: State, names: Names[State]) -> expat.XMLParserType:
    parser = expat.ParserCreate(None, " ")
    parser.namespace_prefixes = True
    parser.buffer_text = True
    parser.buffer_size = _BUFFER_CHARACTERS

    def begin(written: str, attributes: dict[str, str]) -> None:
        if names.name(written).key not in _ROOTS:
            raise Doubt("an unknown root")
        parser.StartElementHandler = state.start
        state.start(written, attributes)

    parser.StartElementHandler = begin
    parser.EndElementHandler = state.end
    parser.CharacterDataHandler = state.text
    parser.StartNamespaceDeclHandler = names.declare
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _refuse(*declared: object) -> None:
    raise Doubt("a document type")
