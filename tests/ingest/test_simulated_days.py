"""Sources of many manners, polled for simulated days: what their publishers find in their access logs."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
import trio
from trio.testing import MockClock

from digestd.errors import ConnectFailed, HTTPStatus
from digestd.feed.parse import parse_feed
from digestd.ingest.source import SourceLife
from digestd.kinds import Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, PollState, Response, Source, Step
from support.asking import GetsOnly
from support.polling import EPOCH, Bench

HOUR, DAY = 3_600.0, 86_400.0


@dataclass
class Site(GetsOnly):
    """One publisher's server. `answer` gets the conditions of a request and the seconds since the beginning."""

    answer: Callable[[Mapping[str, str], float], Response]
    asked: list[float] = field(default_factory=list)
    unconditional: int = 0
    sent: int = 0
    parsed: int = 0
    mark: str = ""

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        await trio.sleep(0.05)
        now = trio.current_time()
        self.asked.append(now)
        conditions = {name: value for name, value in (headers or {}).items() if name.startswith("If-")}
        self.unconditional += not conditions
        response = self.answer(conditions, now)
        self.sent += not response.not_modified
        return response

    @property
    def gaps(self) -> list[float]:
        return [after - before for before, after in pairwise(self.asked)]

    def moments(self) -> list[datetime]:
        return [EPOCH + timedelta(seconds=seconds) for seconds in self.asked]


def feed(count: int, said: str = "", built: float = 0.0) -> bytes:
    items = "".join(f"<item><guid>{number}</guid></item>" for number in range(count))
    return (
        f"<rss version='2.0'><channel><title>t</title><lastBuildDate>{built}</lastBuildDate>{said}{items}"
        "</channel></rss>"
    ).encode()


def served(
    *, every: float = 6 * HOUR, said: str = "", honest: bool = True, **fields: str
) -> Callable[[Mapping[str, str], float], Response]:
    """A feed that brings an entry `every` so many seconds, with an entity tag; one that is not `honest` says 304 to
    every condition."""

    def answer(conditions: Mapping[str, str], now: float) -> Response:
        count = 1 + int(now // every)
        headers = {"etag": f'"{count}"', **{name.replace("_", "-"): value for name, value in fields.items()}}
        if conditions and (not honest or conditions.get("If-None-Match") == headers["etag"]):
            return Response("https://one.example/", 304, headers, b"")
        return Response("https://one.example/", 200, headers, feed(count, said))

    return answer


def without_validators(conditions: Mapping[str, str], now: float) -> Response:
    return Response("https://one.example/", 200, {}, feed(3, built=now))


def torrent(every: float, size: int) -> Callable[[Mapping[str, str], float], Response]:
    """A feed with an entry `every` so many seconds, of which it shows the last `size`."""

    def answer(conditions: Mapping[str, str], now: float) -> Response:
        count = 1 + int(now // every)
        items = "".join(f"<item><guid>{n}</guid></item>" for n in range(count, max(0, count - size), -1))
        body = f"<rss version='2.0'><channel><title>t</title>{items}</channel></rss>".encode()
        return Response("https://one.example/", 200, {}, body)

    return answer


def refused(status: int, retry_after: float | None = None) -> Callable[[Mapping[str, str], float], Response]:
    def answer(conditions: Mapping[str, str], now: float) -> Response:
        raise HTTPStatus("refused", status=status, retry_after=retry_after)

    return answer


def unreachable(conditions: Mapping[str, str], now: float) -> Response:
    raise ConnectFailed("nobody answers")


def away(began: float, ended: float) -> Callable[[Mapping[str, str], float], Response]:
    """What is seen of a server while our own network is away between two moments."""
    there = served(every=30 * DAY)

    def answer(conditions: Mapping[str, str], now: float) -> Response:
        if began <= now < ended:
            raise ConnectFailed("nobody answers")
        return there(conditions, now)

    return answer


async def simulated(
    sites: Mapping[str, Site],
    days: float,
    *,
    jump: timedelta = timedelta(0),
    at: float = 0.0,
    interval: float = 300,
) -> Bench:
    """Poll `sites` for so many days. The wall clock takes a `jump` once, `at` so many seconds."""

    async def step(source: Source, state: PollState) -> Step:
        site = sites[source.name]

        async def parse(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
            site.parsed += 1
            return parse_feed(body, url, content_type)

        return await FeedKind(Tools(parse, bench.now)).step(source, state, site)

    bench = Bench(step, interval_seconds=interval, jitter_seconds=60)
    statuses = await bench.add(*sites)
    chance = random.Random(1)
    async with trio.open_nursery() as nursery:
        for status in statuses:
            nursery.start_soon(SourceLife(status, bench.around).run, chance.uniform(0, interval))
        await trio.sleep(at)
        bench.clock_is_ahead = jump
        await trio.sleep(days * DAY - at)
        bench.shutdown.begin()
    return bench


async def articles(bench: Bench, name: str) -> int:
    (status,) = await bench.store.sources(name=name, count_articles=True)
    return status.articles


async def test_publishers_are_asked_as_they_want_to_be_over_two_days(autojump_clock: MockClock) -> None:
    sites = {
        "steady": Site(served()),
        "bare": Site(without_validators),
        "liar": Site(served(honest=False)),
        "ttl": Site(served(said="<ttl>30</ttl>")),
        "cached": Site(served(cache_control="public, max-age=86400")),
        "sleeper": Site(
            served(said="<skipHours>" + "".join(f"<hour>{n}</hour>" for n in range(6)) + "</skipHours>")
        ),
        "throttled": Site(refused(429, 2 * HOUR)),
        "broken": Site(refused(500)),
    }
    bench = await simulated(sites, 2)

    steady = sites["steady"]
    assert all(300 <= gap <= 361 for gap in steady.gaps)
    # A feed that brings something new each day is no liar, and asked without conditions but once.
    assert (steady.sent, steady.unconditional) == (8, 1)
    assert steady.parsed == 8

    assert sites["bare"].parsed == 1
    assert sites["bare"].sent == len(sites["bare"].asked)

    liar = sites["liar"]
    assert liar.unconditional == liar.sent == 2
    assert await articles(bench, "liar") == 5

    assert all(1_800 <= gap <= 1_861 for gap in sites["ttl"].gaps)
    assert (await bench.status("ttl")).schedule_reason == "ttl"
    assert all(HOUR <= gap <= HOUR + 61 for gap in sites["cached"].gaps)
    assert (await bench.status("cached")).schedule_reason == "cache_control:capped"

    first, *others = sites["sleeper"].moments()
    assert not [moment for moment in others if moment.hour < 6]
    assert len(others) > 300
    assert first.hour == 0

    assert min(sites["throttled"].gaps) >= 2 * HOUR
    assert 8 <= len(sites["throttled"].asked) <= 24
    broken = sites["broken"].gaps
    assert broken == sorted(broken)
    assert len(broken) <= 10


async def test_a_feed_that_shows_too_little_is_asked_often_enough_from_then_on(
    autojump_clock: MockClock,
) -> None:
    # Fifteen entries come in an interval, and seven or nine in half of one.
    site = Site(torrent(20, 10))
    bench = await simulated({"torrent": site}, 0.25)
    assert bench.metrics.overflows == 1
    missed = 0.25 * DAY / 20 - await articles(bench, "torrent")
    # Those before the first poll, of the first overflow, and after the last poll.
    assert missed <= 30
    assert max(site.gaps[2:]) <= 181


async def test_what_is_gone_is_asked_weekly_and_what_is_dead_daily(autojump_clock: MockClock) -> None:
    came_back = served(every=30 * DAY)
    sites = {
        "gone": Site(refused(410)),
        "back": Site(lambda headers, now: (refused(410) if now < 10 * DAY else came_back)(headers, now)),
        "missing": Site(refused(404)),
        "dead": Site(unreachable),
    }
    bench = await simulated(sites, 28)
    gone, dead = sites["gone"].asked, sites["dead"].gaps
    assert len([moment for moment in gone if moment > 3 * DAY]) <= 4
    assert max(sites["gone"].gaps) >= 7 * DAY
    assert (await bench.status("gone")).state == "gone"
    back = await bench.status("back")
    assert (back.state, back.consecutive_failures, await articles(bench, "back")) == ("active", 0, 1)
    assert (await bench.status("missing")).state == "degraded"
    # Never given up.
    assert 24 <= len([gap for gap in dead if gap > DAY / 2]) <= 28
    assert max(dead) <= DAY + 61


async def test_an_outage_of_ours_is_nobody_s_failure_and_over_at_once(autojump_clock: MockClock) -> None:
    sites = {f"s{number}": Site(away(DAY / 4, DAY / 2)) for number in range(12)}
    bench = await simulated(sites, 0.6)
    for name, site in sites.items():
        during = [moment for moment in site.asked if DAY / 4 <= moment < DAY / 2]
        assert max(after - before for before, after in pairwise(during)) <= 420
        # Back within what a probe waits.
        assert min(moment for moment in site.asked if moment >= DAY / 2) <= DAY / 2 + 121
        status = await bench.status(name)
        assert (status.consecutive_failures, status.state) == (0, "active")
    returned = sorted(moment for site in sites.values() for moment in site.asked if moment >= DAY / 2)[:12]
    assert max(after - before for before, after in pairwise(returned)) > 1
    assert returned[-1] - returned[0] > 30


async def test_while_it_lasts_it_counts_against_nobody_not_even_who_showed_it(
    autojump_clock: MockClock,
) -> None:
    sites = {f"s{number}": Site(away(DAY / 8, DAY)) for number in range(12)}
    bench = await simulated(sites, 0.14)
    statuses = [await bench.status(name) for name in sites]
    assert {(one.consecutive_failures, one.schedule_reason) for one in statuses} == {(0, "offline")}


async def test_who_is_polled_seldom_comes_back_at_once_too(autojump_clock: MockClock) -> None:
    began, ended = DAY / 2, DAY / 2 + 2 * HOUR
    sites = {f"s{number}": Site(away(began, ended)) for number in range(40)}
    bench = await simulated(sites, 0.6, interval=6 * HOUR)
    touched = [site for site in sites.values() if any(began <= moment < ended for moment in site.asked)]
    assert len(touched) >= 10
    assert (
        sum(len([moment for moment in site.asked if began <= moment < ended]) == 1 for site in touched) >= 4
    )
    for site in touched:
        assert min(moment for moment in site.asked if moment >= ended) <= ended + 121
    assert {(await bench.status(name)).consecutive_failures for name in sites} == {0}


@pytest.mark.parametrize(
    "jump", [timedelta(hours=9), timedelta(days=400), timedelta(hours=-9), timedelta(days=-400)]
)
async def test_a_suspend_or_a_clock_that_is_set_makes_no_herd_and_no_pause(
    jump: timedelta, autojump_clock: MockClock
) -> None:
    sites = {f"s{number}": Site(served(every=30 * DAY)) for number in range(100)}
    await simulated(sites, 0.1, jump=jump, at=4_000)
    for site in sites.values():
        assert min(site.gaps) >= 300
        assert max([*site.gaps, DAY / 10 - site.asked[-1]]) <= 361
    asked = sorted(moment for site in sites.values() for moment in site.asked)
    busiest = max(sum(moment <= other < moment + 10 for other in asked) for moment in asked)
    # One in 3.3 s on average, and 10 s of as many as start at random.
    assert busiest <= 12
