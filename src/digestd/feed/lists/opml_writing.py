"""Sources as OPML 2.0, for any reader of feeds. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from digestd.feed.lists.opml import BETWEEN_FOLDERS, LONGEST_CATEGORY, printable

MOST_FOLDERS = 8
"""So deep is a category at most that becomes nested folders; of a deeper one there is one folder."""

# XML 1.0, 2.2: what no document may hold, not even as a reference.
_NO_CHARACTERS = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0">
  <head>
    <title>Sources of digestd</title>
  </head>
  <body>
"""
_FOOT = "  </body>\n</opml>\n"


def write_opml(entries: Iterable[Mapping[str, Any]]) -> str:
    """`entries` of feeds, as settings files have them, as OPML 2.0 (http://opml.org/spec2.opml).

    A category is a folder, and one with slashes in it a folder in a folder, so that
    :func:`digestd.feed.lists.opml.read_opml` finds the same categories. Those without one come first; all is in the
    order of folders and names. There is no date in it: the same sources make the same text.
    """
    placed = sorted(((_path(entry.get("category")), entry) for entry in entries), key=_order)
    return _HEAD + "".join(f"    {line}\n" for line in _lines(placed)) + _FOOT


def _order(placed: tuple[tuple[str, ...], Mapping[str, Any]]) -> tuple[tuple[str, ...], str]:
    return placed[0], placed[1]["name"]


def _path(category: str | None) -> tuple[str, ...]:
    """The folders that `category` is."""
    shown = printable(category or "", LONGEST_CATEGORY)
    parts = tuple(shown.split(BETWEEN_FOLDERS))
    # Only what is read back as the same category.
    nests = len(parts) <= MOST_FOLDERS and all(part and part == part.strip() for part in parts)
    return parts if nests else (shown,) if shown else ()


def _lines(placed: Iterable[tuple[tuple[str, ...], Mapping[str, Any]]]) -> Iterator[str]:
    opened: tuple[str, ...] = ()
    for path, entry in placed:
        shared = _shared(opened, path)
        yield from _closed(opened, shared)
        for depth in range(shared, len(path)):
            yield f"{'  ' * depth}<outline{_attribute('text', path[depth])}>"
        opened = path
        yield "  " * len(path) + _feed(entry)
    yield from _closed(opened, 0)


def _closed(opened: tuple[str, ...], until: int) -> Iterator[str]:
    for depth in range(len(opened) - 1, until - 1, -1):
        yield f"{'  ' * depth}</outline>"


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> int:
    """How many folders both paths begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((depth for depth, (mine, theirs) in pairs if mine != theirs), min(len(one), len(other)))


def _feed(entry: Mapping[str, Any]) -> str:
    said = {
        "type": "rss",
        "text": entry["name"],
        "title": entry["name"],
        "xmlUrl": entry["url"],
        "language": entry.get("language"),
    }
    return f"<outline{''.join(_attribute(key, value) for key, value in said.items() if value)}/>"


def _attribute(name: str, value: str) -> str:
    return f" {name}={quoteattr(_NO_CHARACTERS.sub('', value))}"
