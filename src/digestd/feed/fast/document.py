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
# What feedparser takes for one, and takes away. With declarations of elements in it, what is left is not well-formed.
_DOCUMENT_TYPE = re.compile(r"^\s*<!DOCTYPE([^>]*)>", re.ASCII | re.MULTILINE)
_ROOTS = frozenset({"rss", "feed", "rdf_rdf"})
_BUFFER_CHARACTERS = 65_536
_LONGEST_HEAD = 1_000


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
    version, document = _without_document_type(document)
    names = Names[State](STARTS, ENDS)
    state = State(url, names)
    parser = _parser(state, names)
    _feed(parser, _DECLARATION, last=False)
    for begin in range(0, len(document), characters):
        _feed(parser, document[begin : begin + characters], last=begin + characters >= len(document))
        yield
    return {"feed": state.feed, "entries": state.entries, "version": version or names.version}


def _without_document_type(document: str) -> tuple[str, str]:
    """The version that the document type of `document` stands for, and what feedparser reads in place of it."""
    first = _FIRST_ELEMENT.search(document)
    head = document[: first.start()] if first else ""
    lower = head.lower()
    if "<!doctype" not in lower and "<!entity" not in lower:
        return "", document
    # feedparser keeps some entities, and takes no page for a feed. The search takes time by the square of the length.
    if len(head) > _LONGEST_HEAD or "<!entity" in lower or "html" in lower:
        raise Doubt("a document type")
    # It begins where a line does.
    types = _DOCUMENT_TYPE.findall(_DECLARATION + head)
    rest = _DOCUMENT_TYPE.sub("", _DECLARATION + head).removeprefix(_DECLARATION)
    if "<!doctype" in rest.lower():
        raise Doubt("a document type")
    return "rss091n" if "netscape" in types[0].lower() else "", rest + document[len(head) :]


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
