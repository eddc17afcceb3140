"""The queue of extraction of the store in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from digestd.model import Article, Page
from digestd.store import (
    ArticleQuery,
    PageClaims,
    PageLost,
    PageQueue,
    PageRecord,
    PageRecorded,
    Refused,
)
from digestd.store.pageclaims import (
    FROM_FEED,
    RETRIED,
    WITHOUT_LINK,
    Candidate,
    in_turn,
    leased,
    page_claim,
    recorded,
    same_text,
    when_due,
)

Row = dict[str, Any]


class MemoryPages:
    """What `MemoryStore` says of pages, over its tables `sources` and `articles` by id."""

    def __init__(
        self,
        sources: Mapping[int, Row],
        articles: Mapping[int, Row],
        now: Callable[[], datetime],
        owner: str,
        last_changes: Callable[[Row], Mapping[str, Any] | None],
    ) -> None:
        self._sources = sources
        self._articles = articles
        self._now = now
        self._owner = owner
        self._last_changes = last_changes

    def claim(
        self,
        limit: int,
        lease_seconds: float,
        per_source: int | None,
        source_ids: Collection[int] | None,
        except_source_ids: Collection[int],
    ) -> PageClaims:
        """See `Store.claim_pages`."""
        now = self._now()
        for row in self._pending():
            if _waits(row, now) is False:
                row.update(when_due(row["extraction_owner"], row["extraction_unfinished"], now))
        asked = [row for row in self._pending() if source_ids is None or row["source_id"] in source_ids]
        free = [row for row in asked if row["source_id"] not in except_source_ids]
        ready = [row for row in free if row["next_extraction_at"] is None]
        turns = (Candidate(row["source_id"], row["published_at"], row["id"]) for row in ready)
        in_order = in_turn(turns, per_source)
        rows = [self._articles[one.article_id] for one in in_order[:limit]]
        claims = []
        for row in rows:
            if row["url"] is None:
                row.update(WITHOUT_LINK)
                continue
            claims.append(page_claim({**row, "source_name": self._sources[row["source_id"]]["name"]}))
            row.update(leased(self._owner, now, lease_seconds))
            row["extraction_attempts"] += 1
            row["extraction_unfinished"] += 1
        if claims:
            return PageClaims(tuple(claims))
        waits = [
            (row["next_extraction_at"] - now).total_seconds() for row in asked if row["next_extraction_at"]
        ]
        return PageClaims((), 0.0 if ready else min(waits, default=None))

    def record(self, record: PageRecord) -> PageRecorded | PageLost | Refused:
        """See `Store.record_pages`."""
        row = self._articles.get(record.article_id)
        fence = ("pending", record.attempt)
        if row is None or (row["extraction"], row["extraction_attempts"]) != fence:
            return PageLost()
        before = {name: row[name] for name in FROM_FEED}
        try:
            row.update(recorded(record, row, self._now()))
        except Exception as error:
            return Refused(error)
        return PageRecorded(0 if record.page is None else self._fail_alike(row, record.page, before))

    def queue(self) -> PageQueue:
        """See `Store.page_queue`."""
        now = self._now()
        pending = self._pending()
        due = [row for row in pending if not _waits(row, now)]
        ages = [(now - row["fetched_at"]).total_seconds() for row in pending]
        return PageQueue(len(pending), len(due), max(ages, default=None))

    def listed(self, query: ArticleQuery) -> list[Article]:
        """See `Store.articles`."""
        found = self._allowed(self._articles.values(), query)
        return [article_of(self._name(row), row, self._last_changes(row)) for row in found]

    def retry(self, query: ArticleQuery) -> int:
        """See `Store.retry_pages`."""
        rows = self._allowed(filter(self._can_be_retried, self._articles.values()), query)
        for row in rows:
            row.update(RETRIED)
        return len(rows)

    def _pending(self) -> list[Row]:
        return [row for row in self._articles.values() if row["extraction"] == "pending"]

    def _name(self, row: Row) -> str:
        return str(self._sources[row["source_id"]]["name"])

    def _fail_alike(self, row: Row, page: Page, before: Mapping[str, Any]) -> int:
        alike = [
            one
            for one in self._articles.values()
            if (one["source_id"], one["text_hash"]) == (row["source_id"], row["text_hash"])
        ]
        changes = same_text(len({one["canonical_url"] or one["url"] for one in alike}))
        if changes is None:
            return 0
        for one in alike:
            if one["extraction"] == "done":
                one.update(changes)
        row.update(before)
        return sum(one["extraction"] != "pending" for one in alike)

    def _can_be_retried(self, row: Row) -> bool:
        if row["url"] is None or row["extraction"] == "done":
            return False
        if row["extraction"] != "pending":
            return True
        if row["extraction_owner"] is not None and _waits(row, self._now()):
            return False
        return bool(row["next_extraction_at"] or row["extraction_failures"] or row["extraction_unfinished"])

    def _allowed(self, rows: Iterable[Row], query: ArticleQuery) -> list[Row]:
        by = "updated_at" if query.revised else "fetched_at"
        found = [
            row
            for row in rows
            if (not query.revised or row["updated_at"] is not None)
            and (query.source is None or self._name(row) == query.source)
            and (query.since is None or row[by] >= query.since)
            and (query.extraction is None or row["extraction"] == query.extraction)
            and (query.ids is None or row["id"] in query.ids)
        ]
        return sorted(found, key=lambda row: (row[by], row["id"]), reverse=True)[: query.limit]


def article_of(source_name: str, row: Mapping[str, Any], changes: Mapping[str, Any] | None) -> Article:
    """The article that `row` of the source `source_name` is, whose last update made these `changes`."""
    shown = [field.name for field in fields(Article) if field.name not in ("source_name", "changes")]
    return Article(source_name=source_name, changes=changes, **{name: row[name] for name in shown})


def _waits(row: Row, now: datetime) -> bool | None:
    """Whether the moment that `row` waits for is still to come; None when it waits for none."""
    moment = row["next_extraction_at"]
    return None if moment is None else moment > now
