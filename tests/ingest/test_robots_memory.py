"""The robots.txt of an origin is remembered: for how long, shared by whom, and within which bounds."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Mapping

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from digestd.errors import HTTPStatus
from digestd.ingest.robots import Robots
from digestd.model import Response
from digestd.page.robots import Rules
from support.asking import GetsOnly
from support.fault_server import Exchange, Handler, Server, never_answer, respond
from support.robots import NOTHING, PRIVATE, changing, failure, opened, permits, rules

DAY = 86_400


@pytest.fixture
def clock(mock_clock: MockClock) -> MockClock:
    """A clock that runs, so that whatever hangs ends, and can be moved on."""
    mock_clock.rate = 1.0
    return mock_clock


async def test_after_a_day_it_is_asked_for_again(clock: MockClock) -> None:
    async with opened({"/robots.txt": changing(respond(PRIVATE), respond(NOTHING))}) as (server, robots):
        assert await permits(robots, server, "/page")
        clock.jump(DAY - 60)
        assert await permits(robots, server, "/page")
        clock.jump(61)
        assert not await permits(robots, server, "/page")
    assert len(server.requests) == 2


async def test_an_older_one_is_gone_by_for_another_day(clock: MockClock) -> None:
    answers = changing(respond(PRIVATE), respond(status=500))
    async with opened({"/robots.txt": answers}) as (server, robots):
        await rules(robots, server.url())
        clock.jump(DAY + 1)
        for _ in range(2):
            assert await permits(robots, server, "/page")
            assert not await permits(robots, server, "/private")
        assert len(server.requests) == 2
        clock.jump(301)
        assert await permits(robots, server, "/page")
        assert len(server.requests) == 3
        clock.jump(DAY - 400)
        assert await permits(robots, server, "/page")
        clock.jump(100)
        error = await failure(robots, server.url("/page"))
        assert isinstance(error, HTTPStatus)


async def test_an_older_one_is_replaced_once_there_is_an_answer(clock: MockClock) -> None:
    answers = changing(respond(NOTHING), respond(status=500), respond(status=404))
    async with opened({"/robots.txt": answers}) as (server, robots):
        assert not await permits(robots, server, "/page")
        clock.jump(DAY + 1)
        assert not await permits(robots, server, "/page")
        clock.jump(301)
        assert await permits(robots, server, "/page")
        clock.jump(DAY - 60)
        assert await permits(robots, server, "/page")
    assert len(server.requests) == 3


@pytest.mark.parametrize("handler", [respond(PRIVATE), respond(status=500)])
async def test_those_who_ask_at_one_time_share_a_request(handler: Handler) -> None:
    async def slow(exchange: Exchange) -> None:
        await trio.sleep(0.1)
        await handler(exchange)

    answers: list[Rules | int] = []

    async def ask(robots: Robots, url: str) -> None:
        try:
            answers.append(await rules(robots, url))
        except HTTPStatus as error:
            answers.append(error.status)

    async with opened({"/robots.txt": slow}) as (server, robots):
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask, robots, server.url())
        assert len(server.requests) == 1
    assert len(answers) == 20
    assert len(set(answers)) == 1


async def test_the_next_asks_when_the_first_is_cancelled() -> None:
    handler = changing(never_answer(), respond(PRIVATE))
    got: list[bool] = []

    async def follow(robots: Robots, server: Server) -> None:
        got.append(await permits(robots, server, "/private"))

    async with opened({"/robots.txt": handler}) as (server, robots):
        async with trio.open_nursery() as nursery:
            leader = trio.CancelScope()

            async def lead() -> None:
                with leader:
                    await robots.rules(server.url())

            nursery.start_soon(lead)
            await trio.testing.wait_all_tasks_blocked(0.05)
            for _ in range(3):
                nursery.start_soon(follow, robots, server)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert len(server.requests) == 1
            leader.cancel()
        assert leader.cancelled_caught
    assert got == [False, False, False]
    assert len(server.requests) == 2


async def test_a_follower_that_is_cancelled_takes_nothing_along() -> None:
    async def slow(exchange: Exchange) -> None:
        await trio.sleep(0.3)
        await exchange.reply(PRIVATE)

    async with opened({"/robots.txt": slow}) as (server, robots):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rules, robots, server.url())
            await trio.testing.wait_all_tasks_blocked(0.05)
            with trio.move_on_after(0.05) as follower:
                await robots.rules(server.url())
            assert follower.cancelled_caught
        assert not await permits(robots, server, "/private")
    assert len(server.requests) == 1


class Web(GetsOnly):
    """Every origin has the same robots.txt; `asked` holds the URLs in order. Those of `held` wait for their event."""

    def __init__(self, body: bytes = PRIVATE) -> None:
        self.body = body
        self.asked: list[str] = []
        self.held: dict[str, trio.Event] = {}

    mark = ""

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        self.asked.append(url)
        if url in self.held:
            await self.held[url].wait()
        return Response(url, 200, {}, self.body[:cut_at])


def site(number: int) -> str:
    return f"https://site{number}.example/page"


async def test_the_origins_that_nobody_asks_for_are_forgotten_first() -> None:
    web = Web()
    robots = Robots(web, most_origins=3)
    for number in (1, 2, 3, 1, 4, 1, 3, 4, 2):
        await rules(robots, site(number))
    assert web.asked == [f"https://site{number}.example/robots.txt" for number in (1, 2, 3, 4, 2)]


async def test_rules_are_bounded_over_all_origins() -> None:
    web = Web(b"User-agent: *\n" + b"Disallow: /x\n" * 40)
    robots = Robots(web, most_rules=100)
    for number in (1, 2, 1, 2, 3, 2, 3, 1):
        await rules(robots, site(number))
    assert [url[12] for url in web.asked] == ["1", "2", "3", "1"]


async def test_rules_that_are_replaced_are_counted_once(clock: MockClock) -> None:
    web = Web(b"User-agent: *\n" + b"Disallow: /x\n" * 40)
    robots = Robots(web, most_rules=100)
    for _ in range(5):
        await rules(robots, site(1))
        await rules(robots, site(2))
        clock.jump(DAY)
    assert len(web.asked) == 10
    await rules(robots, site(1))
    await rules(robots, site(2))
    await rules(robots, site(1))
    assert len(web.asked) == 12


async def test_an_origin_in_use_is_not_forgotten() -> None:
    web = Web()
    robots = Robots(web, most_origins=1)
    first = web.held["https://site1.example/robots.txt"] = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rules, robots, site(1))
        await trio.testing.wait_all_tasks_blocked()
        await rules(robots, site(2))
        nursery.start_soon(rules, robots, site(1))
        await trio.testing.wait_all_tasks_blocked()
        first.set()
    assert [url[12] for url in web.asked] == ["1", "2"]


async def test_a_failure_that_is_remembered_holds_no_frames() -> None:
    class Witness:
        pass

    async def fail(robots: Robots, url: str) -> weakref.ref[Witness]:
        witness = Witness()
        try:
            await robots.rules(url)
        except HTTPStatus:
            return weakref.ref(witness)
        raise AssertionError("it did not fail")

    async with opened({"/robots.txt": respond(status=500)}) as (server, robots):
        witnesses = [await fail(robots, server.url()) for _ in range(2)]
        gc.collect()
        assert [witness() for witness in witnesses] == [None, None]
