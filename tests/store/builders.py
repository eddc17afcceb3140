"""Sources, entries and steps as the tests of the stores make them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from unittest.mock import ANY

from digestd.feed.identity import content_hash_of, identity_of
from digestd.model import Entry, Page, PollState, SourceSpec
from digestd.store import Claim, ClaimRequest, PageClaim, PageClaims, PageRecord, StepRecord, Store

YESTERDAY = datetime.now(UTC).replace(microsecond=123456) - timedelta(days=1)
_T = TypeVar("_T")


def spec(name: str = "a", **changes: Any) -> SourceSpec:
    return replace(SourceSpec(name, "feed", f"https://{name}.example/feed"), **changes)


def entry(guid: str, title: str = "A title", **changes: Any) -> Entry:
    link = changes.pop("link", f"https://example.org/{len(guid)}/{guid[:50]}")
    made = Entry(
        identity=identity_of(guid, link, title, None, None),
        content_hash=content_hash_of(title, None, link, None, changes.get("content")),
        guid=guid,
        link=link,
        title=title,
        published_at=YESTERDAY,
        published_raw="yesterday",
    )
    return replace(made, **changes)


def step(claim: Claim, *entries: Entry, **changes: Any) -> StepRecord:
    made = StepRecord(
        source_id=claim.source.id,
        token=claim.token,
        next_state=PollState(),
        succeeded=True,
        consecutive_failures=0,
        state="active",
        schedule_reason="interval",
        next_delay_seconds=300,
        lease_seconds=60,
        entries=entries,
    )
    return replace(made, **changes)


def one(answers: Sequence[_T]) -> _T:
    (answer,) = answers
    return answer


async def source_ids(store: Store, *specs: SourceSpec) -> list[int]:
    await store.sync_sources(specs)
    return [status.source.id for status in await store.sources()]


async def taken(store: Store, source_id: int, **options: Any) -> Claim:
    answer = one(await store.claim([ClaimRequest(source_id, 60, **options)]))
    assert isinstance(answer, Claim)
    return answer


async def polled(store: Store, **entries_by_name: Sequence[Entry]) -> dict[str, int]:
    """Let sources of these names have these entries; returns the ids of the sources."""
    await store.sync_sources([spec(name) for name in entries_by_name])
    ids = {status.source.name: status.source.id for status in await store.sources()}
    for name, entries in entries_by_name.items():
        await store.record([step(await taken(store, ids[name]), *entries)])
    return ids


def aged(hours: float, guid: str = "", **changes: Any) -> Entry:
    """An entry that was published so many hours before yesterday, with a link and a title that say it."""
    name = guid or f"{hours} h"
    link = changes.pop("link", f"https://example.org/{name}")
    return entry(name, name, published_at=YESTERDAY - timedelta(hours=hours), link=link, **changes)


def done(claim: PageClaim, text: str = "", **changes: Any) -> PageRecord:
    """The record of a page that was read: `text` is its own unless it is given; `changes` are the page's."""
    text = text or f"the text of {claim.title}"
    made = Page(text, hashlib.sha256(text.encode(errors="replace")).hexdigest(), canonical_url=claim.url)
    return PageRecord(claim.article_id, claim.attempt, "done", claim.failures, page=replace(made, **changes))


async def claimed(store: Store, limit: int = 1) -> list[PageClaim]:
    """Claims of pages, exactly so many."""
    claims = await store.claim_pages(limit, 60)
    assert len(claims.claims) == limit
    return list(claims.claims)


def titles(claims: PageClaims) -> list[str]:
    return [claim.title for claim in claims.claims]


def about(seconds: float | None) -> int | None:
    return None if seconds is None else int(round(seconds, -1))


def extraction_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What an article says of its extraction, but for when it is due."""
    names = ("attempts", "failures", "unfinished", "owner", "error")
    return {"extraction": row["extraction"]} | {name: row[f"extraction_{name}"] for name in names}


def without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


NEVER_POLLED: dict[str, Any] = {
    "name": "a",
    "kind": "feed",
    "url": "https://a.example/feed",
    "effective_url": None,
    "options": {"depth": [1, 2]},
    "enabled": True,
    "enabled_override": None,
    "category": "vendor",
    "language": "en",
    "interval_seconds": 60.5,
    "jitter_seconds": 0.1,
    "origin": "file",
    "state": "active",
    "etag": None,
    "last_modified": None,
    "cursor": None,
    "body_hash": None,
    "last_fetched_at": None,
    "last_success_at": None,
    "last_new_at": None,
    "next_fetch_at": None,
    "schedule_reason": None,
    "consecutive_failures": 0,
    "unfinished_claims": 0,
    "unchanged_polls": 0,
    "last_whole_at": None,
    "last_error": None,
    "lease_owner": None,
    "lease_token": None,
    "lease_expires_at": None,
    "changed_at": ANY,
}

FULL_SPEC = spec(
    category="vendor", language="en", interval_seconds=60.5, jitter_seconds=0.1, options={"depth": (1, 2)}
)
