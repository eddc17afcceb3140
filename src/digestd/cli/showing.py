"""`digestd sources` and `digestd digest`: what the store knows, for people and for programs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trio

from digestd.cli.loading import end_with_reader
from digestd.cli.tables import distance, looking_into, prepared, print_table, stamp
from digestd.config import Configuration
from digestd.digest.excerpt import excerpt, heading
from digestd.digest.render import render_digest
from digestd.digest.select import Item
from digestd.feed.html import to_text
from digestd.model import Article, SourceStatus, mask_link, mask_url


def sources(file: Path | None, level: str | None, *, failing: bool, as_json: bool) -> None:
    """Print every source with its state, as a table or as JSON."""
    config = prepared(file, level)
    statuses = trio.run(_read_sources, config)
    end_with_reader()
    shown = [status for status in statuses if status.last_error is not None or not failing]
    if as_json:
        print(json.dumps([as_record(status) for status in shown], indent=2))
    else:
        _print_table(shown, datetime.now(UTC))


def digest(file: Path | None, level: str | None, *, per_source: int, days: float) -> None:
    """Print the newest articles by source."""
    config = prepared(file, level)
    articles = trio.run(_read_articles, config, per_source, datetime.now(UTC) - timedelta(days=days))
    end_with_reader()
    print_digest(articles, per_source)


def print_digest(articles: Sequence[Article], per_source: int) -> None:
    """Print `articles` as a digest as wide as the terminal, at most 100 columns."""
    width = min(shutil.get_terminal_size((80, 24)).columns, 100)
    items = [as_item(article) for article in articles]
    print(render_digest(items, width=width, limit_per_source=per_source))


def as_item(article: Article) -> Item:
    """`article` as plain text for the digest."""
    text = excerpt(article.text or "", article.title) or to_text(article.summary or article.content or "")
    return Item(
        source=article.source_name,
        title=article.title or heading(article.text or ""),
        link=article.url and mask_link(article.url),
        published_at=article.published_at,
        text=text,
        dated=article.published_from != "first_seen",
    )


def as_record(status: SourceStatus) -> dict[str, Any]:
    """`status` as the JSON of `digestd sources --json`: times in RFC 3339, URLs masked."""
    spec = status.source.spec
    return {
        "name": spec.name,
        "kind": spec.kind,
        "url": mask_url(spec.url),
        "enabled": spec.enabled,
        "overridden": status.overridden,
        "state": status.state,
        "articles": status.articles,
        "entries_set_aside": status.entries_set_aside,
        "last_fetched_at": stamp(status.last_fetched_at),
        "last_success_at": stamp(status.last_success_at),
        "last_new_at": stamp(status.last_new_at),
        "next_fetch_at": stamp(status.next_fetch_at),
        "schedule_reason": status.schedule_reason,
        "consecutive_failures": status.consecutive_failures,
        "unfinished_claims": status.unfinished_claims,
        "last_error": status.last_error,
    }


async def _read_sources(config: Configuration) -> list[SourceStatus]:
    async with looking_into(config) as store:
        return await store.sources(count_articles=True)


async def _read_articles(config: Configuration, per_source: int, since: datetime) -> list[Article]:
    async with looking_into(config) as store:
        return await store.newest_articles(per_source, since)


def _print_table(statuses: Sequence[SourceStatus], now: datetime) -> None:
    headings = ("source", "state", "articles", "last success", "next poll", "why", "last error")
    print_table(headings, (_cells(status, now) for status in statuses), right=("articles",))
    failing = sum(status.last_error is not None for status in statuses)
    print(f"{len(statuses)} sources, {failing} failing")
    if set_aside := sum(status.entries_set_aside for status in statuses):
        print(
            f"{set_aside} entries could not become articles; `digestd articles --set-aside` tells which and why"
        )


def _cells(status: SourceStatus, now: datetime) -> tuple[str, ...]:
    next_poll = "at once" if status.next_fetch_at is None else distance(status.next_fetch_at, now)
    disabled = "disabled by command" if status.overridden else "disabled"
    state = status.state if status.source.spec.enabled else disabled
    return (
        status.source.name,
        state,
        str(status.articles),
        distance(status.last_success_at, now) if status.last_success_at else "never",
        next_poll if status.source.spec.enabled else "",
        status.schedule_reason or "",
        status.last_error or "",
    )
