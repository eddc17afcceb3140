"""`digestd sources` and `digestd digest`: what the store knows, for people and for programs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from digestd.cli.loading import end_with_reader
from digestd.cli.options import Format
from digestd.cli.records import SourceRecord, is_degraded, print_records, source_record
from digestd.cli.tables import looking_into, prepared, print_table
from digestd.config import Configuration
from digestd.digest.excerpt import excerpt, heading
from digestd.digest.moments import distance
from digestd.digest.render import render_digest
from digestd.digest.select import Item
from digestd.feed.html import to_text
from digestd.feed.revision import is_of_facts, told
from digestd.masking import mask_link
from digestd.model import Article, SourceStatus


def sources(file: Path | None, level: str | None, form: Format, *, failing: bool, degraded: bool) -> None:
    """Print every source with its state as `form` says; only those that are `failing`, `degraded`, or either, where
    that is asked for."""
    config = prepared(file, level)
    statuses = trio.run(_read_sources, config)
    end_with_reader()
    shown = [
        status
        for status in statuses
        if not (failing or degraded) or (failing and status.failing) or (degraded and is_degraded(status))
    ]
    if form == "text":
        _print_table(shown, datetime.now(UTC))
    else:
        print_records(form, SourceRecord, [source_record(status) for status in shown])


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
        revised_at=article.updated_at,
        revision=told(article.changes) if article.changes and is_of_facts(article.changes) else "",
    )


async def _read_sources(config: Configuration) -> list[SourceStatus]:
    async with looking_into(config) as store:
        return await store.sources(count_articles=True)


async def _read_articles(config: Configuration, per_source: int, since: datetime) -> list[Article]:
    async with looking_into(config) as store:
        return await store.newest_articles(per_source, since)


def _print_table(statuses: Sequence[SourceStatus], now: datetime) -> None:
    headings = ("source", "state", "articles", "last success", "next poll", "why", "last error")
    print_table(headings, (_cells(status, now) for status in statuses), right=("articles",))
    print(_counted(statuses))
    if set_aside := sum(status.entries_set_aside for status in statuses):
        print(
            f"{set_aside} entries could not become articles; `digestd articles --set-aside` tells which and why"
        )


def _counted(statuses: Sequence[SourceStatus]) -> str:
    failing = sum(status.failing for status in statuses)
    degraded = sum(is_degraded(status) and not status.failing for status in statuses)
    besides = f", {degraded} degraded without failing" if degraded else ""
    return f"{len(statuses)} sources, {failing} failing{besides}"


def state_of(status: SourceStatus) -> str:
    """The state of a source in words."""
    if not status.source.spec.enabled:
        return "disabled by command" if status.overridden else "disabled"
    return f"{status.state}, failing" if status.failing else status.state


def _cells(status: SourceStatus, now: datetime) -> tuple[str, ...]:
    next_poll = "at once" if status.next_fetch_at is None else distance(status.next_fetch_at, now)
    return (
        status.source.name,
        state_of(status),
        str(status.articles),
        distance(status.last_success_at, now) if status.last_success_at else "never",
        next_poll if status.source.spec.enabled else "",
        status.schedule_reason or "",
        status.last_error or "",
    )
