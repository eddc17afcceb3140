"""What is known in the middle of a document, and how the text of an element finds its place: feedparser's state, as far
as entries depend on it.

Several of its rules are accidents: text that goes to an element which was never closed, depths that are never counted
down again, one author for all. They are kept as they are.
"""

from __future__ import annotations

import html
import re
from typing import Any, TypeAlias

from digestd.feed.fast.doubt import MOST_ATTRIBUTES, MOST_DEPTH, Doubt
from digestd.feed.fast.names import Name, Names, attribute_names
from digestd.feed.fast.values import (
    CUT_AT,
    XHTML,
    based,
    content_type,
    joined,
    looks_like_html,
    repaired,
    unwrapped,
)

Attributes: TypeAlias = dict[str, str]
Part: TypeAlias = dict[str, Any]

# The only ones whose text becomes part of an entry or of what is said of the feed. A `date` counts as updated.
_KEPT = {
    **{
        name: name
        for name in ("title", "link", "id", "author", "language", "published", "updated", "created")
    },
    **{
        name: name
        for name in ("summary", "content", "license", "ttl", "sy_updateperiod", "sy_updatefrequency")
    },
    "description": "summary",
    "date": "updated",
}
# An element that feedparser does not know is kept under its own name: here, in the place of something with a structure.
_STRUCTURES = frozenset(
    {"links", "authors", "author_detail", "title_detail", "summary_detail", "content_detail", "contributors"}
    | {"publishers", "publisher_detail", "generator_detail", "image", "textinput", "tags", "where"}
    | {"media_credit", "media_content", "media_thumbnail", "description_detail"}
    | {"media_rating", "media_restriction", "media_license", "media_player", "source"}
)
_PSEUDO_REFERENCE = re.compile("&([A-Za-z0-9_]+);")
# Those of its attributes that change what is around them.
_INHERITED = frozenset({"xml:base", "base", "xml:lang", "lang"})
_LONGEST_BASE = 2_000


class State:
    """One document, as far as it was read. `feed` and `entries` are what came of it."""

    def __init__(self, url: str, names: Names[State]) -> None:
        self.names = names
        self.feed: Part = {}
        self.entries: list[Part] = []
        self.source: Part = {}
        self.in_feed = self.in_entry = self.in_source = False
        self.in_image = self.in_text_input = self.in_chapters = False
        self.in_author = self.in_contributor = self.in_publisher = False
        self.guid_is_link: bool | None = None
        self.has_content = False
        self.summary_as: str | None = None
        self.title_depth = -1
        self.in_content = 0
        # What is said of the content that is being read: its type, language and base.
        self.content: Part = {}
        self.is_base64 = False
        self.depth = 0
        # How deep in the document the values of the present entry were found.
        self.depths: dict[str, int] = {}
        self.base = url
        self.language: str | None = None
        self._bases: list[str] = []
        # Joined to itself, it stays what it is.
        self._settled: str | None = None
        self._languages: list[str | None] = []
        self._stack: list[tuple[str, bool, list[str]]] = []
        self._pieces: list[str] | None = None
        # In here nothing may begin: what ends there must find what it began with.
        self.closed = False

    def start(self, written: str, attributes: Attributes) -> None:
        """Begin an element: expat's StartElement."""
        name = self.names.name(written)
        if self.closed:
            raise Doubt("an element in one that holds text")
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise Doubt("deeply nested")
        if attributes or self.names.pending:
            attributes = self._normalised(attributes)
        self._inherit(name, attributes)
        if self.in_content and self._is_inline(name, attributes):
            return
        if name.ends_text_input:
            self.in_text_input = False
        if name.ends_image:
            self.in_image = False
        if name.start is not None:
            name.start(self, attributes)
        else:
            self._start_unknown(name.key, attributes)

    def end(self, written: str) -> None:
        """End an element: expat's EndElement."""
        name = self.names.name(written)
        self.closed = False
        if name.end is not None:
            name.end(self)
        else:
            self.pop(name.key)
        if self.in_content and self._ends_inline(name):
            return
        self._bases.pop()
        self._languages.pop()
        if self._bases:
            self.base, self.language = self._bases[-1], self._languages[-1]
        self.depth -= 1

    def text(self, text: str) -> None:
        """Take text: expat's CharacterData."""
        if self._pieces is not None:
            self._pieces.append(html.escape(text, quote=False) if self.content.get("type") == XHTML else text)

    def push(self, element: str, *, kept: bool = True) -> None:
        """Let text go to `element`; `kept` is whether its text is put away when it ends."""
        self._pieces = []
        self._stack.append((element, kept, self._pieces))

    def pop(self, element: str) -> str | None:
        """End `element`, if text goes to it; its text, where that is of use, and None where text goes elsewhere."""
        stack = self._stack
        if not stack or stack[-1][0] != element:
            return None
        _, kept, pieces = stack.pop()
        self._pieces = stack[-1][2] if stack else None
        if element in CUT_AT and sum(map(len, pieces)) > CUT_AT[element]:
            pieces = ["".join(pieces).strip()[: CUT_AT[element]]]
        if not kept:
            return "".join(pieces).strip()
        return self._put_away(element, pieces) if element in _KEPT else ""

    def push_content(self, element: str, attributes: Attributes, default_type: str, *, kept: bool) -> None:
        """Let text that may be markup go to `element`."""
        self.in_content += 1
        if self.in_content != 1:
            raise Doubt("content in content")
        if self.language:
            self.language = self.language.replace("_", "-")
        kind = content_type(attributes.get("type", default_type))
        is_xml = kind.endswith(("+xml", "/xml"))
        self.is_base64 = attributes.get("mode") == "base64" or not (kind.startswith("text/") or is_xml)
        self.content = {"type": kind, "language": self.language, "base": self.base}
        if element == "content" and self.summary_as == "content":
            self.content["is_summary"] = True
        self.push(element, kept=kept)

    def pop_content(self, element: str) -> str | None:
        """End what :meth:`push_content` began."""
        text = self.pop(element)
        self.in_content -= 1
        if self.in_content < 0:
            raise Doubt("the end of content that did not begin")
        self.content = {}
        self.is_base64 = False
        return text

    def context(self) -> Part:
        """What the present element is said of."""
        if self.in_source:
            return self.source
        if self.in_image and "image" in self.feed:
            image: Part = self.feed["image"]
            return image
        if self.in_text_input:
            text_input: Part = self.feed["textinput"]
            return text_input
        return self.entries[-1] if self.in_entry else self.feed

    @property
    def wants_text(self) -> bool:
        """Whether this is a place whose text is of use: a feed, an entry or its source."""
        return self.in_feed or self.in_entry or self.in_source

    def begin_entry(self) -> None:
        """Let what follows be said of a new entry."""
        self.entries.append({})
        self.depths = {}
        self.in_entry = True

    def _start_unknown(self, key: str, attributes: Attributes) -> None:
        if key in _STRUCTURES or key.endswith("_detail"):
            raise Doubt("an element by the name of a structure")
        if not attributes:
            self.push(key)
            return
        if key == "publisher":
            # feedparser would look for an address in them.
            raise Doubt("attributes in the place of a text")
        context = self.context()
        if key in _KEPT:
            # There it stands with its attributes, which are no text.
            context[_KEPT[key]] = attributes

    def _put_away(self, element: str, pieces: list[str]) -> str:
        kind = self.content.get("type")
        if kind == XHTML and self.names.version == "atom10":
            pieces = unwrapped(pieces)
        text = "".join(pieces).strip()
        if self.is_base64 and text:
            raise Doubt("content in base64")
        if element == "link" and text:
            text = joined(self.base, text)
        if kind == "text/plain" and not self.names.version.startswith("atom") and looks_like_html(text):
            self.content["type"] = "text/html"
        text = repaired(text)
        if element == "title" and -1 < self.title_depth <= self.depth:
            return text
        if self.in_entry and not self.in_source:
            self._keep_of_entry(element, text)
        elif self.in_feed or self.in_source:
            self._keep(element, text)
        return text

    def _keep_of_entry(self, element: str, text: str) -> None:
        entry = self.entries[-1]
        if element == "content":
            entry.setdefault("content", []).append({**self.content, "value": text})
            return
        if element == "link":
            if not self.in_image:
                entry["link"] = link = _PSEUDO_REFERENCE.sub(r"&\1", text.replace("&amp;", "&"))
                if link:
                    entry["links"][-1]["href"] = link
            return
        name = "summary" if element == "description" else element
        known_depth = self.depths.get(name)
        if known_depth is None or self.depth <= known_depth:
            self.depths[name] = self.depth
            entry[_KEPT[name]] = text
        if self.in_content:
            entry[f"{name}_detail"] = {**self.content, "value": text}

    def _keep(self, element: str, text: str) -> None:
        context = self.context()
        if element == "link":
            context["link"] = context["links"][-1]["href"] = _PSEUDO_REFERENCE.sub(r"&\1", text)
            return
        name = "subtitle" if element == "description" else _KEPT[element]
        context[name] = text
        if self.in_content:
            context[f"{name}_detail"] = {**self.content, "value": text}

    def _is_inline(self, name: Name[State], attributes: Attributes) -> bool:
        """Whether the beginning of the element `name`, in content, needs nothing more: it is part of it."""
        if not self.content["type"].endswith("xml"):
            if name.tag in ("xhtml:div", "div"):
                return True
            self._become_xhtml()
        elif self.content["type"] != XHTML:
            raise Doubt("elements in XML that is no XHTML")
        written = "".join(f' {key}="{_quoted(value)}"' for key, value in attributes.items())
        self._add(f"<{name.inner}{written}>")
        return True

    def _ends_inline(self, name: Name[State]) -> bool:
        """Whether the end of the element `name`, in content, ends nothing but a div that never counted."""
        if self.content["type"] != XHTML:
            if name.tag in ("xhtml:div", "div"):
                return True
            self._become_xhtml()
        self._add(f"</{name.inner}>")
        return False

    def _become_xhtml(self) -> None:
        """Take what was promised as text, and holds elements, for what it is."""
        if any("<" in piece for piece in self._pieces or ()):
            raise Doubt("escaped and plain markup")
        self.content["type"] = XHTML

    def _add(self, markup: str) -> None:
        if self._pieces is not None:
            self._pieces.append(markup)

    def _normalised(self, attributes: Attributes) -> Attributes:
        names = "".join(attributes)
        if len(attributes) > MOST_ATTRIBUTES:
            raise Doubt("many attributes")
        if self.names.pending or not (names.islower() and names.isascii()) or " " in names:
            attributes = self._renamed(attributes)
        for name in ("rel", "type"):
            if name in attributes:
                attributes[name] = attributes[name].lower()
        return attributes

    def _renamed(self, attributes: Attributes) -> Attributes:
        """`attributes` by the names that feedparser gives them, two for those in a namespace; the last one counts."""
        found, self.names.pending = self.names.pending, {}
        names = [attribute_names(name) if " " in name else (name.lower(),) * 2 for name in attributes]
        # What declares a namespace is no attribute to expat: this is one, in capitals or with a prefix, and feedparser
        # takes it for a declaration.
        if any(name.partition(":")[0] == "xmlns" for pair in names for name in pair):
            raise Doubt("an attribute that looks like a declaration")
        for known_as, value in zip(names, attributes.values(), strict=True):
            found[known_as[0]] = value
        for known_as, value in zip(names, attributes.values(), strict=True):
            found[known_as[1]] = value
        return found

    def _inherit(self, name: Name[State], attributes: Attributes) -> None:
        language = self.language
        if attributes and not _INHERITED.isdisjoint(attributes):
            written = attributes.get("xml:lang", attributes.get("lang"))
            language = language if written is None else written or None
            base = attributes.get("xml:base", attributes.get("base")) or self.base
            if len(base) > _LONGEST_BASE:
                raise Doubt("a long base")
            self.base = based(self.base, base)
        elif self.base != self._settled:
            self.base = based(self.base, self.base)
            self._settled = self.base if based(self.base, self.base) == self.base else None
        if language and name.tag in ("feed", "rss"):
            self.feed["language"] = language.replace("_", "-")
        self.language = language
        self._bases.append(self.base)
        self._languages.append(language)


def _quoted(value: str) -> str:
    # As feedparser writes it.
    return html.escape(value, quote=False).replace('"', "&quot;")
