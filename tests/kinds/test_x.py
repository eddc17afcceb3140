"""The kind x against an X that behaves as documented, sells what it gives, and whatever ends the process in between."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.config.kind_options import settled
from digestd.errors import ConnectFailed, FetchTimeout, ProtocolFailed
from digestd.feed.budget import Expense
from digestd.feed.x_place import read_place, sent_query
from digestd.kinds import Tools
from digestd.kinds.x import NO_TOKEN, XKind
from digestd.kinds.x_options import XOptions
from digestd.model import Failure, PollState, Source, SourceSpec, Step
from support.kind_runs import Killed, Run, parse_here
from support.memory_budgets import MemoryBudgets
from support.x_site import API, BEGAN, Asking, Said, XSite

USER = f"{API}/2/users/by/username/examplecert"
SEARCH = f"{API}/2/tweets/search/recent?query=CVE"
KEY = f"x {API} 0a1b"
FIELDS = "created_at,author_id,edit_history_tweet_ids,entities,lang,note_tweet,referenced_tweets"
DAY = "2026-11-23"


class Reader(Run):
    """A source of the kind, by the clock of `site`; several share the count of what was spent."""

    def __init__(
        self,
        site: XSite,
        url: str = USER,
        *,
        http: Asking | None = None,
        budgets: MemoryBudgets | None = None,
        has_token: bool = True,
        **options: Any,
    ) -> None:
        self.site = site
        clock = site.now
        self.asking = http or Asking(site)
        self.budgets = budgets or MemoryBudgets(clock)
        token = {"bearer_token": {"env": "X_TOKEN"}} if has_token else {}
        spec = SourceSpec("one", "x", url, options={**options, **token})
        super().__init__(
            lambda tools: XKind(replace(tools, budgets=self.budgets, now=clock)),
            Source(1, spec),
            self.asking,
        )

    @property
    def queries(self) -> list[dict[str, str]]:
        """What was asked for since this was asked last, without what is always the same."""
        asked, self.site.asked = self.site.asked, []
        always = {"tweet.fields", "exclude", "query"}
        return [{name: value for name, value in query.items() if name not in always} for _, query in asked]

    @property
    def spent(self) -> Expense:
        return self.budgets.accounts[KEY].spent

    @property
    def cursor(self) -> dict[str, Any]:
        return dict(self.state.cursor or {})

    @property
    def guids(self) -> set[str]:
        return {entry.guid or "" for entry in self.entries.values()}


class Clock:
    """Where a site gets its time from."""

    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        return self.now

    def later(self, **span: float) -> None:
        self.now += timedelta(**span)


def site_at(clock: Clock, posts: int = 0, **more: Any) -> XSite:
    """A site with so many posts, a minute apart, the last one ten minutes old."""
    site = XSite(clock, **more)
    for number in range(posts, 0, -1):
        site.post(ago=540 + 60 * number)
    return site


def ids(site: XSite) -> set[str]:
    return {post["id"] for post in site.posts}


async def test_a_user_is_looked_up_once_and_the_newest_posts_are_taken() -> None:
    clock = Clock()
    site = site_at(clock, 130)
    reader = Reader(site)
    await reader.poll()
    user = site.users["examplecert"]["id"]
    assert site.asked == [
        ("/2/users/by/username/examplecert", {"user.fields": "protected"}),
        (
            f"/2/users/{user}/tweets",
            {"max_results": "100", "exclude": "retweets,replies", "tweet.fields": FIELDS},
        ),
    ]
    assert reader.guids == {post["id"] for post in site.posts[30:]}
    assert site.sold_on(DAY) == (100, 1)
    assert reader.spent == Expense(100, 510_000)
    newest = site.posts[-1]
    assert reader.cursor["since"] == [newest["id"], int(BEGAN.timestamp()) - 600]
    assert "walk" not in reader.cursor
    # What was read is not paid for again.
    clock.later(hours=1)
    _ = reader.queries
    await reader.poll()
    assert reader.queries == [{"max_results": "100", "since_id": newest["id"]}]
    assert site.sold_on(DAY) == (100, 1)
    assert reader.last is not None
    assert (reader.last.outcome, reader.last.remark) == ("unchanged", None)


async def test_a_search_needs_no_lookup_and_leaves_retweets_out() -> None:
    clock = Clock()
    site = site_at(clock, 3)
    reader = Reader(site, SEARCH, authors=True, quotes=True, first=50)
    await reader.poll()
    assert site.asked == [
        (
            "/2/tweets/search/recent",
            {
                "max_results": "50",
                "query": "CVE -is:retweet",
                "tweet.fields": FIELDS,
                "expansions": "referenced_tweets.id,author_id",
            },
        )
    ]
    assert {entry.author for entry in reader.entries.values()} == {"The examplecert (@examplecert)"}
    assert site.sold_on(DAY) == (3, 1)
    assert reader.spent == Expense(3, 25_000)


async def test_posts_of_the_last_minutes_are_looked_at_again_and_kept_once() -> None:
    clock = Clock()
    site = site_at(clock, 5)
    recent = site.post(ago=60)
    reader = Reader(site)
    await reader.poll()
    clock.later(minutes=15)
    # It was written before the other, and is to be seen only now.
    late = site.post(ago=17 * 60)
    _ = reader.queries
    await reader.poll()
    old = site.posts[4]
    assert reader.queries == [{"max_results": "100", "since_id": old["id"]}]
    assert late["id"] in reader.guids
    assert reader.guids == ids(site)
    assert (reader.cursor["since"][0], len(reader.entries)) == (recent["id"], 7)


async def test_edits_are_one_article() -> None:
    clock = Clock()
    site = site_at(clock, 2)
    reader = Reader(site)
    await reader.poll()
    clock.later(minutes=20)
    first = site.posts[-1]
    new = site.edit(first, "Fixed: it is 9.1.4")
    await reader.poll()
    entry = reader.entries[f"https://x.com/examplecert/status/{new['id']}"]
    assert (entry.guid, entry.title) == (first["id"], "Fixed: it is 9.1.4")
    assert len(reader.guids) == 2


@pytest.mark.parametrize("url", [USER, SEARCH])
async def test_the_mark_moves_only_when_the_walk_is_complete(url: str) -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, url)
    await reader.poll()
    mark = reader.cursor["since"]
    clock.later(hours=12)
    for number in range(250, 0, -1):
        site.post(ago=540 + 60 * number)

    def fails(number: int) -> Said | None:
        if len(site.asked) == 2:
            raise ConnectFailed("no connection")
        return None

    site.asked.clear()
    reader.asking.before = fails
    await reader.poll()
    assert reader.failure == Failure("connect", "no connection")
    assert len(reader.guids) == 201
    assert reader.cursor["since"] == mark
    first, second = reader.queries
    assert first == {"max_results": "100", "since_id": mark[0]}
    assert second.pop("next_token" if url == SEARCH else "pagination_token").startswith("b26v")
    assert second == first
    # What came meanwhile is for the next walk.
    clock.later(hours=1)
    site.post(ago=400)
    reader.asking.before = lambda number: None
    await reader.poll()
    (third,) = reader.queries
    assert third["since_id"] == mark[0]
    assert reader.cursor["since"][0] == site.posts[-2]["id"]
    await reader.poll()
    assert reader.guids == ids(site)
    # 251 were read, and the one that came later; none twice.
    assert site.sold_on(DAY)[0] == 252


@pytest.mark.parametrize("url", [USER, SEARCH])
async def test_where_a_token_is_not_taken_any_more_the_walk_goes_on_below(url: str) -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, url)
    await reader.poll()
    mark = reader.cursor["since"][0]
    clock.later(hours=12)
    for number in range(350, 0, -1):
        site.post(ago=540 + 60 * number)
    await reader.poll(most_steps=1)
    site.pages_live = False
    _ = reader.queries
    await reader.poll(most_steps=1)
    site.pages_live = True
    await reader.poll()
    queries = reader.queries
    until = site.posts[-100]["id"]
    assert [query.get("until_id") for query in queries] == [None, until, until, until]
    assert {query["since_id"] for query in queries} == {mark}
    assert reader.guids == ids(site)
    assert site.sold_on(DAY)[0] == 351
    assert "walk" not in reader.cursor


async def test_a_search_goes_back_a_week_and_says_what_cannot_be_had() -> None:
    clock = Clock()
    site = site_at(clock, 3)
    reader = Reader(site, SEARCH)
    await reader.poll()
    clock.later(days=20)
    site.post("gone", ago=10 * 86_400)
    site.post("there", ago=5 * 86_400)
    _ = reader.queries
    await reader.poll()
    assert reader.queries == [{"max_results": "100", "start_time": "2026-12-06T08:20:00Z"}]
    assert {entry.title for entry in reader.entries.values()} >= {"there"}
    assert reader.last is not None
    assert reader.last.remark == (
        "posts from 2026-11-23 to 2026-12-06 cannot be had: recent search goes back seven days"
    )
    await reader.poll()
    assert reader.last.remark is None


async def test_a_quiet_search_goes_on_from_its_last_look() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, SEARCH)
    for _ in range(9):
        await reader.poll()
        clock.later(days=1)
    await reader.poll()
    # The post is older than a search reaches: it is no mark any more, and the last look is one.
    assert reader.queries[-1] == {"max_results": "100", "start_time": "2026-12-01T07:55:00Z"}
    assert reader.failure is None
    assert reader.last is not None
    assert reader.last.remark is None


async def test_a_mark_that_x_refuses_is_dropped() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, SEARCH)
    await reader.poll()
    clock.later(days=6, hours=23, minutes=30)
    site.post("new", ago=3_600)
    # By its clock the mark is older than a week, and by ours it is not.
    site.now = lambda: clock.now + timedelta(minutes=25)
    _ = reader.queries
    await reader.poll()
    assert [sorted(query) for query in reader.queries] == [
        ["max_results", "since_id"],
        ["max_results", "start_time"],
    ]
    assert "new" in {entry.title for entry in reader.entries.values()}
    assert "walk" not in reader.cursor


async def test_a_walk_that_ages_out_of_reach_goes_on_with_times() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, SEARCH)
    await reader.poll()
    clock.later(days=3)
    for number in range(250, 0, -1):
        site.post(ago=540 + 60 * number)
    await reader.poll(most_steps=1)
    clock.later(days=4)
    _ = reader.queries
    await reader.poll()
    queries = reader.queries
    assert all("since_id" not in query and "until_id" not in query for query in queries)
    assert {query["end_time"] for query in queries} == {
        site.posts[-100]["created_at"].replace("00.000Z", "01Z")
    }
    assert reader.guids == ids(site)
    # One stands on both sides of the second that divides them.
    assert sum(count for (_, what), count in site.sold.items() if what == "posts") == 252


async def test_what_was_left_of_a_walk_may_be_out_of_reach_for_good() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, SEARCH)
    await reader.poll()
    clock.later(days=1)
    for number in range(150, 0, -1):
        site.post(ago=540 + 60 * number)
    await reader.poll(most_steps=1)
    clock.later(days=9)
    site.asked.clear()
    await reader.poll(most_steps=1)
    assert (site.asked, reader.failure) == ([], None)
    assert "walk" not in reader.cursor
    site.post("after", ago=900)
    await reader.poll()
    assert "after" in {entry.title for entry in reader.entries.values()}


async def test_an_account_without_posts_is_read_from_its_first_one_on() -> None:
    clock = Clock()
    site = XSite(clock)
    site.open_account()
    reader = Reader(site, first=10)
    await reader.poll()
    clock.later(days=30)
    for number in range(150, 0, -1):
        site.post(ago=540 + 60 * number)
    await reader.poll()
    assert reader.guids == ids(site)


@pytest.mark.parametrize(("first", "sizes"), [(10, ["10"]), (230, ["100", "100", "30"]), (102, ["100", "5"])])
async def test_the_first_poll_takes_so_many(first: int, sizes: list[str]) -> None:
    clock = Clock()
    site = site_at(clock, 400)
    reader = Reader(site, first=first)
    await reader.poll()
    assert [query["max_results"] for query in reader.queries[1:]] == sizes
    assert first <= len(reader.guids) <= first + 3
    clock.later(hours=1)
    await reader.poll()
    assert len(reader.queries) == 1


async def test_retweets_and_replies_where_they_are_wanted() -> None:
    clock = Clock()
    site = XSite(clock)
    original = site.post("The whole text", name="lab", ago=4_000)
    site.post("RT @lab: The wh…", ago=3_000, referenced_tweets=[{"type": "retweeted", "id": original["id"]}])
    site.post("@lab thanks", ago=2_000, referenced_tweets=[{"type": "replied_to", "id": original["id"]}])
    reader = Reader(site)
    await reader.poll()
    assert reader.guids == set()
    reader = Reader(site, retweets=True, replies=True)
    await reader.poll()
    assert {entry.title for entry in reader.entries.values()} == {"The whole text", "@lab thanks"}
    assert site.asked[-1][1]["expansions"] == "referenced_tweets.id"
    assert "exclude" not in site.asked[-1][1]


class TestBudget:
    async def test_a_day_has_so_many_posts_and_the_next_one_goes_on(self) -> None:
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

    async def test_a_day_may_cost_so_much(self) -> None:
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

    async def test_prices_can_be_others(self) -> None:
        clock = Clock()
        site = site_at(clock, 200)
        reader = Reader(site, daily_dollars=1.0, post_dollars=0.1, user_dollars=0.5)
        await reader.poll()
        assert [query["max_results"] for query in reader.queries[1:]] == ["5"]
        assert reader.spent == Expense(5, 1_000_000)

    async def test_a_lookup_is_paid_for_too(self) -> None:
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

    async def test_sources_with_one_token_share_it(self) -> None:
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

    async def test_what_comes_along_is_paid_for_beforehand(self) -> None:
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
    async def test_who_may_have_been_answered_has_paid(self, error: Exception, counted: int) -> None:
        clock = Clock()
        site = site_at(clock, 5)
        reader = Reader(site, SEARCH)

        def fails(number: int) -> Said | None:
            raise error

        reader.asking.before = fails
        await reader.poll()
        assert reader.spent.reads == counted

    async def test_a_refusal_costs_nothing(self) -> None:
        clock = Clock()
        reader = Reader(site_at(clock, 5), http=Asking(site_at(clock), token="wrong"))
        await reader.poll()
        assert reader.spent == Expense()

    async def test_one_that_dies_with_the_answer_in_hand_has_paid(self) -> None:
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


class TestRefusals:
    @pytest.mark.parametrize(
        ("trouble", "status", "said"),
        [
            (
                {"credits": 0},
                402,
                "Your enrolled account [123] does not have any credits to fulfill this request",
            ),
            ({"spend_cap": True}, 403, "Your enrolled account has reached its billing cycle spend cap"),
            ({"cap": 0}, 429, "Usage cap exceeded: Monthly product cap"),
        ],
    )
    async def test_credits_that_are_used_up_end_the_day_for_all(
        self, trouble: dict[str, Any], status: int, said: str
    ) -> None:
        clock = Clock()
        site = site_at(clock, 3, **trouble)
        reader = Reader(site, SEARCH)
        await reader.poll()
        advice = (
            "the credits of the account are used up, or its cap is reached; nothing is asked with this token until "
            "midnight UTC; buy credits or raise the cap in the Developer Console"
        )
        seconds = 16 * 3_600.0
        words = f"the server answered {status} ({said}): {advice}"
        assert reader.failure == Failure("http_status", words, status, seconds)
        # It is no matter of how often: the host is not left alone, for other tokens may have credits.
        assert reader.asking.left_alone == []
        clock.later(hours=1)
        other = Reader(site, budgets=reader.budgets)
        await other.poll()
        because = f"the server answered {status}: {advice}"
        assert other.failure == Failure(
            "paused",
            f"nothing is asked with this token until midnight UTC: {because}",
            retry_after_seconds=seconds - 3_600,
        )
        assert len(site.asked) == 1
        site.credits, site.spend_cap, site.cap = None, False, None
        clock.later(hours=16)
        await other.poll()
        assert other.failure is None
        assert other.guids == ids(site)

    async def test_limits_are_over_by_themselves(self) -> None:
        clock = Clock()
        site = site_at(clock, 3, window=2)
        reader = Reader(site, SEARCH)
        await reader.poll()
        clock.later(seconds=100)
        await reader.poll()
        # None was left, which the answer said.
        assert reader.asking.left_alone == [("api.x.com", 800.0)]
        await reader.poll()
        assert reader.failure == Failure(
            "paused",
            "the server answered 429 (Too Many Requests): X was asked too often with this token, and is left alone "
            "until it may be asked again",
            429,
            800.0,
        )
        assert reader.asking.left_alone == [("api.x.com", 800.0)] * 2
        for _ in range(5):
            await reader.poll()
        assert reader.failure is not None
        assert reader.failure.cause == "http_status"
        clock.later(seconds=800)
        await reader.poll()
        assert reader.failure is None
        assert "throttled" not in reader.cursor

    async def test_a_limit_without_a_moment_lasts_a_window(self) -> None:
        clock = Clock()
        body = b'{"errors": [{"code": 88, "message": "Rate limit exceeded"}]}'
        reader = Reader(site_at(clock, 3), SEARCH)
        reader.asking.before = lambda number: (429, {}, body)
        await reader.poll()
        assert reader.asking.left_alone == [("api.x.com", 900.0)]
        assert reader.failure is not None
        assert (reader.failure.cause, reader.failure.retry_after_seconds) == ("paused", 900.0)

    @pytest.mark.parametrize(
        ("status", "body", "failure"),
        [
            (
                401,
                {"title": "Unauthorized", "type": "about:blank", "status": 401, "detail": "Unauthorized"},
                Failure(
                    "settings",
                    "the server answered 401 (Unauthorized): X does not take the bearer_token; make a new one in the "
                    "Developer Console",
                    401,
                ),
            ),
            (
                403,
                {"title": "Client Forbidden", "reason": "client-not-enrolled", "type": "x/client-forbidden"},
                Failure(
                    "settings",
                    "the server answered 403 (Client Forbidden): the application behind the bearer_token may not do "
                    "this; look at its project and package there",
                    403,
                ),
            ),
            (
                400,
                {
                    "errors": [
                        {"parameters": {"query": ["("]}, "message": "There were errors processing: ("}
                    ],
                    "title": "Invalid Request",
                },
                Failure(
                    "settings",
                    "the server answered 400 (There were errors processing: (): X does not take the request; check "
                    "the query and the other options of the source",
                    400,
                ),
            ),
            (
                404,
                b"<html>",
                Failure(
                    "http_status",
                    "the server answered 404: there is nothing of X's at this address; check the user, and base_url",
                    404,
                ),
            ),
            (
                503,
                b"",
                Failure(
                    "http_status",
                    "the server answered 503: X has trouble of its own; nothing needs to be done here",
                    503,
                ),
            ),
            (
                202,
                b"",
                Failure("http_status", "the server answered 202: what came is no answer of X's API", 202),
            ),
            (429, {"title": "UsageCapExceeded"}, None),
            (402, b"[", None),
        ],
    )
    async def test_others(self, status: int, body: Any, failure: Failure | None) -> None:
        clock = Clock()
        reader = Reader(site_at(clock, 3), SEARCH)
        said = body if isinstance(body, bytes) else json.dumps(body).encode()
        reader.asking.before = lambda number: (status, {}, said)
        await reader.poll()
        assert reader.failure is not None
        if failure is None:
            assert reader.failure.retry_after_seconds == 16 * 3_600
        else:
            assert reader.failure == failure

    async def test_what_x_never_takes_is_not_tried_for_ever(self) -> None:
        clock = Clock()
        site = site_at(clock, 1)
        reader = Reader(site, SEARCH)
        await reader.poll()
        body = {"errors": [{"parameters": {"since_id": ["1"], "start_time": ["1"]}, "message": "no"}]}
        reader.asking.before = lambda number: (400, {}, json.dumps(body).encode())
        reader.asking.asked = 0
        await reader.poll()
        assert reader.failure is not None
        assert (reader.failure.cause, reader.asking.asked) == ("settings", 4)


class TestUsers:
    async def test_there_is_none_of_that_name(self) -> None:
        reader = Reader(XSite(Clock()))
        await reader.poll()
        assert reader.failure == Failure(
            "http_status",
            "X shows no user examplecert (Could not find user with username: [examplecert]); check the name",
        )
        assert reader.spent == Expense()

    async def test_one_that_was_suspended_is_looked_up_again(self) -> None:
        clock = Clock()
        site = site_at(clock, 1)
        reader = Reader(site)
        await reader.poll()
        old = site.users.pop("examplecert")
        await reader.poll()
        assert reader.failure == Failure(
            "http_status", f"X shows no posts of examplecert (Could not find user with id: [{old['id']}])"
        )
        site.open_account("someone")
        site.open_account(suspended=True)
        await reader.poll()
        assert reader.failure is not None
        assert reader.failure.message == (
            "X shows no user examplecert (User has been suspended: [examplecert]); check the name"
        )
        site.open_account()
        new = site.post("Back again")
        await reader.poll()
        assert new["id"] in reader.guids

    async def test_protected_posts(self) -> None:
        site = XSite(Clock())
        user = site.open_account(protected=True)
        reader = Reader(site)
        await reader.poll()
        assert reader.failure == Failure(
            "http_status", "the posts of examplecert are protected, and shown to followers alone"
        )
        user["protected"] = False
        site.post()
        await reader.poll()
        assert reader.failure is None
        user["protected"] = True
        await reader.poll()
        assert reader.failure is not None
        assert reader.failure.message.startswith(
            "X shows no posts of examplecert (Sorry, you are not authorized to see the user with id"
        )


class TestToken:
    async def test_without_one_nothing_is_asked_and_nothing_fails(self) -> None:
        clock = Clock()
        site = site_at(clock, 1)
        reader = Reader(site, has_token=False)
        reader.state = PollState(cursor={"since": ["7", 0]})
        step = await reader.poll()
        assert step == Step(PollState(cursor={"since": ["7", 0]}), unchanged=True, remark=NO_TOKEN)
        assert site.asked == []

    async def test_one_that_is_not_there_is_told(self) -> None:
        kind = XKind(Tools(parse_here))
        source = Source(1, SourceSpec("one", "x", USER))
        reason = "source 'one': options: bearer_token: the variable X_TOKEN is not set"
        step = kind.without_secrets(source, PollState(), reason)
        assert (step.failure, step.remark) == (None, f"{NO_TOKEN} ({reason})")
        reason = "source 'one': options: proxy: the variable PROXY is not set"
        step = kind.without_secrets(source, PollState(), reason)
        assert step.failure == Failure("settings", reason)

    async def test_a_header_is_a_token_too(self) -> None:
        clock = Clock()
        reader = Reader(site_at(clock, 1), has_token=False, headers={"Authorization": {"env": "X"}})
        await reader.poll()
        assert len(reader.guids) == 1


@pytest.mark.parametrize(
    "cursor",
    [
        {"user": "../../x", "since": ["x", 1], "reached": "now", "walk": {"began": "x"}},
        {"user": 7, "since": [], "reached": True, "walk": []},
        {"since": ["5"], "walk": {"began": 5, "token": 7, "until": "x", "oldest": [1, 2], "left": -5}},
        {"since": None, "reached": 10**30, "walk": {"began": 10**30}, "throttled": "often"},
    ],
)
async def test_of_a_damaged_row_what_is_sound_is_used(cursor: dict[str, Any]) -> None:
    clock = Clock()
    site = site_at(clock, 30)
    reader = Reader(site)
    reader.state = PollState(cursor=cursor)
    await reader.poll()
    assert reader.failure is None
    assert reader.guids == ids(site)


def options(url: str | None = None, **given: Any) -> str | list[str]:
    """Where a source with these options is asked, or what is wrong with them."""
    done = settled(XOptions, "x", given, url, Path("/"))
    return done if isinstance(done, list) else done.url


@pytest.mark.parametrize(
    ("url", "given", "place"),
    [
        (None, {"user": "@ExampleCERT"}, USER),
        ("https://x.com/examplecert", {}, USER),
        ("https://twitter.com/examplecert/", {}, USER),
        (None, {"query": " CVE "}, SEARCH),
        ("https://x.com/search?q=CVE&src=typed_query", {}, SEARCH),
        (None, {"query": "a&b=c #d"}, f"{API}/2/tweets/search/recent?query=a%26b%3Dc%20%23d"),
        (
            None,
            {"user": "a", "base_url": "http://127.0.0.1:8080/x/"},
            "http://127.0.0.1:8080/x/2/users/by/username/a",
        ),
    ],
)
def test_places(url: str | None, given: dict[str, Any], place: str) -> None:
    assert options(url, **given) == place
    found = read_place(place)
    assert found.url == place


@pytest.mark.parametrize(
    ("url", "given", "problem"),
    [
        (None, {}, "exactly one of url and the options user and query says what is read"),
        (
            None,
            {"user": "a", "query": "b"},
            "exactly one of url and the options user and query says what is read",
        ),
        (None, {"user": "no name"}, "user: 'no name' is none; write the name as it stands behind the @"),
        (None, {"query": " "}, "query: must not be empty"),
        ("https://example.com/a", {}, "it must be an address at x.com; base_url tells where else the API is"),
        (
            "https://x.com/a/status/1",
            {},
            "it must be the address of a user or a search: https://x.com/name or https://x.com/search?q=…",
        ),
        (None, {"query": "a" * 501}, "query: X takes 512 characters at most, -is:retweet among them"),
        (
            None,
            {"query": "a", "replies": True},
            "the option replies goes with a user; a query finds replies unless it says -is:reply",
        ),
        (
            None,
            {"user": "a", "authors": True},
            "the option authors goes with a query; who posts on a timeline is known",
        ),
        (
            None,
            {"query": "a", "daily_posts": 9},
            "daily_posts: the smallest page may bring 10 posts; allow so many at least",
        ),
        (
            None,
            {"user": "a", "daily_posts": 9, "quotes": True},
            "daily_posts: the smallest page may bring 10 posts; allow so many at least",
        ),
        (
            None,
            {"query": "a", "daily_dollars": 0.1, "authors": True},
            "daily_dollars: one request may cost $0.15; allow so much at least",
        ),
    ],
)
def test_what_is_wrong_with_options(url: str | None, given: dict[str, Any], problem: str) -> None:
    assert options(url, **given) == [f"url: {problem}"]


@pytest.mark.parametrize(
    ("query", "retweets", "sent"),
    [
        ("CVE", False, "CVE -is:retweet"),
        ("CVE", True, "CVE"),
        ("from:a OR from:b", False, "(from:a OR from:b) -is:retweet"),
        ("CVE -is:retweet lang:en", False, "CVE -is:retweet lang:en"),
        ("CVE is:retweet", False, "CVE is:retweet"),
    ],
)
def test_what_a_query_is_sent_as(query: str, retweets: bool, sent: str) -> None:
    assert sent_query(query, retweets=retweets) == sent


def test_how_often_it_asks() -> None:
    assert XKind(Tools(parse_here)).spacing_seconds(Source(1, SourceSpec("one", "x", USER))) == 2.0


NUMBERS = st.sets(st.integers(1, 30), max_size=6)


@settings(max_examples=150)
@given(
    is_search=st.booleans(),
    rounds=st.lists(st.integers(0, 50), min_size=1, max_size=6),
    hours=st.lists(st.integers(1, 12), min_size=6, max_size=6),
    daily_posts=st.one_of(st.none(), st.integers(150, 400)),
    broken=NUMBERS,
    lost=NUMBERS,
    dies_in_request=NUMBERS,
    dies_with_answer=NUMBERS,
    dies_before=NUMBERS,
    dies_after=NUMBERS,
    stale=NUMBERS,
    longest_page=st.sampled_from([100, 17, 7]),
)
def test_nothing_is_lost_doubled_or_overspent_whatever_fails(
    is_search: bool,
    rounds: list[int],
    hours: list[int],
    daily_posts: int | None,
    broken: set[int],
    lost: set[int],
    dies_in_request: set[int],
    dies_with_answer: set[int],
    dies_before: set[int],
    dies_after: set[int],
    stale: set[int],
    longest_page: int,
) -> None:
    async def live() -> None:
        clock = Clock()
        site = site_at(clock, 1, longest_page=longest_page)
        reader = Reader(site, SEARCH if is_search else USER, daily_posts=daily_posts)
        await reader.poll()
        records = 0

        def before(number: int) -> Said | None:
            if number in dies_in_request:
                raise Killed
            if number in broken:
                raise ConnectFailed("no connection")
            site.pages_live = number not in stale
            return None

        def after(number: int) -> None:
            if number in dies_with_answer:
                raise Killed
            if number in lost:
                raise FetchTimeout("no complete answer")

        def record() -> None:
            nonlocal records
            records += 1
            # Before a record and after it.
            if (records + 1) // 2 in (dies_before if records % 2 else dies_after):
                raise Killed

        reader.asking.before, reader.asking.after = before, after
        for posts, pause in zip(rounds, hours, strict=False):
            clock.later(hours=pause)
            for number in range(posts, 0, -1):
                site.post(ago=pause * 3_600 * number / (posts + 1))
            await reader.poll(record)
        reader.asking.before, reader.asking.after = lambda number: None, lambda number: None
        site.pages_live = True
        # Three days for what is left: a search reaches back over all of it.
        for _ in range(12):
            clock.later(hours=6)
            await reader.poll()
        assert reader.guids == ids(site)
        assert reader.failure is None
        if daily_posts is not None:
            assert max(count for (_, what), count in site.sold.items() if what == "posts") <= daily_posts

    trio.run(live)
