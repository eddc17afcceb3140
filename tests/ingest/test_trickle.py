"""After a refusal: a pause, then few starts far apart, then all as before; in one process and in several."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from digestd.config.hosts import HostSettings
from digestd.errors import HostPaused, HTTPStatus
from digestd.ingest.http import open_http
from digestd.ingest.politeness import Hosts
from digestd.ingest.storing import StoreAccess
from digestd.metrics import Metrics
from digestd.store import HostPause, HostStart, Wait
from support.fault_server import Exchange, open_server, respond
from support.http_door import Limits
from support.polling import Bench, always, fetched

URL = "https://example.org/feed"


async def starts(hosts: Hosts, count: int, *, status: int | None = 200, seconds: float = 0) -> list[float]:
    """When so many tasks that wait at one time start at URL; each polls for some time and is answered `status`."""
    times: list[float] = []
    begin = trio.current_time()

    async def poll() -> None:
        async with hosts.turn(URL) as turn:
            turn.start()
            times.append(trio.current_time() - begin)
            await trio.sleep(seconds)
            if status is not None:
                hosts.answered(URL, status)

    with trio.fail_after(100_000):
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(poll)
    return times


async def spacing(hosts: Hosts, url: str = URL) -> float:
    """How long a start now would put off the next one."""
    with trio.fail_after(5):
        async with hosts.turn(url) as turn:
            return turn.host_start().delay_seconds


async def test_after_a_pause_three_fine_answers_come_before_the_usual_pace(autojump_clock: MockClock) -> None:
    hosts = Hosts(4, 1.0)
    async with hosts.turn(URL) as turn:
        turn.start()
        hosts.pause("http://www.example.org/", 100)
    assert await starts(hosts, 6, seconds=0.25) == pytest.approx([100, 130, 160, 161, 162, 163])


async def test_one_poll_at_a_time_in_a_trickle(autojump_clock: MockClock) -> None:
    hosts = Hosts(4, 1.0)
    hosts.pause(URL, 10)
    assert await starts(hosts, 4, status=500, seconds=45) == pytest.approx([10, 55, 100, 145])


async def test_what_is_under_way_is_waited_for_even_where_it_started_before_the_pause(
    autojump_clock: MockClock,
) -> None:
    hosts = Hosts(2, 1.0)
    begin = trio.current_time()
    async with trio.open_nursery() as nursery:

        async def second() -> None:
            with trio.fail_after(100):
                async with hosts.turn(URL):
                    assert trio.current_time() - begin == pytest.approx(50)

        async with hosts.turn(URL) as turn:
            turn.start()
            nursery.start_soon(second)
            await trio.testing.wait_all_tasks_blocked()
            hosts.pause(URL, 5)
            await trio.sleep(50)


async def test_who_gives_up_waiting_for_the_poll_before_it_leaves_the_next_its_turn(
    autojump_clock: MockClock,
) -> None:
    hosts = Hosts(2, 0.0)
    hosts.pause(URL, 0)
    async with hosts.turn(URL) as turn:
        turn.start()
        with trio.move_on_after(40) as gave_up:
            async with hosts.turn(URL):
                pytest.fail("two at a time in a trickle")
        assert gave_up.cancelled_caught
    async with hosts.turn(URL) as turn:
        turn.start()
    assert hosts.statistics().waiting == 0


@pytest.mark.parametrize(("delay", "expected"), [(5.0, 30.0), (90.0, 90.0)])
async def test_starts_are_half_a_minute_apart_or_what_the_operator_set(
    autojump_clock: MockClock, delay: float, expected: float
) -> None:
    hosts = Hosts(2, delay)
    hosts.pause(URL, 10)
    assert await starts(hosts, 3, status=None) == pytest.approx([10, 10 + expected, 10 + 2 * expected])


async def test_private_hosts_trickle_too(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    assert await spacing(hosts, "http://127.0.0.1:8000/") == 0
    hosts.pause("http://127.0.0.1:8000/", 1)
    assert await spacing(hosts, "http://127.0.0.1:8000/") == 30


async def test_who_is_refused_in_a_trickle_pauses_longer_and_tells_it(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    for seconds in (60, 120, 240, 480):
        hosts.pause(URL, None)
        assert hosts.paused_for(URL) == pytest.approx(seconds)
        # Its like, which was under way at the same time, is no further refusal.
        hosts.pause(URL, None)
        assert hosts.paused_for(URL) == pytest.approx(seconds)
        with hosts.new_pauses() as news:
            assert [one.key for one in news] == ["example.org"]
            assert news[0].seconds == pytest.approx(seconds)
        await trio.sleep(seconds)
    assert await starts(hosts, 3) == pytest.approx([0, 30, 60])
    hosts.pause(URL, None)
    assert hosts.paused_for(URL) == pytest.approx(60)


async def test_a_trickle_is_remembered_for_an_hour_and_not_for_longer(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    hosts.pause(URL, 10)
    await trio.sleep(10 + 3_590)
    for number in range(10):
        async with hosts.turn(f"https://host{number}.example/") as turn:
            turn.start()
    assert await spacing(hosts) == 30
    await trio.sleep(10)
    assert await spacing(hosts) == 1
    for number in range(10, 30):
        async with hosts.turn(f"https://host{number}.example/") as turn:
            turn.start()
        await trio.sleep(1)
    assert hosts.statistics().known < 10


async def test_who_does_not_wait_for_long_pauses_does_not_for_a_trickle(autojump_clock: MockClock) -> None:
    hosts = Hosts(2, 1.0)
    hosts.pause(URL, 5)
    for _ in range(2):
        async with hosts.turn(URL, longest_pause=10) as turn:
            turn.start()
        with pytest.raises(HostPaused) as paused:
            async with hosts.turn(URL, longest_pause=10):
                pytest.fail("it started")
        assert str(paused.value) == "the host wants to be left alone for 30 s"
        assert paused.value.retry_after == pytest.approx(30)
        await trio.sleep(30)


async def test_another_process_that_hears_of_the_pause_trickles_too(autojump_clock: MockClock) -> None:
    bench = Bench(always(fetched("a")))
    access = StoreAccess(bench.store, Metrics(trio.current_time()))
    await bench.store.pause_hosts([HostPause("example.org", 1)])
    hosts = Hosts(2, 1.0)
    async with hosts.turn(URL) as turn:
        await access.start_at_host(turn)
        turn.start()
    assert await bench.store.start_at_hosts([HostStart("example.org", 1)]) == [Wait(30, "host")]
    begin = trio.current_time()
    async with hosts.turn(URL) as turn:
        await access.start_at_host(turn)
        assert trio.current_time() - begin == pytest.approx(30)


@pytest.mark.parametrize("url", ["https://alice.github.io/", "https://bob.github.io/"])
async def test_a_refusal_of_one_user_means_all_users_of_a_site(autojump_clock: MockClock, url: str) -> None:
    hosts = Hosts(2, 1.0, {"ours.github.io": HostSettings()})
    hosts.pause("https://alice.github.io/feed", 100)
    assert hosts.paused_for(url) == pytest.approx(100)
    assert hosts.paused_for("https://ours.github.io/") == 0


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("https://www.example.org/", (3, 7.0)),
        ("https://apart.example.org/", (2, 0.0)),
        ("https://plain.example.org:8443/", (2, 1.0)),
        ("http://10.0.0.5:81/", (1, 4.0)),
        ("http://[::1]/", (5, 0.0)),
        ("http://10.0.0.6/", (2, 0.0)),
        ("https://elsewhere.org/", (2, 1.0)),
    ],
)
async def test_what_is_set_for_a_host_goes_before_its_domain_and_that_before_all_others(
    autojump_clock: MockClock, url: str, settings: tuple[int, float]
) -> None:
    named = {
        "example.org": HostSettings(concurrency=3, delay_seconds=7),
        "apart.example.org": HostSettings(delay_seconds=0),
        "plain.example.org": HostSettings(),
        "10.0.0.5": HostSettings(concurrency=1, delay_seconds=4),
        "::1": HostSettings(concurrency=5),
    }
    hosts = Hosts(2, 1.0, named)
    inside = 0

    async def poll() -> None:
        nonlocal inside
        async with hosts.turn(url) as turn:
            turn.start()
            inside += 1
            await trio.sleep_forever()

    assert await spacing(hosts, url) == settings[1]
    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(poll)
        await trio.sleep(1_000)
        assert inside == settings[0]
        nursery.cancel_scope.cancel()


Answer = tuple[int, Mapping[str, str]]
THROTTLED: Answer = (429, {"Retry-After": "0"})
FINE: Answer = (200, {"Content-Type": "application/rss+xml"})


@pytest.mark.parametrize(
    ("answers", "trickles"),
    [
        ([FINE], False),
        ([THROTTLED], True),
        ([THROTTLED, FINE, FINE], True),
        ([THROTTLED, FINE, FINE, FINE], False),
        ([THROTTLED, FINE, (404, {}), (410, {})], False),
        ([THROTTLED, FINE, FINE, (503, {}), FINE], True),
        ([THROTTLED, FINE, FINE, (500, {}), FINE], True),
        ([(503, {})], False),
        ([(503, {"Retry-After": "0"})], False),
    ],
)
async def test_the_door_tells_of_refusals_and_of_fine_answers(answers: list[Answer], trickles: bool) -> None:
    left = list(answers)

    async def answer(exchange: Exchange) -> None:
        status, headers = left.pop(0)
        await exchange.reply(b"<rss/>", status, headers)

    hosts = Hosts(2, 1.0)
    async with open_server({"/": answer}) as server, open_http(Limits(), hosts) as http:
        for status, _ in answers:
            if status == 200:
                await http.get(server.url())
            else:
                with pytest.raises(HTTPStatus):
                    await http.get(server.url())
        assert await spacing(hosts, server.url()) == (30 if trickles else 0)


async def test_redirects_and_unchanged_documents_are_fine_answers() -> None:
    hosts = Hosts(2, 1.0)
    async with open_server({"/": respond(b"", 304)}) as second:
        onward = {"/": respond(b"", 302, {"Location": second.url()})}
        async with open_server(onward) as first, open_http(Limits(), hosts) as http:
            for server in (first, second):
                hosts.pause(server.url(), 0)
            for _ in range(3):
                await http.get(first.url(), headers={"If-None-Match": '"a"'})
            assert await spacing(hosts, first.url()) == 0
            assert await spacing(hosts, second.url()) == 0
