"""The feeds that a page names: those it advertises in its head, and those that its links look like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from lxml.etree import XPath

from digestd.feed.link import absolute_link
from digestd.feed.text import line_of, strip_controls
from digestd.model import Document
from digestd.page.charset import decode_html
from digestd.page.tree import Tree, parse_page

MOST_FEEDS = 20
"""Feeds that a page advertises; what it names behind these is not looked at."""
MOST_LINKS = 5
"""Links that look like feeds."""

LONGEST_FEED_URL = 2_000
_LONGEST_TITLE = 200
_MOST_LOOKED_AT = 5_000

_BASE = XPath("string((//base[@href])[1]/@href)")
_FEEDS = XPath("//link[@href and @type]")
_LINKS = XPath("//body//a[@href]")
_FEED_TYPES = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/feed+json"}
)
_LOOKS_LIKE_FEED = re.compile(
    r"/(?:rss|atom|feed|feeds)(?:/|\.\w{2,5})?$|[/._-](?:rss|atom|feed|rdf)\w{0,20}\.(?:xml|json|php|aspx?)$|\.(?:rss|atom|rdf)$",
    re.IGNORECASE,
)


def read_advertised(body: bytes, url: str, content_type: str | None) -> Document:
    """Read which feeds the page `body` names, served as `content_type` from `url`, where redirects ended.

    The document's facts: `feeds`, pairs of URL and title (empty for none) of those that it advertises (HTML, 4.6.7.1),
    in its order and each once; `links`, URLs on its own site that look like those of feeds. Raises what
    :func:`~digestd.page.tree.parse_page` raises.
    """
    tree = parse_page(decode_html(body, content_type))
    base = base_of(tree, url)
    feeds: dict[str, str] = {}
    for link, title in advertised(tree, base, url):
        if len(feeds) < MOST_FEEDS:
            feeds.setdefault(link, title)
    links = [link for link in dict.fromkeys(_links(tree, base, url)) if link not in feeds]
    title = strip_controls(line_of("".join(tree.xpath("string((//title)[1])")), _LONGEST_TITLE))
    return Document(
        url=url,
        format="html",
        title=title or None,
        facts={"feeds": [[link, title] for link, title in feeds.items()], "links": links[:MOST_LINKS]},
    )


def base_of(tree: Tree, url: str) -> str:
    """What relative links in `tree`, which `url` gave, are resolved against. The first one counts (HTML, 4.2.3)."""
    return absolute_link(url, str(_BASE(tree))) or url


def advertised(tree: Tree, base: str, url: str) -> Iterator[tuple[str, str]]:
    """The feeds that `tree` advertises beside itself, `url`: their URLs and titles, in order."""
    for link in _FEEDS(tree)[:_MOST_LOOKED_AT]:
        media_type = link.get("type", "").partition(";")[0].strip().lower()
        if media_type in _FEED_TYPES and "alternate" in link.get("rel", "").lower().split():
            feed = absolute_link(base, link.get("href", ""))
            if feed is not None and feed != url and len(feed) <= LONGEST_FEED_URL:
                yield feed, strip_controls(line_of(link.get("title", ""), _LONGEST_TITLE))


def _links(tree: Tree, base: str, url: str) -> Iterator[str]:
    own = urlsplit(url).hostname
    for element in _LINKS(tree)[:_MOST_LOOKED_AT]:
        link = absolute_link(base, element.get("href", ""))
        if link is None or len(link) > LONGEST_FEED_URL or link == url:
            continue
        parts = urlsplit(link)
        if parts.hostname == own and _LOOKS_LIKE_FEED.search(parts.path):
            yield link.partition("#")[0]
