"""What the kind x spends: never more than a day may cost, whatever ends the process in between."""

from __future__ import annotations

import pytest

from digestd.errors import ConnectFailed, FetchTimeout, ProtocolFailed
from digestd.feed.budget import Expense
from digestd.model import Failure
from support.kind_runs import Killed
from support.x_reader import DAY, SEARCH, USER, Clock, Reader, ids, site_at
from support.x_site import Asking, Said, XSite


async def test_a_day_has_so_many_posts_and_the_next_one_goes_on() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, daily_posts=120)
    await reader.poll()
    clock.later(hours=12)
    for number in range(250, 0, -1):
        site.post(ago=540 + 60 * number)
    _ = reader.queries
    await reader.poll()
    # The second page is as large as what is left.
    assert [query["max_results"] for query in reader.queries] == ["100", "19"]
    assert reader.failure == Failure(
        "paused",
        "the daily budget (120 posts) does not suffice for another request: 120 posts and $0.61 since midnight "
        "UTC, by all sources with this token; it goes on at the next midnight UTC",
        retry_after_seconds=4 * 3_600.0,
    )
    clock.later(hours=3.9)
    await reader.poll()
    assert reader.queries == []
    for _ in range(2):
        clock.later(hours=12)
        await reader.poll()
    assert len(reader.guids) == 240
    clock.later(hours=24)
    await reader.poll()
    assert reader.guids == ids(site)
    assert max(count for (_, what), count in site.sold.items() if what == "posts") == 120


async def test_a_day_may_cost_so_much() -> None:
    clock = Clock()
    site = site_at(clock, 200)
    reader = Reader(site, daily_dollars=0.5, first=150)
    await reader.poll()
    assert [query["max_results"] for query in reader.queries[1:]] == ["98"]
    assert reader.failure is not None
    assert reader.failure.message.startswith(
        "the daily budget ($0.50) does not suffice for another request: 98 posts and $0.50 since"
    )
    assert site.sold_on(DAY) == (98, 1)


async def test_prices_can_be_others() -> None:
    clock = Clock()
    site = site_at(clock, 200)
    reader = Reader(site, daily_dollars=1.0, post_dollars=0.1, user_dollars=0.5)
    await reader.poll()
    assert [query["max_results"] for query in reader.queries[1:]] == ["5"]
    assert reader.spent == Expense(5, 1_000_000)


async def test_a_lookup_is_paid_for_too() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, daily_dollars=0.025, user_dollars=0.02)
    await reader.poll()
    assert len(reader.queries) == 1
    other = Reader(site, USER.replace("examplecert", "lab"), budgets=reader.budgets, daily_dollars=0.025)
    await other.poll()
    assert other.queries == []
    assert other.failure is not None
    assert other.failure.cause == "paused"


async def test_sources_with_one_token_share_it() -> None:
    clock = Clock()
    site = site_at(clock, 100)
    first = Reader(site, daily_posts=120)
    second = Reader(site, SEARCH, budgets=first.budgets, daily_posts=120)
    await first.poll()
    await second.poll()
    assert [query["max_results"] for query in second.queries[2:]] == ["20"]
    assert site.sold_on(DAY)[0] == 120
    # One with a higher limit of its own goes on.
    third = Reader(site, SEARCH, budgets=first.budgets, daily_posts=150)
    await third.poll()
    assert site.sold_on(DAY)[0] == 150


async def test_what_comes_along_is_paid_for_beforehand() -> None:
    clock = Clock()
    site = XSite(clock)
    for number in range(40, 0, -1):
        quoted = site.post(name="lab", ago=600 + 60 * number)
        site.post(ago=590 + 60 * number, referenced_tweets=[{"type": "quoted", "id": quoted["id"]}])
    reader = Reader(site, daily_posts=50, quotes=True)
    await reader.poll()
    # 25 posts may bring 25 that they quote.
    assert [query["max_results"] for query in reader.queries[1:]] == ["25"]
    assert site.sold_on(DAY)[0] == reader.spent.reads == 50


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (ConnectFailed("no"), 0),
        (FetchTimeout("no complete answer"), 100),
        (ProtocolFailed("the connection broke off"), 100),
    ],
)
async def test_who_may_have_been_answered_has_paid(error: Exception, counted: int) -> None:
    clock = Clock()
    site = site_at(clock, 5)
    reader = Reader(site, SEARCH)

    def fails(number: int) -> Said | None:
        raise error

    reader.asking.before = fails
    await reader.poll()
    assert reader.spent.reads == counted


async def test_a_refusal_costs_nothing() -> None:
    clock = Clock()
    reader = Reader(site_at(clock, 5), http=Asking(site_at(clock), token="wrong"))
    await reader.poll()
    assert reader.spent == Expense()


async def test_one_that_dies_with_the_answer_in_hand_has_paid() -> None:
    clock = Clock()
    site = site_at(clock, 5)
    reader = Reader(site, SEARCH, daily_posts=150)

    def dies(number: int) -> None:
        raise Killed

    reader.asking.after = dies
    await reader.poll()
    assert reader.spent.reads == 100
    reader.asking.after = lambda number: None
    await reader.poll()
    assert reader.queries[-1]["max_results"] == "50"
    assert reader.guids == ids(site)
