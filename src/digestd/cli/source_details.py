"""`digestd sources show`: one source, why it is polled when it is, and its last polls."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import trio

from digestd.cli.loading import end_with_reader
from digestd.cli.records import FetchRecord, fetch_record, source_record
from digestd.cli.showing import state_of
from digestd.cli.source_health import with_health
from digestd.cli.tables import looking_into, prepared, print_table, stamp
from digestd.config import Configuration
from digestd.digest.moments import distance
from digestd.feed.health import Health
from digestd.feed.reasons import explained
from digestd.feed.text import collapse, strip_controls
from digestd.masking import mask_url
from digestd.model import Fetch, SourceStatus


def show(file: Path | None, level: str | None, name: str, *, limit: int, as_json: bool) -> int:
    """Print the source `name` and its last `limit` polls that failed or brought entries; returns the exit status."""
    config = prepared(file, level)
    found, fetches = trio.run(_read, config, name, limit)
    end_with_reader()
    if found is None:
        print(f"digestd: no source is called {name!r}; `digestd sources` lists them", file=sys.stderr)
        return 1
    status, health = found
    if as_json:
        polls: list[FetchRecord] = [fetch_record(fetch) for fetch in fetches]
        record = {
            **source_record(status, health),
            "unchanged_polls": status.unchanged_polls,
            "fetches": polls,
        }
        print(json.dumps(record, indent=2))
    else:
        _print(status, health, fetches, datetime.now(UTC))
    return os.EX_OK


async def _read(
    config: Configuration, name: str, limit: int
) -> tuple[tuple[SourceStatus, Health] | None, list[Fetch]]:
    async with looking_into(config) as store:
        found = await store.sources(name=name, count_articles=True)
        if not found:
            return None, []
        (told,) = with_health(found, await store.paused_hosts(), config)
        return told, await store.fetches(name, limit)


def _print(status: SourceStatus, health: Health, fetches: Sequence[Fetch], now: datetime) -> None:
    print(strip_controls("\n".join([collapse(status.source.name), "", *_facts(status, health, now)])))
    print()
    if status.unchanged_polls:
        print(f"{status.unchanged_polls} polls since then brought nothing.")
    if fetches:
        headings = ("polled", "outcome", "took", "bytes", "new", "updated", "quiet before", "next", "error")
        right = ("took", "bytes", "new", "updated", "quiet before", "next")
        print_table(headings, (_cells(fetch, now) for fetch in fetches), right=right)
    else:
        print("No poll of the last week failed or brought entries.")


def _facts(status: SourceStatus, health: Health, now: datetime) -> Iterator[str]:
    spec = status.source.spec
    due = "at once" if status.next_fetch_at is None else distance(status.next_fetch_at, now)
    facts = {
        "kind": spec.kind,
        "url": mask_url(spec.url),
        "moved to": status.source.effective_url and mask_url(status.source.effective_url),
        "category": spec.category,
        "state": state_of(status, health),
        "health": f"{health.word}: {health.reason}" if health.reason else health.word,
        "last error": status.last_error,
        "failures": str(status.consecutive_failures) if status.consecutive_failures else None,
        "articles": str(status.articles),
        "set aside": str(status.entries_set_aside) if status.entries_set_aside else None,
        "last poll": _moment(status.last_fetched_at, now),
        "last success": _moment(status.last_success_at, now),
        "last new": _moment(status.last_new_at, now),
        "next poll": due if spec.enabled else None,
        "why": explained(status.schedule_reason) if spec.enabled and status.schedule_reason else None,
    }
    # On one line each, whatever stands in them: a second line could be taken for another fact.
    return (f"{name:<14}{collapse(value)}" for name, value in facts.items() if value)


def _moment(moment: datetime | None, now: datetime) -> str:
    return f"{stamp(moment)} ({distance(moment, now)})" if moment else "never"


def _cells(fetch: Fetch, now: datetime) -> tuple[str, ...]:
    return (
        distance(fetch.fetched_at, now),
        f"{fetch.outcome} {fetch.status}" if fetch.status else fetch.outcome,
        f"{fetch.seconds:.2f} s",
        f"{fetch.body_bytes:,}",
        str(fetch.articles_new),
        str(fetch.articles_updated),
        str(fetch.unchanged_before),
        f"{fetch.next_delay_seconds:,.0f} s",
        fetch.error or "",
    )
