"""`digestd sources` and `digestd digest`: what the store knows, for people and for programs."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trio

from digestd.cli.loading import end_with_reader
from digestd.cli.options import Format
from digestd.cli.records import SourceRecord, is_degraded, print_records, source_record
from digestd.cli.source_health import with_health
from digestd.cli.tables import looking_into, prepared, print_table
from digestd.config import Configuration
from digestd.digest.excerpt import excerpt, heading
from digestd.digest.moments import distance
from digestd.digest.render import render_digest
from digestd.digest.select import Item
from digestd.feed.health import Health
from digestd.feed.html import to_text
from digestd.feed.lists.opml import BETWEEN_FOLDERS
from digestd.feed.revision import is_of_facts, told
from digestd.masking import mask_link
from digestd.model import Article, SourceStatus

_BESIDES = {"silent": ", silent", "paused": ", host paused"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which sources are listed: those that are `failing` or `degraded`, of a kind, of a category or below it, in a
    state (`disabled` is one), and how many of them at most. What is not said lets all pass."""

    failing: bool = False
    degraded: bool = False
    kind: str | None = None
    category: str | None = None
    state: str | None = None
    limit: int | None = None

    def takes(self, status: SourceStatus) -> bool:
        """Whether the source of `status` is listed."""
        spec = status.source.spec
        asked = self.failing or self.degraded
        troubled = (self.failing and status.failing) or (self.degraded and is_degraded(status))
        return (
            (troubled or not asked)
            and self.kind in (None, spec.kind)
            and in_category(spec.category, self.category)
            and self.state in (None, status.state if spec.enabled else "disabled")
        )


def in_category(category: str | None, wanted: str | None) -> bool:
    """Whether `category` is the one that is `wanted`, or one below it; all are where none is."""
    return wanted is None or category == wanted or (category or "").startswith(f"{wanted}{BETWEEN_FOLDERS}")


def sources(file: Path | None, level: str | None, form: Format, choice: Choice) -> None:
    """Print the sources of `choice` with their state and health as `form` says."""
    config = prepared(file, level)
    found = trio.run(_read_sources, config)
    end_with_reader()
    taken = [(status, health) for status, health in found if choice.takes(status)]
    shown = taken[: choice.limit]
    if form != "text":
        print_records(form, SourceRecord, [source_record(status, health) for status, health in shown])
        return
    _print_table(shown, datetime.now(UTC))
    if len(shown) < len(taken):
        print(f"{len(taken) - len(shown)} more: --limit")


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


async def _read_sources(config: Configuration) -> list[tuple[SourceStatus, Health]]:
    async with looking_into(config) as store:
        statuses = await store.sources(count_articles=True)
        return with_health(statuses, await store.paused_hosts(), config)


async def _read_articles(config: Configuration, per_source: int, since: datetime) -> list[Article]:
    async with looking_into(config) as store:
        return await store.newest_articles(per_source, since)


def _print_table(shown: Sequence[tuple[SourceStatus, Health]], now: datetime) -> None:
    headings = ("source", "state", "articles", "last success", "next poll", "why", "last error")
    print_table(headings, (_cells(status, health, now) for status, health in shown), right=("articles",))
    statuses = [status for status, _ in shown]
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


def state_of(status: SourceStatus, health: Health) -> str:
    """The state of a source in words, and how it does where the state does not say it."""
    if not status.source.spec.enabled:
        return "disabled by command" if status.overridden else "disabled"
    if status.failing:
        return f"{status.state}, failing"
    return f"{status.state}{_BESIDES.get(health.word, '')}"


def _cells(status: SourceStatus, health: Health, now: datetime) -> tuple[str, ...]:
    next_poll = "at once" if status.next_fetch_at is None else distance(status.next_fetch_at, now)
    return (
        status.source.name,
        state_of(status, health),
        str(status.articles),
        distance(status.last_success_at, now) if status.last_success_at else "never",
        next_poll if status.source.spec.enabled else "",
        status.schedule_reason or "",
        status.last_error or (health.reason if health.word == "paused" else ""),
    )
