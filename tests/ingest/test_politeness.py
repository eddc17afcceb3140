"""Turns: how many at one time, how far apart, in which order, and whatever is cancelled."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from digestd.errors import HostPaused, StoreUnavailable
from digestd.ingest.politeness import Hosts, HostsStatistics
from digestd.store import HostPause, HostStart, Wait

URL = "https://example.org/feed"


def run(test: Callable[[], Awaitable[None]]) -> None:
    """Run `test` under a clock that jumps; more than a thousand years are a wedge."""

    async def bounded() -> None:
        with trio.fail_after(1e11):
            await test()

    trio.run(bounded, clock=MockClock(autojump_threshold=0))


async def test_starts_are_apart_by_the_delay_and_in_order(autojump_clock: MockClock) -> None:
    hosts = Hosts(5, 1.0)
    started: list[tuple[int, float]] = []

    async def poll(number: int) -> None:
        async with hosts.turn(URL) as turn:
            turn.start()
            started.append((number, trio.current_time()))

    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(poll, number)
            await trio.testing.wait_all_tasks_blocked()
    assert [number for number, _ in started] == [0, 1, 2, 3, 4]
    assert [time - begin for _, time in started] == pytest.approx([0, 1, 2, 3, 4])


async def test_concurrency_bounds_the_turns_of_one_host_alone(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 0.0)
    inside = {"a": 0, "b": 0}
    most = dict(inside)

    async def poll(name: str) -> None:
        async with hosts.turn(f"https://{name}.example/") as turn:
            turn.start()
            inside[name] += 1
            most[name] = max(most[name], inside[name])
            await trio.sleep(10)
            inside[name] -= 1

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(poll, "a")
        nursery.start_soon(poll, "b")
    assert most == {"a": 2, "b": 1}
    assert trio.current_time() == pytest.approx(30)


async def test_one_task_per_host_is_about_to_start(autojump_clock: MockClock) -> None:
    hosts = Hosts(10, 0.0)
    about_to_start = 0

    async def poll() -> None:
        nonlocal about_to_start
        async with hosts.turn(URL) as turn:
            about_to_start += 1
            assert about_to_start == 1
            await trio.sleep(3)  # stands for the wait for a slot
            about_to_start -= 1
            turn.start()
            await trio.sleep(100)

    begin = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(poll)
    assert trio.current_time() - begin == pytest.approx(112)


async def test_spacing_counts_from_the_start_not_from_the_wait(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 10.0)
    async with hosts.turn(URL) as turn:
        await trio.sleep(7)
        turn.start()
        begin = trio.current_time()
    async with hosts.turn(URL):
        assert trio.current_time() - begin == pytest.approx(10)


async def test_leaving_without_a_start_spaces_nothing(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 10.0)
    begin = trio.current_time()
    for _ in range(3):
        async with hosts.turn(URL):
            pass
    assert trio.current_time() == begin


async def test_private_hosts_have_no_spacing(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 10.0)
    begin = trio.current_time()
    for url in ("http://127.0.0.1:8000/", "http://[::1]/", "http://localhost/", "http://192.168.0.1/"):
        for _ in range(3):
            async with hosts.turn(url) as turn:
                turn.start()
    assert trio.current_time() == begin


async def test_a_turn_starts_once() -> None:
    async with Hosts(1, 0.0).turn(URL) as turn:
        turn.start()
        with pytest.raises(RuntimeError, match="a turn starts only once"):
            turn.start()


async def test_a_pause_puts_off_every_start_of_its_host(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 1.0)
    begin = trio.current_time()
    hosts.pause(URL, 100)
    hosts.pause(URL, 5)
    assert hosts.paused_for(URL) == pytest.approx(100)
    assert hosts.paused_for("https://other.example/") == 0
    async with hosts.turn("https://other.example/"):
        assert trio.current_time() == begin
    async with hosts.turn("https://EXAMPLE.org/another"):
        assert trio.current_time() - begin == pytest.approx(100)
    assert hosts.paused_for(URL) == 0


async def test_a_pause_reaches_who_waits_already(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 10.0)
    async with hosts.turn(URL) as turn:
        turn.start()
        begin = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def poll() -> None:
            async with hosts.turn(URL):
                assert trio.current_time() - begin == pytest.approx(55)

        nursery.start_soon(poll)
        await trio.sleep(5)
        hosts.pause(URL, 50)


async def test_a_counted_redirect_spaces_the_next_start(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 10.0)
    begin = trio.current_time()
    hosts.count(URL)
    async with hosts.turn(URL):
        assert trio.current_time() - begin == pytest.approx(10)


async def starts(hosts: Hosts, url: str, count: int) -> list[float]:
    """When so many turns in a row start, in seconds from the first."""
    times = []
    for _ in range(count):
        async with hosts.turn(url) as turn:
            turn.start()
            times.append(trio.current_time())
    return [time - times[0] for time in times]


@pytest.mark.parametrize(
    ("asked", "spacing"), [(5.0, 5.0), (0.5, 2.0), (0.0, 2.0), (None, 2.0), (60.0, 60.0), (1e6, 60.0)]
)
async def test_a_host_may_ask_for_more_time_between_starts(
    autojump_clock: MockClock, asked: float | None, spacing: float
) -> None:
    hosts = Hosts(3, 2.0)
    hosts.slow_down("https://example.org/page", asked)
    assert await starts(hosts, URL, 3) == pytest.approx([0, spacing, 2 * spacing])
    assert await starts(hosts, "https://other.example/", 2) == pytest.approx([0, 2])


async def test_what_was_asked_holds_until_told_otherwise(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 1.0)
    hosts.slow_down(URL, 30)
    hosts.slow_down(URL, 10)
    assert await starts(hosts, URL, 2) == pytest.approx([0, 10])
    hosts.slow_down(URL, None)
    assert await starts(hosts, URL, 2) == pytest.approx([0, 1])


async def test_who_is_told_within_its_turn_spaces_the_next(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    async with hosts.turn(URL) as turn:
        turn.start()
        begin = trio.current_time()
        hosts.slow_down(URL, 20)
    async with hosts.turn(URL):
        assert trio.current_time() - begin == pytest.approx(20)


async def test_private_hosts_wait_for_what_they_ask(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 1.0)
    hosts.slow_down("http://127.0.0.1/", 4)
    assert await starts(hosts, "http://127.0.0.1/page", 3) == pytest.approx([0, 4, 8])


async def test_a_slow_host_is_remembered_while_its_next_start_has_to_wait(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 0.0)
    async with hosts.turn(URL) as turn:
        turn.start()
        hosts.slow_down(URL, 50)
    begin = trio.current_time()
    await trio.sleep(49)
    # Each of them has two records looked at.
    await starts(hosts, "https://one.example/", 1)
    await starts(hosts, "https://two.example/", 1)
    async with hosts.turn(URL):
        assert trio.current_time() - begin == pytest.approx(50)


async def test_slow_hosts_are_forgotten_once_they_are_idle(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 0.0)
    for number in range(2_000):
        url = f"https://host{number}.example/"
        async with hosts.turn(url) as turn:
            turn.start()
            hosts.slow_down(url, 1)
        await trio.sleep(0.1)
        assert hosts.statistics().known < 30


async def test_a_turn_says_what_it_starts(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.5)
    async with hosts.turn("https://EXAMPLE.org/feed") as turn:
        assert turn.host_start() == HostStart("example.org", 1.5)
        hosts.slow_down(URL, 20)
        assert turn.host_start() == HostStart("example.org", 20)
    async with hosts.turn("http://127.0.0.1:8000/") as turn:
        assert turn.host_start() == HostStart("127.0.0.1:8000", 0)


@pytest.mark.parametrize(("reason", "paused"), [("host", 0.0), ("host_paused", 9.0)])
async def test_what_other_processes_did_puts_off_the_next_start(
    autojump_clock: MockClock, reason: str, paused: float
) -> None:
    hosts = Hosts(2, 1.0)
    begin = trio.current_time()
    async with hosts.turn(URL) as turn:
        turn.heed(Wait(9, reason))
        turn.heed(Wait(4, reason))
        assert hosts.paused_for(URL) == pytest.approx(paused)
        await turn.wait_until_due(10)
        assert trio.current_time() - begin == pytest.approx(9)
        turn.heed(Wait(3, reason))
    async with hosts.turn(URL):
        assert trio.current_time() - begin == pytest.approx(12)
    with hosts.new_pauses() as news:
        assert news == []


async def test_who_keeps_its_turn_does_not_wait_for_a_long_pause(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    async with hosts.turn(URL) as turn:
        hosts.pause(URL, 60)
        with pytest.raises(HostPaused) as paused:
            await turn.wait_until_due(2)
    assert str(paused.value) == "the host wants to be left alone for 60 s"


async def test_a_new_pause_is_told_once(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    hosts.pause(URL, 100)
    hosts.pause(URL, 40)
    hosts.pause("https://short.example/", 5)
    await trio.sleep(10)
    with hosts.new_pauses() as news:
        assert news == [HostPause("example.org", 90)]
    hosts.pause(URL, 20)
    with hosts.new_pauses() as news:
        assert news == []
    hosts.pause(URL, 200)
    with hosts.new_pauses() as news:
        assert news == [HostPause("example.org", 200)]


async def test_a_pause_that_could_not_be_told_is_told_later(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    other = "https://other.example/"
    hosts.pause(URL, 100)
    hosts.pause(other, 50)
    with suppress(StoreUnavailable), hosts.new_pauses():
        hosts.pause(URL, 200)
        raise StoreUnavailable("it is away")
    with hosts.new_pauses() as news:
        assert sorted(news, key=lambda one: one.seconds) == [
            HostPause("other.example:443", 50),
            HostPause("example.org", 200),
        ]


async def test_statistics_tell_who_waits(autojump_clock: MockClock) -> None:
    hosts = Hosts(1, 0.0)
    hosts.pause("https://paused.example/", 1000)
    async with trio.open_nursery() as nursery:

        async def poll() -> None:
            async with hosts.turn(URL) as turn:
                turn.start()
                await trio.sleep(10)

        for _ in range(3):
            nursery.start_soon(poll)
        await trio.testing.wait_all_tasks_blocked()
        assert hosts.statistics() == HostsStatistics(known=2, waiting=2, paused=1)
    assert hosts.statistics() == HostsStatistics(known=2, waiting=0, paused=1)


async def test_idle_hosts_are_forgotten_and_paused_ones_are_not(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    hosts.pause(URL, 10_000)
    for number in range(2_000):
        async with hosts.turn(f"https://host{number}.example/") as turn:
            turn.start()
        await trio.sleep(0.1)
        assert hosts.statistics().known < 30
    assert hosts.paused_for(URL) > 0


async def test_a_host_with_thousands_of_sources_delays_nobody_else(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    slots = trio.CapacityLimiter(10)

    async def poll(url: str) -> None:
        async with hosts.turn(url) as turn, slots:
            turn.start()
            await trio.sleep(0.5)

    async with trio.open_nursery() as nursery:
        for _ in range(2_000):
            nursery.start_soon(poll, URL)
        await trio.testing.wait_all_tasks_blocked()
        begin = trio.current_time()
        await poll("https://other.example/")
        assert trio.current_time() - begin == pytest.approx(0.5)
        nursery.cancel_scope.cancel()
    assert hosts.statistics().waiting == 0


polls = st.lists(
    st.tuples(
        st.integers(0, 1),  # host
        st.floats(0, 20),  # arrives after
        st.floats(0, 5),  # waits for a slot
        st.floats(0, 5),  # polls for
        st.none() | st.floats(0, 30),  # is cancelled after
        st.booleans(),  # starts at all
    ),
    max_size=12,
)


@settings(max_examples=150, deadline=None)
@given(polls, st.integers(1, 3), st.sampled_from([0.0, 0.5, 3.0]), st.lists(st.floats(0, 20), max_size=2))
def test_whatever_is_cancelled_nothing_wedges_and_no_rule_is_broken(
    plan: list[tuple[int, float, float, float, float | None, bool]],
    concurrency: int,
    delay: float,
    pauses: list[float],
) -> None:
    async def scenario() -> None:
        hosts = Hosts(concurrency, delay)
        inside = [0, 0]
        starts: list[list[float]] = [[], []]
        finished = 0

        async def poll(
            host: int, arrival: float, slot: float, length: float, cancelled: float | None, begins: bool
        ) -> None:
            nonlocal finished
            await trio.sleep(arrival)
            with trio.move_on_after(float("inf") if cancelled is None else cancelled) as scope:
                async with hosts.turn(f"https://{host}.example/") as turn:
                    inside[host] += 1
                    try:
                        assert inside[host] <= concurrency
                        await trio.sleep(slot)
                        if begins:
                            turn.start()
                            starts[host].append(trio.current_time())
                        await trio.sleep(length)
                    finally:
                        inside[host] -= 1
            assert not scope.cancelled_caught or cancelled is not None
            finished += 1

        async with trio.open_nursery() as nursery:
            for step in plan:
                nursery.start_soon(poll, *step)
            for moment in pauses:
                await trio.sleep(moment)
                hosts.pause("https://0.example/", 2)
        assert finished == len(plan)
        for times in starts:
            assert all(later - earlier >= delay - 1e-6 for earlier, later in pairwise(times))
        assert hosts.statistics().waiting == 0
        with trio.fail_after(100):
            for host in range(2):
                async with hosts.turn(f"https://{host}.example/") as turn:
                    turn.start()

    run(scenario)
