"""What was deleted and may still be served: recognised like an article, and never made one again. Each runs in its
caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    bindparam,
    delete,
    insert,
    literal,
    select,
    union_all,
    update,
)

from digestd.feed.identity import Assignment, StoredArticle
from digestd.model import Entry
from digestd.store import versions
from digestd.store.chunks import chunks
from digestd.store.direct import AnyConnection
from digestd.store.schema import IN_DOCUMENT, articles, tombstones

_kept, _buried = articles.c, tombstones.c
_RECOGNISED_BY = ("id", "entry_key", "identity", "url", "title", "content_hash")
_COPIED = (*_RECOGNISED_BY, "source_id", "last_seen_at", "left_at")

# Built once: building a statement costs as much as running it.
_SOURCE: BindParameter[int] = bindparam("its_source")
_IDENTITIES: BindParameter[str] = bindparam("identities", expanding=True)
_BURIED = select(*(_buried[name] for name in _RECOGNISED_BY), literal(0), literal(1), _buried.left_at).where(
    _buried.source_id == _SOURCE
)
# One question for both, so that tombstones cost a poll no more than a look at an index. By union, since one condition
# with OR may be answered by reading all tombstones of the source.
_KNOWN = union_all(
    select(*(_kept[name] for name in _RECOGNISED_BY), _kept.updates, literal(0), _kept.left_at).where(
        _kept.source_id == _SOURCE, _kept.identity.in_(_IDENTITIES)
    ),
    _BURIED.where(_buried.identity.in_(_IDENTITIES)),
    _BURIED.where(_buried.left_at.is_(None)),
)
_LEAVE = (
    update(articles)
    .where(_kept.source_id == _SOURCE, IN_DOCUMENT, _kept.last_seen_at != bindparam("moment"))
    .values(left_at=bindparam("moment"))
)
_IDS: BindParameter[int] = bindparam("ids", expanding=True)
_SEEN_AGAIN = (
    update(tombstones)
    .where(_buried.id == bindparam("row_id"))
    .values(
        url=bindparam("new_url"),
        title=bindparam("new_title"),
        content_hash=bindparam("new_content_hash"),
        last_seen_at=bindparam("moment"),
        left_at=None,
    )
)
_GONE = update(tombstones).where(_buried.id.in_(_IDS)).values(left_at=bindparam("moment"))
_DELETE = delete(articles).where(_kept.id.in_(_IDS))


@dataclass(slots=True)
class Known:
    """What the store holds that some entries may be: articles, and tombstones among them. `buried` are the ids of the
    tombstones, `served` those of them that are in the document as far as it was known."""

    stored: dict[int, StoredArticle] = field(default_factory=dict)
    buried: set[int] = field(default_factory=set)
    served: set[int] = field(default_factory=set)


def known(connection: AnyConnection, source_id: int, entries: Sequence[Entry]) -> Known:
    """What the source has that some of `entries` may be."""
    found = Known()
    for chunk in chunks(sorted({entry.identity for entry in entries})):
        for *columns, is_buried, left_at in connection.execute(
            _KNOWN, {"its_source": source_id, "identities": chunk}
        ):
            one = StoredArticle(*columns)
            found.stored[one.id] = one
            if is_buried:
                found.buried.add(one.id)
            if is_buried and left_at is None:
                found.served.add(one.id)
    return found


def mark_seen(connection: AnyConnection, deleted: Sequence[Assignment], now: datetime) -> None:
    """Note that the entries of `deleted`, each with its tombstone as `article_id`, were served `now`. Their edits are
    followed, since the next one may be recognised by the last."""
    if deleted:
        connection.execute(_SEEN_AGAIN, [_as_served(one, now) for one in deleted])


def mark_left(
    connection: AnyConnection, source_id: int, found: Known, deleted: Sequence[Assignment], now: datetime
) -> None:
    """Note that whatever of the source was in its document and was not seen `now` has left it."""
    connection.execute(_LEAVE, {"its_source": source_id, "moment": now})
    gone = found.served - {one.article_id for one in deleted}
    for chunk in chunks(sorted(gone)):
        connection.execute(_GONE, {"ids": chunk, "moment": now})


def bury(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    """Make tombstones of the articles `ids`, at most 5,000, which the caller has locked; their sources too, so that no
    step in hand takes them for new."""
    if not ids:
        return
    copied = [_kept[name] for name in _COPIED]
    rows = select(*copied, literal(now, _buried.deleted_at.type)).where(_kept.id.in_(_IDS))
    connection.execute(insert(tombstones).from_select([*_COPIED, "deleted_at"], rows), {"ids": ids})
    versions.forget(connection, ids)
    connection.execute(_DELETE, {"ids": ids})


def _as_served(one: Assignment, now: datetime) -> dict[str, Any]:
    entry = one.entry
    texts = {"new_url": entry.link, "new_title": entry.title, "new_content_hash": entry.content_hash}
    return {"row_id": one.article_id, "moment": now, **texts}
