"""PURE: what an entry becomes as a row of `articles`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from digestd.feed.identity import Assignment
from digestd.feed.revision import LONGEST_TEXT, changed_facts, cut, sound_facts
from digestd.model import Entry
from digestd.store.text import storable

# A publication date further ahead than the world's time zones explain is a mistake.
_LONGEST_FUTURE = timedelta(days=1)

LOOKED_AT = LONGEST_TEXT + 1
"""So much of an earlier text is read: as much as is kept, and whether there is more."""

_COMPLETE = "the feed carries the whole article"
_NO_PAGE = "the entry has no link"


def storable_entry(entry: Entry) -> Entry:
    """Give `entry` with texts that every database can keep, so that it compares equal to what was kept of
    it."""
    return replace(
        entry,
        guid=storable(entry.guid),
        link=storable(entry.link),
        title=storable(entry.title),
        author=storable(entry.author),
        language=storable(entry.language),
        summary=storable(entry.summary),
        content=storable(entry.content),
        published_raw=storable(entry.published_raw),
        facts=sound_facts(entry.facts),
    )


def new_article(
    source_id: int, entry_key: str, entry: Entry, now: datetime, *, skip_page: str | None = None
) -> Mapping[str, Any]:
    """Every column but the id of the article that `entry`, first seen `now`, becomes.

    An entry without a usable date is published when we first saw it; `published_from` says so. Its page waits to be
    fetched unless there is none, the feed has it all, or `skip_page` says why not.
    """
    published_at = publication(entry, now)
    skipped = skip_page or (_COMPLETE if entry.complete else None if entry.link else _NO_PAGE)
    return {
        "source_id": source_id,
        "entry_key": entry_key,
        "identity": entry.identity,
        "guid": entry.guid,
        "url": entry.link,
        "canonical_url": None,
        "title": entry.title,
        "author": entry.author,
        "language": entry.language,
        "summary": entry.summary,
        "content": entry.content,
        "text": None,
        "published_at": published_at or now,
        "published_raw": entry.published_raw,
        "published_from": "entry" if published_at else "first_seen",
        "fetched_at": now,
        "updated_at": None,
        "last_seen_at": now,
        "content_hash": entry.content_hash,
        "extraction": "skipped" if skipped else "pending",
        "extraction_attempts": 0,
        "extraction_failures": 0,
        "extraction_unfinished": 0,
        "extraction_owner": None,
        "next_extraction_at": None,
        "extraction_error": skipped,
        "text_hash": None,
        "left_at": None,
        "updates": 0,
        "facts": entry.facts,
    }


def changed_article(entry: Entry, now: datetime, *, updates: int) -> Mapping[str, Any]:
    """The columns that change when a kept entry comes with other content, after so many `updates`; its date only if it
    has a usable one."""
    changes = {
        "title": entry.title,
        "author": entry.author,
        "url": entry.link,
        "summary": entry.summary,
        "content": entry.content,
        "content_hash": entry.content_hash,
        "updated_at": now,
        "updates": updates + 1,
        "facts": entry.facts,
    }
    if (published_at := publication(entry, now)) is None:
        return changes
    dates = {"published_at": published_at, "published_raw": entry.published_raw, "published_from": "entry"}
    return changes | dates


def follows(one: Assignment, row: Mapping[str, Any]) -> bool:
    """Whether the article whose columns are `row` follows the entry of `one`: also one that was updated too often,
    where the facts say something else or were not known."""
    if one.changed or not one.held_back:
        return one.changed
    return row["facts"] is None or bool(changed_facts(row["facts"], one.entry.facts))


def version_before(row: Mapping[str, Any], entry: Entry, now: datetime, *, updates: int) -> Mapping[str, Any]:
    """Every column but the id of the version that an article, whose columns are `row`, leaves behind when it follows
    `entry` after so many `updates`. Of summary and content `row` needs no more than :data:`LOOKED_AT` characters, and
    how many there are (`summary_characters`, `content_characters`)."""
    return {
        "source_id": row["source_id"],
        "article_id": row["id"],
        "number": updates + 1,
        "title": row["title"],
        "url": row["url"],
        "author": row["author"],
        "summary": cut(row["summary"]),
        "content": cut(row["content"]),
        "facts": row["facts"],
        "said_at": row["updated_at"] or row["fetched_at"],
        "replaced_at": now,
        "changes": _changes(row, entry),
    }


def _changes(row: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    changes = changed_facts(row["facts"], entry.facts)
    after = {"title": entry.title, "url": entry.link, "author": entry.author}
    for name, value in after.items():
        # An author that the entry does not name may have been found on the page.
        if row[name] != value and not (name == "author" and value is None):
            changes[name] = [row[name], value]
    for name, text in (("summary", entry.summary), ("content", entry.content)):
        characters = [row[f"{name}_characters"], None if text is None else len(text)]
        if characters[0] != characters[1] or row[name] != (text and text[:LOOKED_AT]):
            changes[name] = characters
    return changes


def publication(entry: Entry, now: datetime) -> datetime | None:
    """When `entry` says it was published, in UTC; None without a date, or with one that UTC has no year for
    or that lies more than a day after `now`."""
    if entry.published_at is None:
        return None
    try:
        published_at = entry.published_at.astimezone(UTC)
    except OverflowError:
        return None
    return None if published_at > now + _LONGEST_FUTURE else published_at
