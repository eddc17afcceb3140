"""What every store promises of documents in which nothing is known, of the order of ids, and of articles that change
for ever."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from digestd.feed.identity import UPDATES_LIMIT
from digestd.model import Entry, LeftOut, PollState
from digestd.store import Claim, Fetched, LeaseLost, Recorded, StepRecord
from store.builders import entry, one, source_ids, spec, step, taken
from store.conftest import Bench

HEAD = PollState('"new"', cursor={"feed": [1]})
PAGE = PollState('"old"', cursor={"feed": [1], "older": {"pages": 3}})


@pytest.fixture
async def source_id(bench: Bench) -> int:
    return one(await source_ids(bench.store, spec()))


def either(claim: Claim, *entries: Entry, final: bool = False, **changes: Any) -> StepRecord:
    """A step that goes on to a page where nothing of `entries` is known."""
    fetched = Fetched("fetched", None, 0.1, 10)
    made = step(claim, *entries, next_state=HEAD, fetched=fetched, **changes)
    other = replace(made, next_state=PAGE, final=final, schedule_reason="paging", next_delay_seconds=150)
    return replace(made, if_all_new=other)


async def serve(
    bench: Bench, source_id: int, *entries: Entry, final: bool = True, **changes: Any
) -> Recorded:
    claim = await taken(bench.store, source_id, force=True)
    answer = one(await bench.store.record([either(claim, *entries, final=final, **changes)]))
    assert isinstance(answer, Recorded)
    return answer


def written(bench: Bench, source_id: int) -> tuple[object, ...]:
    row = bench.row(source_id)
    return row["etag"], row["cursor"], row["lease_token"] is None, row["schedule_reason"]


class TestAllNew:
    async def test_where_nothing_is_known_the_other_is_written_and_the_lease_kept(
        self, bench: Bench, source_id: int
    ) -> None:
        recorded = await serve(bench, source_id, entry("1"), entry("2"), final=False)
        assert recorded == Recorded(2, 0, all_new=True)
        assert written(bench, source_id) == ('"old"', PAGE.cursor, False, None)
        row = bench.row(source_id)
        assert row["last_new_at"] == row["last_fetched_at"]
        (fetch,) = await bench.store.fetches("a", 5)
        assert (fetch.articles_new, fetch.schedule_reason) == (2, "paging")

    async def test_a_known_entry_ends_it_in_the_same_transaction(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, entry("1"))
        assert written(bench, source_id) == ('"old"', PAGE.cursor, True, "paging")
        assert await serve(bench, source_id, entry("2"), entry("1")) == Recorded(1, 0)
        assert written(bench, source_id) == ('"new"', HEAD.cursor, True, "interval")

    async def test_an_edited_entry_and_a_deleted_one_are_known(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, entry("1"), entry("2"))
        edited = entry("1", "Another title", link="https://elsewhere.example/")
        assert await serve(bench, source_id, entry("3"), edited) == Recorded(1, 1)
        (buried,) = [row["id"] for row in bench.articles() if row["guid"] == "2"]
        await bench.store.delete_articles([buried])
        assert await serve(bench, source_id, entry("4"), entry("2")) == Recorded(1, 0)

    async def test_entries_that_cannot_be_read_are_no_articles(self, bench: Bench, source_id: int) -> None:
        left_out = (LeftOut("k" * 64, "1", "One", "it trips the parser", "{}"),)
        recorded = await serve(bench, source_id, left_out=left_out, final=False)
        assert (recorded.articles_new, recorded.all_new) == (0, False)
        assert written(bench, source_id)[0] == '"new"'

    async def test_what_is_written_a_second_time_is_written_alike(self, bench: Bench, source_id: int) -> None:
        record = either(await taken(bench.store, source_id), entry("1"))
        await bench.store.record([record])
        assert await bench.store.record([record]) == [Recorded(0, 0, all_new=True)]
        assert written(bench, source_id) == ('"old"', PAGE.cursor, False, None)

    async def test_a_lost_lease_writes_neither(self, bench: Bench, source_id: int) -> None:
        claim = await taken(bench.store, source_id)
        bench.age(61)
        before = bench.row(source_id)
        assert await bench.store.record([either(claim, entry("1"))]) == [LeaseLost()]
        assert (bench.row(source_id), bench.articles()) == (before, [])


class TestOrder:
    async def test_ids_descend_along_the_document(self, bench: Bench, source_id: int) -> None:
        await bench.store.record(
            [step(await taken(bench.store, source_id), *(entry(f"{number}") for number in range(300)))]
        )
        assert [row["guid"] for row in bench.articles()] == [f"{number}" for number in range(299, -1, -1)]

    async def test_what_comes_on_top_has_higher_ids_than_all_before(
        self, bench: Bench, source_id: int
    ) -> None:
        await serve(bench, source_id, entry("2"), entry("1"))
        await serve(bench, source_id, entry("4"), entry("3"), entry("2"))
        assert [row["guid"] for row in bench.articles()] == ["1", "2", "3", "4"]


class TestUpdates:
    async def test_an_article_follows_a_clock_in_its_entry_so_often_and_no_more(
        self, bench: Bench, source_id: int
    ) -> None:
        await serve(bench, source_id, entry("1"))
        updated = [
            (await serve(bench, source_id, entry("1", content=f"at {hour}"))).articles_updated
            for hour in range(UPDATES_LIMIT + 3)
        ]
        assert updated == [1] * UPDATES_LIMIT + [0] * 3
        row = one(bench.articles())
        assert (row["content"], row["updates"]) == (f"at {UPDATES_LIMIT - 1}", UPDATES_LIMIT)
        assert row["last_seen_at"] > row["updated_at"]

    async def test_another_title_or_link_is_followed_for_ever(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, entry("1"))
        bench.change(one(bench.articles())["id"], updates=UPDATES_LIMIT)
        assert (await serve(bench, source_id, entry("1", "Exploited now", content="x"))).articles_updated == 1
        assert (await serve(bench, source_id, entry("1", "Exploited now", content="y"))).articles_updated == 0
        moved = entry("1", "Exploited now", link="https://new.example/", content="y")
        assert (await serve(bench, source_id, moved)).articles_updated == 1
        row = one(bench.articles())
        assert (row["url"], row["content"], row["updates"]) == (moved.link, "y", UPDATES_LIMIT + 2)
