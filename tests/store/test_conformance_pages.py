"""What every store promises of the queue of extraction, asked of the one in memory, of SQLite and of a real
PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from digestd.store import (
    ArticleQuery,
    PageClaim,
    PageClaims,
    PageQueue,
    PageRecord,
)
from store.builders import about, aged, claimed, done, entry, extraction_of, one, polled, titles
from store.conftest import OWNER, Bench


class TestClaimPages:
    async def test_a_claim_tells_what_extraction_needs(self, bench: Bench) -> None:
        html = entry("1", "A title", summary="<p>short</p>", content="<p>much longer</p>")
        ids = await polled(bench.store, a=[html])
        article = one(bench.articles())
        before = datetime.now(UTC)
        claims = await bench.store.claim_pages(5, 60)
        assert claims == PageClaims(
            (
                PageClaim(
                    article_id=article["id"],
                    source_id=ids["a"],
                    source_name="a",
                    url="https://example.org/1/1",
                    title="A title",
                    feed_html="<p>much longer</p>",
                    dated=True,
                    attempt=1,
                    failures=0,
                    unfinished=0,
                ),
            )
        )
        row = one(bench.articles())
        wait = row.pop("next_extraction_at") - before
        assert timedelta(seconds=59) < wait < timedelta(seconds=90)
        changed = {"extraction_attempts": 1, "extraction_unfinished": 1, "extraction_owner": OWNER}
        del article["next_extraction_at"]
        assert row == article | changed

    async def test_without_a_date_or_html_it_says_so(self, bench: Bench) -> None:
        await polled(
            bench.store, a=[entry("1", published_at=None), entry("2", summary="s", published_at=None)]
        )
        claims = await claimed(bench.store, 2)
        assert {(claim.feed_html, claim.dated) for claim in claims} == {("", False), ("s", False)}

    async def test_each_source_gives_its_newest_before_any_gives_a_second(self, bench: Bench) -> None:
        busy = [aged(hours, f"busy {hours}") for hours in (3, 1, 2, 4)]
        await polled(bench.store, a=busy, b=[aged(9, "quiet 9"), aged(8, "quiet 8")], c=[aged(5, "rare 5")])
        assert titles(await bench.store.claim_pages(2, 60)) == ["busy 1", "rare 5"]
        assert titles(await bench.store.claim_pages(4, 60)) == ["busy 2", "quiet 8", "busy 3", "quiet 9"]
        assert titles(await bench.store.claim_pages(4, 60)) == ["busy 4"]

    async def test_of_those_published_at_one_time_the_one_stored_last_is_the_newest(
        self, bench: Bench
    ) -> None:
        await polled(bench.store, a=[aged(1, "last"), aged(1, "first")], b=[aged(1, "neighbour")])
        stored = [
            row["title"] for row in sorted(bench.articles(), key=lambda row: int(row["id"]), reverse=True)
        ]
        assert stored == ["neighbour", "last", "first"]
        assert titles(await bench.store.claim_pages(3, 60)) == stored

    async def test_many_sources_with_one_each_are_claimed_newest_first(self, bench: Bench) -> None:
        hours = {f"s{number}": (number * 7) % 12 for number in range(12)}
        await polled(bench.store, **{name: [aged(number, name)] for name, number in hours.items()})
        expected = sorted(hours, key=lambda name: hours[name])
        assert titles(await bench.store.claim_pages(5, 60)) == expected[:5]
        assert titles(await bench.store.claim_pages(20, 60)) == expected[5:]

    async def test_only_the_sources_asked_for_are_claimed_from(self, bench: Bench) -> None:
        ids = await polled(
            bench.store, a=[aged(1, "a1"), aged(2, "a2")], b=[aged(3, "b3")], c=[aged(4, "c4")]
        )
        asked = [ids["b"], ids["a"], 10_000]
        assert titles(await bench.store.claim_pages(2, 60, source_ids=asked)) == ["a1", "b3"]
        assert titles(await bench.store.claim_pages(9, 30, source_ids=asked)) == ["a2"]
        none_left = await bench.store.claim_pages(9, 60, source_ids=asked)
        assert (none_left.claims, about(none_left.due_in_seconds)) == ((), 30)
        assert await bench.store.claim_pages(9, 60, source_ids=[10_000]) == PageClaims(())
        assert await bench.store.claim_pages(9, 60, source_ids=[]) == PageClaims(())
        assert titles(await bench.store.claim_pages(9, 60)) == ["c4"]

    async def test_an_empty_queue_is_never_due(self, bench: Bench) -> None:
        assert await bench.store.claim_pages(5, 60) == PageClaims((), None)
        await polled(bench.store, a=[entry("1", link=None)])
        assert await bench.store.claim_pages(5, 60) == PageClaims((), None)

    async def test_what_is_claimed_is_due_again_when_the_lease_ends(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(1)])
        first = one(await claimed(bench.store))
        held = await bench.store.claim_pages(5, 60)
        assert (held.claims, about(held.due_in_seconds)) == ((), 60)
        bench.age(61)
        again = one(await claimed(bench.store))
        assert again == replace(first, attempt=2, unfinished=1)

    async def test_the_articles_of_a_removed_source_are_claimed(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(1)])
        await bench.store.sync_sources([])
        assert one(await claimed(bench.store)).source_name == "a"

    async def test_an_article_that_lost_its_link_is_skipped(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(2, "kept"), aged(1, "lost")])
        bench.change(bench.articles()[0]["id"], url=None)
        assert titles(await bench.store.claim_pages(2, 60)) == ["kept"]
        lost = bench.articles()[0]
        told = (lost["extraction"], lost["extraction_error"], lost["extraction_attempts"])
        assert told == ("skipped", "the feed does not link to it any more", 0)

    async def test_a_page_that_ends_every_process_is_put_off_and_failed_at_last(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(1)])
        for number in range(1, 11):
            assert one(await claimed(bench.store)).unfinished == number - 1
            bench.age(61)
            if 3 <= number < 10:
                put_off = await bench.store.claim_pages(1, 60)
                seconds = 30 * 2 ** (number - 3)
                assert put_off.claims == ()
                assert put_off.due_in_seconds == pytest.approx(seconds, abs=1)
                error = f"{number} attempts in a row never ended: its page may be crashing digestd"
                assert extraction_of(one(bench.articles())) == {
                    "extraction": "pending",
                    "attempts": number,
                    "failures": 0,
                    "unfinished": number,
                    "owner": None,
                    "error": error,
                }
                bench.age(seconds + 1)
        assert await bench.store.claim_pages(1, 60) == PageClaims((), None)
        assert extraction_of(one(bench.articles())) == {
            "extraction": "failed",
            "attempts": 10,
            "failures": 0,
            "unfinished": 10,
            "owner": None,
            "error": "10 attempts in a row never ended: its page may be crashing digestd",
        }
        assert one(bench.articles())["next_extraction_at"] is None

    async def test_an_attempt_that_ends_clears_the_suspicion(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(1)])
        for _ in range(2):
            await claimed(bench.store)
            bench.age(61)
        third = one(await claimed(bench.store))
        await bench.store.record_pages(
            [PageRecord(third.article_id, third.attempt, "pending", 1, "reset", 30)]
        )
        bench.age(31)
        fourth = one(await claimed(bench.store))
        assert (fourth.unfinished, fourth.failures, fourth.attempt) == (0, 1, 4)


class TestRetryPages:
    async def test_what_failed_is_due_at_once_with_a_clean_record(self, bench: Bench) -> None:
        await polled(bench.store, a=[entry("1")])
        claim = one(await claimed(bench.store))
        await bench.store.record_pages([PageRecord(claim.article_id, claim.attempt, "failed", 5, "HTTP 500")])
        assert await bench.store.retry_pages(ArticleQuery(extraction="failed")) == 1
        assert extraction_of(one(bench.articles())) == {
            "extraction": "pending",
            "attempts": 1,
            "failures": 0,
            "unfinished": 0,
            "owner": None,
            "error": None,
        }
        assert one(await claimed(bench.store)) == replace(claim, attempt=2)

    async def test_what_waits_is_due_at_once_and_what_is_ready_or_leased_stays(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(hours, f"{hours}") for hours in range(4)])
        leased, waiting, crashed = await claimed(bench.store, 3)
        await bench.store.record_pages(
            [PageRecord(waiting.article_id, waiting.attempt, "pending", 2, "busy", 900)]
        )
        bench.change(crashed.article_id, next_extraction_at=datetime.now(UTC) - timedelta(seconds=5))
        before = {row["id"]: row for row in bench.articles()}
        assert await bench.store.retry_pages(ArticleQuery()) == 2
        after = {row["id"]: row for row in bench.articles()}
        clean = {
            "extraction_failures": 0,
            "extraction_unfinished": 0,
            "extraction_owner": None,
            "next_extraction_at": None,
            "extraction_error": None,
        }
        changed = {claim.article_id: before[claim.article_id] | clean for claim in (waiting, crashed)}
        assert after == before | changed
        assert after[leased.article_id]["extraction_owner"] == OWNER

    async def test_what_became_ready_with_a_bad_record_gets_a_clean_one(self, bench: Bench) -> None:
        ids = await polled(bench.store, a=[aged(1, "a")], b=[aged(2, "b")])
        for claim in await claimed(bench.store, 2):
            await bench.store.record_pages(
                [PageRecord(claim.article_id, claim.attempt, "pending", 3, "busy", 9)]
            )
        bench.age(10)
        assert titles(await bench.store.claim_pages(1, 60, source_ids=[ids["a"]])) == ["a"]
        assert await bench.store.retry_pages(ArticleQuery(source="b")) == 1
        assert one(await claimed(bench.store)).failures == 0
        assert await bench.store.retry_pages(ArticleQuery()) == 0

    async def test_done_ones_and_those_without_a_link_stay(self, bench: Bench) -> None:
        await polled(bench.store, a=[entry("3", complete=True), entry("2", link=None), entry("1")])
        await bench.store.record_pages([done(one(await claimed(bench.store)))])
        assert await bench.store.retry_pages(ArticleQuery()) == 1
        assert [row["extraction"] for row in bench.articles()] == ["done", "skipped", "pending"]
        assert await bench.store.retry_pages(ArticleQuery()) == 0

    async def test_the_query_says_which(self, bench: Bench) -> None:
        ids = await polled(bench.store, a=[aged(hours) for hours in range(3)], b=[aged(9)])
        for claim in await claimed(bench.store, 4):
            await bench.store.record_pages([PageRecord(claim.article_id, claim.attempt, "failed", 1)])
        last = bench.articles()[2]["id"]
        assert await bench.store.retry_pages(ArticleQuery(source="a", limit=1)) == 1
        pending = [row["id"] for row in bench.articles() if row["extraction"] == "pending"]
        assert pending == [last]
        assert await bench.store.retry_pages(ArticleQuery(source="nobody")) == 0
        assert await bench.store.retry_pages(ArticleQuery(ids=(last, bench.articles()[0]["id"]))) == 1
        assert await bench.store.retry_pages(ArticleQuery(source="b")) == 1
        assert [row["extraction"] for row in bench.articles() if row["source_id"] == ids["b"]] == ["pending"]


class TestPageQueue:
    async def test_an_empty_one(self, bench: Bench) -> None:
        await polled(bench.store, a=[entry("1", link=None)])
        assert await bench.store.page_queue() == PageQueue(0, 0, None)

    async def test_counts_what_is_pending_and_what_is_due(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(hours) for hours in range(5)])
        ended, failed, crashed = await claimed(bench.store, 3)
        waits = PageRecord(failed.article_id, failed.attempt, "pending", 1, "busy", 300)
        await bench.store.record_pages([done(ended), waits])
        assert await self._counts(bench) == (4, 2)
        bench.age(61)
        assert await self._counts(bench) == (4, 3)
        bench.age(300)
        assert await self._counts(bench) == (4, 4)
        await claimed(bench.store, 4)
        assert await self._counts(bench) == (4, 0)
        assert crashed.attempt == 1

    async def _counts(self, bench: Bench) -> tuple[int, int]:
        queue = await bench.store.page_queue()
        return queue.pending, queue.due

    async def test_the_age_is_that_of_the_one_known_longest(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(hours) for hours in range(3)])
        first, second, third = (row["id"] for row in bench.articles())
        for article_id, hours in ((first, 1), (second, 2), (third, 3)):
            bench.change(article_id, fetched_at=datetime.now(UTC) - timedelta(hours=hours))
        assert (await bench.store.page_queue()).oldest_seconds == pytest.approx(3 * 3600, abs=30)
        bench.change(third, next_extraction_at=datetime.now(UTC) + timedelta(hours=1))
        assert (await bench.store.page_queue()).oldest_seconds == pytest.approx(3 * 3600, abs=30)
        bench.change(third, extraction="done", next_extraction_at=None)
        assert (await bench.store.page_queue()).oldest_seconds == pytest.approx(2 * 3600, abs=30)
