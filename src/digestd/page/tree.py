"""The door to lxml: a page as a tree, within bounds."""

from __future__ import annotations

import re
from typing import TypeAlias

from lxml.etree import ElementDefaultClassLookup, ErrorTypes, HTMLParser, ParserError, XPath
from lxml.html import HtmlElement, document_fromstring

from digestd.errors import NoArticle, ParserFailed
from digestd.feed.text import collapse

# HtmlElement; lxml has no types.
Tree: TypeAlias = HtmlElement

# Each element takes trafilatura some 50 µs; the largest of 181 real articles has 3,200 tags.
MOST_TAGS = 100_000

# libxml2 takes `<html lang="en"/>`, which templates write, for the whole document.
_CLOSED_AT_ONCE = re.compile(rb"(<html\b[^<>]{0,1000}?)/>", re.IGNORECASE)
_HEAD = 4096

# XML 1.0, 2.2: what lxml gives but does not take; one of them anywhere, and trafilatura gives up the page.
_BREAKS = bytes.maketrans(b"\x0b\x0c", b"  ")
_CONTROLS = bytes({*range(32)} - set(b"\t\n\r\x0b\x0c"))
_NO_CHARACTERS = ("\ufffe", "\uffff")
_REFERENCES = re.compile(
    rb"&#(?:0*(?:[1-8]|1[124-9]|2[0-9]|3[01]|6553[45])(?![0-9])"
    rb"|[xX]0*(?:[1-8bcefBCEF]|1[0-9a-fA-F]|[fF]{3}[efEF])(?![0-9a-fA-F]));?"
)

# Forms need no classes of their own here: lxml.html's own look-up calls Python for each element that anybody touches,
# a fifteenth of the whole extraction.
_CLASSES = ElementDefaultClassLookup(element=HtmlElement)

_VISIBLE = XPath("//body//text()[not(parent::script or parent::style or parent::template)]")


def parse_page(text: str) -> Tree:
    """Read the HTML `text` as a tree whose root is `html`, without comments.

    No entity is resolved but those of HTML, and nothing is loaded. Raises :class:`~digestd.errors.NoArticle` where
    there is not one element, and :class:`~digestd.errors.ParserFailed` for more than 100,000 tags or more than 256
    elements within one another, before either takes time.
    """
    if text.count("<") > MOST_TAGS:
        raise ParserFailed(f"the page has more than {MOST_TAGS:,} tags")
    # A parser of its own: what one page says in excess is not kept for the next.
    parser = HTMLParser(
        encoding="utf-8", no_network=True, collect_ids=False, remove_comments=True, remove_pis=True
    )
    parser.set_element_class_lookup(_CLASSES)
    try:
        tree = document_fromstring(_mended(text), parser=parser)
    except ParserError as error:
        raise NoArticle("the page is empty") from error
    stopped = parser.error_log.last_error
    if stopped is not None and stopped.type == ErrorTypes.ERR_RESOURCE_LIMIT:
        # libxml2 leaves out what follows, which may be the article.
        raise ParserFailed("the page is nested more than 256 elements deep")
    return tree


def words_of(tree: Tree) -> str:
    """All that the page says to a reader whose browser runs no scripts, on one line; its title is not part of it."""
    return collapse(" ".join(_VISIBLE(tree)))


def _mended(text: str) -> bytes:
    """`text` as UTF-8 that holds nothing that no XML document may hold, with its `html` element open."""
    for character in _NO_CHARACTERS:
        # To look for one takes a tenth of what replacing none takes.
        if character in text:
            text = text.replace(character, "")
    encoded = text.encode("utf-8", "replace").translate(_BREAKS, _CONTROLS)
    encoded = _REFERENCES.sub(b" ", encoded)
    return _CLOSED_AT_ONCE.sub(rb"\1>", encoded[:_HEAD], count=1) + encoded[_HEAD:]
