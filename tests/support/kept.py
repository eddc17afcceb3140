"""What a digestd under test has kept, read past it from its database: SQLite in its state directory, or PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

_COLUMNS = (
    "id, guid, extraction, text, content, summary, extraction_attempts, extraction_failures, extraction_unfinished, "
    "extraction_owner, next_extraction_at, extraction_error"
)

_HOLDINGS = (
    "SELECT s.name, a.guid, s.etag, s.lease_owner, s.unfinished_claims "
    "FROM sources s LEFT JOIN articles a ON a.source_id = s.id"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """An article and where it is on its way through the queue of extraction."""

    id: int
    guid: str
    extraction: str
    text: str | None
    content: str | None
    summary: str | None
    attempts: int
    failures: int
    unfinished: int
    owner: str | None
    next_at: object
    error: str | None


@dataclass(frozen=True, slots=True)
class Holding:
    """What a source has: the ETag of the document it was last read from, the guids of its articles, who polls it, and
    for how many claims nothing was recorded."""

    etag: str | None
    guids: list[str]
    lease_owner: str | None
    unfinished_claims: int


class Database:
    """The database that processes use which run in `folder`: at `url`, or without one in SQLite."""

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        self._url = url

    @property
    def environ(self) -> Mapping[str, str]:
        """What its processes need in their environment."""
        return {} if self._url is None else {"DATABASE_URL": self._url}

    def articles(self) -> list[Kept]:
        """Every article, by id."""
        return [Kept(*row) for row in self.query(f"SELECT {_COLUMNS} FROM articles ORDER BY id")]

    def by_guid(self) -> dict[str, Kept]:
        """Every article by its guid; fails where two have the same."""
        articles = self.articles()
        found = {article.guid: article for article in articles}
        assert len(found) == len(articles), "no article is kept twice"
        return found

    def entries(self) -> list[tuple[str, str]]:
        """The source's name and the guid of every article, in order."""
        return sorted((name, guid) for name, holding in self.holdings().items() for guid in holding.guids)

    def holdings(self) -> dict[str, Holding]:
        """What each source has, by name, as it stood at one moment."""
        found: dict[str, Holding] = {}
        for name, guid, *standing in self.query(_HOLDINGS):
            etag, owner, unfinished = standing
            holding = found.setdefault(name, Holding(etag, [], owner, unfinished))
            if guid is not None:
                holding.guids.append(guid)
        return found

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows that `statement` gives."""
        if self._url is not None:
            with psycopg.connect(self._url) as connection:
                return connection.execute(statement.encode()).fetchall()
        with closing(sqlite3.connect(self.folder / "state" / "digestd.db", timeout=10)) as connection:
            return connection.execute(statement).fetchall()
