"""OPML: the feeds that an outline names, read from what strangers wrote, within bounds. The door to expat.

OPML 1.0 and 2.0 (http://opml.org/spec2.opml), and what programs write in their place: attributes in any case, `&` that
nobody escaped, character sets of every sort. What is no well-formed XML beyond that is refused as a whole, with its
line: half a list that looks like a whole one would be worse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html.entities import html5
from typing import Any
from xml.parsers import expat

from digestd.errors import ListError
from digestd.feed.encoding import decode, mend
from digestd.feed.lists.item import LARGEST_BYTES, Item, ReadList, Told
from digestd.feed.text import collapse, strip_controls
from digestd.masking import mask_url

MOST_ELEMENTS = 200_000
DEEPEST = 64
LONGEST_NAME = 200
LONGEST_CATEGORY = 200
BETWEEN_FOLDERS = "/"
"""What stands between the names of nested folders in a category, as in OPML's own attribute `category`."""

_LONGEST_SHOWN_URL = 200
_PIECE_BYTES = 64 * 1024
_LONGEST_TAG_BYTES = 1024 * 1024
# Every `&` that begins no reference of XML's own, with the name of HTML's if it is one.
_AMPERSAND = re.compile(
    r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)(?:([A-Za-z][A-Za-z0-9]{1,31};))?"
)
# RFC 5646, as far as its form goes. "unknown" is what some programs write for it.
_LANGUAGE = re.compile(r"(?!unknown$)[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
_FEEDS = frozenset({"rss", "atom", "rss1", "rss2", "feed"})


def read_opml(body: bytes) -> ReadList:
    """The feeds that the OPML document `body` names, each as a source of kind `feed`, and what is told of outlines that
    name none.

    The names of the folders that a feed stands in make its category. Raises :class:`digestd.errors.ListError`, with
    what is wrong and on which line, for what is no OPML, no well-formed XML, has a document type, or passes the bounds.
    """
    if len(body) > LARGEST_BYTES:
        raise ListError(f"it has more than {LARGEST_BYTES // 2**20} MiB, which no list of feeds has")
    text = decode(body, None)
    mended = mend(text)
    reading = _Reading(dropped_lines=text.count("\n") - mended.count("\n"))
    reading.read(_AMPERSAND.sub(_escaped, mended))
    return ReadList(tuple(reading.items), tuple(reading.others))


def printable(text: str, longest: int) -> str:
    """`text` as it may stand in a name: one line, of characters that show, at most so long."""
    if text.isprintable():
        return text.strip()[:longest].rstrip()
    shown = "".join(one for one in strip_controls(collapse(text)) if one.isprintable())
    return collapse(shown)[:longest].rstrip()


def _escaped(match: re.Match[str]) -> str:
    if match[1] in html5:
        return "".join(f"&#{ord(character)};" for character in html5[match[1]])
    return "&amp;" + match[0][1:]


class _Reading:
    """Reads one document. `folders` holds the names of the outlines that are open, empty for those that are none."""

    def __init__(self, dropped_lines: int) -> None:
        self.items: list[Item] = []
        self.others: list[Told] = []
        self._dropped_lines = dropped_lines
        self._root = ""
        self._elements = 0
        self._depth = 0
        self._folders: list[str] = []
        self._commented: list[bool] = []
        # With the charset settled, what the document says of it counts no more.
        self._parser = expat.ParserCreate("utf-8")
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        # Before anything of it is read: without a document type there is no entity to be expanded or fetched.
        self._parser.StartDoctypeDeclHandler = self._refuse_doctype

    def read(self, text: str) -> None:
        body = text.encode("utf-8", "replace")
        try:
            for at in range(0, len(body), _PIECE_BYTES):
                self._parser.Parse(body[at : at + _PIECE_BYTES], False)
                # Expat keeps a tag until it ends, and makes forty times its size of its attributes.
                if at - self._parser.CurrentByteIndex > _LONGEST_TAG_BYTES:
                    raise ListError(
                        f"line {self._line}: a tag of more than {_LONGEST_TAG_BYTES // 2**20} MiB"
                    )
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            line, problem = error.lineno + self._dropped_lines, expat.ErrorString(error.code)
            raise ListError(f"line {line}: no well-formed XML: {problem}") from error

    @property
    def _line(self) -> int:
        return self._parser.CurrentLineNumber + self._dropped_lines

    def _refuse_doctype(self, *_: object) -> None:
        raise ListError(f"line {self._line}: a document type, which OPML has not; take the line out")

    def _begin(self, element: str, attributes: dict[str, str]) -> None:
        name = element.rpartition(":")[2].lower()
        self._count()
        if not self._root:
            self._root = name
            if name != "opml":
                raise ListError(f"it is no OPML: it begins with <{printable(element, 40)}>")
        elif name == "outline":
            self._folders.append(self._outline({key.lower(): value for key, value in attributes.items()}))

    def _count(self) -> None:
        """Count an element, whatever it is called: each costs time, and expat keeps those that are open."""
        self._elements += 1
        self._depth += 1
        if self._elements > MOST_ELEMENTS:
            raise ListError(f"it has more than {MOST_ELEMENTS:,} elements")
        if self._depth > DEEPEST:
            raise ListError(f"line {self._line}: elements nested more than {DEEPEST} deep")

    def _end(self, element: str) -> None:
        self._depth -= 1
        if element.rpartition(":")[2].lower() == "outline":
            self._folders.pop()
            self._commented.pop()

    def _outline(self, said: Mapping[str, str]) -> str:
        """Take in an outline; returns what it is called as a folder, empty where it is none."""
        name = printable(said.get("text") or "", LONGEST_NAME) or printable(
            said.get("title") or "", LONGEST_NAME
        )
        commented = _word(said, "iscomment") == "true" or (bool(self._commented) and self._commented[-1])
        self._commented.append(commented)
        url = _feed_url(said)
        problem = _problem(said, url)
        if commented and url:
            self._tell(name, "is commented out (isComment)")
        elif problem is not None:
            self._tell(name, problem)
        elif url:
            self.items.append(Item(self._line, self._source(name, url, said)))
        else:
            return name
        return ""

    def _source(self, name: str, url: str, said: Mapping[str, str]) -> Mapping[str, Any]:
        language = (said.get("language") or "").strip()
        return {
            "name": name,
            "kind": "feed",
            "url": url,
            "category": self._category(said),
            "language": language if _LANGUAGE.fullmatch(language) else None,
        }

    def _category(self, said: Mapping[str, str]) -> str | None:
        path = BETWEEN_FOLDERS.join(filter(None, self._folders))
        # Who has no folders says it by an attribute: paths, the first of several.
        own = (said.get("category") or "").partition(",")[0].strip().strip(BETWEEN_FOLDERS)
        return printable(path or own, LONGEST_CATEGORY) or None

    def _tell(self, name: str, reason: str) -> None:
        self.others.append(Told(self._line, name, reason))


def _word(said: Mapping[str, str], name: str) -> str:
    return (said.get(name) or "").strip().lower()


def _feed_url(said: Mapping[str, str]) -> str:
    url = (said.get("xmlurl") or "").strip()
    if not url and _word(said, "type") in _FEEDS:
        url = (said.get("url") or "").strip()
    # The scheme by which browsers handed feeds to readers, before http: or in its place.
    scheme, colon, rest = url.partition(":")
    if colon and scheme.lower() == "feed":
        return "http:" + rest if rest.startswith("//") else rest
    return url


def _problem(said: Mapping[str, str], url: str) -> str | None:
    """Why an outline is neither a feed nor a folder; None where it is either."""
    kind = _word(said, "type")
    if kind == "include":
        return f"is another list (type include), which is not fetched{_shown(said.get('url'))}"
    if url:
        return None
    if kind == "link":
        return f"is a link, and no feed{_shown(said.get('url'))}"
    if (said.get("htmlurl") or "").strip():
        return f"has no feed (xmlUrl), only a page{_shown(said['htmlurl'])}"
    return "has no feed's address (xmlUrl)" if "xmlurl" in said or kind in _FEEDS else None


def _shown(url: str | None) -> str:
    return f": {printable(mask_url(url.strip()), _LONGEST_SHOWN_URL)}" if url and url.strip() else ""
