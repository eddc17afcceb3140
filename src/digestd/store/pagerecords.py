"""The statements that write what came of attempts at extraction. Each runs in its caller's transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, Executable, Row, bindparam, case, func, select, text, update

from digestd.errors import StoreUnavailable
from digestd.model import Page
from digestd.store import PageLost, PageRecord, PageRecorded, Refused
from digestd.store.pageclaims import FROM_FEED, recorded, same_text
from digestd.store.savepoint import savepoint
from digestd.store.schema import articles
from digestd.store.text import storable

_kept = articles.c
_HELD = (
    select(_kept.id, _kept.source_id, *(_kept[name] for name in FROM_FEED))
    .where(
        _kept.id == bindparam("article_id"),
        _kept.extraction == "pending",
        _kept.extraction_attempts == bindparam("attempt"),
    )
    .with_for_update()
)
_ALIKE = (_kept.source_id == bindparam("its_source"), _kept.text_hash == bindparam("its_hash"))
_COUNT_ALIKE = select(
    func.count(func.coalesce(_kept.canonical_url, _kept.url).distinct()).label("pages"),
    # Those that wait to be fetched once more have not failed yet.
    func.count(case((_kept.extraction != "pending", 1))).label("articles"),
).where(*_ALIKE)
_LOCK_TEXTS = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


def record(
    connection: Connection, records: Sequence[PageRecord], now: datetime
) -> list[PageRecorded | PageLost | Refused]:
    """See `Store.record_pages`. Errors that mean an outage escape, and end the whole transaction."""
    _lock_texts(connection, records)
    answers: dict[int, PageRecorded | PageLost | Refused] = {}
    # In the order of their ids, as every transaction that locks several rows takes them.
    for index in sorted(range(len(records)), key=lambda index: records[index].article_id):
        answers[index] = _record_one(connection, records[index], now)
    return [answers[index] for index in range(len(records))]


def _lock_texts(connection: Connection, records: Sequence[PageRecord]) -> None:
    """Let nobody else record the same texts until this transaction ends: each would count without the other's.

    Taken before any row and in one order, so that no two wait in a circle. SQLite has one writer anyway.
    """
    texts = {record.page.text_hash for record in records if record.page is not None}
    if texts and connection.dialect.name == "postgresql":
        connection.execute(_LOCK_TEXTS, {"keys": sorted(map(_key, texts))})


def _key(text_hash: str) -> int:
    digest = hashlib.sha256(text_hash.encode(errors="replace")).digest()
    return int.from_bytes(digest[:8], signed=True)


def _record_one(
    connection: Connection, record: PageRecord, now: datetime
) -> PageRecorded | PageLost | Refused:
    try:
        with savepoint(connection):
            return _record_held(connection, record, now)
    except StoreUnavailable:
        raise
    except Exception as error:  # noqa: BLE001
        # The border between articles: a row that cannot be written is for its own task to report.
        return Refused(error)


def _record_held(connection: Connection, record: PageRecord, now: datetime) -> PageRecorded | PageLost:
    held = {"article_id": record.article_id, "attempt": record.attempt}
    row = connection.execute(_HELD, held).one_or_none()
    if row is None:
        return PageLost()
    _write(connection, row.id, recorded(record, row._asdict(), now))
    return PageRecorded(0 if record.page is None else _fail_alike(connection, row, record.page))


def _fail_alike(connection: Connection, row: Row[Any], page: Page) -> int:
    """Fail the articles whose pages say what `page` says, the one that stood as `row` among them, if they are too
    many; returns how many have failed so."""
    alike = {"its_source": row.source_id, "its_hash": storable(page.text_hash)}
    counted = connection.execute(_COUNT_ALIKE, alike).one()
    changes = same_text(counted.pages)
    if changes is None:
        return 0
    connection.execute(update(articles).where(*_ALIKE, _kept.extraction == "done").values(changes), alike)
    _write(connection, row.id, {name: getattr(row, name) for name in FROM_FEED})
    return int(counted.articles)


def _write(connection: Connection, article_id: int, changes: Mapping[str, Any]) -> None:
    values = {f"new_{name}": value for name, value in changes.items()}
    connection.execute(_writing(frozenset(changes)), {"row_id": article_id, **values})


@cache
def _writing(columns: frozenset[str]) -> Executable:
    """The statement that sets `columns`; built once for each of the few sets there are."""
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in sorted(columns)}
    return update(articles).where(_kept.id == bindparam("row_id")).values(values)
