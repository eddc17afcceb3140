"""What every store promises of sources, asked of the one in memory, of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from digestd.model import PollState
from digestd.store import Claim, ClaimRequest, Gone, Lease, LeaseLost, SyncReport, Wait
from store.builders import FULL_SPEC, NEVER_POLLED, entry, one, source_ids, spec, step, taken, without
from store.conftest import OWNER, Bench


class TestSync:
    async def test_adds_sources_with_every_column(self, bench: Bench) -> None:
        report = await bench.store.sync_sources([FULL_SPEC])
        assert report == SyncReport(added=("a",))
        status = one(await bench.store.sources())
        assert status.source.spec == replace(FULL_SPEC, options={"depth": [1, 2]})
        assert status.due_in_seconds is None
        assert without(bench.row(status.source.id), "id") == NEVER_POLLED

    async def test_the_same_list_again_changes_nothing(self, bench: Bench) -> None:
        await bench.store.sync_sources([FULL_SPEC, spec("b")])
        assert await bench.store.sync_sources([FULL_SPEC, spec("b")]) == SyncReport()

    async def test_lists_by_name_what_is_not_removed(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec("b"), spec("Z"), spec("a"), spec("ä")])
        await bench.store.sync_sources([spec("b"), spec("a"), spec("ä")])
        assert [status.source.name for status in await bench.store.sources()] == ["a", "b", "ä"]

    async def test_a_small_change_keeps_what_was_learnt(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        await bench.store.record([step(claim, next_state=PollState(etag='"1"'))])
        report = await bench.store.sync_sources([spec(category="blog", enabled=False, interval_seconds=9)])
        assert report == SyncReport(changed=("a",))
        row = bench.row(source_id)
        assert (row["etag"], row["category"], row["enabled"], row["interval_seconds"]) == (
            '"1"',
            "blog",
            False,
            9,
        )
        assert row["next_fetch_at"] is not None

    @pytest.mark.parametrize("change", [{"url": "https://new.example/"}, {"kind": "page"}])
    async def test_another_place_forgets_what_was_learnt(self, bench: Bench, change: dict[str, Any]) -> None:
        source_id = one(await source_ids(bench.store, FULL_SPEC))
        claim = await taken(bench.store, source_id)
        state = PollState('"1"', "Mon", "hash", {"page": 2})
        failed = step(claim, next_state=state, state="degraded", consecutive_failures=7, last_error="no")
        await bench.store.record([failed])
        assert await bench.store.sync_sources([replace(FULL_SPEC, **change)]) == SyncReport(changed=("a",))
        moments = ("last_fetched_at", "last_success_at")
        assert without(bench.row(source_id), "id", *moments) == without(NEVER_POLLED | change, *moments)

    async def test_a_poll_of_the_old_place_is_fenced_off(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        await bench.store.sync_sources([spec(url="https://new.example/")])
        old = step(claim, entry("1"), next_state=PollState(etag='"old"'))
        assert await bench.store.record([old]) == [LeaseLost()]
        assert bench.row(source_id)["etag"] is None

    async def test_what_leaves_is_removed_and_returns_as_it_was(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        await bench.store.record([step(claim, entry("1"), next_state=PollState(etag='"1"'))])
        assert await bench.store.sync_sources([]) == SyncReport(removed=("a",))
        assert await bench.store.sync_sources([]) == SyncReport()
        assert await bench.store.sources() == []
        assert await bench.store.claim([ClaimRequest(source_id, 60, force=True)]) == [Gone("removed")]
        assert len(bench.articles()) == 1
        assert await bench.store.sync_sources([spec()]) == SyncReport(returned=("a",))
        status = one(await bench.store.sources(count_articles=True))
        assert (status.source.id, status.state, status.articles) == (source_id, "active", 1)
        assert bench.row(source_id)["etag"] == '"1"'

    async def test_a_source_removed_during_its_poll_stays_removed(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        await bench.store.sync_sources([])
        assert await bench.store.record([step(claim, entry("1"))]) == [LeaseLost()]
        assert bench.row(source_id)["state"] == "removed"
        assert bench.articles() == []

    async def test_the_same_place_under_a_new_name_is_a_rename(self, bench: Bench) -> None:
        before = await source_ids(bench.store, spec("a"), spec("b"))
        report = await bench.store.sync_sources([spec("c", url=spec("a").url, category="x"), spec("b")])
        assert report == SyncReport(renamed=(("a", "c"),))
        assert [status.source.id for status in await bench.store.sources()] == list(reversed(before))
        assert bench.row(before[0])["category"] == "x"

    async def test_a_source_removed_earlier_is_not_renamed(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec("a")])
        await bench.store.sync_sources([])
        report = await bench.store.sync_sources([spec("c", url=spec("a").url)])
        assert report == SyncReport(added=("c",))


class TestClaim:
    async def test_gives_the_source_its_state_and_a_token(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, FULL_SPEC))
        first = await taken(bench.store, source_id)
        state = PollState('"é"', "Mon, 1 Jan 1970", "1:ab", {"page": 2, "odd": "\0\ud800"})
        failed = step(first, next_state=state, consecutive_failures=4, succeeded=False, next_delay_seconds=0)
        await bench.store.record([failed])
        bench.age(1)
        second = await taken(bench.store, source_id)
        assert second.source.spec == replace(FULL_SPEC, options={"depth": [1, 2]})
        assert (second.state, second.consecutive_failures, second.unfinished_claims) == (state, 4, 0)
        assert second.token != first.token
        row = bench.row(source_id)
        assert (row["lease_owner"], row["lease_token"], row["unfinished_claims"]) == (OWNER, second.token, 1)

    async def test_answers_each_request_in_order(self, bench: Bench) -> None:
        ids = await source_ids(bench.store, spec("a"), spec("b", enabled=False), spec("c"))
        requests = [ClaimRequest(source_id, 60) for source_id in (ids[2], 999, ids[1], ids[0], ids[2])]
        answers = await bench.store.claim(requests)
        assert isinstance(answers[0], Claim)
        assert answers[0].source.name == "c"
        assert answers[1:3] == [Gone("unknown"), Gone("disabled")]
        assert isinstance(answers[3], Claim)
        assert isinstance(answers[4], Wait)
        assert answers[4].reason == "leased"
        assert await bench.store.claim([]) == []

    async def test_a_lease_holds_until_it_expires(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await taken(bench.store, source_id)
        waiting = one(await bench.store.claim([ClaimRequest(source_id, 60, force=True)]))
        assert isinstance(waiting, Wait)
        assert waiting.reason == "leased"
        assert 55 < waiting.seconds < 61
        bench.age(61)
        assert (await taken(bench.store, source_id)).unfinished_claims == 1

    async def test_what_is_not_due_waits_unless_forced(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.record([step(await taken(bench.store, source_id))])
        waiting = one(await bench.store.claim([ClaimRequest(source_id, 60)]))
        assert isinstance(waiting, Wait)
        assert waiting.reason == "not_due"
        assert 295 < waiting.seconds <= 300
        await taken(bench.store, source_id, force=True)

    async def test_a_source_that_kills_its_process_is_put_off_and_named(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        for count, seconds in ((3, 30), (4, 60)):
            while bench.row(source_id)["unfinished_claims"] < count:
                await taken(bench.store, source_id)
                bench.age(61)
            put_off = one(await bench.store.claim([ClaimRequest(source_id, 60)]))
            assert put_off == Wait(seconds, "unfinished_claims", count)
            status = one(await bench.store.sources())
            assert (status.state, status.schedule_reason) == ("degraded", f"unfinished_claims:{count}")
            assert status.last_error == (
                f"{count} polls in a row never ended: this source may be crashing digestd; "
                "polled alone from now on"
            )
            waiting = one(await bench.store.claim([ClaimRequest(source_id, 60)]))
            assert isinstance(waiting, Wait)
            assert waiting.reason == "not_due"
            bench.age(seconds + 1)
        claim = await taken(bench.store, source_id)
        assert claim.unfinished_claims == 4
        await bench.store.record([step(claim)])
        assert bench.row(source_id)["unfinished_claims"] == 0


class TestRelease:
    async def test_leaves_the_source_as_it_was(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        before = bench.row(source_id)
        claim = await taken(bench.store, source_id)
        await bench.store.release([Lease(source_id, claim.token)])
        assert bench.row(source_id) == before
        assert await bench.store.record([step(claim)]) == [LeaseLost()]

    async def test_forgets_its_own_claim_only(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await taken(bench.store, source_id)
        bench.age(61)
        claim = await taken(bench.store, source_id)
        await bench.store.release([Lease(source_id, claim.token)])
        assert bench.row(source_id)["unfinished_claims"] == 1

    async def test_without_a_token_is_of_what_this_process_holds(self, bench: Bench) -> None:
        first, second = await source_ids(bench.store, spec("a"), spec("b"))
        before = bench.row(first)
        await taken(bench.store, first)
        await bench.store.release([Lease(first, None), Lease(second, None)])
        assert bench.row(first) == before
        assert bench.row(second)["lease_owner"] is None

    async def test_without_a_token_leaves_alone_what_others_hold(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        bench.disown(source_id)
        await bench.store.release([Lease(source_id, None)])
        assert bench.row(source_id)["lease_token"] == claim.token

    async def test_passes_over_what_is_not_held(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        await bench.store.release([Lease(source_id, "another"), Lease(999, "none")])
        assert bench.row(source_id)["lease_token"] == claim.token
        await bench.store.release([])
