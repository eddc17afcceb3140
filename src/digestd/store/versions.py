"""What articles said before their updates, and what each update changed. Each runs in its caller's transaction, which
is that of the update."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, Connection, Executable, bindparam, delete, func, select

from digestd.feed.revision import TEXT_VERSIONS_LIMIT, is_text_only, superfluous
from digestd.model import ArticleVersion
from digestd.store.direct import AnyConnection
from digestd.store.entries import LOOKED_AT
from digestd.store.schema import article_versions, articles
from digestd.store.upserts import insert_into

_kept, _earlier = articles.c, article_versions.c
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
# In the order of their ids, as every transaction that locks several rows takes them.
_STANDING = (
    select(
        _kept.id,
        _kept.source_id,
        _kept.title,
        _kept.url,
        _kept.author,
        _kept.facts,
        _kept.fetched_at,
        _kept.updated_at,
        *(func.substr(_kept[name], 1, LOOKED_AT).label(name) for name in ("summary", "content")),
        *(func.length(_kept[name]).label(f"{name}_characters") for name in ("summary", "content")),
    )
    .where(_kept.id.in_(_IDS))
    .order_by(_kept.id)
    .with_for_update(key_share=True)
)
_NUMBERED = select(_earlier.id, _earlier.article_id, _earlier.number, _earlier.changes).where(
    _earlier.article_id.in_(_IDS)
)
_DELETE = delete(article_versions).where(_earlier.id.in_(_IDS))
_SHOWN = tuple(_earlier[field.name] for field in fields(ArticleVersion))


def standing(connection: AnyConnection, ids: Sequence[int]) -> dict[int, Mapping[str, Any]]:
    """What the articles `ids` say just now, by their ids, as far as an update may change it; they are locked."""
    return {row.id: row._asdict() for row in connection.execute(_STANDING, {"ids": ids})}


@cache
def keeping(dialect: str) -> Executable:
    """The statement that keeps one version in the database called `dialect`. A number that is there already is another
    one's: it stays."""
    return insert_into(article_versions, dialect).on_conflict_do_nothing()


def let_go(connection: AnyConnection, numbers: Mapping[int, int]) -> None:
    """Delete what is more than is kept of the articles `numbers`, each of which has its latest version's number."""
    # The first ones cannot be too many.
    ids = [article_id for article_id, number in numbers.items() if number > TEXT_VERSIONS_LIMIT]
    if not ids:
        return
    found: defaultdict[int, dict[int, tuple[int, bool]]] = defaultdict(dict)
    for row in connection.execute(_NUMBERED, {"ids": ids}):
        found[row.article_id][row.number] = (row.id, is_text_only(row.changes))
    gone = [
        kept[number][0]
        for kept in found.values()
        for number in superfluous([(number, text_only) for number, (_, text_only) in kept.items()])
    ]
    if gone:
        connection.execute(_DELETE, {"ids": gone})


def forget(connection: Connection, article_ids: Collection[int]) -> None:
    """Delete all versions of the articles `article_ids`, which are deleted themselves."""
    connection.execute(delete(article_versions).where(_earlier.article_id.in_(_IDS)), {"ids": article_ids})


def listed(connection: Connection, article_id: int) -> list[ArticleVersion]:
    """See `Store.article_versions`."""
    query = select(*_SHOWN).where(_earlier.article_id == article_id).order_by(_earlier.number)
    return [ArticleVersion(**row._mapping) for row in connection.execute(query)]
