"""What articles said before, in the store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

from digestd.feed.identity import Assignment
from digestd.feed.revision import is_text_only, superfluous
from digestd.model import ArticleVersion
from digestd.store.entries import changed_article, follows, version_before

Row = dict[str, Any]


class MemoryVersions:
    """What `MemoryStore` says of versions, over its table `articles` by id; `kept` are they, oldest first, by the id of
    their article."""

    def __init__(self, articles: Mapping[int, Row]) -> None:
        self.kept: dict[int, list[Row]] = {}
        self._articles = articles

    def following(self, assignments: Sequence[Assignment]) -> dict[int, Assignment]:
        """Those of `assignments` whose article follows its entry, by the id of the article."""
        return {
            one.article_id: one
            for one in assignments
            if one.article_id is not None and follows(one, self._articles[one.article_id])
        }

    def before(self, article_id: int, one: Assignment, now: datetime) -> Row:
        """The version that the article leaves behind."""
        row = self._articles[article_id]
        lengths = {
            f"{name}_characters": None if row[name] is None else len(row[name])
            for name in ("summary", "content")
        }
        return dict(version_before({**row, **lengths}, one.entry, now, updates=one.updates))

    def follow(self, article_id: int, one: Assignment, before: Row, now: datetime) -> None:
        """Let the article follow the entry of `one`, and keep `before`."""
        self._articles[article_id].update(changed_article(one.entry, now, updates=one.updates))
        kept = [*self.kept.get(article_id, ()), before]
        gone = superfluous([(row["number"], is_text_only(row["changes"])) for row in kept])
        self.kept[article_id] = [row for row in kept if row["number"] not in gone]

    def last_changes(self, row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """What the last update of the article `row` changed."""
        found = [one for one in self.kept.get(row["id"], ()) if one["number"] == row["updates"]]
        return found[0]["changes"] if found else None

    def listed(self, article_id: int) -> list[ArticleVersion]:
        """See `Store.article_versions`."""
        names = [field.name for field in fields(ArticleVersion)]
        return [
            ArticleVersion(**{name: row[name] for name in names}) for row in self.kept.get(article_id, ())
        ]
