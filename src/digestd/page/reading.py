"""From the bytes of an article's page to the :class:`~digestd.model.Page` that digestd keeps."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from lxml.etree import XPath

from digestd.errors import NoArticle, ParserFailed
from digestd.feed.html import to_text
from digestd.feed.text import collapse
from digestd.model import Page
from digestd.page.article import article_text
from digestd.page.charset import decode_html
from digestd.page.metadata import author_of, declared, language_of, titles_of
from digestd.page.published import declared_date
from digestd.page.tree import Tree, parse_page, words_of
from digestd.page.walls import SCRIPTS, shortfall, wall_of

MOST_BYTES = 5_000_000
IMAGES = "the page holds images and no text"
NOTHING = "the page holds no text of an article"

# Pictures of one pixel count readers.
_IMAGES = XPath("boolean(//body//img[not(ancestor::noscript) and not(@width='1' or @width='0')])")
_SCRIPTS = XPath("boolean(//script[not(contains(@type, 'json'))])")

_WORD = re.compile(r"[^\W_]+")
_TICKET = re.compile(
    r"\b(?=[\da-f])(?:\d{1,2}:\d{2}(?::\d{2})?|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|(?=[a-f]{0,64}[0-9])[0-9a-f]{8,})\b"
)


def read_page(
    body: bytes,
    url: str,
    content_type: str | None,
    *,
    feed_html: str,
    title: str,
    now: datetime,
) -> Page:
    """Read the page `body` of an article, served as `content_type` (the whole header field) from `url`, where
    redirects ended.

    `feed_html` (sanitised HTML, "" for none) and `title` are what the feed says of the article: a page that says less
    is none of it. No date after `now` is believed. Raises :class:`~digestd.errors.NoArticle` where the page holds no
    article's text, saying what it holds instead, and :class:`~digestd.errors.ParserFailed` for more than 5 MB, 100,000
    tags or a depth of 256.
    """
    if len(body) > MOST_BYTES:
        raise ParserFailed(f"the page has more than {MOST_BYTES // 1_000_000} MB of HTML")
    tree = parse_page(decode_html(body, content_type))
    said = declared(tree, url)
    titles = titles_of(tree, said)
    text = article_text(tree)
    refusal = _refusal(tree, text, titles, title, to_text(feed_html))
    if refusal is not None:
        raise NoArticle(refusal)
    date = declared_date(tree, said.metas, said.article, now)
    return Page(
        text=text,
        text_hash=text_hash(text),
        canonical_url=said.canonical_url,
        title=titles[0] if titles else None,
        author=author_of(tree, said),
        language=language_of(tree, said),
        published_at=date[0] if date else None,
        published_raw=date[1] if date else None,
    )


def text_hash(text: str) -> str:
    """The sha256 (hex) of what `text` says, whatever its case, spaces, punctuation, times of day and tickets (UUIDs,
    hexadecimal and other numbers of eight digits and more): a wall that prints them says the same every time.

    Shorter numbers count: advisories of one vendor can differ in a version or a CVE number alone.
    """
    words = _WORD.findall(_TICKET.sub(" ", text.casefold()))
    return hashlib.sha256("".join(words).encode("utf-8", "replace")).hexdigest()


def _refusal(tree: Tree, text: str, titles: list[str], title: str, feed_text: str) -> str | None:
    if not text:
        return _emptiness(tree, titles, title)
    return wall_of(text, titles, title) or shortfall(collapse(text), titles, feed_text)


def _emptiness(tree: Tree, titles: list[str], title: str) -> str:
    """What a page without an article's text holds instead."""
    wall = wall_of(words_of(tree), titles, title)
    if wall is not None:
        return wall
    if _IMAGES(tree):
        return IMAGES
    return SCRIPTS if _SCRIPTS(tree) else NOTHING
