"""What articles said before their updates, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypedDict

from digestd.cli.tables import print_table, stamp
from digestd.digest.excerpt import heading
from digestd.digest.moments import distance
from digestd.digest.text import shorten
from digestd.feed.revision import told
from digestd.masking import mask_url
from digestd.model import Article, ArticleVersion

# An advisory may change in twenty ways at one time, each of them in many words.
_LONGEST_CELL = 300


class VersionRecord(TypedDict):
    """What an article said before an update, what that changed, and the same in words: see
    :class:`digestd.model.ArticleVersion`."""

    number: int
    said_at: str | None
    replaced_at: str | None
    title: str
    url: str | None
    author: str | None
    summary: str | None
    content: str | None
    facts: dict[str, Any] | None
    changes: dict[str, Any]
    revision: str


def version_record(version: ArticleVersion) -> VersionRecord:
    """Give `version` as a record, URLs masked."""
    changes = dict(version.changes)
    if "url" in changes:
        changes["url"] = [url and mask_url(url) for url in changes["url"]]
    return {
        "number": version.number,
        "said_at": stamp(version.said_at),
        "replaced_at": stamp(version.replaced_at),
        "title": version.title,
        "url": version.url and mask_url(version.url),
        "author": version.author,
        "summary": version.summary,
        "content": version.content,
        "facts": None if version.facts is None else dict(version.facts),
        "changes": changes,
        "revision": told(version.changes),
    }


def revision_of(article: Article) -> str | None:
    """What the last update of `article` changed, in words; None where it had none, or nothing is known of it."""
    return None if article.changes is None else told(article.changes)


def described(version: ArticleVersion) -> str:
    """Since when and until when an article said so, and what was changed then."""
    return f"{stamp(version.said_at)} to {stamp(version.replaced_at)}, then {told(version.changes)}"


def print_revised(articles: Sequence[Article], now: datetime) -> None:
    """Print a table of `articles`, with when they were revised and what that changed."""
    rows = (
        (
            str(article.id),
            distance(article.updated_at, now) if article.updated_at else "",
            article.source_name,
            article.title or heading(article.text or ""),
            shorten(revision_of(article) or "", _LONGEST_CELL),
        )
        for article in articles
    )
    print_table(("id", "revised", "source", "title", "what changed"), rows, right=("id",))
