"""The kind x against an X that behaves as documented: walks, pages, edits, and what ends them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from digestd.errors import ConnectFailed
from digestd.feed.budget import Expense
from digestd.model import Failure, PollState
from support.x_reader import DAY, SEARCH, USER, Clock, Reader, ids, site_at
from support.x_site import BEGAN, Said, XSite

FIELDS = "created_at,author_id,edit_history_tweet_ids,entities,lang,note_tweet,referenced_tweets"


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


async def test_its_habit_is_that_of_its_newest_posts() -> None:
    clock = Clock()
    site = site_at(clock, 250)
    reader = Reader(site, first=250)
    await reader.poll()
    assert reader.last is not None
    newest = BEGAN - timedelta(minutes=10)
    # Not that of the last page of the walk.
    assert (reader.last.hints.gap_seconds, reader.last.hints.newest_at) == (60.0, newest)
    clock.later(hours=1)
    site.post(ago=600)
    await reader.poll()
    assert (reader.last.hints.gap_seconds, reader.last.hints.newest_at) == (60.0, newest + timedelta(hours=1))


async def test_a_mark_that_x_refuses_in_words_alone_is_dropped() -> None:
    clock = Clock()
    site = site_at(clock, 1)
    reader = Reader(site, SEARCH)
    await reader.poll()
    clock.later(days=3)
    said = {"title": "Invalid Request", "detail": "'since_id' must be a tweet id created after [TIMESTAMP]."}
    reader.asking.before = lambda number: (400, {}, json.dumps(said).encode()) if number == 2 else None
    _ = reader.queries
    await reader.poll()
    assert reader.queries == [{"max_results": "100", "start_time": "2026-11-23T07:55:00Z"}]
    assert reader.failure is None


async def test_pages_in_a_circle_are_told() -> None:
    clock = Clock()
    site = site_at(clock, 150)
    reader = Reader(site, SEARCH, first=200)
    body = {"data": site.posts[:50], "meta": {"result_count": 50, "next_token": "again"}}
    reader.asking.before = lambda number: (200, {}, json.dumps(body).encode())
    await reader.poll()
    assert reader.asking.asked == 2
    assert reader.failure == Failure("not_a_feed", "X does not page: the next page is the one that came")


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
