"""Several processes on one database: their starts at a host are apart, and a pause that one is told holds for all."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from digestd.config import Secrets, WorkerSettings
from digestd.errors import HostPaused, HTTPStatus, StoreUnavailable
from digestd.feed.outage import OutageDetector
from digestd.ingest.doors import Doors
from digestd.ingest.politeness import Hosts
from digestd.ingest.poll import Poller, PollResult
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.slots import Slots
from digestd.ingest.source import SourceLife, Surroundings
from digestd.ingest.storing import StoreAccess
from digestd.ingest.supervisor import Supervisor
from digestd.kinds import Http
from digestd.metrics import Metrics
from digestd.model import PollState, Source, SourceSpec, SourceStatus, Step
from digestd.store import ClaimRequest, HostPause, HostStart, Store, Wait
from digestd.store.sql import open_store
from support.fault_server import Exchange
from support.http_door import FEED, opened
from support.polling import Bench, FunctionKind, NoHttp, StepFunction, always, failed, fetched

ONE = "https://one.example/"


class Replica:
    """One more process on the store of another."""

    def __init__(
        self, store: Store, step: StepFunction, hosts: Hosts, http: Http | None = None, **worker: float
    ) -> None:
        self.store = store
        self.kind = FunctionKind(step)
        self.metrics = Metrics(trio.current_time())
        self.shutdown = Shutdown()
        settings = WorkerSettings(**{"jitter_seconds": 0, **worker})  # type: ignore[arg-type]
        self.access = StoreAccess(store, self.metrics)
        poller = Poller(
            store=self.access,
            doors=Doors(http or NoHttp(), Secrets({}, {})),
            kinds={"feed": self.kind},
            network=OutageDetector(),
            metrics=self.metrics,
            settings=settings,
            chance=random.Random(2),
        )
        slots = Slots(settings.max_sources)
        self.around = Surroundings(poller, self.access, hosts, slots, self.shutdown, random.Random(2))
        self._interval = settings.interval_seconds

    def start(self, nursery: trio.Nursery, statuses: Sequence[SourceStatus]) -> None:
        Supervisor(self.around, self.metrics, self._interval).start(nursery, statuses)


def asked(*replicas: Replica) -> list[float]:
    """When any source was asked by any replica."""
    return sorted(when for replica in replicas for _, when in replica.kind.asked)


def apart(moments: Sequence[float]) -> float:
    """The shortest time between two of these."""
    return min(later - earlier for earlier, later in pairwise(moments))


async def prepared(*names: str, delay_seconds: float = 1.0) -> tuple[Bench, list[SourceStatus]]:
    """A bench with sources of these names, all on one host."""
    bench = Bench(always(fetched("a")), delay_seconds=delay_seconds)
    return bench, await bench.add(*names, host=lambda name: "one")


async def test_starts_of_two_processes_are_apart_and_both_come_to_their_turns(
    autojump_clock: MockClock,
) -> None:
    names = [f"source{number}" for number in range(20)]
    bench, statuses = await prepared(*names)
    replicas = [
        Replica(bench.store, always(fetched("a")), Hosts(2, 1.0), interval_seconds=30) for _ in range(2)
    ]
    with trio.move_on_after(300):
        async with trio.open_nursery() as nursery:
            for replica in replicas:
                replica.start(nursery, statuses)
    moments = asked(*replicas)
    assert apart(moments) >= 1 - 1e-6
    # Twenty starts in each thirty seconds: nobody's turn is lost to waiting.
    assert len(moments) >= 20 * 9
    shares = [len(replica.kind.asked) for replica in replicas]
    assert min(shares) > 0.2 * sum(shares)
    for name in names:
        times = sorted(when for replica in replicas for one, when in replica.kind.asked if one == name)
        assert max(later - earlier for earlier, later in pairwise(times)) < 2 * 30


async def test_without_spacing_of_their_own_processes_do_not_wait_for_each_other(
    autojump_clock: MockClock,
) -> None:
    bench, statuses = await prepared("one", "two", delay_seconds=0)
    replica = Replica(bench.store, always(fetched("a")), Hosts(2, 0.0), interval_seconds=30)
    with trio.move_on_after(10):
        async with trio.open_nursery() as nursery:
            replica.start(nursery, statuses)
    assert len(asked(replica)) == 2
    assert bench.store.hosts == {}


def pausing(hosts: Hosts, seconds: float) -> StepFunction:
    """A kind whose server wants to be left alone, as :mod:`digestd.ingest.http` tells it."""

    async def step(source: Source, state: PollState) -> Step:
        hosts.pause(source.url, seconds)
        return failed("http_status", status=429, retry_after=seconds)

    return step


async def test_a_pause_that_one_process_is_told_keeps_the_other_away(autojump_clock: MockClock) -> None:
    bench, statuses = await prepared("one", "two", "three", "four")
    theirs, ours = Hosts(2, 1.0), Hosts(2, 1.0)
    other = Replica(bench.store, pausing(theirs, 500), theirs, interval_seconds=30)
    replica = Replica(bench.store, always(fetched("a")), ours, interval_seconds=30)
    async with trio.open_nursery() as nursery:
        other.start(nursery, statuses[:1])
        await trio.sleep(20)
        told = trio.current_time()
        replica.start(nursery, statuses[1:])
        await trio.sleep(400)
        assert asked(replica) == []
        assert ours.paused_for(ONE) == pytest.approx(theirs.paused_for(ONE), abs=1)
        # It was told once, not by each of its sources again and again, and did not tell it on.
        assert len(bench.store.hosts) == 1
        with ours.new_pauses() as news:
            assert news == []
        await trio.sleep(150)
        assert asked(replica)[0] >= told + 475
        assert len(asked(replica)) >= 3
        nursery.cancel_scope.cancel()


async def test_a_paused_host_costs_one_question(autojump_clock: MockClock) -> None:
    bench, statuses = await prepared(*(f"source{number}" for number in range(10)))
    await bench.store.pause_hosts([HostPause("one.example:443", 600)])
    claims: list[ClaimRequest] = []

    class Counting:
        async def claim(self, requests: Sequence[ClaimRequest]) -> object:
            claims.extend(requests)
            return await bench.store.claim(requests)

        def __getattr__(self, name: str) -> object:
            return getattr(bench.store, name)

    replica = Replica(Counting(), always(fetched("a")), Hosts(2, 1.0))  # type: ignore[arg-type]
    with trio.move_on_after(599):
        async with trio.open_nursery() as nursery:
            replica.start(nursery, statuses)
    assert len(claims) == 1
    assert asked(replica) == []


async def test_a_pause_survives_an_outage_and_is_told_afterwards(autojump_clock: MockClock) -> None:
    bench, _ = await prepared("one")
    hosts = Hosts(2, 1.0)
    replica = Replica(bench.store, always(fetched("a")), hosts)
    hosts.pause(ONE, 100)
    hosts.pause(ONE, 50)
    hosts.pause("https://short.example/", 5)
    bench.store.outage = True
    await replica.access.share_pauses(hosts)
    assert replica.access.away_since is not None
    await trio.sleep(20)
    bench.store.outage = False
    with trio.CancelScope() as scope:
        scope.cancel()
        await replica.access.share_pauses(hosts)
    assert bench.store.hosts == {}
    await replica.access.share_pauses(hosts)
    assert replica.access.away_since is None
    paused = await bench.store.start_at_hosts([HostStart("one.example:443", 0)])
    assert paused == [Wait(80, "host_paused")]
    assert list(bench.store.hosts) == ["one.example:443"]
    bench.store.hosts.clear()
    await replica.access.share_pauses(hosts)
    assert bench.store.hosts == {}


async def test_who_waits_for_other_processes_holds_no_slot(autojump_clock: MockClock) -> None:
    bench, (one,) = await prepared("one")
    await bench.store.sync_sources(
        [one.source.spec, SourceSpec("elsewhere", "feed", "https://elsewhere.example/")]
    )
    statuses = {status.source.name: status for status in await bench.store.sources()}
    await bench.store.start_at_hosts([HostStart("one.example:443", 1.5)])
    replica = Replica(bench.store, always(fetched("a")), Hosts(2, 1.0), max_sources=1)
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(SourceLife(one, replica.around).run, 0.0)
        await trio.sleep(0.1)
        nursery.start_soon(SourceLife(statuses["elsewhere"], replica.around).run, 0.0)
        await trio.sleep(5)
        nursery.cancel_scope.cancel()
    times = {name: when - began for name, when in replica.kind.asked}
    assert times == {"elsewhere": pytest.approx(0.1), "one": pytest.approx(1.5)}


async def test_a_long_wait_gives_the_turn_back_and_comes_again(autojump_clock: MockClock) -> None:
    bench, statuses = await prepared("one", "two")
    await bench.store.start_at_hosts([HostStart("one.example:443", 40)])
    replica = Replica(bench.store, always(fetched("a")), Hosts(2, 1.0))
    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        for status in statuses:
            nursery.start_soon(SourceLife(status, replica.around).run, 0.0)
        await trio.sleep(10)
        assert replica.around.slots.in_use == 0
        await trio.sleep(40)
        nursery.cancel_scope.cancel()
    assert [when - began for when in asked(replica)] == pytest.approx([40, 41])


@pytest.mark.parametrize("seconds", [1.5, 40])
async def test_shutdown_does_not_wait_for_a_host(autojump_clock: MockClock, seconds: float) -> None:
    bench, (status,) = await prepared("one")
    await bench.store.start_at_hosts([HostStart("one.example:443", seconds)])
    replica = Replica(bench.store, always(fetched("a")), Hosts(2, 1.0))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(SourceLife(status, replica.around).run, 0.0)
        await trio.sleep(1)
        replica.shutdown.begin()
        began = trio.current_time()
    assert trio.current_time() == began
    assert asked(replica) == []


async def test_once_waits_for_other_processes_and_not_long_for_a_pause(autojump_clock: MockClock) -> None:
    bench, (status,) = await prepared("one")
    await bench.store.start_at_hosts([HostStart("one.example:443", 40)])
    replica = Replica(bench.store, always(fetched("a")), Hosts(2, 1.0))
    began = trio.current_time()
    answer = await SourceLife(status, replica.around).once(force=False)
    assert isinstance(answer, PollResult)
    assert trio.current_time() - began == pytest.approx(40)
    await bench.store.pause_hosts([HostPause("one.example:443", 8)])
    assert isinstance(await SourceLife(status, replica.around).once(force=True), PollResult)
    assert trio.current_time() - began == pytest.approx(48)
    # It trickles after its pause: that is not waited for, either.
    assert await SourceLife(status, replica.around).once(force=True) == Wait(30, "paused")
    await trio.sleep(30)
    await bench.store.pause_hosts([HostPause("one.example:443", 60)])
    assert await SourceLife(status, replica.around).once(force=True) == Wait(60, "paused")


async def test_a_page_waits_for_the_starts_of_other_processes(autojump_clock: MockClock) -> None:
    bench, _ = await prepared("one")
    hosts = Hosts(2, 1.0)
    replica = Replica(bench.store, always(fetched("a")), hosts)
    began = trio.current_time()
    await bench.store.start_at_hosts([HostStart("one.example:443", 1.5)])
    async with hosts.turn(ONE) as turn:
        await replica.access.start_at_host(turn)
        assert trio.current_time() - began == pytest.approx(1.5)
        turn.start()
    assert await bench.store.start_at_hosts([HostStart("one.example:443", 1)]) == [Wait(1, "host")]
    await bench.store.pause_hosts([HostPause("one.example:443", 60)])
    async with hosts.turn(ONE) as turn:
        with pytest.raises(HostPaused) as paused:
            await replica.access.start_at_host(turn)
    assert str(paused.value) == "the host is to be left alone for another 59 s"
    assert paused.value.retry_after == pytest.approx(59)
    assert hosts.paused_for(ONE) == pytest.approx(59)
    bench.store.outage = True
    await trio.sleep(60)
    async with hosts.turn(ONE) as turn:
        with pytest.raises(StoreUnavailable):
            await replica.access.start_at_host(turn)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/digestd.db"
    return str(request.getfixturevalue("postgres_url"))


DELAY = 0.25


class Publisher:
    """A server's view: when each request came, and whether it is throttled."""

    def __init__(self) -> None:
        self.came: list[float] = []
        self.throttled = False

    async def answer(self, exchange: Exchange) -> None:
        self.came.append(trio.current_time())
        if self.throttled:
            await exchange.reply(status=429, headers={"Retry-After": "1"})
        else:
            await exchange.reply(FEED)


@asynccontextmanager
async def two_processes(url: str, publisher: Publisher, count: int) -> AsyncIterator[list[Replica]]:
    """Two replicas with stores, hosts and doors of their own, and `count` sources on the publisher's host."""
    async with AsyncExitStack() as opening:
        replicas = []
        first, second = Hosts(2, 0.0), Hosts(2, 0.0)
        server, door = await opening.enter_async_context(opened({"/": publisher.answer}, hosts=first))
        _, other_door = await opening.enter_async_context(opened({}, hosts=second))
        for hosts, http in ((first, door), (second, other_door)):
            # Private hosts are spaced only where they ask for it.
            hosts.slow_down(server.url(), DELAY)
            store = await opening.enter_async_context(
                open_store(url, owner="test", pool_size=2, connect_timeout_seconds=5)
            )

            async def step(source: Source, state: PollState, http: Http = http) -> Step:
                try:
                    await http.get(source.url)
                except HTTPStatus as error:
                    return failed("http_status", status=error.status, retry_after=error.retry_after)
                return fetched("a")

            replicas.append(Replica(store, step, hosts, http, interval_seconds=1))
            await store.sync_sources(
                [SourceSpec(f"source{number}", "feed", server.url()) for number in range(count)]
            )
        yield replicas


async def test_by_a_servers_own_clock_starts_of_two_processes_are_apart(url: str) -> None:
    publisher = Publisher()
    async with two_processes(url, publisher, 8) as replicas, trio.open_nursery() as nursery:
        statuses = await replicas[0].store.sources()
        for replica in replicas:
            replica.start(nursery, statuses)
        with trio.fail_after(15):
            while len(publisher.came) < 7:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    # A request takes a moment from its start to the server, now more, now less.
    assert apart(publisher.came) > DELAY - 0.1
    assert publisher.came[6] - publisher.came[0] > 6 * DELAY - 0.1


async def test_a_429_to_one_process_is_heeded_by_the_other(url: str) -> None:
    publisher = Publisher()
    publisher.throttled = True
    async with two_processes(url, publisher, 2) as replicas, trio.open_nursery() as nursery:
        first, second = await replicas[0].store.sources()
        assert isinstance(await SourceLife(first, replicas[0].around).once(force=True), PollResult)
        publisher.throttled = False
        nursery.start_soon(SourceLife(second, replicas[1].around).run, 0.0)
        with trio.fail_after(15):
            while len(publisher.came) < 2:
                await trio.sleep(0.02)
        nursery.cancel_scope.cancel()
    assert publisher.came[1] - publisher.came[0] > 0.95
