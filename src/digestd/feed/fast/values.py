"""What feedparser makes of the text of an element, once it has ended."""

from __future__ import annotations

import re
from contextlib import suppress
from html.entities import entitydefs
from urllib.parse import urljoin

from digestd.feed.dates import LONGEST_DATE
from digestd.feed.entry import LONGEST_AUTHOR
from digestd.feed.link import is_plain_url, is_sound

XHTML = "application/xhtml+xml"

_TYPES = {"text": "text/plain", "plain": "text/plain", "html": "text/html", "xhtml": XHTML}

# What feedparser has readers of its own for: some of them take time by the square of the length, or a hundred times its
# memory. A date that is cut is still too long to be one.
CUT_AT = {
    **dict.fromkeys(("published", "updated", "created", "expired"), LONGEST_DATE + 1),
    **dict.fromkeys(("author", "publisher", "name", "email"), LONGEST_AUTHOR),
}
"""How many characters feedparser is given of the text of an element, and so is everybody."""

# What somebody who encoded Windows-1252 as Latin-1 meant.
_C1 = re.compile("[\x80-\x9f]")
_WINDOWS_1252 = {
    byte: character for byte in range(0x80, 0xA0) if (character := bytes([byte]).decode("cp1252", "ignore"))
}

_SCHEMES = frozenset(
    {"file", "ftp", "gopher", "h323", "hdl", "http", "https", "imap", "magnet", "mailto", "mms", "news"}
    | {"nntp", "prospero", "rsync", "rtsp", "rtspu", "sftp", "shttp", "sip", "sips", "snews", "svn"}
    | {"svn+ssh", "telnet", "wais", "aim", "callto", "cvs", "facetime", "feed", "git", "gtalk", "irc"}
    | {"ircs", "irc6", "itms", "msnim", "skype", "ssh", "smb", "ymsg"}
)
_EXTRA_SLASHES = re.compile(r"^([A-Za-z][A-Za-z0-9+-.]*://)(/*)(.*?)")

_CLOSING = re.compile(r"</(\w+)>")
_REFERENCE = re.compile(r"&#?\w+;")
_TAG = re.compile(r"</?(\w+)")
_ENTITY = re.compile(r"&(\w+);")
# What feedparser lets pass as HTML.
HTML_ELEMENTS = frozenset(
    {"a", "abbr", "acronym", "address", "area", "article", "aside", "audio", "b", "big"}
    | {"blockquote", "br", "button", "canvas", "caption", "center", "cite", "code", "col"}
    | {"colgroup", "command", "datagrid", "datalist", "dd", "del", "details", "dfn", "dialog", "dir"}
    | {"div", "dl", "dt", "em", "event-source", "fieldset", "figcaption", "figure", "font", "footer"}
    | {"form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "input", "ins", "kbd"}
    | {"keygen", "label", "legend", "li", "m", "map", "menu", "meter", "multicol", "nav", "nextid"}
    | {"noscript", "ol", "optgroup", "option", "output", "p", "pre", "progress", "q", "s", "samp"}
    | {"section", "select", "small", "sound", "source", "spacer", "span", "strike", "strong", "sub"}
    | {"sup", "table", "tbody", "td", "textarea", "tfoot", "th", "thead", "time", "tr", "tt", "u"}
    | {"ul", "var", "video"}
)


def content_type(written: str) -> str:
    """The type that `written` means in Atom and elsewhere."""
    lower = written.lower()
    return _TYPES.get(lower, lower)


def repaired(text: str) -> str:
    """`text` without what comes of encoding UTF-8 as Latin-1, or Windows-1252 as Latin-1."""
    if text.isascii():
        return text
    with suppress(UnicodeError):
        text = text.encode("iso-8859-1").decode("utf-8")
    return text.translate(_WINDOWS_1252) if _C1.search(text) else text


def looks_like_html(text: str) -> bool:
    """Whether feedparser takes `text` for HTML, where plain text was promised."""
    if not (_CLOSING.search(text) or _REFERENCE.search(text)):
        return False
    if any(tag.lower() not in HTML_ELEMENTS for tag in _TAG.findall(text)):
        return False
    return all(name in entitydefs for name in _ENTITY.findall(text))


def unwrapped(pieces: list[str]) -> list[str]:
    """`pieces` of XHTML without the one div that holds all of them, if one does."""
    while len(pieces) > 1 and not pieces[-1].strip():
        del pieces[-1]
    while len(pieces) > 1 and not pieces[0].strip():
        del pieces[0]
    if not pieces or pieces[-1] != "</div>" or not (pieces[0] == "<div>" or pieces[0].startswith("<div ")):
        return pieces
    depth = 0
    for piece in pieces[:-1]:
        if piece.startswith("</"):
            depth -= 1
            if depth == 0:
                return pieces
        elif piece.startswith("<") and not piece.endswith("/>"):
            depth += 1
    return pieces[1:-1]


def joined(base: str, url: str) -> str:
    """`url` resolved against `base`; nothing where that cannot be done."""
    if is_plain_url(url) and is_sound(base):
        return url
    url = _EXTRA_SLASHES.sub(r"\1\3", url)
    try:
        return urljoin(base, url)
    except ValueError:
        return ""


def based(base: str, url: str) -> str:
    """The base of an element that names `url` as its own, within one whose base is `base`."""
    url = joined(base, url)
    return url if url.strip().split(":", 1)[0] in _SCHEMES else base
