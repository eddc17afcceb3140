"""What was deleted, and what retention deletes, in the store in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from digestd.feed.identity import Assignment
from digestd.store import Purged, RetentionLimits
from digestd.store.expiry import PURGE_LIMIT, horizons, tombstone_horizon

Row = dict[str, Any]

_COPIED = [
    "id",
    "source_id",
    "entry_key",
    "identity",
    "url",
    "title",
    "content_hash",
    "last_seen_at",
    "left_at",
]


class MemoryRetention:
    """What `MemoryStore` says of deleting, over its tables `sources` and `articles` by id; `tombstones` are by the id
    of the article that was."""

    def __init__(
        self,
        sources: Mapping[int, Row],
        articles: dict[int, Row],
        versions: dict[int, list[Row]],
        now: Callable[[], datetime],
    ) -> None:
        self.tombstones: dict[int, Row] = {}
        self._sources = sources
        self._articles = articles
        self._versions = versions
        self._now = now

    def mark_seen(self, deleted: Sequence[Assignment], now: datetime) -> None:
        """The entries of `deleted` were served, and stay deleted."""
        for one in deleted:
            assert one.article_id is not None
            texts = {"url": one.entry.link, "title": one.entry.title, "content_hash": one.entry.content_hash}
            self.tombstones[one.article_id].update(texts, last_seen_at=now, left_at=None)

    def mark_left(self, source_id: int, now: datetime) -> None:
        """What was in the document of the source and was not seen `now` has left it."""
        for row in (*self._articles.values(), *self.tombstones.values()):
            if row["source_id"] == source_id and row["left_at"] is None and row["last_seen_at"] != now:
                row["left_at"] = now

    def delete(self, ids: Collection[int]) -> None:
        """Make tombstones of the articles `ids`."""
        for article_id in ids:
            row = self._articles.pop(article_id)
            self._versions.pop(article_id, None)
            self.tombstones[article_id] = {name: row[name] for name in _COPIED} | {"deleted_at": self._now()}

    def purge(self, limits: RetentionLimits, after: int) -> Purged:
        """See `Store.purge`; one source at a time."""
        behind = sorted(source_id for source_id in self._sources if source_id > after)
        if not behind:
            return Purged(0, 0, None)
        source_id = behind[0]
        last_whole_at = self._sources[source_id]["last_whole_at"]
        if last_whole_at is None:
            return Purged(0, 0, source_id)
        expired = self._expired(source_id, limits)[:PURGE_LIMIT]
        forgotten = self._forgotten(source_id, tombstone_horizon(last_whole_at))[:PURGE_LIMIT]
        for article_id in forgotten:
            del self.tombstones[article_id]
        # What becomes a tombstone now goes with a later pass.
        self.delete(expired)
        full = PURGE_LIMIT in (len(expired), len(forgotten))
        return Purged(len(expired), len(forgotten), source_id - full)

    def _expired(self, source_id: int, limits: RetentionLimits) -> list[int]:
        horizon = horizons(limits, self._now())
        its_own = [row for row in self._articles.values() if row["source_id"] == source_id]
        its_own.sort(key=lambda row: (row["published_at"], row["id"]), reverse=True)
        too_old = [row["id"] for row in its_own if _left_before(row, horizon.age)]
        staying = [row for row in its_own if row["id"] not in too_old]
        surplus = staying[limits.max_per_source :] if limits.max_per_source else []
        return too_old + [row["id"] for row in surplus if _left_before(row, horizon.number)]

    def _forgotten(self, source_id: int, horizon: datetime) -> list[int]:
        its_own = [row for row in self.tombstones.values() if row["source_id"] == source_id]
        return [row["id"] for row in its_own if _left_before(row, horizon)]


def _left_before(row: Row, moment: datetime | None) -> bool:
    return moment is not None and row["left_at"] is not None and row["left_at"] < moment
