"""When an article was published, as its page declares it. Nothing is guessed from texts, URLs or footers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from lxml.etree import XPath

from digestd.feed.dates import parse_date
from digestd.feed.json_values import Object, text_of
from digestd.feed.text import collapse, storable
from digestd.page.tree import Tree

# The web's first pages. What is older is a template's zero.
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

# What publishing systems write, those first that mean the moment of publication and nothing else.
META_NAMES = (
    *("article:published_time", "og:article:published_time", "article:published", "article.published"),
    *("datepublished", "date_published", "publisheddate", "published_date", "published_at", "published_time"),
    *("parsely-pub-date", "sailthru.date", "cxenseparse:recs:publishtime", "vr:published_time", "bt:pubdate"),
    *("pubdate", "pub_date", "og:pubdate", "publish-date", "publish_date", "publishdate", "publication_date"),
    *("publication-date", "article_date_original", "originalpublicationdate", "rnews:datepublished"),
    *(
        "citation_publication_date",
        "citation_online_date",
        "dc.date.issued",
        "dcterms.issued",
        "dc.date.published",
    ),
    *("dc.date", "dc:date", "dcterms.date", "dcterms.created", "dc.date.created", "date"),
)
_MARKED = XPath(
    "//*[contains(@itemprop, 'datePublished') or contains(@property, 'datePublished')] | //time[@pubdate]"
)
# What stands in these is about other articles.
_ASIDE = ("aside", "footer", "nav")


def declared_date(
    tree: Tree, metas: dict[str, str], article: Object, now: datetime
) -> tuple[datetime, str] | None:
    """The first date of publication declared that can be read, and how it is written; None where there is none.

    In this order: `datePublished` of `article`, the JSON-LD of the page's article; `metas`, the page's meta elements by
    lower-case name; elements marked `datePublished` (microdata, RDFa) or `pubdate`. A day without a time is its first
    moment in UTC. Dates before 1990 or after `now` are passed over. Never raises.
    """
    for written in _declarations(tree, metas, article):
        raw = collapse(storable(written))
        moment = parse_date(raw)
        if moment is not None and _EARLIEST <= moment <= now:
            return moment, raw
    return None


def _declarations(tree: Tree, metas: dict[str, str], article: Object) -> Iterator[str]:
    yield text_of(article, "datePublished")
    yield from (metas[name] for name in META_NAMES if name in metas)
    for element in _MARKED(tree):
        if next(element.iterancestors(*_ASIDE), None) is None:
            yield element.get("datetime") or element.get("content") or ""
