"""A database with something to see in it: sources of every state, hostile names, a day of polls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from sqlalchemy import NullPool, create_engine, insert

from digestd.store.engine import database_url
from digestd.store.schema import articles, fetches, sources

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)> {{ 7 * 7 }} \u202egnp.exe\u202c \x1b[31m"
LONG = (
    "The Extraordinarily Verbose Bulletin of the Interdepartmental Committee for Coordinated Disclosure " * 3
)
UNBROKEN = "Sicherheitslückenbekanntmachungsverordnungsdurchführungsbestimmungen" * 3
_KINDS = ("feed", "feed", "feed", "page")
_CATEGORIES = ("vendor", "cert", "research", "news", None)
_TITLES = (
    "Out-of-bounds write in the archive reader of Ternwick Unpack",
    "Patch day: nine advisories, two of them exploited",
    "How a forgotten badge reader led into the plant network",
    "HLSN-2026-0141: kernel update for Harbour Linux 9",
    "Quiet tunnels: what DNS logs say before anybody else does",
    "Ransom crew names three hospitals; two deny it",
)


class Showroom:
    """Fills the migrated, empty database at `url`. Nothing in it is due for a day, so that nobody polls it."""

    def __init__(self, url: str) -> None:
        self._connection = create_engine(database_url(url), poolclass=NullPool).connect()
        self._now = datetime.now(UTC)
        self._guids = count(1)

    def source(self, name: str, **columns: Any) -> int:
        """Add a source that was polled three minutes ago, but for `columns`; its id."""
        values = {
            "name": name,
            "kind": "feed",
            "url": f"http://127.0.0.1:9/{len(name)}",
            "options": {},
            "enabled": True,
            "category": None,
            "origin": "cli",
            "state": "active",
            "last_fetched_at": self.ago(180),
            "last_success_at": self.ago(180),
            "last_new_at": self.ago(7_200),
            "next_fetch_at": self.ago(-86_400),
            "schedule_reason": "interval",
            "consecutive_failures": 0,
            "unfinished_claims": 0,
            "changed_at": self.ago(864_000),
        }
        done = self._connection.execute(insert(sources).values(values | columns))
        assert done.inserted_primary_key is not None
        return int(done.inserted_primary_key[0])

    def article(self, source_id: int, title: str, **columns: Any) -> None:
        """Add an article seen ten minutes ago, but for `columns`."""
        key = hashlib.sha256(f"{next(self._guids)}".encode()).hexdigest()
        values = {
            "source_id": source_id,
            "entry_key": key,
            "identity": key,
            "url": "https://news.example/story?id=1&sid=secret",
            "title": title,
            "published_at": self.ago(3_600),
            "published_from": "entry",
            "fetched_at": self.ago(600),
            "last_seen_at": self.ago(600),
            "content_hash": key,
            "extraction": "done",
            "extraction_attempts": 1,
        }
        self._connection.execute(insert(articles).values(values | columns))

    def poll(self, source_id: int, seconds_ago: float, **columns: Any) -> None:
        """Add a poll that brought two articles, but for `columns`."""
        values = {
            "source_id": source_id,
            "fetched_at": self.ago(seconds_ago),
            "outcome": "fetched",
            "seconds": 0.31,
            "body_bytes": 48_211,
            "articles_new": 2,
            "articles_updated": 0,
            "unchanged_before": 5,
            "schedule_reason": "interval",
            "next_delay_seconds": 300.0,
        }
        self._connection.execute(insert(fetches).values(values | columns))

    def ago(self, seconds: float) -> datetime:
        """So many seconds before the room was made."""
        return self._now - timedelta(seconds=seconds)

    def furnish(self, plain: int = 30) -> dict[str, int]:
        """One source of every state, hostile and long names, `plain` others, articles and a day of polls; the ids of
        those that are named."""
        ids = {name: self.source(name, **columns) for name, columns in _named(self)}
        ids["hostile"] = ids.pop(HOSTILE)
        self._plain(plain)
        for number, title in enumerate((HOSTILE, *_TITLES, LONG, UNBROKEN)):
            self.article(ids["Harbour Linux notices"], title, fetched_at=self.ago(60 * number))
        self.article(
            ids["hostile"], "A link that is none", url="javascript:alert(3)", fetched_at=self.ago(30)
        )
        for hour in reversed(range(24)):
            for number in reversed(range(1 + hour * 7 % 11)):
                self.poll(ids["Harbour Linux notices"], hour * 3_600 + number * 60, articles_new=1 + hour % 5)
        failed: dict[str, Any] = {"outcome": "failed", "articles_new": 0, "status": 503}
        for hour in reversed(range(0, 24, 5)):
            self.poll(ids["Fenwick CERT"], hour * 3_600, **failed, error="http_status: it is busy")
        self.close()
        return ids

    def close(self) -> None:
        """Keep what was added. Nothing more can be."""
        self._connection.commit()
        self._connection.close()

    def _plain(self, number: int) -> None:
        for place in range(number):
            self.source(
                f"Plain source {place:04}",
                kind=_KINDS[place % 4],
                category=_CATEGORIES[place % 5],
                last_success_at=self.ago(60 * (place % 400)),
            )


def _named(room: Showroom) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "Harbour Linux notices", {"category": "vendor", "schedule_reason": "cache_control:capped"}
    yield (
        "Fenwick CERT",
        {
            "category": "cert",
            "consecutive_failures": 4,
            "last_success_at": room.ago(9_000),
            "schedule_reason": "backoff:4",
            "last_error": "http_status: the server answered 503 (it is busy), and asks for ten minutes",
        },
    )
    yield "Marsh Advisories", {"consecutive_failures": 1, "last_error": "dns: no address for marsh.example"}
    yield (
        "Bomb Weekly",
        {
            "unfinished_claims": 3,
            "schedule_reason": "unfinished_claims:3",
            "last_error": "3 polls in a row never ended: it may be crashing digestd",
        },
    )
    yield "Gull Street diary", {"state": "degraded", "last_error": "shape: all entries have one date"}
    yield "Old Fen News", {"state": "gone", "schedule_reason": "gone", "last_success_at": room.ago(4e6)}
    yield "Twin", {"state": "duplicate"}
    yield "Turned off", {"enabled": False}
    yield "Turned off by command", {"enabled_override": False}
    never = {"last_fetched_at": None, "last_success_at": None, "last_new_at": None, "schedule_reason": None}
    yield "Never polled", never
    error = f"parse: {HOSTILE}"
    yield HOSTILE, {"consecutive_failures": 2, "last_error": error, "category": "<b>bold</b>"}
    yield LONG, {"consecutive_failures": 12, "last_error": f"timeout: {LONG}", "category": UNBROKEN}
    yield UNBROKEN, {"consecutive_failures": 1, "last_error": f"tls: {UNBROKEN}"}
