"""The life of one source, by a clock that jumps: when it polls, what it records, how it fails and how it ends."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.errors import StoreUnavailable
from digestd.ingest.poll import PollResult
from digestd.ingest.source import SourceLife
from digestd.ingest.supervisor import Supervisor
from digestd.model import LeftOut, PollState, Source, SourceStatus, Step
from digestd.store import Claim, ClaimRequest, Gone, Lease, Refused, Wait
from support.polling import Bench, always, failed, fetched, in_turn


async def live(bench: Bench, seconds: float, *names: str) -> None:
    """Let the sources `names` live for `seconds`."""
    statuses = await bench.add(*(names or ("one",)))
    with trio.move_on_after(seconds):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, bench.settings.interval_seconds).start(nursery, statuses)


def events(logs: Sequence[MutableMapping[str, Any]], name: str) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == name]


async def test_a_source_is_polled_at_its_interval(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=300)
    await live(bench, 1000)
    first = bench.times()[0]
    assert 0 <= first <= 1, "the phase of one source alone is below a second"
    assert bench.times() == pytest.approx([first, first + 300, first + 600, first + 900])


async def test_jitter_comes_on_top(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=300, jitter_seconds=60)
    await live(bench, 5000)
    gaps = [later - earlier for earlier, later in pairwise(bench.times())]
    assert all(300 <= gap < 360 for gap in gaps)
    assert max(gaps) - min(gaps) > 10


async def test_what_a_step_brings_is_recorded_with_its_validators(autojump_clock: MockClock) -> None:
    bench = Bench(
        in_turn([fetched("a", "b", etag='"1"'), fetched("b", "c", etag='"2"')]), interval_seconds=300
    )
    await live(bench, 400)
    assert sorted(row["guid"] for row in bench.store.kept.values()) == ["a", "b", "c"]
    assert next(iter(bench.store.rows.values()))["etag"] == '"2"'
    assert (bench.metrics.sources_fetched, bench.metrics.articles_new, bench.metrics.errors) == (2, 3, 0)


async def test_failures_back_off_are_told_and_end_with_the_next_success(autojump_clock: MockClock) -> None:
    broken = failed("http_status", status=500)
    bench = Bench(in_turn([broken, broken, broken, broken, fetched("a")]), interval_seconds=300)
    with capture_logs() as logs:
        await live(bench, 2500)
    gaps = [later - earlier for earlier, later in pairwise(bench.times())]
    assert [round(gap / 300) for gap in gaps] == [1, 2, 4]
    status = await bench.status()
    assert (status.state, status.consecutive_failures) == ("degraded", 4)
    assert status.last_error == "http_status: it broke"
    told = events(logs, "worker.fetch.complete")
    assert [(line["log_level"], line["outcome"], line["consecutive_failures"]) for line in told] == [
        ("warning", "failed", n) for n in range(1, 5)
    ]
    await live(bench, 2500)
    status = await bench.status()
    assert (status.state, status.consecutive_failures, status.last_error) == ("active", 0, None)


async def test_a_strange_shape_degrades_a_source_in_words_until_a_healthy_document_comes(
    autojump_clock: MockClock,
) -> None:
    strange = fetched("a", cursor={"degraded": "all of one date"})
    unchanged = Step(next_state=strange.next_state, unchanged=True)
    bench = Bench(in_turn([strange, unchanged, fetched("a", "b")]), interval_seconds=300)
    for seconds in (100, 300):
        await live(bench, seconds)
        status = await bench.status()
        assert (status.state, status.last_error) == ("degraded", "shape: all of one date")
        assert (status.consecutive_failures, status.schedule_reason) == (0, "interval")
        assert len(bench.store.kept) == 1
        assert (bench.metrics.errors, bench.metrics.failing) == (0, {}), "it is not failing"
    await live(bench, 300)
    status = await bench.status()
    assert (status.state, status.last_error, len(bench.store.kept)) == ("active", None, 2)


async def test_what_is_no_feed_degrades_a_source_at_once_and_counts_as_a_failure(
    autojump_clock: MockClock,
) -> None:
    bench = Bench(in_turn([failed("not_a_feed"), fetched("a")]), interval_seconds=300)
    await live(bench, 100)
    status = await bench.status()
    assert (status.state, status.consecutive_failures) == ("degraded", 1)
    assert status.last_error == "not_a_feed: it broke"
    assert bench.metrics.failing == {"one": "not_a_feed: it broke"}
    await live(bench, 300)
    status = await bench.status()
    assert (status.state, status.last_error, bench.metrics.failing) == ("active", None, {})


async def test_nothing_new_is_told_at_debug_level(autojump_clock: MockClock) -> None:
    bench = Bench(in_turn([fetched("a"), Step(next_state=PollState(), unchanged=True)]), interval_seconds=300)
    with capture_logs() as logs:
        await live(bench, 500)
    told = events(logs, "worker.fetch.complete")
    assert [(line["log_level"], line["outcome"], line["articles_new"]) for line in told] == [
        ("info", "fetched", 1),
        ("debug", "unchanged", 0),
    ]


async def test_retry_after_is_kept(autojump_clock: MockClock) -> None:
    bench = Bench(always(failed("http_status", status=429, retry_after=5000)), interval_seconds=300)
    await live(bench, 4000)
    assert len(bench.times()) == 1
    assert (await bench.status()).schedule_reason == "retry_after"


async def test_a_redirect_to_a_paused_host_is_put_off_and_is_no_failure(autojump_clock: MockClock) -> None:
    bench = Bench(in_turn([failed("paused", retry_after=100), fetched("a")]), interval_seconds=300)
    await live(bench, 90)
    status = await bench.status()
    assert (status.consecutive_failures, status.schedule_reason) == (0, "put_off")
    assert status.due_in_seconds == pytest.approx(100 - 90 + bench.times()[0], abs=0.01)
    await live(bench, 200)
    assert (bench.metrics.errors, bench.metrics.sources_deferred) == (0, 1)
    assert len(bench.times()) == 2


async def test_a_poll_that_does_not_end_is_a_timeout(autojump_clock: MockClock) -> None:
    async def hang(source: Source, state: PollState) -> Step:
        await trio.sleep_forever()
        raise AssertionError

    bench = Bench(hang, interval_seconds=300, poll_timeout_seconds=60)
    await live(bench, 100)
    status = await bench.status()
    assert status.last_error == "timeout: the poll did not end within 60 s (worker.poll_timeout_seconds)"
    assert bench.metrics.errors_by_cause == {"timeout": 1}
    assert bench.slots.in_use == 0


async def test_a_bug_is_told_once_restarted_later_and_touches_nobody_else(autojump_clock: MockClock) -> None:
    async def step(source: Source, state: PollState) -> Step:
        if source.name == "buggy":
            raise KeyError("license")
        return fetched("a")

    bench = Bench(step, interval_seconds=300)
    with capture_logs() as logs:
        await live(bench, 1000, "buggy", "good")
    assert len(bench.times("good")) == 4
    crashed = events(logs, "worker.source.crashed")
    assert [(line["source"], line["crashes"]) for line in crashed] == [
        ("buggy", 1),
        ("buggy", 2),
        ("buggy", 3),
    ]
    assert [bool(line.get("exc_info")) for line in crashed] == [True, False, False]
    status = await bench.status("buggy")
    assert (
        status.last_error == "bug: a bug in digestd or in the kind 'feed': KeyError: 'license'; see the log"
    )
    assert status.unfinished_claims == 0
    assert bench.metrics.restarts == 3


async def test_many_steps_are_each_recorded_and_end_at_half_of_the_deadline(
    autojump_clock: MockClock,
) -> None:
    pages = 0

    async def page(source: Source, state: PollState) -> Step:
        nonlocal pages
        pages += 1
        await trio.sleep(10)
        return fetched(f"page{pages}", more=pages < 5)

    bench = Bench(page, interval_seconds=300, poll_timeout_seconds=60)
    await live(bench, 100)
    assert len(bench.store.kept) == 5
    assert (await bench.status()).consecutive_failures == 0
    assert bench.metrics.sources_checked == 2, (
        "three pages fill half of a minute; the rest is due again at once"
    )


async def test_an_outage_of_the_store_is_told_once_loses_nothing_and_ends_by_itself(
    autojump_clock: MockClock,
) -> None:
    names = [f"s{n}" for n in range(20)]
    bench = Bench(always(fetched("a")), interval_seconds=60)
    with capture_logs() as logs:
        statuses = await bench.add(*names)
        with trio.move_on_after(600):
            async with trio.open_nursery() as nursery:
                Supervisor(bench.around, bench.metrics, 60).start(nursery, statuses)
                await trio.sleep(30)
                bench.store.outage = True
                await trio.sleep(180)
                bench.store.outage = False
                await trio.sleep(61)
                assert all(
                    status.due_in_seconds is None or status.due_in_seconds > -1
                    for status in await bench.store.sources()
                )
    assert len(events(logs, "worker.store.unavailable")) == 1
    assert len(events(logs, "worker.store.recovered")) == 1
    assert len(bench.store.kept) == 20
    assert bench.metrics.errors == 0, "an outage of the store is no source's failure"
    assert bench.metrics.restarts == 0


async def test_a_store_that_answers_every_other_call_is_told_ever_more_seldom(
    autojump_clock: MockClock,
) -> None:
    bench = Bench(always(fetched("a")))
    access = bench.around.store
    with capture_logs() as logs:
        for _ in range(60):
            bench.store.fail_next(StoreUnavailable("read-only"))
            with suppress(StoreUnavailable):
                await access.claim_pages(1, 60)
            await trio.sleep(0.5)
            await access.claim_pages(1, 60)
            await trio.sleep(0.5)
        told = [line["event"] for line in logs]
        assert told == ["worker.store.unavailable", "worker.store.recovered"] * 3
        assert (bench.metrics.store_outages, access.away_since) == (60, None), "each is counted"
        assert [round(line["after_seconds"], 1) for line in logs[1::2]] == [0.5] * 3
        bench.store.outage = True
        for _ in range(42):
            with suppress(StoreUnavailable):
                await access.claim_pages(1, 60)
            await trio.sleep(1)
        assert len(events(logs, "worker.store.unavailable")) == 4, "one that lasts is told in any case"


async def test_a_hiccup_of_the_store_does_not_cost_the_fetch(autojump_clock: MockClock) -> None:
    bench: Bench

    async def step(source: Source, state: PollState) -> Step:
        for _ in range(3):
            bench.store.fail_next(StoreUnavailable("gone for a moment"))
        return fetched("a")

    bench = Bench(step, interval_seconds=300)
    await live(bench, 100)
    assert len(bench.kind.asked) == 1
    assert len(bench.store.kept) == 1


async def test_a_lost_lease_writes_nothing(autojump_clock: MockClock) -> None:
    bench: Bench

    async def slow(source: Source, state: PollState) -> Step:
        row = bench.store.rows[source.id]
        row["lease_token"] = "of somebody else"
        return fetched("a")

    bench = Bench(slow, interval_seconds=300)
    with capture_logs() as logs:
        await live(bench, 0.9)
    assert len(events(logs, "worker.lease.lost")) >= 1
    assert bench.store.kept == {}


async def test_our_own_network_being_away_is_no_source_s_failure(autojump_clock: MockClock) -> None:
    away = False

    async def step(source: Source, state: PollState) -> Step:
        return failed("dns") if away else fetched("a")

    names = [f"s{n}" for n in range(12)]
    bench = Bench(step, interval_seconds=60)
    statuses = await bench.add(*names)
    with capture_logs() as logs, trio.move_on_after(4000):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 60).start(nursery, statuses)
            await trio.sleep(100)
            away = True
            await trio.sleep(3000)
            assert sum(status.consecutive_failures for status in await bench.store.sources()) <= 6
            away = False
            await trio.sleep(130)
            assert all(status.last_error is None for status in await bench.store.sources())
            nursery.cancel_scope.cancel()
    assert len(events(logs, "worker.network.away")) == 1
    assert len(events(logs, "worker.network.back")) == 1


async def test_a_source_that_killed_the_process_three_times_is_put_off_and_polled_alone(
    autojump_clock: MockClock,
) -> None:
    alone: list[int] = []

    async def step(source: Source, state: PollState) -> Step:
        if source.name == "killer":
            alone.append(bench.slots.in_use)
        return fetched("a")

    bench = Bench(step, interval_seconds=300, max_sources=4)
    statuses = await bench.add("killer", "good")
    for _ in range(3):
        claimed = await bench.store.claim([ClaimRequest(statuses[1].source.id, 75)])
        assert isinstance(claimed[0], Claim), "and the process dies: nothing is recorded, the lease runs out"
        await trio.sleep(76)
    statuses = await bench.store.sources()
    status = next(s for s in statuses if s.source.name == "killer")
    life = SourceLife(status, bench.around)
    answer = await life.once(force=True)
    assert answer == Wait(30, "unfinished_claims", 3)
    assert (await bench.status("killer")).last_error == (
        "3 polls in a row never ended: this source may be crashing digestd; polled alone from now on"
    )
    await trio.sleep(31)
    result = await life.once(force=False)
    assert isinstance(result, PollResult)
    assert result.outcome == "fetched"
    assert alone == [4], "all slots are held while a suspect is polled"
    assert (await bench.status("killer")).unfinished_claims == 0


async def test_shutdown_ends_sleeps_at_once_and_lets_polls_end(autojump_clock: MockClock) -> None:
    async def slow(source: Source, state: PollState) -> Step:
        await trio.sleep(5)
        return fetched("a")

    bench = Bench(slow, interval_seconds=300, max_sources=2)
    statuses = await bench.add(*(f"s{n}" for n in range(10)))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
        await trio.sleep(9.9)
        in_flight = bench.slots.in_use
        polled = len(bench.kind.asked)
        bench.shutdown.begin()
    assert in_flight == 2
    assert trio.current_time() - began < 15
    assert len(bench.kind.asked) == polled, "whoever waits for a slot leaves without polling"
    assert all(row["lease_token"] is None for row in bench.store.rows.values())
    assert len(bench.store.kept) == polled


async def test_a_cancelled_poll_gives_its_lease_back_and_does_not_count(autojump_clock: MockClock) -> None:
    async def hang(source: Source, state: PollState) -> Step:
        await trio.sleep_forever()
        raise AssertionError

    bench = Bench(hang, interval_seconds=300)
    await live(bench, 10)
    row = next(iter(bench.store.rows.values()))
    assert (row["lease_token"], row["unfinished_claims"]) == (None, 0)


async def test_a_removed_source_ends_its_life(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=300)
    statuses = await bench.add("one")
    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
            await trio.sleep(10)
            await bench.store.sync_sources([])
    assert len(bench.kind.asked) == 1


async def poll_once(bench: Bench, status: SourceStatus) -> None:
    await SourceLife(status, bench.around).once(force=True)


async def test_one_host_with_many_sources_is_spaced_and_delays_nobody_else(autojump_clock: MockClock) -> None:
    async def step(source: Source, state: PollState) -> Step:
        await trio.sleep(0.1)
        return fetched("a")

    bench = Bench(step, delay_seconds=1, interval_seconds=300, max_sources=3)
    names = [*(f"busy{n}" for n in range(30)), *(f"other{n}" for n in range(10))]
    statuses = await bench.add(*names, host=lambda name: "busy" if name.startswith("busy") else name)
    async with trio.open_nursery() as nursery:
        for status in statuses:
            nursery.start_soon(poll_once, bench, status)
    starts = [when for name, when in bench.kind.asked if name.startswith("busy")]
    others = [when - bench.metrics.started for name, when in bench.kind.asked if name.startswith("other")]
    assert (len(starts), len(others)) == (30, 10)
    assert all(later - earlier >= 0.999 for earlier, later in pairwise(starts))
    assert max(others) < 2


async def test_one_round_does_not_wait_for_a_host_that_wants_to_be_left_alone(
    autojump_clock: MockClock,
) -> None:
    async def step(source: Source, state: PollState) -> Step:
        bench.hosts.pause(source.url, 86_400)
        return failed("http_status", status=429, retry_after=86_400)

    bench = Bench(step, delay_seconds=1, interval_seconds=300)
    answers: list[object] = []

    async def poll(status: SourceStatus) -> None:
        answers.append(await SourceLife(status, bench.around).once(force=True))

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            for status in await bench.add("a", "b", "c", "d", host=lambda _: "one"):
                nursery.start_soon(poll, status)
    assert [type(answer).__name__ for answer in answers].count("PollResult") == 1
    waits = [answer for answer in answers if isinstance(answer, Wait)]
    assert [(wait.reason, round(wait.seconds)) for wait in waits] == [("paused", 86_400)] * 3


async def test_new_sources_that_hang_leave_slots_to_prompt_ones_and_slow_ones_have_to_prove_themselves(
    autojump_clock: MockClock,
) -> None:
    async def step(source: Source, state: PollState) -> Step:
        if source.name.startswith("hang"):
            await trio.sleep(20)
            return failed("timeout")
        if source.name == "slow" and len(bench.times("slow")) == 1:
            await trio.sleep(3)
        return fetched("a")

    bench = Bench(step, interval_seconds=10, max_sources=4)
    (good,) = await bench.add("good")
    async with trio.open_nursery() as nursery:
        Supervisor(bench.around, bench.metrics, 10).start(nursery, [good])
        await trio.sleep(5)
        statuses = await bench.add("good", *(f"hang{n}" for n in range(12)), "slow")
        lives = [SourceLife(one, bench.around) for one in statuses if one.source.name != "good"]
        for life in lives:
            nursery.start_soon(life.run, 0.0)
        await trio.sleep(100)
        nursery.cancel_scope.cancel()
    gaps = [later - earlier for earlier, later in pairwise(bench.times("good"))]
    assert max(gaps) < 11, "a slot is kept for it"
    slow = lives[-1]
    assert slow.name == "slow"
    assert 0 < slow._polls_to_prove < 6


async def test_a_failing_source_does_not_hold_up_its_host_s_good_ones(autojump_clock: MockClock) -> None:
    async def step(source: Source, state: PollState) -> Step:
        if source.name.startswith("dead"):
            await trio.sleep(30)
            return failed("timeout")
        return failed("http_status", status=404) if source.name == "bad" else fetched("a")

    bench = Bench(step, interval_seconds=300, max_sources=4)
    dead = [f"dead{n}" for n in range(40)]
    shared = {"bad": "shared", "good": "shared"}
    statuses = await bench.add(*dead, "bad", "good", host=lambda name: shared.get(name, name))
    failing = [replace(s, consecutive_failures=1) if s.source.name != "good" else s for s in statuses]
    with trio.move_on_after(100):
        async with trio.open_nursery() as nursery:
            for status in sorted(failing, key=lambda s: s.source.name == "good"):
                nursery.start_soon(poll_once, bench, status)
    assert bench.times("good")[0] < 1


async def test_a_poll_during_an_outage_of_the_store_does_not_look_like_a_killer(
    autojump_clock: MockClock,
) -> None:
    async def step(source: Source, state: PollState) -> Step:
        bench.store.outage = True
        return fetched("a")

    bench = Bench(step, interval_seconds=300)
    statuses = await bench.add("one")
    with capture_logs() as logs, trio.move_on_after(200):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
            await trio.sleep(40)
            row = bench.store.rows[statuses[0].source.id]
            assert row["unfinished_claims"] == 1
            bench.store.outage = False
            bench.kind.step = always(fetched("a"))  # type: ignore[assignment,method-assign]
            await trio.sleep(100)
    assert row["unfinished_claims"] == 0
    assert events(logs, "worker.fetch.unfinished") == [], "the claim was taken back before the next one"


async def test_a_claim_whose_answer_was_lost_is_not_waited_for(autojump_clock: MockClock) -> None:
    """The connection broke after the commit: we hold a lease whose token nobody knows."""
    bench = Bench(always(fetched("a")), interval_seconds=300)
    claim, lost = bench.store.claim, [StoreUnavailable("the connection broke")]

    async def claim_and_break(requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        answers = await claim(requests)
        if lost:
            raise lost.pop()
        return answers

    bench.store.claim = claim_and_break  # type: ignore[method-assign]
    with capture_logs() as logs:
        await live(bench, 30)
    assert not lost
    assert bench.times()[0] < 10, "and not when the lease ends"
    assert events(logs, "worker.fetch.unfinished") == []


async def test_a_source_that_another_process_polls_is_looked_at_again_soon(autojump_clock: MockClock) -> None:
    """The end of its lease says when the other one is surely dead, not when it is done."""
    bench = Bench(always(fetched("a")), interval_seconds=300)
    (status,) = await bench.add("one")
    (held,) = await bench.store.claim([ClaimRequest(status.source.id, 75)])
    assert isinstance(held, Claim)
    async with trio.open_nursery() as nursery:
        Supervisor(bench.around, bench.metrics, 300).start(nursery, [status])
        await trio.sleep(8)
        await bench.store.release([Lease(status.source.id, held.token)])
        await trio.sleep(8)
        nursery.cancel_scope.cancel()
    assert len(bench.times()) == 1


async def test_a_source_that_is_gone_or_put_off_is_named(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=300)
    (status,) = await bench.add("one")
    for _ in range(3):
        await bench.store.claim([ClaimRequest(status.source.id, 75)])
        await trio.sleep(76)
    with capture_logs() as logs:
        await live(bench, 20)
        assert events(logs, "worker.source.put_off")[0]["source"] == "one"
        assert bench.metrics.failing == {
            "one": "3 polls in a row never ended: this source may be crashing digestd"
        }
        statuses = await bench.store.sources()
        await bench.store.sync_sources([])
        with trio.move_on_after(400):
            async with trio.open_nursery() as nursery:
                Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
    assert [(line["source"], line["reason"]) for line in events(logs, "worker.source.gone")] == [
        ("one", "removed")
    ]


async def test_a_kind_that_returns_nothing_has_a_bug(autojump_clock: MockClock) -> None:
    async def nothing(source: Source, state: PollState) -> Step:
        return None  # type: ignore[return-value]

    bench = Bench(nothing, interval_seconds=300)
    await live(bench, 2)
    assert (await bench.status()).last_error == (
        "bug: a bug in digestd or in the kind 'feed': TypeError: step() returned None; see the log"
    )


async def test_a_source_that_cannot_be_claimed_is_named_and_touches_nobody_else(
    autojump_clock: MockClock,
) -> None:
    bench = Bench(always(fetched("a")), interval_seconds=300)
    claim = bench.store.claim

    async def refusing(requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        answers = await claim(requests)
        damaged = [request.source_id == min(bench.store.rows) for request in requests]
        return [
            Refused(ValueError("no JSON")) if bad else answer
            for bad, answer in zip(damaged, answers, strict=True)
        ]

    bench.store.claim = refusing  # type: ignore[method-assign]
    with capture_logs() as logs:
        await live(bench, 1_000, "damaged", "good")
    assert bench.metrics.failing == {"damaged": "the store cannot claim it: ValueError: no JSON"}
    assert {name for name, _ in bench.kind.asked} == {"good"}
    assert len(bench.kind.asked) == 4
    assert {line["source"] for line in events(logs, "worker.source.crashed")} == {"damaged"}
    crashed = events(logs, "worker.source.crashed")
    assert [bool(line.get("exc_info")) for line in crashed] == [True, False, False, False]
    assert {line["error"] for line in crashed} == {"ValueError: no JSON"}
    assert (
        sum(1 + line.get("untold", 0) for line in crashed) == crashed[-1]["times"] == crashed[-1]["crashes"]
    )


async def test_entries_that_could_not_be_read_are_kept_counted_and_told(autojump_clock: MockClock) -> None:
    left_out = LeftOut("key", "2", "odd", "it cannot be read: KeyError: 'x'", '"written"')
    (document,) = fetched("a").documents
    step = replace(fetched("a"), documents=(replace(document, left_out=(left_out,)),))
    bench = Bench(always(step), interval_seconds=300)
    with capture_logs() as logs:
        await live(bench, 100)
    assert bench.metrics.entries_set_aside == 1
    (kept,) = await bench.store.entries_set_aside(10)
    assert (kept.source_name, kept.guid, kept.reason, kept.entry) == (
        "one",
        "2",
        "it cannot be read: KeyError: 'x'",
        '"written"',
    )
    (line,) = events(logs, "worker.entry.set_aside")
    assert (line["guid"], line["title"], line["reason"]) == ("2", "odd", kept.reason)


async def test_new_articles_are_news_and_known_ones_are_not(autojump_clock: MockClock) -> None:
    bench = Bench(in_turn([fetched("a"), fetched("a"), fetched("a", "b")]), interval_seconds=300)
    heard: list[float] = []

    async def listen() -> None:
        while True:
            await bench.news.heard(100_000)
            heard.append(round(trio.current_time() - bench.metrics.started))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await live(bench, 1_000)
        nursery.cancel_scope.cancel()
    first = bench.times()[0]
    assert heard == [round(first), round(first + 600)]
