"""The door to nh3: HTML from outside, sanitised with its links made absolute, or turned into plain text."""

from __future__ import annotations

import html
import re
from functools import lru_cache

import nh3

from digestd.feed.link import absolute_link
from digestd.feed.markup import is_beyond_reason
from digestd.feed.text import collapse, storable

_SCHEMES = frozenset({"http", "https", "mailto"})
_TAGS = frozenset(nh3.ALLOWED_TAGS)
# Elements whose text is no text for readers: it goes with them.
_DROPPED_WHOLE = frozenset(
    {"script", "style", "iframe", "object", "svg", "math", "select", "textarea", "title"}
)
# Without `cite`: nh3 does not look at the scheme of what stands there. With what an image may be hidden by, so that
# it can be seen and go with the image.
_ATTRIBUTES = {
    tag: names - {"cite"} | ({"style", "hidden"} if tag == "img" else set())
    for tag, names in nh3.ALLOWED_ATTRIBUTES.items()
}

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

# These read nh3's own output, where attributes are quoted and every other `<` is escaped.
_IMAGE = re.compile(r'<img(?: [a-z]+="[^"]*")*>')
_HIDDEN = re.compile(r' (?:style|hidden)="| (?:width|height)="0"')
_TAG = re.compile(r"<[^<>]*>")
_BREAKING_TAG = re.compile(rf"</?(?:{'|'.join(sorted(_BREAKING))})\b[^<>]*>")

# A side of 0 or 1 pixels, as HTML reads the attribute (HTML, 2.3.4.4) and as CSS writes it.
_TINY = re.compile(r"\s*0*[01](?:\.\d*)?(?![\d.]*%)(?!\d)")
_HIDING = re.compile(
    r"display:none|visibility:(?:hidden|collapse)|opacity:0*\.?0*(?![.\d])|:-\d{3,}"
    r"|(?:^|;)(?:max-)?(?:width|height):0*[01]?(?:\.\d*)?(?:[a-z]{1,4})?(?:!|;|$)"
)
_CSS_NOISE = re.compile(r"/\*.*?\*/|\s+", re.DOTALL)
_CSS_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})", re.IGNORECASE)
_LONGEST_STYLE = 1_000
# No URL holds them, and browsers drop some (WHATWG URL, 4.4).
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")


def clean(value: str, base: str) -> str:
    """Sanitise the HTML fragment `value` and resolve its links against `base`, an absolute URL.

    No script, style, frame, form or event handler is left, only links to http, https and mailto, and no image that
    nobody can see: with a side of one pixel or none, or hidden by its style. Links that cannot be resolved lose their
    target; a fragment with more markup than reason loses its tags. Never raises.
    """
    value = storable(value)
    if "<" not in value and "&" not in value:
        return value
    if is_beyond_reason(value):
        return html.escape(_TAG.sub(" ", value), quote=False)
    return _IMAGE.sub(_unless_hidden, _cleaner(absolute_link("", base)).clean(value))


def to_text(value: str) -> str:
    """Turn the HTML fragment `value` into one line of plain text. Never raises.

    Tags, scripts and styles are gone, and entities are decoded: the text must be escaped to be HTML again.
    """
    value = storable(value)
    if "<" not in value and "&" not in value:
        return collapse(value)
    marked = _TAG.sub(" ", value) if is_beyond_reason(value) else _AS_TEXT.clean(value)
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
        attributes=_ATTRIBUTES,
        attribute_filter=_kept,
        clean_content_tags=set(_DROPPED_WHOLE),
        url_schemes=set(_SCHEMES),
        url_relative=("rewrite_with_base", base) if base else "deny",
    )


def _kept(tag: str, name: str, value: str) -> str | None:
    """What is left of an attribute: a hidden image keeps what tells that it is (see :data:`_HIDDEN`)."""
    if name in ("href", "src"):
        return _CONTROLS.sub("", value)
    if tag != "img":
        return value
    if name in ("width", "height") and _TINY.match(value):
        return "0"
    return value if name != "style" or _hides(value) else None


def _hides(style: str) -> bool:
    decoded = _CSS_ESCAPE.sub(lambda match: _character(match[1]), style[:_LONGEST_STYLE])
    return _HIDING.search(_CSS_NOISE.sub("", decoded).lower()) is not None


def _character(code: str) -> str:
    return chr(int(code, 16)) if int(code, 16) < 0x80 else ""


def _unless_hidden(match: re.Match[str]) -> str:
    return "" if _HIDDEN.search(match[0]) else match[0]
