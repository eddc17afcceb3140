"""The statements that list articles. Each runs in its caller's transaction."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select

from digestd.model import Article, Changes
from digestd.store import ArticleQuery
from digestd.store.chunks import chunks
from digestd.store.schema import NOT_DONE, REVISED, article_versions, articles, sources

_kept = articles.c
_ELSEWHERE = ("source_name", "changes")
_SHOWN = tuple(field.name for field in fields(Article) if field.name not in _ELSEWHERE)
_ARTICLES = select(sources.c.name.label("source_name"), *(_kept[name] for name in _SHOWN)).join_from(
    articles, sources, sources.c.id == _kept.source_id
)
# What the last update changed, where the version that it replaced is there.
_CHANGES = (
    select(article_versions.c.article_id, article_versions.c.changes)
    .join(articles, _kept.id == article_versions.c.article_id)
    .where(
        article_versions.c.article_id.in_(bindparam("ids", expanding=True)),
        article_versions.c.number == _kept.updates,
    )
)
_SEEN_LAST_FIRST = (_kept.fetched_at.desc(), _kept.id.desc())
_REVISED_LAST_FIRST = (_kept.updated_at.desc(), _kept.id.desc())


def listed(connection: Connection, query: ArticleQuery) -> list[Article]:
    """See `Store.articles`."""
    # The ids first: rows carry whole texts, and sorting would carry those of every article along.
    ids = select(allowed_ids(query).subquery().c.id)
    finding = _ARTICLES.where(_kept.id.in_(ids)).order_by(*_order(query))
    return _articles(connection, finding)


def allowed_ids(query: ArticleQuery, *further: ColumnElement[bool]) -> Select[int]:
    """The statement for the ids of the articles that `query` and every one of `further` allow, in the order of
    `Store.articles`."""
    ids = select(_kept.id).where(*further)
    if query.source is not None:
        ids = ids.where(
            _kept.source_id == select(sources.c.id).where(sources.c.name == query.source).scalar_subquery()
        )
    if query.since is not None:
        ids = ids.where((_kept.updated_at if query.revised else _kept.fetched_at) >= query.since)
    if query.revised:
        ids = ids.where(REVISED)
    if query.extraction is not None:
        ids = ids.where(_kept.extraction == query.extraction)
        if query.extraction != "done":
            # In the index's own words: SQLite takes a partial index for no others.
            ids = ids.where(NOT_DONE)
    if query.ids is not None:
        ids = ids.where(_kept.id.in_(query.ids))
    return ids if query.limit is None else ids.order_by(*_order(query)).limit(query.limit)


def _order(query: ArticleQuery) -> tuple[ColumnElement[Any], ...]:
    return _REVISED_LAST_FIRST if query.revised else _SEEN_LAST_FIRST


def newest(connection: Connection, per_source: int, since: datetime | None) -> list[Article]:
    """See `Store.newest_articles`."""
    newest_first = (_kept.published_at.desc(), _kept.id.desc())
    # With + 0, so that no index of all articles by source is read for the sake of its order: few of them are asked for.
    of_source = _kept.source_id + 0
    place = func.row_number().over(partition_by=of_source, order_by=newest_first).label("place")
    ranking = select(_kept.id, place)
    if since is not None:
        ranking = ranking.where(_kept.published_at >= since)
    ranked = ranking.subquery()
    finding = (
        _ARTICLES.join(ranked, ranked.c.id == _kept.id)
        .where(ranked.c.place <= per_source)
        .order_by(*newest_first)
    )
    found = _articles(connection, finding)
    # Sorted here: databases differ in how they collate. The sort keeps the order within a source.
    return sorted(found, key=lambda article: article.source_name)


def _articles(connection: Connection, finding: Select[Any]) -> list[Article]:
    rows = connection.execute(finding).all()
    # Few were ever revised: they are looked up by themselves, so that the others cost nothing.
    revised = [row.id for row in rows if row.updated_at is not None]
    changes: dict[int, Changes] = {}
    for chunk in chunks(revised):
        changes.update((row.article_id, row.changes) for row in connection.execute(_CHANGES, {"ids": chunk}))
    return [Article(**row._mapping, changes=changes.get(row.id)) for row in rows]
