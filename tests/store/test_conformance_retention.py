"""What every store promises of retention: what is in a document stays, and what was deleted does not come back."""

from __future__ import annotations

from typing import Any

import pytest

from digestd.model import LeftOut
from digestd.store import LeaseLost, Recorded, RetentionLimits
from store.builders import YESTERDAY, aged, entry, one, source_ids, spec, step, taken
from store.conftest import Bench
from store.documents import delete, guids, let_days_pass, purge_all, row_of, serve

MONTH = RetentionLimits(days=30)
ONE = RetentionLimits(max_per_source=1)
A, B, C = entry("a"), entry("b"), entry("c")


async def gone(bench: Bench, limits: RetentionLimits) -> tuple[int, int]:
    purged = await purge_all(bench.store, limits)
    return purged.articles, purged.tombstones


@pytest.fixture
async def source_id(bench: Bench) -> int:
    return one(await source_ids(bench.store, spec()))


class TestAge:
    async def test_what_left_is_deleted_after_its_days_and_not_before(
        self, bench: Bench, source_id: int
    ) -> None:
        await serve(bench, source_id, A, B)
        let_days_pass(bench, 100)
        await serve(bench, source_id, B)
        # It was in the document for a hundred days: its thirty begin now.
        let_days_pass(bench, 29)
        assert await gone(bench, MONTH) == (0, 0)
        let_days_pass(bench, 2)
        assert await gone(bench, MONTH) == (1, 0)
        assert guids(bench) == ["b"]

    async def test_what_is_in_the_document_stays_however_old_it_is(
        self, bench: Bench, source_id: int
    ) -> None:
        await serve(bench, source_id, A, B)
        let_days_pass(bench, 1000)
        assert await gone(bench, RetentionLimits(days=1, max_per_source=1)) == (0, 0)

    async def test_what_returned_is_in_the_document_again(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A, B)
        await serve(bench, source_id, B)
        let_days_pass(bench, 20)
        await serve(bench, source_id, A, B)
        let_days_pass(bench, 20)
        assert await gone(bench, MONTH) == (0, 0)
        assert [row["left_at"] for row in bench.articles()] == [None, None]

    async def test_without_limits_nothing_goes(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A, B)
        await serve(bench, source_id, B)
        let_days_pass(bench, 10_000)
        assert await gone(bench, RetentionLimits()) == (0, 0)

    @pytest.mark.parametrize(
        "changes",
        [
            {"whole": False},
            {"left_out": (LeftOut("f" * 64, None, "A title", "a reason", "{}"),)},
            {"entries": ()},
        ],
        ids=["a part", "an entry that cannot be read", "an empty document"],
    )
    async def test_what_proves_nothing_lets_nothing_go(
        self, bench: Bench, source_id: int, changes: dict[str, Any]
    ) -> None:
        await serve(bench, source_id, A, B)
        let_days_pass(bench, 100)
        await serve(bench, source_id, B, **changes)
        let_days_pass(bench, 100)
        assert await gone(bench, MONTH) == (0, 0)
        # What had left before goes all the same.
        await serve(bench, source_id, B)
        await serve(bench, source_id, B, **changes)
        let_days_pass(bench, 31)
        assert await gone(bench, MONTH) == (1, 0)
        assert guids(bench) == ["b"]

    async def test_a_source_that_never_served_a_whole_document_keeps_everything(
        self, bench: Bench, source_id: int
    ) -> None:
        await serve(bench, source_id, A, B, whole=False)
        # As after an upgrade: it is taken to have left, for what that is worth.
        bench.change(row_of(bench, "a")["id"], left_at=YESTERDAY)
        let_days_pass(bench, 1000)
        assert await gone(bench, MONTH) == (0, 0)

    async def test_each_source_by_itself(self, bench: Bench) -> None:
        first, second = await source_ids(bench.store, spec("a"), spec("b"))
        for source_id in (first, second):
            await serve(bench, source_id, A, B)
        await serve(bench, first, B)
        let_days_pass(bench, 31)
        assert await gone(bench, MONTH) == (1, 0)
        kept = [(row["source_id"], row["guid"]) for row in bench.articles()]
        assert sorted(kept) == [(first, "b"), (second, "a"), (second, "b")]

    async def test_more_than_one_piece(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, *(entry(f"{number}") for number in range(1200)))
        await serve(bench, source_id, A)
        let_days_pass(bench, 31)
        first = await bench.store.purge(MONTH)
        assert (first.articles, first.after) == (500, source_id - 1)
        assert await gone(bench, MONTH) == (700, 0)
        assert guids(bench) == ["a"]
        assert len(bench.tombstones()) == 1200


class TestNumber:
    async def test_the_newest_stay(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, *(aged(hours) for hours in (4, 1, 3, 2, 5)))
        await serve(bench, source_id, aged(6))
        let_days_pass(bench, 2)
        assert await gone(bench, RetentionLimits(max_per_source=3)) == (2, 0)
        # Of six the three newest, and the one in the document.
        assert guids(bench) == ["1 h", "2 h", "3 h", "6 h"]

    async def test_of_one_date_the_later_ones_stay(self, bench: Bench, source_id: int) -> None:
        for guids_served in ("a", "ab", "abc", "abcd"):
            await serve(bench, source_id, *(aged(1, guid) for guid in guids_served))
        await serve(bench, source_id, aged(0, "new"))
        let_days_pass(bench, 2)
        assert await gone(bench, RetentionLimits(max_per_source=3)) == (2, 0)
        assert guids(bench) == ["c", "d", "new"]

    async def test_what_left_a_moment_ago_may_be_back_in_the_next(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A, B)
        await serve(bench, source_id, C)
        assert await gone(bench, ONE) == (0, 0)
        let_days_pass(bench, 1.1)
        assert await gone(bench, ONE) == (2, 0)

    async def test_both_limits_at_once(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, aged(1), aged(2), aged(3))
        await serve(bench, source_id, aged(2), aged(3), aged(0))
        let_days_pass(bench, 20)
        await serve(bench, source_id, aged(0))
        let_days_pass(bench, 15)
        assert await gone(bench, RetentionLimits(days=30, max_per_source=2)) == (2, 0)
        # The one of one hour was too old, the one of three was too much.
        assert guids(bench) == ["0 h", "2 h"]


class TestTombstones:
    async def test_what_is_deleted_leaves_what_recognises_it(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A, B)
        row = row_of(bench, "a")
        deleted = await bench.store.delete_articles([row["id"], row["id"], 4711])
        assert [(article.id, article.title, article.source_name) for article in deleted] == [
            (row["id"], "A title", "a")
        ]
        assert guids(bench) == ["b"]
        tombstone = one(bench.tombstones())
        copied = ("id", "source_id", "entry_key", "identity", "url", "title", "content_hash", "last_seen_at")
        expected = {name: row[name] for name in copied}
        assert tombstone == expected | {"left_at": None, "deleted_at": tombstone["deleted_at"]}
        assert tombstone["deleted_at"] >= row["last_seen_at"]

    async def test_nothing_to_delete(self, bench: Bench, source_id: int) -> None:
        assert await bench.store.delete_articles([1, 2]) == []
        assert await bench.store.delete_articles([]) == []

    async def test_a_deleted_entry_does_not_come_back_while_it_is_served(
        self, bench: Bench, source_id: int
    ) -> None:
        await serve(bench, source_id, A, B)
        await delete(bench, "a")
        for _ in range(5):
            let_days_pass(bench, 60)
            assert await serve(bench, source_id, A, B) == Recorded(0, 0)
            assert await gone(bench, RetentionLimits()) == (0, 0)
        # Nor if the document does not change for ever so long.
        let_days_pass(bench, 1000)
        assert await gone(bench, MONTH) == (0, 0)
        assert await serve(bench, source_id, A, B, C) == Recorded(1, 0)
        assert guids(bench) == ["b", "c"]

    async def test_edits_do_not_bring_it_back(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A)
        await delete(bench, "a")
        other_title = entry("a", "Another title")
        other_link = entry("a", "Another title", link="https://elsewhere.example/a")
        for edited in (other_title, other_link):
            assert await serve(bench, source_id, edited, B) in (Recorded(1, 0), Recorded(0, 0))
        assert one(bench.tombstones())["url"] == "https://elsewhere.example/a"
        assert guids(bench) == ["b"]

    async def test_nor_does_a_sibling_with_its_guid(self, bench: Bench, source_id: int) -> None:
        """Entries that share a guid are told apart by their links, and so have other keys than one that is alone."""
        alone = entry("same", link="https://example.org/1")
        sibling = entry("same", link="https://example.org/2")
        await serve(bench, source_id, alone)
        await delete(bench, "same")
        assert await serve(bench, source_id, alone, sibling) == Recorded(1, 0)
        assert [row["url"] for row in bench.articles()] == ["https://example.org/2"]
        await delete(bench, "same")
        for document in ([alone, sibling], [sibling], [alone]):
            assert await serve(bench, source_id, *document) == Recorded(0, 0)
        assert bench.articles() == []

    async def test_one_article_of_a_source_with_one_guid_for_all(self, bench: Bench, source_id: int) -> None:
        """Some publishers give all entries one guid: the deleted one must not take the others with it."""
        first, second, third = (entry("", f"Title {n}", link=f"https://example.org/{n}") for n in range(3))
        await serve(bench, source_id, first)
        await serve(bench, source_id, first, second)
        await bench.store.delete_articles([bench.articles()[0]["id"]])
        assert await serve(bench, source_id, first, second, third) == Recorded(1, 0)
        assert sorted(row["title"] for row in bench.articles()) == ["Title 1", "Title 2"]

    async def test_it_goes_after_ninety_days_of_evidence(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A, B)
        await delete(bench, "a")
        let_days_pass(bench, 200)
        await serve(bench, source_id, B)
        let_days_pass(bench, 200)
        # It left, and since then the source has shown nothing.
        assert await gone(bench, RetentionLimits()) == (0, 0)
        await serve(bench, source_id, B, whole=False)
        assert await gone(bench, RetentionLimits()) == (0, 0)
        await serve(bench, source_id, B)
        assert await gone(bench, RetentionLimits()) == (0, 1)
        assert bench.tombstones() == []
        # What comes then is news.
        assert await serve(bench, source_id, A, B) == Recorded(1, 0)

    async def test_time_alone_is_no_evidence(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A, B, C)
        await delete(bench, "a")
        await serve(bench, source_id, B)
        let_days_pass(bench, 200)
        # The source is looked at, for the sake of an article that is too old.
        assert await gone(bench, MONTH) == (1, 0)
        assert len(bench.tombstones()) == 2

    async def test_one_that_flickers_keeps_its_tombstone(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A, B)
        await delete(bench, "a")
        for _ in range(4):
            await serve(bench, source_id, B)
            let_days_pass(bench, 89)
            await serve(bench, source_id, B)
            assert await gone(bench, RetentionLimits()) == (0, 0)
            assert await serve(bench, source_id, A, B) == Recorded(0, 0)

    async def test_what_retention_deleted_does_not_come_back_either(
        self, bench: Bench, source_id: int
    ) -> None:
        await serve(bench, source_id, A, B)
        await serve(bench, source_id, B)
        let_days_pass(bench, 31)
        assert await gone(bench, MONTH) == (1, 0)
        assert await serve(bench, source_id, A, B) == Recorded(0, 0)
        assert one(bench.tombstones())["left_at"] is None
        assert guids(bench) == ["b"]

    async def test_tombstones_of_one_source_are_none_of_another(self, bench: Bench) -> None:
        first, second = await source_ids(bench.store, spec("a"), spec("b"))
        await serve(bench, first, A)
        await delete(bench, "a")
        assert await serve(bench, second, A) == Recorded(1, 0)

    async def test_a_poll_without_a_lease_touches_no_tombstone(self, bench: Bench, source_id: int) -> None:
        await serve(bench, source_id, A)
        await delete(bench, "a")
        before = bench.tombstones()
        lost = step(await taken(bench.store, source_id, force=True), A, whole=True, token="another")
        assert await bench.store.record([lost]) == [LeaseLost()]
        assert bench.tombstones() == before
