"""What every store promises of articles, asked of the one in memory, of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from digestd.model import PollState
from digestd.store import LeaseLost, Recorded, Refused
from store.builders import NEVER_POLLED, YESTERDAY, entry, one, source_ids, spec, step, taken, without
from store.conftest import Bench


class TestRecord:
    async def test_a_final_step_writes_state_schedule_and_articles(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        state = PollState('"1"', "Mon", "1:ab", {"page": 2})
        first, second = entry("1"), entry("2", "Another", link=None, published_at=None)
        assert await bench.store.record([step(claim, first, second, next_state=state)]) == [Recorded(2, 0)]
        row = bench.row(source_id)
        now = row["last_fetched_at"]
        assert abs(datetime.now(UTC) - now) < timedelta(seconds=30)
        expected = NEVER_POLLED | {
            "etag": '"1"',
            "last_modified": "Mon",
            "body_hash": "1:ab",
            "cursor": {"page": 2},
            "last_fetched_at": now,
            "last_success_at": now,
            "last_new_at": now,
            "next_fetch_at": now + timedelta(seconds=300),
            "schedule_reason": "interval",
        }
        plain: dict[str, Any] = {"options": {}} | dict.fromkeys(
            ("category", "language", "interval_seconds", "jitter_seconds")
        )
        assert without(row, "id") == expected | plain
        undated, dated = bench.articles()
        assert without(dated, "id") == {
            "source_id": source_id,
            "entry_key": first.identity,
            "identity": first.identity,
            "guid": "1",
            "url": "https://example.org/1/1",
            "canonical_url": None,
            "title": "A title",
            "author": None,
            "language": None,
            "summary": None,
            "content": None,
            "text": None,
            "published_at": YESTERDAY,
            "published_raw": "yesterday",
            "published_from": "entry",
            "fetched_at": now,
            "updated_at": None,
            "last_seen_at": now,
            "content_hash": first.content_hash,
            "extraction": "pending",
            "extraction_attempts": 0,
            "extraction_failures": 0,
            "extraction_unfinished": 0,
            "extraction_owner": None,
            "text_hash": None,
            "left_at": None,
            "updates": 0,
            "facts": None,
            "next_extraction_at": None,
            "extraction_error": None,
        }
        assert (undated["published_at"], undated["published_from"]) == (now, "first_seen")
        assert (undated["url"], undated["extraction"]) == (None, "skipped")

    async def test_a_step_with_more_to_come_renews_the_lease(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        bench.age(50)
        going_on = step(claim, entry("1"), final=False, next_state=PollState(cursor={"page": 2}))
        assert await bench.store.record([going_on]) == [Recorded(1, 0)]
        bench.age(50)
        row = bench.row(source_id)
        assert (row["unfinished_claims"], row["next_fetch_at"], row["schedule_reason"]) == (1, None, None)
        assert row["cursor"] == {"page": 2}
        assert await bench.store.record([step(claim, entry("2"))]) == [Recorded(1, 0)]

    async def test_a_failure_keeps_the_success_before_it(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"))])
        before = bench.row(source_id)
        failed = step(
            await taken(bench.store, source_id, force=True),
            succeeded=False,
            consecutive_failures=1,
            state="degraded",
            last_error="no\0 answer",
        )
        assert await bench.store.record([failed]) == [Recorded(0, 0)]
        row = bench.row(source_id)
        assert (row["state"], row["consecutive_failures"], row["last_error"]) == (
            "degraded",
            1,
            "no\ufffd answer",
        )
        assert (row["last_success_at"], row["last_new_at"]) == (
            before["last_success_at"],
            before["last_new_at"],
        )
        assert row["last_fetched_at"] > before["last_fetched_at"]

    async def test_after_the_lease_expired_nothing_is_written(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        bench.age(61)
        before = bench.row(source_id)
        assert await bench.store.record([step(claim, entry("1"))]) == [LeaseLost()]
        assert bench.row(source_id) == before
        assert bench.articles() == []

    async def test_a_lease_taken_over_fences_the_first_holder_off(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        first = await taken(bench.store, source_id)
        bench.age(61)
        second = await taken(bench.store, source_id)
        assert await bench.store.record([step(first, entry("1"))]) == [LeaseLost()]
        assert await bench.store.record([step(second, entry("1"))]) == [Recorded(1, 0)]
        assert await bench.store.record([step(second, entry("2"))]) == [LeaseLost()]

    async def test_an_article_seen_again_is_not_a_new_one(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"), entry("2"))])
        before = bench.articles()
        again = step(await taken(bench.store, source_id, force=True), entry("3"), entry("1"))
        assert await bench.store.record([again]) == [Recorded(1, 0)]
        unseen, seen, new = bench.articles()
        assert without(seen, "last_seen_at") == without(before[1], "last_seen_at")
        assert seen["last_seen_at"] == new["last_seen_at"] > before[1]["last_seen_at"]
        assert unseen == before[0]

    async def test_other_content_updates_the_article(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"), entry("2"))])
        before = bench.articles()
        edited = entry(
            "1", "Edited", author="Ada", summary="s", content="c", published_at=YESTERDAY - timedelta(1)
        )
        undated = entry("2", "Edited too", published_at=None, published_raw=None)
        again = step(await taken(bench.store, source_id, force=True), edited, undated)
        assert await bench.store.record([again]) == [Recorded(0, 2)]
        now = bench.row(source_id)["last_fetched_at"]
        touched = {"updated_at": now, "last_seen_at": now, "updates": 1}
        assert bench.articles()[1] == before[1] | touched | {
            "title": "Edited",
            "author": "Ada",
            "summary": "s",
            "content": "c",
            "content_hash": edited.content_hash,
            "published_at": YESTERDAY - timedelta(1),
        }
        assert bench.articles()[0] == before[0] | touched | {
            "title": "Edited too",
            "content_hash": undated.content_hash,
        }
        assert bench.row(source_id)["last_new_at"] == before[0]["fetched_at"]

    async def test_two_sources_with_one_entry_have_an_article_each(self, bench: Bench) -> None:
        ids = await source_ids(bench.store, spec("a"), spec("b"))
        claims = [await taken(bench.store, source_id) for source_id in ids]
        lost = replace(step(claims[0], entry("1")), token="another")
        answers = await bench.store.record([step(claims[1], entry("1")), lost, step(claims[0], entry("1"))])
        assert answers == [Recorded(1, 0), LeaseLost(), Recorded(1, 0)]
        assert [status.articles for status in await bench.store.sources()] == [0, 0]
        counted = await bench.store.sources(count_articles=True)
        assert [status.articles for status in counted] == [1, 1]
        assert await bench.store.record([]) == []

    async def test_one_guid_on_two_entries_stays_two_articles(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        twins = [
            entry("g", "One\0", link="https://x.example/\ud800"),
            entry("g", "Two", link="https://x.example/2"),
        ]
        assert await bench.store.record([step(await taken(bench.store, source_id), *twins)]) == [
            Recorded(2, 0)
        ]
        again = step(await taken(bench.store, source_id, force=True), *reversed(twins))
        assert await bench.store.record([again]) == [Recorded(0, 0)]

    async def test_what_databases_cannot_keep_is_made_storable(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        odd = "a\0b\ud800c\ud83d\ude00é"
        hostile = entry(
            odd, odd, author=odd, language=odd, summary=odd, content=odd, published_raw=odd, link=odd
        )
        large = entry("g" * 1_000_000, "t" * 1_000_000)
        claim = await taken(bench.store, source_id)
        state = PollState(etag=odd, last_modified=odd, body_hash=odd, cursor={"odd": odd})
        assert await bench.store.record([step(claim, hostile, large, next_state=state)]) == [Recorded(2, 0)]
        kept_large, kept = bench.articles()
        clean = "a\ufffdb\ufffdc\N{GRINNING FACE}é"
        names = ("guid", "title", "author", "language", "summary", "content", "published_raw", "url")
        assert {kept[name] for name in names} == {clean}
        assert (kept_large["guid"], kept_large["title"]) == (large.guid, large.title)
        row = bench.row(source_id)
        assert {row["etag"], row["last_modified"], row["body_hash"]} == {clean}

    @pytest.mark.parametrize(
        ("moment", "kept"),
        [
            (datetime(1, 1, 1, tzinfo=UTC), True),
            (datetime(1, 1, 1, tzinfo=UTC).replace(tzinfo=timezone(timedelta(hours=5))), False),
            (datetime(9999, 12, 31, 23, 59, tzinfo=UTC), False),
            (datetime.now(UTC) + timedelta(hours=23), True),
            (datetime.now(UTC) + timedelta(hours=25), False),
        ],
    )
    async def test_impossible_dates_become_the_first_sight(
        self, bench: Bench, moment: datetime, kept: bool
    ) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        odd = entry("1", published_at=moment, published_raw="odd")
        await bench.store.record([step(await taken(bench.store, source_id), odd)])
        article = one(bench.articles())
        expected = (moment, "entry") if kept else (article["fetched_at"], "first_seen")
        assert (article["published_at"], article["published_from"]) == expected
        assert article["published_raw"] == "odd"

    async def test_a_bug_in_one_step_is_that_step_s_alone(self, bench: Bench) -> None:
        ids = await source_ids(bench.store, spec("a"), spec("b"))
        claims = [await taken(bench.store, source_id) for source_id in ids]
        wrong = step(claims[0], entry("1"), next_state=PollState(cursor={"no JSON": object()}))
        refused, recorded = await bench.store.record([wrong, step(claims[1], entry("1"))])
        assert isinstance(refused, Refused)
        assert "Object of type object is not JSON serializable" in str(refused.error)
        assert recorded == Recorded(1, 0)
        assert bench.row(ids[0])["lease_token"] == claims[0].token
        assert {article["source_id"] for article in bench.articles()} == {ids[1]}

    async def test_a_bug_in_a_step_alone_and_without_entries_is_answered_too(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        refused = one(
            await bench.store.record([step(claim, next_state=PollState(cursor={"no JSON": object()}))])
        )
        assert isinstance(refused, Refused)
        assert "Object of type object is not JSON serializable" in str(refused.error)
        assert bench.row(source_id)["lease_token"] == claim.token
        assert await bench.store.record([step(claim)]) == [Recorded(0, 0)]


class TestNewestArticles:
    async def test_gives_each_source_its_newest_first(self, bench: Bench) -> None:
        ids = await source_ids(bench.store, spec("b"), spec("a"), spec("empty"))
        for source_id in ids[:2]:
            hours = [
                entry(str(h), f"{h} h ago", published_at=YESTERDAY - timedelta(hours=h)) for h in (2, 1, 3)
            ]
            await bench.store.record([step(await taken(bench.store, source_id), *hours)])
        newest = await bench.store.newest_articles(2)
        assert [(article.source_name, article.title) for article in newest] == [
            ("a", "1 h ago"),
            ("a", "2 h ago"),
            ("b", "1 h ago"),
            ("b", "2 h ago"),
        ]
        assert newest[0].published_at == YESTERDAY - timedelta(hours=1)
        assert newest[0].url == "https://example.org/1/1"

    async def test_since_leaves_out_what_was_published_before(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        older = entry("1", "old", published_at=YESTERDAY - timedelta(seconds=1))
        await bench.store.record([step(await taken(bench.store, source_id), older, entry("2", "new"))])
        assert [article.title for article in await bench.store.newest_articles(5, YESTERDAY)] == ["new"]
        assert await bench.store.newest_articles(5, YESTERDAY + timedelta(seconds=1)) == []
