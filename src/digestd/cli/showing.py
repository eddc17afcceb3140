"""`digestd sources` and `digestd digest`: what the store knows, for people and for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import trio
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from digestd import log
from digestd.cli.loading import end_with_reader, load_configuration, quiet_level, warn
from digestd.config import Configuration, database_url
from digestd.digest.render import render_digest
from digestd.digest.select import Item
from digestd.feed.html import to_text
from digestd.feed.text import strip_controls
from digestd.model import Article, SourceStatus, mask_url
from digestd.store import Store
from digestd.store.owner import current_owner
from digestd.store.sql import open_store


def sources(file: Path | None, level: str | None, *, failing: bool, as_json: bool) -> None:
    """Print every source with its state, as a table or as JSON."""
    config = _prepared(file, level)
    statuses = trio.run(_read_sources, config)
    end_with_reader()
    shown = [status for status in statuses if status.last_error is not None or not failing]
    if as_json:
        print(json.dumps([as_record(status) for status in shown], indent=2))
    else:
        _print_table(shown, datetime.now(UTC))


def digest(file: Path | None, level: str | None, *, per_source: int, days: float) -> None:
    """Print the newest articles by source."""
    config = _prepared(file, level)
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
    text = to_text(article.summary or article.content or "")
    return Item(
        source=article.source_name,
        title=article.title,
        link=article.url,
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
        "state": status.state,
        "articles": status.articles,
        "last_fetched_at": _stamp(status.last_fetched_at),
        "last_success_at": _stamp(status.last_success_at),
        "last_new_at": _stamp(status.last_new_at),
        "next_fetch_at": _stamp(status.next_fetch_at),
        "schedule_reason": status.schedule_reason,
        "consecutive_failures": status.consecutive_failures,
        "unfinished_claims": status.unfinished_claims,
        "last_error": status.last_error,
    }


def _prepared(file: Path | None, level: str | None) -> Configuration:
    config = load_configuration(file)
    warn(config)
    log.set_up(quiet_level(level), config.settings.worker.log_format)
    return config


async def _read_sources(config: Configuration) -> list[SourceStatus]:
    async with _store(config) as store:
        return await store.sources(count_articles=True)


async def _read_articles(config: Configuration, per_source: int, since: datetime) -> list[Article]:
    async with _store(config) as store:
        return await store.newest_articles(per_source, since)


def _store(config: Configuration) -> AbstractAsyncContextManager[Store]:
    database = config.settings.database
    return open_store(
        database_url(database, os.environ),
        owner=current_owner(),
        pool_size=1,
        create_file=False,
        connect_timeout_seconds=database.connect_timeout_seconds,
    )


def _stamp(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _print_table(statuses: Sequence[SourceStatus], now: datetime) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("source", "state", "articles", "last success", "next poll", "why", "last error"):
        table.add_column(heading, justify="right" if heading == "articles" else "left", overflow="fold")
    for status in statuses:
        table.add_row(*(escape(strip_controls(cell)) for cell in _cells(status, now)))
    # A pipe has no width of its own: there, nothing is folded.
    console = Console(width=None if sys.stdout.isatty() else 240)
    with console.capture() as rendered:
        console.print(table)
    print(rendered.get(), end="")
    failing = sum(status.last_error is not None for status in statuses)
    print(f"{len(statuses)} sources, {failing} failing")


def _cells(status: SourceStatus, now: datetime) -> tuple[str, ...]:
    next_poll = "at once" if status.next_fetch_at is None else _distance(status.next_fetch_at, now)
    state = status.state if status.source.spec.enabled else "disabled"
    return (
        status.source.name,
        state,
        str(status.articles),
        _distance(status.last_success_at, now) if status.last_success_at else "never",
        next_poll if status.source.spec.enabled else "",
        status.schedule_reason or "",
        status.last_error or "",
    )


def _distance(moment: datetime, now: datetime) -> str:
    seconds = (moment - now).total_seconds()
    amount = abs(seconds)
    units = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    unit, size = next(((unit, size) for unit, size in units if amount >= size), ("s", 1))
    return f"in {amount / size:.0f} {unit}" if seconds > 0 else f"{amount / size:.0f} {unit} ago"
