"""The queue of extraction at work, by a clock that jumps."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.errors import ConnectFailed, HTTPStatus, ParserDied, StoreUnavailable, UnwantedType
from digestd.ingest.extraction import service
from digestd.store import PageRecord, Refused
from digestd.store.batching import Batcher
from support.extraction import EPOCH, ExtractionBench, own_text


def events(logs: Sequence[MutableMapping[str, Any]], name: str) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == name]


async def test_everything_that_is_due_is_read_once(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=30, b=5, c=1)
    await bench.drain()
    assert len(bench.rows(extraction="done")) == 36
    assert {row["text"] for row in bench.rows()} == {f"The text of {row['url']}" for row in bench.rows()}
    assert Counter(url for url, _ in bench.pages.asked).most_common(1)[0][1] == 1
    assert bench.outcomes == ["done"] * 36
    assert bench.metrics.pages_by_outcome == {"done": 36}
    assert bench.metrics.page_seconds > 3.6


async def test_one_source_with_many_articles_delays_nobody_else(autojump_clock: MockClock) -> None:
    bench = ExtractionBench(pages=4)
    await bench.add(big=200, small=2, other=1)
    await bench.drain()
    order = [url for url, _ in bench.pages.asked]
    assert max(order.index(f"https://{name}.example/0") for name in ("small", "other")) < 12
    big = [url for url in order if "big" in url]
    assert set(big[:3]) == {f"https://big.example/{number}" for number in (197, 198, 199)}, "the newest first"


async def test_no_more_pages_at_one_time_than_allowed(autojump_clock: MockClock) -> None:
    bench = ExtractionBench(pages=3)
    await bench.add(**{f"s{number}": 3 for number in range(10)})
    await bench.drain()
    assert bench.pages.most_at_work == 3


async def test_a_page_takes_its_host_s_turn(autojump_clock: MockClock) -> None:
    bench = ExtractionBench(pages=10, per_source=5, concurrency=1, delay_seconds=1)
    await bench.add(a=6)
    await bench.drain()
    times = sorted(moment for _, moment in bench.pages.asked)
    assert all(later - earlier >= 1 for earlier, later in itertools.pairwise(times))


async def test_what_fails_is_tried_again_later_and_its_cause_is_kept(autojump_clock: MockClock) -> None:
    asked: list[str] = []

    async def answer(url: str) -> str:
        asked.append(url)
        if len(asked) < 3:
            raise HTTPStatus("the server answered 500", status=500)
        return "At last."

    bench = ExtractionBench(answer)
    await bench.add(a=1)
    with trio.move_on_after(10):
        await bench.extraction.run()
    (row,) = bench.rows()
    assert (row["extraction"], row["extraction_failures"]) == ("pending", 1)
    assert row["extraction_error"] == "http_status: the server answered 500"
    with trio.move_on_after(10_000):
        await bench.extraction.run()
    (row,) = bench.rows()
    assert (row["extraction"], row["text"], row["extraction_error"]) == ("done", "At last.", None)
    assert bench.outcomes == ["retry", "retry", "done"]
    first, second, third = (moment for _, moment in bench.pages.asked)
    assert 300 <= second - first < 400
    assert 1_800 <= third - second < 2_300


async def test_draining_does_not_wait_for_what_is_tried_again_later(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        raise HTTPStatus("the server answered 500", status=500)

    bench = ExtractionBench(answer)
    await bench.add(a=2)
    await bench.drain(seconds=60)
    assert len(bench.rows(extraction="pending", extraction_failures=1)) == 2


async def test_draining_waits_for_what_the_polls_still_bring(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    polled = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.extraction.drain, polled)
        await trio.sleep(100)
        await bench.add(a=1)
        polled.set()
        bench.bell.ring()
        began = trio.current_time()
    assert len(bench.rows(extraction="done")) == 1
    assert trio.current_time() - began < 1


async def test_a_page_that_is_no_html_is_skipped(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        raise UnwantedType("it is application/pdf", media_type="application/pdf")

    bench = ExtractionBench(answer)
    await bench.add(a=1)
    await bench.drain()
    (row,) = bench.rows(extraction="skipped")
    assert row["extraction_error"] == "media_type: it is application/pdf"


async def test_a_page_that_kills_its_worker_is_given_up_and_the_others_are_read(
    autojump_clock: MockClock,
) -> None:
    async def answer(url: str) -> str:
        if url.endswith("/1"):
            raise ParserDied("its reader died")
        return await own_text(url)

    bench = ExtractionBench(answer)
    await bench.add(a=3)
    with trio.move_on_after(50_000):
        await bench.extraction.run()
    (row,) = bench.rows(extraction="failed")
    assert row["url"] == "https://a.example/1"
    assert row["extraction_error"] == (
        "parser: it killed its worker, or broke its limits, 3 times; last: its reader died"
    )
    assert len(bench.rows(extraction="done")) == 2


async def test_a_host_that_is_away_is_not_asked_for_every_page(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        if "dead" in url:
            raise ConnectFailed("connection refused")
        return await own_text(url)

    bench = ExtractionBench(answer)
    await bench.add(dead=50, good=20)
    await bench.drain()
    assert len(bench.rows(extraction="done")) == 20
    dead = [url for url, _ in bench.pages.asked if "dead" in url]
    assert len(dead) <= 3, "those that were claimed together"
    assert sum(row["extraction_failures"] for row in bench.rows()) == len(dead)


async def test_our_own_network_being_away_counts_against_no_article(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        if trio.current_time() < 10_000:
            raise ConnectFailed("network unreachable")
        return await own_text(url)

    bench = ExtractionBench(answer, pages=2)
    await bench.add(**{f"s{number}": 2 for number in range(40)})
    with capture_logs() as logs, trio.move_on_after(20_000):
        await bench.extraction.run()
    assert len(bench.rows(extraction="done")) == 80
    assert len(events(logs, "worker.extraction.offline")) == 1
    assert len(events(logs, "worker.extraction.online")) == 1
    assert sum(row["extraction_failures"] for row in bench.rows()) <= 8
    assert len(bench.pages.asked) < 10_000 / 30 + 100, "a probe every half minute"
    assert bench.metrics.pages_by_outcome["put_off"] < 2 * 10_000 / 30


async def test_an_outage_of_the_store_loses_no_page(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=20)

    async def outage() -> None:
        await trio.sleep(0.15)
        bench.store.outage = True
        await trio.sleep(60)
        bench.store.outage = False

    async with trio.open_nursery() as nursery:
        nursery.start_soon(outage)
        with trio.move_on_after(400):
            await bench.extraction.run()
    assert len(bench.rows(extraction="done")) == 20
    assert len(bench.pages.asked) == 20, "what was fetched is not fetched again"
    assert bench.metrics.store_outages == 1


async def test_shutdown_lets_pages_in_hand_end_and_gives_the_others_back(autojump_clock: MockClock) -> None:
    bench = ExtractionBench(pages=2, per_source=6)
    await bench.add(a=10, b=10)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.extraction.run)
        await trio.sleep(0.05)
        began = trio.current_time()
        bench.shutdown.begin()
    assert trio.current_time() - began < 0.2
    assert len(bench.rows(extraction="done")) == 2
    assert len(bench.rows(extraction="pending", extraction_owner=None, extraction_unfinished=0)) == 18


async def test_a_cancelled_page_is_given_back_at_once(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=3)
    with trio.move_on_after(0.05):
        await bench.extraction.run()
    rows = bench.rows(extraction="pending", extraction_owner=None, extraction_unfinished=0)
    assert [row["extraction_failures"] for row in rows] == [0, 0, 0]
    await bench.drain()
    assert len(bench.rows(extraction="done")) == 3


async def test_a_bug_costs_its_article_an_attempt_and_nobody_else_anything(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        if url.endswith("/0"):
            raise KeyError("odd")
        return await own_text(url)

    bench = ExtractionBench(answer)
    await bench.add(a=3)
    with capture_logs() as logs:
        await bench.drain()
    assert len(bench.rows(extraction="done")) == 2
    (row,) = bench.rows(extraction="pending")
    assert row["extraction_error"] == "parser: a bug in digestd: KeyError: 'odd'; see the log"
    (line,) = events(logs, "worker.extraction.crashed")
    assert line["url"] == "https://a.example/0"


async def test_a_page_that_the_database_refuses_is_told(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=2)
    record_pages = bench.store.record_pages

    async def refusing(records: Sequence[PageRecord]) -> Sequence[Any]:
        refused = [record for record in records if record.page and record.page.canonical_url.endswith("/0")]
        answers = iter(await record_pages([record for record in records if record not in refused]))
        return [Refused(ValueError("no")) if record in refused else next(answers) for record in records]

    bench.access._record_page = Batcher(refusing)
    with capture_logs() as logs:
        await bench.drain()
    (row,) = bench.rows(extraction="pending")
    assert row["extraction_error"] == "parser: a bug in digestd: ValueError: no; see the log"
    assert len(events(logs, "worker.extraction.refused")) == 1


async def test_a_bug_in_claiming_does_not_end_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = ExtractionBench()
    await bench.add(a=1)
    bench.store.fail_next(ValueError("odd"))
    bench.store.fail_next(ValueError("odd"))
    with capture_logs() as logs, trio.move_on_after(200):
        await bench.extraction.run()
    assert len(bench.rows(extraction="done")) == 1
    assert events(logs, "worker.extraction.crashed")


async def test_the_length_of_the_queue_is_counted(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        raise HTTPStatus("the server answered 500", status=500)

    bench = ExtractionBench(answer)
    await bench.add(a=3)
    with trio.move_on_after(130):
        await bench.extraction.run()
    assert bench.metrics.pages_pending == 3
    assert bench.metrics.pages_oldest_seconds == pytest.approx(120, abs=1)


async def test_pages_that_say_the_same_are_told(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        await trio.sleep(0.1)
        return "Please log in."

    bench = ExtractionBench(answer)
    await bench.add(a=4)
    with capture_logs() as logs:
        await bench.drain()
    assert [row["extraction"] for row in bench.rows()] == ["failed"] * 4
    assert {row["text"] for row in bench.rows()} == {None}
    told = events(logs, "worker.extraction.complete")
    assert told[-1]["outcome"] == "failed"
    assert told[-1]["error"] == "4 pages of its source give the same text"
    assert bench.outcomes.count("done") == 2


async def test_a_suspect_is_read_alone(autojump_clock: MockClock) -> None:
    bench = ExtractionBench(pages=4)
    await bench.add(a=1, b=4, c=4)
    (suspect,) = bench.rows(url="https://a.example/0")
    suspect["extraction_unfinished"] = 3
    at_work: list[int] = []

    async def answer(url: str) -> str:
        for _ in range(10):
            if url == suspect["url"]:
                at_work.append(bench.pages.at_work)
            await trio.sleep(0.1)
        return f"The text of {url}"

    bench.pages._answer = answer
    await bench.drain()
    assert len(bench.rows(extraction="done")) == 9
    assert set(at_work) == {1}


async def test_the_store_being_away_is_looked_for_again(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=1)
    bench.store.fail_next(StoreUnavailable("away"))
    bench.store.fail_next(StoreUnavailable("away"))
    with trio.move_on_after(service.STORE_RETRY_SECONDS * 12):
        await bench.extraction.run()
    assert len(bench.rows(extraction="done")) == 1


async def test_many_sources_on_one_host_wait_for_each_other_and_all_end(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def slow_text(url: str) -> str:
        await trio.sleep(7)
        return f"The text of {url}"

    bench = ExtractionBench(slow_text, pages=10, concurrency=50)
    await bench.add(**dict.fromkeys("abcdefgh", 20))
    for row in bench.rows():
        row["url"] = f"https://one.example/{row['id']}"
    claim_pages = bench.store.claim_pages

    async def slowly(*arguments: Any, **options: Any) -> Any:
        found = await claim_pages(*arguments, **options)
        # Long enough for a source to be let go while the store is asked.
        await trio.sleep(0.3)
        return found

    monkeypatch.setattr(bench.store, "claim_pages", slowly)
    await bench.drain(seconds=1_200)
    assert len(bench.rows(extraction="done")) == 160


async def test_the_queue_is_counted_once_more_at_the_end(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=5)
    await bench.drain()
    assert (bench.metrics.pages_pending, bench.metrics.pages_oldest_seconds) == (0, None)


async def test_draining_ends_while_our_own_network_is_away(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        raise ConnectFailed("network unreachable")

    bench = ExtractionBench(answer, pages=2)
    await bench.add(**{f"s{number}": 3 for number in range(20)})
    await bench.drain(seconds=600)
    assert len(bench.rows(extraction="pending")) == 60


async def test_draining_ends_when_the_store_stays_away(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=3)
    bench.store.outage = True
    began = trio.current_time()
    await bench.drain(seconds=600)
    assert 60 <= trio.current_time() - began < 90


async def test_draining_waits_for_what_three_killed_processes_had_in_hand(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=1)
    (row,) = bench.rows()
    row.update(extraction_unfinished=3, extraction_owner="dead", next_extraction_at=EPOCH)
    await bench.drain(seconds=120)
    assert len(bench.rows(extraction="done")) == 1


async def test_news_is_taken_up_at_once_and_what_others_bring_within_half_a_minute(
    autojump_clock: MockClock,
) -> None:
    bench = ExtractionBench()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.extraction.run)
        await trio.sleep(5)
        await bench.add(a=1)
        bench.bell.ring()
        await trio.sleep(0.2)
        assert len(bench.rows(extraction="done")) == 1
        await bench.add(a=1, b=1)
        await trio.sleep(31)
        assert len(bench.rows(extraction="done")) == 2
        nursery.cancel_scope.cancel()


async def test_a_host_that_stays_away_costs_its_sources_ever_less(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        raise ConnectFailed("connection refused")

    bench = ExtractionBench(answer)
    await bench.add(**{f"s{number}": 10 for number in range(30)})
    for row in bench.rows():
        row["url"] = f"https://dead.example/{row['id']}"
    with trio.move_on_after(600):
        await bench.extraction.run()
    assert len(bench.pages.asked) <= 12
    assert bench.metrics.pages_by_outcome["put_off"] <= 5 * 30
    with trio.move_on_after(86_400):
        await bench.extraction.run()
    assert bench.metrics.pages_by_outcome["put_off"] <= 40 * 30


async def test_a_source_with_links_to_many_hosts_goes_on_though_one_is_away(
    autojump_clock: MockClock,
) -> None:
    async def answer(url: str) -> str:
        if "dead" in url:
            raise ConnectFailed("connection refused")
        return await own_text(url)

    bench = ExtractionBench(answer)
    await bench.add(a=30)
    for number, row in enumerate(bench.rows()):
        if number % 3 == 0:
            row["url"] = f"https://dead.example/{row['id']}"
    with trio.move_on_after(7_200):
        await bench.extraction.run()
    assert len(bench.rows(extraction="done")) == 20


async def test_draining_does_not_wait_for_a_host_that_is_away(autojump_clock: MockClock) -> None:
    async def answer(url: str) -> str:
        raise ConnectFailed("connection refused")

    bench = ExtractionBench(answer)
    await bench.add(a=10, b=10)
    for row in bench.rows():
        row["url"] = f"https://dead.example/{row['id']}"
    await bench.drain(seconds=5)
    assert len(bench.rows(extraction="pending")) == 20


async def test_a_bug_on_the_way_into_the_store_does_not_end_it(autojump_clock: MockClock) -> None:
    bench = ExtractionBench()
    await bench.add(a=4)
    record_pages, calls = bench.store.record_pages, 0

    async def odd(records: Sequence[PageRecord]) -> Sequence[Any]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ValueError("odd")
        return await record_pages(records)

    bench.access._record_page = Batcher(odd)
    with capture_logs() as logs, trio.move_on_after(1_000):
        await bench.extraction.run()
    assert events(logs, "worker.extraction.crashed")
    assert len(bench.rows(extraction="done")) == 4, "its claim ended, and it was read once more"


async def test_an_article_claimed_again_while_it_is_in_hand_is_no_bug(autojump_clock: MockClock) -> None:
    async def slow_text(url: str) -> str:
        await trio.sleep(450)
        return f"The text of {url}"

    bench = ExtractionBench(slow_text)
    await bench.add(a=1)
    with capture_logs() as logs, trio.move_on_after(2_000):
        await bench.extraction.run()
    assert not events(logs, "worker.extraction.crashed")
    assert len(bench.pages.asked) > 1
    assert events(logs, "worker.extraction.lost")


async def test_a_redirect_to_a_host_that_is_away_is_not_held_against_who_redirects(
    autojump_clock: MockClock,
) -> None:
    async def answer(url: str) -> str:
        if url.endswith("/0"):
            error = ConnectFailed("connection refused")
            error.url = "https://dead.example/"
            raise error
        return await own_text(url)

    bench = ExtractionBench(answer, pages=1, per_source=1)
    await bench.add(a=10)
    for row in bench.rows():
        if row["url"].endswith("/0"):
            row["published_at"] = EPOCH
    await bench.drain(seconds=20)
    assert bench.pages.asked[0][0].endswith("/0")
    assert len(bench.rows(extraction="done")) == 9
