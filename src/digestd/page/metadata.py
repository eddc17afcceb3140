"""What a page declares of its article beside the text: title, author, language, its own URL."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any

from lxml.etree import XPath

from digestd.feed.entry import language_tag
from digestd.feed.json_values import Object
from digestd.feed.text import collapse, storable
from digestd.page.canonical import canonical_url
from digestd.page.linked_data import main_article, names_in
from digestd.page.tree import Tree

LONGEST_TITLE = 1_000
LONGEST_AUTHOR = 300

_AUTHOR_NAMES = ("author", "article:author", "parsely-author", "sailthru.author", "dc.creator", "byl")
_BYLINES = XPath("//*[@rel='author' or @itemprop='author']")
_BY = re.compile(r"(?:written )?by ", re.IGNORECASE)
_LONGEST_BYLINE = 100
_MOST_BYLINES = 10
_DIGIT = re.compile(r"\d")


@dataclass(frozen=True, slots=True)
class Declared:
    """What a page says of itself: its meta elements by lower-case name (of several with one name, the first), where it
    says it lives, and the JSON-LD node of its article, {} where it has none."""

    metas: dict[str, str]
    canonical_url: str
    article: Object


def declared(tree: Tree, url: str) -> Declared:
    """Collect what the page in `tree`, which came from `url`, says of itself. Never raises."""
    metas: dict[str, str] = {}
    for element in tree.iter("meta"):
        name, content = element.get("property") or element.get("name"), element.get("content")
        if name and content:
            metas.setdefault(name.strip().casefold(), content)
    canonical = canonical_url([_canonical_link(tree), metas.get("og:url")], url)
    return Declared(metas, canonical, main_article(tree, frozenset({canonical, url})))


def titles_of(tree: Tree, said: Declared) -> list[str]:
    """Every title the page gives itself, best first: plain text, each at most 1,000 characters."""
    headings = list(tree.iter("h1"))
    # Of several headings nobody knows which is the article's. Drawings have titles too; the page's comes first.
    elements = [*(headings if len(headings) == 1 else []), *islice(tree.iter("title"), 1)]
    written = [
        *_once_more_decoded(said.article.get("headline")),
        *(said.metas.get(name, "") for name in ("og:title", "twitter:title")),
        *("".join(element.itertext()) for element in elements),
    ]
    return [line[:LONGEST_TITLE].rstrip() for line in map(_line, written) if line]


def author_of(tree: Tree, said: Declared) -> str | None:
    """Who wrote the article, several names joined with commas, at most 300 characters, None where nobody is named."""
    return (
        _joined(_once_more_decoded(said.article.get("author")))
        or _joined(said.metas.get(name, "") for name in _AUTHOR_NAMES)
        or _joined([_byline(tree)])
    )


def language_of(tree: Tree, said: Declared) -> str | None:
    """The page's language as a language tag (RFC 5646), None where it declares none."""
    named = [tree.get("lang"), tree.get("xml:lang"), said.metas.get("og:locale")]
    tags = map(language_tag, [*named, *names_in(said.article.get("inLanguage"))])
    return next(filter(None, tags), None)


def _canonical_link(tree: Tree) -> str | None:
    links = (
        link.get("href")
        for link in tree.iter("link")
        if "canonical" in (link.get("rel") or "").lower().split()
    )
    return next(links, None)


def _byline(tree: Tree) -> str:
    lines = (_line("".join(element.itertext())) for element in _BYLINES(tree)[:_MOST_BYLINES])
    # Longer ones tell the author's life, those with digits the date as well.
    return next((line for line in lines if 0 < len(line) <= _LONGEST_BYLINE and not _DIGIT.search(line)), "")


def _joined(names: Iterable[str]) -> str | None:
    # The profile of an author is no name.
    lines = (_BY.sub("", _line(name), count=1) for name in names if "://" not in name)
    whole = ", ".join(dict.fromkeys(filter(None, lines)))
    return whole[:LONGEST_AUTHOR].rstrip(" ,") or None


def _once_more_decoded(value: Any) -> list[str]:
    # Publishing systems encode for HTML what they put into JSON-LD.
    return [html.unescape(name) for name in names_in(value)]


def _line(written: str) -> str:
    return collapse(storable(written))
