"""Days, polls that bring whole documents, and passes of retention, on any store."""

from __future__ import annotations

from typing import Any

import trio

from digestd.model import Entry
from digestd.store import Claim, ClaimRequest, Purged, Recorded, RetentionLimits, StepRecord, Store, Wait
from store.builders import one, step
from store.conftest import Bench


def let_days_pass(bench: Bench, days: float) -> None:
    """Let so many days pass."""
    bench.age(days * 86_400)


async def serve(bench: Bench, source_id: int, *entries: Entry, **changes: Any) -> Recorded:
    """Let the source be polled, and serve these entries as its whole document unless `changes` say otherwise."""
    claim = await _claimed(bench.store, source_id)
    record: StepRecord = step(claim, *entries, **{"whole": True} | changes)
    answer = one(await bench.store.record([record]))
    assert isinstance(answer, Recorded)
    return answer


async def _claimed(store: Store, source_id: int) -> Claim:
    """The source, as soon as no other transaction holds it."""
    with trio.fail_after(10):
        while not isinstance(
            answer := one(await store.claim([ClaimRequest(source_id, 60, force=True)])), Claim
        ):
            assert isinstance(answer, Wait)
            await trio.sleep(0.01)
    return answer


async def purge_all(store: Store, limits: RetentionLimits) -> Purged:
    """One whole pass of retention; `after` tells how many pieces it took."""
    articles_gone = tombstones_gone = pieces = 0
    after: int | None = 0
    while after is not None:
        purged = await store.purge(limits, after)
        after = purged.after
        articles_gone += purged.articles
        tombstones_gone += purged.tombstones
        pieces += 1
        assert pieces < 10_000
    return Purged(articles_gone, tombstones_gone, pieces)


def row_of(bench: Bench, guid: str) -> dict[str, Any]:
    """Every column of the article with this guid."""
    return one([row for row in bench.articles() if row["guid"] == guid])


async def delete(bench: Bench, guid: str) -> None:
    """Delete the article with this guid, as a person would."""
    assert len(await bench.store.delete_articles([row_of(bench, guid)["id"]])) == 1


def guids(bench: Bench) -> list[str]:
    """The guids of the articles, in their order."""
    return sorted(str(row["guid"]) for row in bench.articles())
