"""Reading sitemaps (https://www.sitemaps.org/protocol.html): lists of URLs, of sitemaps, and of news; in XML or as
plain text, compressed or not.

What decides about a URL is whether it was there before, not its `lastmod`, which many sites set to now on all of them:
so URLs are put into buckets by their checksum, a digest of each bucket is kept, and only the URLs of one that says
something new are given. Which of them are new the store knows.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from urllib.parse import urlsplit

from digestd.errors import NotAFeed
from digestd.feed.dates import parse_date
from digestd.feed.entry import LONGEST_LINK, make_entry
from digestd.feed.link import absolute_link
from digestd.model import Document, Entry
from digestd.page.sitemap_xml import MOST_URLS, Reading, pieces_of

MOST_PARTS = 1_000
"""Sitemaps in an index; it may hold 50,000. Those that are named last are read, as most sites add new ones there."""
NO_NEWS = timedelta(days=2)
"""From when on `lastmod` says that a page is no news, and stands for its date where nothing better does."""

ROBOTS_BYTES = 500 * 1024
"""How much of a robots.txt is read (RFC 9309, 2.5)."""

_MOST_NAMED = 50

_URLS_A_BUCKET = 50
_MOST_BUCKETS = 256
_DIGEST_BYTES = 6

_PLAIN_LINE = re.compile(r"https?://\S{1,8192}")
_ROBOTS_LINE = re.compile(
    r"^[ \t]{0,20}sitemap[ \t]{0,20}:[ \t]{0,20}(\S{1,8192})", re.IGNORECASE | re.MULTILINE
)


def read_sitemap(
    body: bytes,
    url: str,
    known: str,
    match: Sequence[str],
    now: datetime,
) -> Document:
    """Read the sitemap `body`, which `url` gave; `known` are the buckets of the last time it was read, "" for none.

    The entries are those URLs that one of the patterns `match` (regular expressions; all, if there is none) is found
    in, whose bucket says something new. The document's facts: `parts`, pairs of URL and `lastmod`, of an index; else
    `buckets`, for the next time, and `urls`, how many there are; `left_out`, how many were more than are read.

    Raises :class:`~digestd.errors.NotAFeed` where it is no sitemap, and :class:`~digestd.errors.ParserFailed` where it
    is beyond our bounds, or has a document type: sitemaps have none, and what makes documents explode does.
    """
    head = next(pieces_of(body), b"")
    if not _is_xml(head):
        return _of_items("", _lines(body), url, known, match, now, whole=True)
    reading = Reading(head)
    items = list(reading.items(body))
    if reading.root == "sitemapindex":
        return _index(items, url, whole=reading.whole)
    return _of_items(reading.root, items, url, known, match, now, whole=reading.whole)


def read_robots(body: bytes, url: str) -> Document:
    """Read the `Sitemap:` lines of the robots.txt `body`, which `url` gave (sitemaps.org, "Specifying the Sitemap
    location"), as if they were an index. Raises :class:`~digestd.errors.NotAFeed` where there are none."""
    text = body[:ROBOTS_BYTES].decode("utf-8-sig", "replace")
    named = [line[1] for line in _ROBOTS_LINE.finditer(text)]
    if not named:
        raise NotAFeed("the robots.txt names no sitemap; look for one, or use `kind: page`")
    return _index([{"loc": one} for one in named[:_MOST_NAMED]], url, whole=True, anywhere=True)


def _of_items(
    root: str,
    items: Sequence[Mapping[str, str]],
    url: str,
    known: str,
    match: Sequence[str],
    now: datetime,
    *,
    whole: bool,
) -> Document:
    patterns = [re.compile(pattern) for pattern in match]
    wanted: dict[str, Mapping[str, str]] = {}
    for item in items[:MOST_URLS]:
        link = _link(item, url)
        if link is None:
            continue
        if not patterns or any(pattern.search(link) for pattern in patterns):
            # The last one of its URL counts, and its place is that of the first.
            wanted[link] = item
    count = _count_for(len(wanted), known)
    buckets = [_Bucket() for _ in range(count)]
    for link, item in wanted.items():
        buckets[_number(link, count)].add(link, item)
    before = known.split(",") if known else []
    written = [bucket.digest() for bucket in buckets]
    same = {number for number in range(count) if len(before) == count and before[number] == written[number]}
    news = [link for link in wanted if _number(link, count) not in same]
    return Document(
        url=url,
        format=root or "text",
        entries=tuple(_entry(link, wanted[link], now) for link in news),
        whole=whole,
        facts={
            "buckets": ",".join(written),
            "urls": len(wanted),
            "left_out": max(0, len(items) - MOST_URLS),
            "complete": len(news) == len(wanted),
        },
    )


def _link(item: Mapping[str, str], url: str) -> str | None:
    written = item.get("loc")
    link = absolute_link(url, written) if written else None
    return link if link is not None and len(link) <= LONGEST_LINK else None


class _Bucket:
    """Some of the URLs of a sitemap, and what it says of them that becomes part of an entry; in no order."""

    def __init__(self) -> None:
        self._marks: list[bytes] = []

    def add(self, link: str, item: Mapping[str, str]) -> None:
        said = "\0".join((link, item.get("title", ""), item.get("publication_date", "")))
        self._marks.append(hashlib.sha256(said.encode("utf-8", "surrogatepass")).digest())

    def digest(self) -> str:
        """What tells it from the same bucket with another URL."""
        return b64encode(hashlib.sha256(b"".join(sorted(self._marks))).digest()[:_DIGEST_BYTES]).decode()


def _number(link: str, count: int) -> int:
    return zlib.crc32(link.encode("utf-8", "surrogatepass")) % count


def _count_for(entries: int, known: str) -> int:
    """How many buckets, a power of two: as before, unless there are far too few or too many by now."""
    before = known.count(",") + 1 if known else 0
    best = 1
    while best < _MOST_BUCKETS and best * _URLS_A_BUCKET < entries:
        best *= 2
    return before if before and best / 2 <= before <= best * 4 and before <= _MOST_BUCKETS else best


def _entry(link: str, item: Mapping[str, str], now: datetime) -> Entry:
    published, modified = item.get("publication_date", ""), item.get("lastmod", "")
    return make_entry(
        guid=None,
        link=link,
        title=item.get("title", ""),
        author=None,
        language=item.get("language"),
        summary=None,
        content=None,
        dates=[published] if published or not _is_old(modified, now) else [modified],
    )


def _is_old(modified: str, now: datetime) -> bool:
    moment = _moment(modified) if modified else None
    return moment is not None and moment < now - NO_NEWS


# Many say the same for many URLs.
_moment = lru_cache(maxsize=4_096)(parse_date)


def _index(items: Sequence[Mapping[str, str]], url: str, *, whole: bool, anywhere: bool = False) -> Document:
    """The index of `items`: sitemaps of its own site, as the protocol wants it, lest it send us to others' servers a
    thousand times; `anywhere`, where who owns the site says so in its robots.txt."""
    parts: dict[str, str] = {}
    for item in items:
        link = absolute_link(url, item.get("loc", ""))
        if (
            link is None
            or len(link) > LONGEST_LINK
            or link == url
            or not (anywhere or _is_same_site(link, url))
        ):
            continue
        parts[link] = item.get("lastmod", "")[:40]
    kept = list(parts.items())[-MOST_PARTS:]
    return Document(
        url=url, format="sitemapindex", whole=whole, facts={"parts": kept, "left_out": len(parts) - len(kept)}
    )


def _is_same_site(link: str, url: str) -> bool:
    one, other = ((urlsplit(each).hostname or "").rstrip(".") for each in (link, url))
    if one == other or one.endswith("." + other) or other.endswith("." + one):
        return True
    shared = one.split(".")[-2:]
    return len(shared) == 2 and not shared[-1].isdigit() and other.split(".")[-2:] == shared


def _is_xml(head: bytes) -> bool:
    return not re.match(rb"(?:\xef\xbb\xbf)?\s*https?://", head)


def _lines(body: bytes) -> list[Mapping[str, str]]:
    text = b"".join(pieces_of(body)).decode("utf-8-sig", "replace")
    return [{"loc": match[0]} for match in _PLAIN_LINE.finditer(text)]
