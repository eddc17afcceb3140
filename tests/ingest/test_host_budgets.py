"""The budget of an API: starts at its host are as far apart as its kind wants, whoever asks, in all processes."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.config.hosts import HostSettings
from digestd.errors import ParserFailed, WrongOptions
from digestd.ingest.politeness import Hosts
from digestd.ingest.poll import PollResult
from digestd.ingest.source import SourceLife
from digestd.ingest.supervisor import Supervisor
from digestd.model import Failure, PollState, Source, Step
from support.polling import Bench, always, fetched, in_turn

API = "https://api.example.org/"
OTHER = "https://www.example.org/feed"


def spacing(hosts: Hosts, url: str = API) -> float:
    """What the next turn at `url` would reserve."""
    return hosts._record(hosts.key_of(url)).spacing_after(0.0)


async def test_the_longest_spacing_that_a_source_wants_holds_for_the_host() -> None:
    hosts = Hosts(2, 1.0)
    assert spacing(hosts) == 1.0
    hosts.budget(1, API, 6.0)
    hosts.budget(2, API, 60.0)
    assert spacing(hosts) == spacing(hosts, OTHER) == 60.0
    assert spacing(hosts, "https://example.com/") == 1.0
    hosts.budget(2, API, 0.6)
    assert spacing(hosts) == 6.0
    hosts.budget(1, API, None)
    hosts.budget(1, API, None)
    assert spacing(hosts) == 1.0
    hosts.budget(2, API, None)
    assert hosts._budgets == {}


async def test_the_operator_s_spacing_goes_over_it() -> None:
    named = {"example.org": HostSettings(delay_seconds=2), "127.0.0.1": HostSettings(concurrency=1)}
    hosts = Hosts(2, 1.0, named)
    hosts.budget(1, "https://example.org/", 60.0)
    assert spacing(hosts, "https://example.org/") == 2.0
    # Concurrency alone says nothing of spacing. What is private keeps a budget, too: a fake or a mirror has one.
    hosts.budget(2, "http://127.0.0.1:8080/api", 60.0)
    assert spacing(hosts, "http://127.0.0.1:8080/api") == 60.0


def budgeted(bench: Bench, seconds: float) -> None:
    bench.kind.spacing_seconds = lambda source: seconds  # type: ignore[attr-defined]


async def test_polls_and_their_steps_are_as_far_apart_as_the_kind_wants(autojump_clock: MockClock) -> None:
    steps = [fetched("a", more=True), fetched("b", more=True), fetched("c")]
    bench = Bench(in_turn([*steps, *steps, fetched("z")]), delay_seconds=1, interval_seconds=600)
    budgeted(bench, 61.0)
    statuses = await bench.add("one", "two", "three", host=lambda name: "api")
    async with trio.open_nursery() as nursery:
        Supervisor(bench.around, bench.metrics, 600).start(nursery, statuses)
        await trio.sleep(1_000)
        nursery.cancel_scope.cancel()
    moments = [when for _, when in bench.kind.asked]
    assert len(moments) >= 10
    assert min(later - earlier for earlier, later in pairwise(moments)) >= 60.999
    assert sorted({"a", "b", "c", "z"}) == sorted({row["guid"] for row in bench.store.kept.values()})


async def test_a_poll_of_once_goes_on_when_the_host_may_be_asked_for_more(autojump_clock: MockClock) -> None:
    bench = Bench(in_turn([fetched("a", more=True), fetched("b", more=True), fetched("c")]), delay_seconds=1)
    budgeted(bench, 61.0)
    (status,) = await bench.add("one")
    began = trio.current_time()
    result = await SourceLife(status, bench.around).once(force=False)
    assert isinstance(result, PollResult)
    assert result.outcome == "fetched"
    assert trio.current_time() - began == pytest.approx(122)
    assert [row["guid"] for row in bench.store.kept.values()] == ["a", "b", "c"]


async def test_a_source_that_leaves_takes_its_budget_along(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")), delay_seconds=1)
    budgeted(bench, 61.0)
    (status,) = await bench.add("one")
    supervisor = Supervisor(bench.around, bench.metrics, 600)
    async with trio.open_nursery() as nursery:
        supervisor.start(nursery, [status])
        assert spacing(bench.hosts, status.source.url) == 61.0
        budgeted(bench, 30.0)
        supervisor.follow(nursery, status, pollable=True)
        assert spacing(bench.hosts, status.source.url) == 30.0
        supervisor.follow(nursery, status, pollable=False)
        assert spacing(bench.hosts, status.source.url) == 1.0
        supervisor.follow(nursery, status, pollable=True)
        await trio.sleep(0.1)
        assert spacing(bench.hosts, status.source.url) == 30.0
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("error", [WrongOptions("not these"), ZeroDivisionError()])
async def test_a_kind_that_cannot_say_costs_nobody_a_poll(
    autojump_clock: MockClock, error: Exception
) -> None:
    def wants(source: Source) -> float:
        raise error

    bench = Bench(always(fetched("a")))
    bench.kind.spacing_seconds = wants  # type: ignore[attr-defined]
    (status,) = await bench.add("one")
    with capture_logs() as logs:
        result = await SourceLife(status, bench.around).once(force=True)
    assert getattr(result, "outcome", None) == "fetched"
    broken = [line["effect"] for line in logs if line["event"] == "worker.kind.broken"]
    assert broken == ([] if isinstance(error, WrongOptions) else ["its budget is not kept"])


async def test_an_error_of_ours_that_escapes_is_a_step_that_failed_and_changed_nothing(
    autojump_clock: MockClock,
) -> None:
    async def step(source: Source, state: PollState) -> Step:
        if state.cursor:
            raise ParserFailed("the second page cannot be read")
        return fetched("a", more=True, cursor={"page": 2})

    bench = Bench(step)
    (status,) = await bench.add("one")
    result = await SourceLife(status, bench.around).once(force=True)
    assert getattr(result, "failure", None) == Failure("parser", "the second page cannot be read")
    (row,) = bench.store.rows.values()
    assert row["cursor"] == {"page": 2}
    assert (await bench.status()).last_error == "parser: the second page cannot be read"


async def test_what_stands_in_files_says_nothing_of_the_network(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")))
    for name in ("one", "two", "three", "four", "five"):
        bench.network.answered(f"{name}.example:443", 0.0)
    for name in ("one", "two", "three", "four", "five"):
        bench.network.failed_to_connect(f"{name}.example:443", 1.0)
    assert bench.network.offline
    (status,) = await bench.add("file")
    source = Source(status.source.id, status.source.spec)
    bench.around.poller._watch_network("file:///var/feeds", None)
    assert bench.network.offline
    bench.around.poller._watch_network(source.url, None)
    assert not bench.network.offline
