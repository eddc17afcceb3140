"""The door to feedparser, the reference for what a feed means, well-formed or not.

It runs with its own sanitising and link resolving off (both are nh3's work here), its dates are not used
(:mod:`digestd.feed.dates`), and it only ever sees UTF-8.
"""

from __future__ import annotations

import io
from typing import Any

import feedparser
from feedparser.api import LooseFeedParser, StrictFeedParser

from digestd.errors import ParserFailed
from digestd.feed.fast.values import CUT_AT

# How much of an exception goes into a message: it may quote the document.
_LONGEST_REASON = 200

_push_content = LooseFeedParser.push_content
_pop = LooseFeedParser.pop


def _push_marked(parser: Any, tag: str, *arguments: Any) -> None:
    """Begin a content as feedparser does, and mark a second summary or description, which it takes for a content."""
    _push_content(parser, tag, *arguments)
    if tag == "content" and parser._summaryKey == "content":
        parser.contentparams["is_summary"] = True


def _pop_cut(parser: Any, element: str, *arguments: Any) -> Any:
    """End an element as feedparser does, without more of its text than anything honest has."""
    if element in CUT_AT and parser.elementstack and parser.elementstack[-1][0] == element:
        pieces = parser.elementstack[-1][2]
        if sum(map(len, pieces)) > CUT_AT[element]:
            # References come as bytes.
            text = "".join(piece if isinstance(piece, str) else piece.decode() for piece in pieces)
            pieces[:] = [text.strip()[: CUT_AT[element]]]
    return _pop(parser, element, *arguments)


for _parser in (LooseFeedParser, StrictFeedParser):
    _parser.push_content = _push_marked
    _parser.pop = _pop_cut
    # feedparser resolves a guid against the address of the feed, which would make it another guid after a
    # redirect.
    _parser.can_be_relative_uri = _parser.can_be_relative_uri - {"id"}


def read_leniently(text: str, url: str) -> dict[str, Any]:
    """What feedparser gives for the document `text`, which came from `url`.

    Raises :class:`~digestd.errors.ParserFailed` where feedparser raises. Bounded neither in time nor in memory.
    """
    # Never the bytes themselves: feedparser opens the file that they name, if they name one.
    stream = io.BytesIO(text.encode("utf-8"))
    headers = {"content-type": "application/xml; charset=utf-8", "content-location": url}
    try:
        return dict(
            feedparser.parse(
                stream, response_headers=headers, sanitize_html=False, resolve_relative_uris=False
            )
        )
    except (MemoryError, RecursionError):
        raise
    # The border to a parser that raises KeyError, TypeError and more on odd documents: that is a failed
    # document.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}"
        raise ParserFailed(f"feedparser cannot read the document: {reason}") from error
