"""Whether the end of a document came, told by the closing tag of its root."""

from __future__ import annotations

import re

# Namespace prefixes are free, and real feeds write `</RSS>`.
_OPENING = re.compile(r"<(?:[\w.-]{1,40}:)?(rss|feed|rdf|channel)\b", re.IGNORECASE)

# How far before the first element a template may have written something else.
_HEAD = 65_536
# What servers append to a feed: comments of caches, scripts of counters. Further in, a closing tag is more likely
# quoted in an article about feeds.
_TAIL = 8_192


def is_cut_off(text: str) -> bool:
    """Whether `text`, which is no well-formed XML, lacks the closing tag of its root near its end.

    False for a document whose root is none of RSS, Atom, RDF or CDF: nothing can be said of it.
    """
    opening = _OPENING.search(_without_comments(text[:_HEAD]))
    if opening is None:
        return False
    closing = re.compile(rf"</(?:[\w.-]{{1,40}}:)?{opening[1]}\b", re.IGNORECASE)
    return closing.search(text[-_TAIL:]) is None


def _without_comments(head: str) -> str:
    # No regular expression: many comments that never end would take it time by their square.
    first, *others = head.split("<!--")
    return first + "".join(part.partition("-->")[2] for part in others)
