"""What a week of trouble writes to the log, in lines and bytes: little, and nothing of it unsaid."""

from __future__ import annotations

import io
import json
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import structlog
import trio
from trio.testing import MockClock

from digestd import log
from digestd.config import Configuration, RetentionSettings, Settings
from digestd.daemon.ending import Ending
from digestd.daemon.following import Following
from digestd.daemon.health import Health
from digestd.daemon.pipeline import Kinds, Pipeline
from digestd.daemon.reporting import Reporting
from digestd.daemon.retention import Retention
from digestd.errors import StoreUnavailable
from digestd.ingest.bell import Bell
from digestd.ingest.supervisor import Supervisor
from digestd.model import PollState, Source, Step
from digestd.store import Claim, ClaimRequest, Gone, Refused, Wait
from digestd.systemd import Notifier
from support.extraction import ExtractionBench
from support.polling import Bench, StepFunction, always, failed, fetched

HOUR, DAY, WEEK = 3_600.0, 86_400.0, 7 * 86_400.0


class Written:
    """The log of a run, as it would reach Loki."""

    def __init__(self) -> None:
        self._stream = io.StringIO()
        log.set_up("INFO", "json", self._stream)

    @property
    def bytes(self) -> int:
        return len(self._stream.getvalue())

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._stream.getvalue().splitlines()]

    @property
    def tracebacks(self) -> int:
        return sum("exception" in line for line in self.lines)

    @property
    def counts(self) -> Counter[str]:
        return Counter(line["event"] for line in self.lines)


@pytest.fixture
def written() -> Iterator[Written]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield Written()
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.root.handlers[:], logging.root.level = handlers, level


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock that jumps does not wait for threads."""

    async def run_sync(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


async def a_week_of(step: StepFunction, *names: str) -> Bench:
    bench = Bench(step, interval_seconds=300)
    statuses = await bench.add(*names)
    with trio.move_on_after(WEEK):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
    return bench


async def crash(source: Source, state: PollState) -> Step:
    raise KeyError("license")


async def test_a_kind_that_crashes(autojump_clock: MockClock, written: Written) -> None:
    await a_week_of(crash, "one")
    assert written.tracebacks == 1
    # From the second day on one a day at most, and polls are jittered round a day.
    assert written.counts["worker.fetch.complete"] == 15
    assert 12 <= written.counts["worker.source.crashed"] <= 14
    assert set(written.counts) == {"worker.fetch.complete", "worker.source.crashed"}
    assert written.bytes < 30_000
    assert {line["error"] for line in written.lines if line["event"] == "worker.source.crashed"} == {
        "KeyError: 'license'"
    }


@pytest.mark.slow
async def test_a_kind_that_crashes_for_eight_sources(autojump_clock: MockClock, written: Written) -> None:
    names = [f"source {number}" for number in range(8)]
    await a_week_of(crash, *names)
    assert written.tracebacks == 1
    assert {line["source"] for line in written.lines} == set(names)
    assert written.counts["worker.source.crashed"] <= 20 * len(names)


@pytest.mark.parametrize(
    "answer", [failed("http_5xx", status=500), failed("dns"), failed("http_4xx", status=404)]
)
async def test_a_source_that_fails(autojump_clock: MockClock, written: Written, answer: Step) -> None:
    await a_week_of(always(answer), "one")
    assert written.tracebacks == 0
    assert written.counts == {"worker.fetch.complete": 15}
    assert written.bytes < 10_000


async def test_a_source_that_says_come_back_in_a_second(autojump_clock: MockClock, written: Written) -> None:
    """Retry-After is a floor under our own delay, and no word that it be short."""
    await a_week_of(always(failed("http_5xx", status=503, retry_after=1)), "one")
    assert written.counts == {"worker.fetch.complete": 15}


async def test_a_source_that_crashes_every_other_poll(autojump_clock: MockClock, written: Written) -> None:
    polls = 0

    async def step(source: Source, state: PollState) -> Step:
        nonlocal polls
        polls += 1
        if polls % 2:
            raise KeyError("license")
        return fetched()

    await a_week_of(step, "one")
    assert polls > 1_000
    assert written.tracebacks == 1
    assert written.counts["worker.source.crashed"] <= 18
    assert written.counts["worker.source.crashed.over"] <= written.counts["worker.source.crashed"]


async def test_a_source_that_cannot_be_claimed(autojump_clock: MockClock, written: Written) -> None:
    bench = Bench(always(fetched()), interval_seconds=300)

    async def refusing(requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        return [Refused(ValueError("no JSON")) for _ in requests]

    bench.store.claim = refusing  # type: ignore[method-assign]
    statuses = await bench.add("one")
    with trio.move_on_after(WEEK):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
    assert bench.metrics.restarts > 2_000
    assert written.tracebacks == 1
    assert written.counts == {"worker.source.crashed": 17}
    assert sum(1 + line.get("untold", 0) for line in written.lines) > 1_700


async def test_a_source_that_is_well_again(autojump_clock: MockClock, written: Written) -> None:
    healthy = False

    async def step(source: Source, state: PollState) -> Step:
        if healthy:
            return fetched()
        raise KeyError("license")

    bench = Bench(step, interval_seconds=300)
    statuses = await bench.add("one")
    with trio.move_on_after(WEEK):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
            await trio.sleep(3_000)
            healthy = True
    *before, over = [line for line in written.lines if line["event"].startswith("worker.source.crashed")]
    assert (over["event"], over["level"], over["source"]) == ("worker.source.crashed.over", "warning", "one")
    assert over["times"] == before[-1]["times"]
    assert written.tracebacks == 1


class Broken:
    """A store of which every call of some sort crashes."""

    def __init__(self, **methods: object) -> None:
        self.__dict__.update(methods)


async def crashing(*arguments: object, **options: object) -> Any:
    raise RuntimeError("odd")


async def test_the_refresh_and_the_listener_crash(
    autojump_clock: MockClock, written: Written, tmp_path: Path
) -> None:
    bench = Bench(always(fetched()), interval_seconds=300)

    class Listener:
        async def __aenter__(self) -> Any:
            return crashing

        async def __aexit__(self, *arguments: object) -> None:
            return None

    store = Broken(changed_sources=crashing, changes_told=Listener)
    kinds = cast(Kinds, SimpleNamespace())
    pipeline = Pipeline(bench.around, [], None, cast(Any, store), "me", kinds, Bell(), bench.doors)
    config = Configuration(tmp_path / "digestd.yaml", Settings(worker=bench.settings), ())
    supervisor = Supervisor(bench.around, bench.metrics, 300)
    health = Health(pipeline, supervisor, bench.metrics)
    reporting = Reporting(Notifier(None), health.state, bench.shutdown)
    following = Following(config, lambda: config, pipeline, supervisor, Ending(8), reporting)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(following.run, nursery)
        await trio.sleep(DAY)
        nursery.cancel_scope.cancel()
    assert written.tracebacks == 2
    assert written.counts == {"worker.refresh.crashed": 11, "worker.listen.crashed": 11}
    assert written.bytes < 15_000


@pytest.mark.slow
async def test_extraction_crashes(autojump_clock: MockClock, written: Written) -> None:
    bench = ExtractionBench()
    bench.store.claim_pages = bench.store.page_queue = crashing  # type: ignore[method-assign]
    with trio.move_on_after(WEEK):
        await bench.extraction.run()
    assert written.tracebacks == 2
    assert written.counts == {"worker.extraction.crashed": 2 * 17}


@pytest.mark.slow
async def test_every_page_crashes(autojump_clock: MockClock, written: Written) -> None:
    async def odd(url: str) -> str:
        raise RuntimeError(url)

    bench = ExtractionBench(odd)
    await bench.add(a=20, b=20)
    with trio.move_on_after(WEEK):
        await bench.extraction.run()
    assert len(bench.rows(extraction="failed")) == 40
    assert written.tracebacks == 1
    assert written.counts["worker.extraction.crashed"] <= 17
    assert written.counts["worker.extraction.complete"] == 40, "each article's end is told"


async def test_retention_crashes(autojump_clock: MockClock, written: Written) -> None:
    bench = Bench(always(fetched()))
    store = cast(Any, Broken(forget_fetches=crashing))
    retention = Retention(RetentionSettings(days=1), store, bench.shutdown, random.Random(1))
    with trio.move_on_after(WEEK):
        await retention.run()
    assert written.tracebacks == 1
    assert written.counts == {"worker.retention.crashed": 17}


@pytest.mark.slow
async def test_a_database_that_flickers(autojump_clock: MockClock, written: Written) -> None:
    bench = Bench(always(fetched()))
    access = bench.around.store
    seconds = 0.0
    while seconds < DAY:
        for outage, pause in ((True, 1.0), (False, 4.0)):
            bench.store.outage = outage
            with suppress(StoreUnavailable):
                await access.claim_pages(1, 60)
            await trio.sleep(pause)
            seconds += pause
    assert written.counts["worker.store.unavailable"] == written.counts["worker.store.recovered"] < 295
    assert written.bytes / DAY < 1.5, "bytes a second"
    bench.store.outage = True
    before = written.counts["worker.store.unavailable"]
    for _ in range(61):
        with suppress(StoreUnavailable):
            await access.claim_pages(1, 60)
        await trio.sleep(5)
    assert written.counts["worker.store.unavailable"] == before + 1, "one that lasts is told in any case"


async def test_a_database_that_is_away(autojump_clock: MockClock, written: Written) -> None:
    bench = Bench(always(fetched()), interval_seconds=300)
    statuses = await bench.add("one", "two")
    with trio.move_on_after(3 * HOUR):
        async with trio.open_nursery() as nursery:
            Supervisor(bench.around, bench.metrics, 300).start(nursery, statuses)
            await trio.sleep(10)
            bench.store.outage = True
    assert [line["event"] for line in written.lines] == ["worker.store.unavailable"]
