"""The door to nh3: HTML from outside, sanitised with its links made absolute, or turned into plain text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import lru_cache

import nh3

from digestd.feed.hiding import concealed_images, conceals, hides, is_tiny, may_conceal
from digestd.feed.link import absolute_link, is_plain_url
from digestd.feed.markup import is_beyond_reason
from digestd.feed.text import collapse, line_of, storable

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

# They hold no elements, and are not closed; or they hold text alone, which no parser finds images in.
_WITHOUT_ELEMENTS = frozenset(
    {"area", "base", "basefont", "bgsound", "br", "col", "embed", "frame", "hr", "input", "keygen"}
    | {"link", "meta", "param", "source", "track", "wbr", "noembed", "noframes", "noscript"}
    | {"plaintext", "template", "xmp"}
)
_ELEMENT = re.compile(r"<([a-z][^\s/<>]*)", re.IGNORECASE)

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
# How many times longer than its text a title may be by its markup.
_MARKUP_ALLOWED = 10
# No URL holds them, and browsers drop some (WHATWG URL, 4.4).
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_SCHEME = re.compile(r" *([a-z][a-z0-9+.-]*):", re.IGNORECASE)
# Before the host, in all the ways that browsers read (WHATWG URL, 4.4): `https://bank.example@other.example/`.
_USER_INFO = re.compile(r"\A( *https?:[\\/]*| *[\\/]{2,})[^\\/?#]*@", re.IGNORECASE)


def clean(value: str, base: str) -> str:
    """Sanitise the HTML fragment `value` and resolve its links against `base`, an absolute URL.

    No script, style, frame, form or event handler is left, only links to http, https and mailto, without user info, and
    no image that nobody can see: with a side of one pixel or none, or hidden by a style, its own or of what it stands
    in. Links that cannot be resolved lose their target; a fragment with more markup than reason loses its tags. Never
    raises.
    """
    value = storable(value)
    if "<" not in value and "&" not in value:
        return value
    if is_beyond_reason(value):
        return html.escape(_TAG.sub(" ", value), quote=False)
    # Text that is hidden stays: a script may show it, and words too many do no harm. A picture that nobody was to see
    # is a beacon.
    concealed = concealed_images(_marked(value)) if may_conceal(value) else iter(())
    cleaned = _cleaner(absolute_link("", _without_user_info(base))).clean(value)
    return _IMAGE.sub(lambda image: _unless_hidden(image[0], concealed), cleaned)


def to_text(value: str) -> str:
    """Turn the HTML fragment `value` into one line of plain text. Never raises.

    Tags, scripts and styles are gone, and entities are decoded: the text must be escaped to be HTML again.
    """
    value = storable(value)
    if "<" not in value and "&" not in value:
        return collapse(value)
    marked = _TAG.sub(" ", value) if is_beyond_reason(value) else _AS_TEXT.clean(value)
    return collapse(storable(html.unescape(_TAG.sub(" ", marked))))


def to_line(value: str, longest: int) -> str:
    """Turn the beginning of the HTML fragment `value` into one line of plain text of at most `longest` characters."""
    return line_of(to_text(value[: _MARKUP_ALLOWED * longest]), longest)


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
        return _target(value)
    if tag != "img":
        return value
    if name in ("width", "height") and is_tiny(value):
        return "0"
    return value if name != "style" or hides(value) else None


def _target(value: str) -> str | None:
    """What is left of a link: nothing, where it has a scheme that is not ours without characters that no URL holds; and
    no user info."""
    if is_plain_url(value):
        return value
    bare = _CONTROLS.sub("", value)
    scheme = _SCHEME.match(bare)
    # nh3 has looked already, but at the value with those characters: to it `java\x01script:` is a relative path.
    return None if scheme and scheme[1].lower() not in _SCHEMES else _without_user_info(bare)


def _without_user_info(link: str) -> str:
    return _USER_INFO.sub(r"\1", link)


def _unless_hidden(image: str, concealed: Iterator[bool]) -> str:
    return "" if next(concealed, False) or _HIDDEN.search(image) else image


def _marked(value: str) -> str:
    """The elements of `value`, those that our list allows not alone, with an attribute where they hide images."""
    cleaner = nh3.Cleaner(
        tags={name.lower() for name in _ELEMENT.findall(value)} - _WITHOUT_ELEMENTS - _DROPPED_WHOLE,
        attributes={"*": {"style", "hidden"}},
        attribute_filter=_mark,
        clean_content_tags=set(_DROPPED_WHOLE),
        link_rel=None,
    )
    return cleaner.clean(value)


def _mark(tag: str, name: str, value: str) -> str | None:
    return "" if tag != "img" and (name == "hidden" or conceals(value)) else None
