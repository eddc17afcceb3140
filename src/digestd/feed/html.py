"""The door to nh3: HTML from outside, sanitised with its links made absolute, or turned into plain text."""

from __future__ import annotations

import html
import re
from functools import lru_cache

import nh3

from digestd.feed.link import absolute_link
from digestd.feed.text import collapse, storable

_SCHEMES = frozenset({"http", "https", "mailto"})
_TAGS = frozenset(nh3.ALLOWED_TAGS)
# Elements whose text is no text for readers: it goes with them.
_DROPPED_WHOLE = frozenset(
    {"script", "style", "iframe", "object", "svg", "math", "select", "textarea", "title"}
)

# What ends a word when its tags are taken away.
_BREAKING = frozenset(
    {"address", "article", "aside", "blockquote", "br", "caption", "center", "dd", "details", "div"}
    | {"dl", "dt", "figcaption", "figure", "footer", "h1", "h2", "h3", "h4", "h5"}
    | {"h6", "header", "hgroup", "hr", "li", "nav", "ol", "p", "pre", "section"}
    | {"summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr", "ul"}
)
_AS_TEXT = nh3.Cleaner(
    tags=set(_BREAKING), clean_content_tags=set(_DROPPED_WHOLE), attributes={}, link_rel=None
)

# These two read nh3's own output, where attributes are quoted and every other `<` is escaped.
_IMAGE = re.compile(r'<img(?: [a-z]+="[^"]*")*>')
_PIXEL_SIDE = re.compile(r' (width|height)="\s*[01](?:px)?\s*"')
_TAG = re.compile(r"<[^<>]*>")
_BREAKING_TAG = re.compile(rf"</?(?:{'|'.join(sorted(_BREAKING))})\b[^<>]*>")

# Sanitising takes time by the square of the depth: 50,000 nested elements need four seconds.
_DEEPEST = 5_000
_OPENING = re.compile(r"<(?!(?:br|hr|img|wbr|col|source|input)\b)[a-z]", re.IGNORECASE)


def clean(value: str, base: str) -> str:
    """Sanitise the HTML fragment `value` and resolve its links against `base`, an absolute URL.

    No script, style, frame, form or event handler is left, only links to http, https and mailto, and no
    image of one pixel. Links that cannot be resolved lose their target; a fragment nested beyond reason
    loses its tags. Never raises.
    """
    value = storable(value)
    if "<" not in value and "&" not in value:
        return value
    if _is_too_deep(value):
        return html.escape(_TAG.sub(" ", value), quote=False)
    return _IMAGE.sub(_unless_pixel, _cleaner(absolute_link("", base)).clean(value))


def to_text(value: str) -> str:
    """Turn the HTML fragment `value` into one line of plain text. Never raises.

    Tags, scripts and styles are gone, and entities are decoded: the text must be escaped to be HTML again.
    """
    value = storable(value)
    if "<" not in value and "&" not in value:
        return collapse(value)
    marked = _TAG.sub(" ", value) if _is_too_deep(value) else _AS_TEXT.clean(value)
    return collapse(storable(html.unescape(_TAG.sub(" ", marked))))


def cleaned_to_text(cleaned: str) -> str:
    """Turn what :func:`clean` gave into the text that :func:`to_text` makes of it, at a third of the cost."""
    return collapse(html.unescape(_TAG.sub("", _BREAKING_TAG.sub(" ", cleaned))))


def from_text(text: str) -> str:
    """Turn plain text into HTML that shows it."""
    return html.escape(storable(text), quote=False)


@lru_cache(maxsize=64)
def _cleaner(base: str | None) -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS),
        clean_content_tags=set(_DROPPED_WHOLE),
        url_schemes=set(_SCHEMES),
        url_relative=("rewrite_with_base", base) if base else "deny",
    )


def _is_too_deep(value: str) -> bool:
    if value.count("<") <= _DEEPEST:
        return False
    return sum(1 for _ in _OPENING.finditer(value)) - value.count("</") > _DEEPEST


def _unless_pixel(match: re.Match[str]) -> str:
    return "" if len(set(_PIXEL_SIDE.findall(match[0]))) == 2 else match[0]
