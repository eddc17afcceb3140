"""What every store promises of what came of article pages, asked of the one in memory, of SQLite and of a real
PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from digestd.store import (
    ArticleQuery,
    PageClaims,
    PageLost,
    PageRecord,
    PageRecorded,
    Refused,
)
from store.builders import YESTERDAY, about, aged, claimed, done, entry, one, polled
from store.conftest import Bench


class TestRecordPages:
    async def test_done_fills_what_the_feed_did_not_give(self, bench: Bench) -> None:
        await polled(
            bench.store, a=[entry("1", published_at=None, published_raw="soon", summary="s", content="c")]
        )
        before = one(bench.articles())
        claim = one(await claimed(bench.store))
        record = done(
            claim,
            "The text.",
            canonical_url="https://example.org/canonical",
            author="Ada",
            language="en",
            published_at=YESTERDAY.astimezone(timezone(timedelta(hours=3))),
            published_raw="1 May",
            title="Another",
        )
        assert await bench.store.record_pages([replace(record, failures=2)]) == [PageRecorded()]
        assert record.page is not None
        assert one(bench.articles()) == before | {
            "extraction": "done",
            "extraction_attempts": 1,
            "extraction_failures": 2,
            "text": "The text.",
            "text_hash": record.page.text_hash,
            "canonical_url": "https://example.org/canonical",
            "author": "Ada",
            "language": "en",
            "published_at": YESTERDAY,
            "published_raw": "1 May",
            "published_from": "page",
        }
        assert await bench.store.claim_pages(1, 60) == PageClaims((), None)

    async def test_an_article_without_a_title_has_that_of_its_page_and_stays_the_same(
        self, bench: Bench
    ) -> None:
        untitled = entry("1", title="")
        await polled(bench.store, a=[untitled])
        claim = one(await claimed(bench.store))
        await bench.store.record_pages([done(claim, title="Of the page")])
        assert one(bench.articles())["title"] == "Of the page"
        assert await bench.store.poll_now("a")
        await polled(bench.store, a=[untitled])
        row = one(bench.articles())
        assert (row["title"], row["updates"]) == ("Of the page", 0)

    async def test_what_the_feed_gave_stays(self, bench: Bench) -> None:
        await polled(bench.store, a=[entry("1", author="Ada", language="de")])
        claim = one(await claimed(bench.store))
        page = done(
            claim, author="Eve", language="en", published_at=YESTERDAY - timedelta(9), published_raw="1 May"
        )
        assert await bench.store.record_pages([page]) == [PageRecorded()]
        row = one(bench.articles())
        assert (row["author"], row["language"]) == ("Ada", "de")
        dates = (row["published_at"], row["published_raw"], row["published_from"])
        assert dates == (YESTERDAY, "yesterday", "entry")

    @pytest.mark.parametrize(
        "moment",
        [
            None,
            datetime.now(UTC) + timedelta(hours=1),
            datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
            datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-5))),
        ],
    )
    async def test_a_page_without_a_possible_date_leaves_the_first_sight(
        self, bench: Bench, moment: datetime | None
    ) -> None:
        await polled(bench.store, a=[entry("1", published_at=None, published_raw="soon")])
        page = done(one(await claimed(bench.store)), published_at=moment, published_raw="odd")
        assert await bench.store.record_pages([page]) == [PageRecorded()]
        row = one(bench.articles())
        dates = (row["published_at"], row["published_raw"], row["published_from"])
        assert dates == (row["fetched_at"], "soon", "first_seen")

    async def test_a_failure_waits_and_says_why(self, bench: Bench) -> None:
        await polled(bench.store, a=[entry("1", summary="s", content="c")])
        claim = one(await claimed(bench.store))
        before = one(bench.articles())
        record = PageRecord(claim.article_id, claim.attempt, "pending", 1, "no\0 answer", 300)
        assert await bench.store.record_pages([record]) == [PageRecorded()]
        row = one(bench.articles())
        assert before["next_extraction_at"] < row["next_extraction_at"]
        assert row == before | {
            "extraction_failures": 1,
            "extraction_unfinished": 0,
            "extraction_owner": None,
            "extraction_error": "no\ufffd answer",
            "next_extraction_at": row["next_extraction_at"],
        }
        waiting = await bench.store.claim_pages(1, 60)
        assert (waiting.claims, about(waiting.due_in_seconds)) == ((), 300)
        bench.age(301)
        again = one(await claimed(bench.store))
        assert again == replace(claim, attempt=2, failures=1)

    @pytest.mark.parametrize("ending", ["failed", "skipped"])
    async def test_an_end_without_text_leaves_the_queue(self, bench: Bench, ending: Any) -> None:
        await polled(bench.store, a=[entry("1", content="c")])
        claim = one(await claimed(bench.store))
        record = PageRecord(claim.article_id, claim.attempt, ending, 1, "HTTP 404", 300)
        assert await bench.store.record_pages([record]) == [PageRecorded()]
        row = one(bench.articles())
        assert (row["extraction"], row["extraction_error"]) == (ending, "HTTP 404")
        assert (row["next_extraction_at"], row["text"], row["content"]) == (None, None, "c")
        bench.age(1000)
        assert await bench.store.claim_pages(1, 60) == PageClaims((), None)

    async def test_an_older_attempt_writes_nothing(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(1)])
        first = one(await claimed(bench.store))
        bench.age(61)
        second = one(await claimed(bench.store))
        before = one(bench.articles())
        late = PageRecord(first.article_id, first.attempt, "failed", 1, "late")
        assert await bench.store.record_pages([late, done(first, "late")]) == [PageLost(), PageLost()]
        assert one(bench.articles()) == before
        assert await bench.store.record_pages([done(second, "in time")]) == [PageRecorded()]
        assert await bench.store.record_pages([done(second, "twice")]) == [PageLost()]
        assert one(bench.articles())["text"] == "in time"

    async def test_the_latest_attempt_counts_though_its_lease_has_ended(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(1), aged(2)])
        late, asked_again = await claimed(bench.store, 2)
        bench.age(61)
        assert await bench.store.record_pages([done(late)]) == [PageRecorded()]
        assert [claim.article_id for claim in await claimed(bench.store)] == [asked_again.article_id]

    async def test_an_article_that_is_not_there_is_lost(self, bench: Bench) -> None:
        assert await bench.store.record_pages([PageRecord(10_000, 1, "failed", 1)]) == [PageLost()]
        assert await bench.store.record_pages([]) == []

    async def test_answers_come_in_the_order_of_the_records(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(hours) for hours in range(3)])
        claims = await claimed(bench.store, 3)
        old = [replace(done(claim), attempt=7) for claim in claims]
        assert await bench.store.record_pages([old[2], done(claims[0])]) == [PageLost(), PageRecorded()]
        assert await bench.store.record_pages([done(claims[1]), old[0]]) == [PageRecorded(), PageLost()]

    async def test_a_record_that_cannot_be_written_is_refused_alone(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(1), aged(2)])
        wrong, right = await claimed(bench.store, 2)
        before = [row for row in bench.articles() if row["id"] == wrong.article_id]
        endless = PageRecord(wrong.article_id, wrong.attempt, "pending", 1, next_delay_seconds=float("inf"))
        refused, recorded = await bench.store.record_pages([endless, done(right)])
        assert isinstance(refused, Refused)
        assert str(refused.error) == "cannot convert float infinity to integer"
        assert recorded == PageRecorded()
        assert [row for row in bench.articles() if row["id"] == wrong.article_id] == before

    async def test_what_databases_cannot_keep_is_made_storable(self, bench: Bench) -> None:
        await polled(bench.store, a=[entry("1", published_at=None)])
        odd, clean = "a\0b\ud800c\ud83d\ude00é", "a\ufffdb\ufffdc\N{GRINNING FACE}é"
        claim = one(await claimed(bench.store))
        names = ("text_hash", "canonical_url", "author", "language", "published_raw")
        record = done(claim, odd, published_at=YESTERDAY, **dict.fromkeys(names, odd))
        assert await bench.store.record_pages([replace(record, error=odd)]) == [PageRecorded()]
        row = one(bench.articles())
        assert {row[name] for name in (*names, "text", "extraction_error")} == {clean}


class TestSameText:
    async def test_three_pages_that_say_the_same_are_no_articles(self, bench: Bench) -> None:
        undated: dict[str, Any] = {"published_at": None, "published_raw": "soon", "content": "c"}
        ids = await polled(bench.store, a=[entry(str(number), **undated) for number in range(4)], b=[aged(1)])
        other = one((await bench.store.claim_pages(1, 60, source_ids=[ids["b"]])).claims)
        assert await bench.store.record_pages([done(other, "Log in.")]) == [PageRecorded()]
        claims = await claimed(bench.store, 4)
        walls = [done(claim, "Log in.", author="Wall", published_at=YESTERDAY) for claim in claims]
        assert await bench.store.record_pages(walls[:2]) == [PageRecorded(), PageRecorded()]
        assert {row["text"] for row in bench.articles() if row["extraction"] == "done"} == {"Log in."}
        assert await bench.store.record_pages([walls[2]]) == [PageRecorded(3)]
        assert await bench.store.record_pages([walls[3]]) == [PageRecorded(4)]
        rows = {row["id"]: row for row in bench.articles()}
        told = [
            (rows[claim.article_id]["extraction"], rows[claim.article_id]["extraction_error"])
            for claim in claims
        ]
        error = "{} pages of this source give the same text: a login wall, or what shows without scripts"
        assert told == [("failed", error.format(number)) for number in (3, 3, 3, 4)]
        assert {(rows[claim.article_id]["text"], rows[claim.article_id]["content"]) for claim in claims} == {
            (None, "c")
        }
        # Those known for a wall when they came leave nothing of it but its mark.
        last = rows[claims[3].article_id]
        assert (last["author"], last["published_from"], last["published_raw"]) == (None, "first_seen", "soon")
        assert last["published_at"] == last["fetched_at"]
        assert walls[3].page is not None
        assert last["text_hash"] == walls[3].page.text_hash
        assert rows[other.article_id]["extraction"] == "done"
        assert await bench.store.claim_pages(5, 60) == PageClaims((), None)

    async def test_pages_recorded_together_are_recognised(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(hours) for hours in range(3)])
        records = [done(claim, "Log in.") for claim in await claimed(bench.store, 3)]
        answers = await bench.store.record_pages(records)
        assert sorted(answers, key=repr) == [PageRecorded(0), PageRecorded(0), PageRecorded(3)]
        assert {row["extraction"] for row in bench.articles()} == {"failed"}

    async def test_links_to_one_page_may_say_the_same(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(hours) for hours in range(5)])
        claims = await claimed(bench.store, 5)
        pages = [
            done(claim, "One page.", canonical_url=f"https://example.org/{number % 2}")
            for number, claim in enumerate(claims)
        ]
        assert await bench.store.record_pages(pages) == [PageRecorded()] * 5
        assert {row["extraction"] for row in bench.articles()} == {"done"}

    async def test_a_wall_retried_is_recognised_at_once(self, bench: Bench) -> None:
        await polled(bench.store, a=[aged(hours) for hours in range(3)])
        await bench.store.record_pages([done(claim, "Log in.") for claim in await claimed(bench.store, 3)])
        assert await bench.store.retry_pages(ArticleQuery(source="a")) == 3
        first, second, third = await claimed(bench.store, 3)
        assert await bench.store.record_pages([done(first, "Log in.")]) == [PageRecorded(1)]
        assert await bench.store.record_pages([done(second), done(third)]) == [PageRecorded(), PageRecorded()]
        assert [row["extraction"] for row in bench.articles()].count("done") == 2
