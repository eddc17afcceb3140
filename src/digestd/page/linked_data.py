"""What a page says of its article in JSON-LD, with the vocabulary of schema.org, within bounds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from digestd.feed.json_values import Object, text_of
from digestd.page.tree import Tree

Node: TypeAlias = Object

# Per page and per block; real blocks have some kilobytes.
_MOST_BLOCKS = 20
_LONGEST_BLOCK = 500_000
_MOST_NODES = 200

_ARTICLES = frozenset(
    {
        "advertisercontentarticle",
        "analysisnewsarticle",
        "article",
        "askpublicnewsarticle",
        "backgroundnewsarticle",
    }
    | {"blogposting", "discussionforumposting", "liveblogposting", "medicalscholarlyarticle", "newsarticle"}
    | {"opinionnewsarticle", "report", "reportagenewsarticle", "reviewnewsarticle", "satiricalarticle"}
    | {"scholarlyarticle", "socialmediaposting", "techarticle"}
)
# What a page consists of, or is about. Not what it links to: lists of other articles are JSON-LD as well.
_WITHIN = ("@graph", "mainEntity", "mainEntityOfPage")


def main_article(tree: Tree, urls: frozenset[str]) -> Node:
    """The first node of an article's type that names one of `urls`, the page's own; else the first that names no page.

    A node that names another page counts only where it is alone, since sites write their own URLs in several ways. {}
    where there is none. JSON that cannot be read counts as missing. Never raises.
    """
    articles = [node for block in _blocks(tree) for node in _nodes(block) if is_article(node)]
    own = {_place(url) for url in urls}
    for article in articles:
        if own & _places(article):
            return article
    if len(articles) == 1:
        return articles[0]
    return next((article for article in articles if not _places(article)), {})


def is_article(node: Node) -> bool:
    """Whether `node` is of one of the types that schema.org has for articles and posts."""
    types = node.get("@type")
    names = types if isinstance(types, list) else [types]
    # As a URL, too: "https://schema.org/Article".
    return any(isinstance(name, str) and name.rpartition("/")[2].casefold() in _ARTICLES for name in names)


def names_in(value: Any) -> list[str]:
    """The texts in `value`: a text, an object with a name, or a list of those."""
    values = value if isinstance(value, list) else [value]
    return [
        name
        for item in values
        if (
            name := text_of(item, "name") if isinstance(item, dict) else item if isinstance(item, str) else ""
        )
    ]


def _blocks(tree: Tree) -> Iterator[Any]:
    seen = 0
    for script in tree.iter("script"):
        if (script.get("type") or "").strip().casefold().startswith("application/ld+json"):
            seen += 1
            if seen > _MOST_BLOCKS:
                return
            yield _loaded(script.text or "")


def _loaded(text: str) -> Any:
    text = text.strip().removeprefix("<!--").removesuffix("-->").strip()
    text = (
        text.removeprefix("//")
        .strip()
        .removeprefix("<![CDATA[")
        .removesuffix("]]>")
        .removesuffix("//")
        .strip()
    )
    if len(text) > _LONGEST_BLOCK:
        return None
    try:
        # Real pages have line breaks within strings.
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _nodes(block: Any) -> Iterator[Node]:
    """The objects of a block in document order, at most 200."""
    waiting = [block]
    for _ in range(_MOST_NODES):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value[:_MOST_NODES]))
        elif isinstance(value, dict):
            yield value
            waiting.extend(value[name] for name in reversed(_WITHIN) if name in value)


def _places(article: Node) -> set[str]:
    page = article.get("mainEntityOfPage")
    named = [page] if isinstance(page, str) else []
    holders = [article, page] if isinstance(page, dict) else [article]
    named += [text_of(holder, name) for holder in holders for name in ("url", "@id")]
    return {place for url in named if (place := _place(url))}


def _place(url: str) -> str:
    """Host and path of `url` as they are compared; "" where it is no whole URL."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return ""
    return host + parts.path.rstrip("/") if host else ""
