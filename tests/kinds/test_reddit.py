"""The kind reddit against a Reddit that behaves as documented: its limits, its tokens, what spoils the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from digestd.config.kind_options import settled
from digestd.errors import FetchTimeout
from digestd.feed.reddit_place import read_place
from digestd.feed.reddit_round import Group, Round, round_in
from digestd.kinds import Tools
from digestd.kinds.reddit import RedditKind, RedditOptions
from digestd.model import Failure, Source, SourceSpec
from support.api_reader import ApiReader
from support.reddit_site import BLOCKED, CLIENT, SECRET, Asking, Said, Site

REFERENCE = {"env": "X"}
KEYS = {"client_id": CLIENT, "client_secret": SECRET}
OPTIONS = {"client_id": REFERENCE, "client_secret": REFERENCE}
NAMES = ["blueteamsec", "cybersecurity", "netsec", "reverseengineering"]


def site_of(**more: Any) -> Site:
    return Site(now=trio.current_time, **more)


def reader_of(site: Site, names: list[str], *, keys: dict[str, str] | None = None) -> ApiReader:
    options = OPTIONS if keys else {}
    return ApiReader(RedditKind, Asking(site, keys or {}), f"{site.base}/r/{'+'.join(names)}", **options)


async def polled(reader: ApiReader) -> tuple[str | None, int, int]:
    await trio.sleep(61)
    result = await reader.poll()
    assert result is not None
    return result.outcome, result.articles_new, result.articles_updated


def failure_of(reader: ApiReader) -> Failure | None:
    return reader.steps[-1].failure


async def test_subreddits_are_one_request_and_votes_change_nothing(autojump_clock: MockClock) -> None:
    site = site_of()
    for name in NAMES:
        site.post(name)
    reader = reader_of(site, NAMES)
    assert await polled(reader) == ("fetched", 4, 0)
    assert await polled(reader) == ("fetched", 0, 0)
    joined = "https://www.reddit.com/r/blueteamsec+cybersecurity+netsec+reverseengineering/new/.rss?limit=100"
    assert site.asked == [joined, joined]
    site.posts[0]["title"] = "Corrected"
    assert await polled(reader) == ("fetched", 0, 1)
    assert site.too_often == 0


async def test_a_post_is_the_same_article_with_keys_and_without(autojump_clock: MockClock) -> None:
    site = site_of()
    site.post()
    site.post(text="<p>I found a hole in <a href='/r/netsec'>FooVPN</a>, submitted by me [link]</p>")
    site.post(url="https://i.redd.it/picture.png")
    plain, keyed = reader_of(site, ["netsec"]), reader_of(site, ["netsec"], keys=KEYS)
    await polled(plain)
    await keyed.poll()
    assert plain.articles.keys() == keyed.articles.keys() == {f"t3_1abc00{number}" for number in (1, 2, 3)}
    hashes = [
        {guid: one["content_hash"] for guid, one in reader.articles.items()} for reader in (plain, keyed)
    ]
    assert hashes[0] == hashes[1]


async def test_a_gap_is_walked_back(autojump_clock: MockClock) -> None:
    for keys in (None, KEYS):
        site = site_of(limits=False)
        for _ in range(150):
            site.post()
        reader = reader_of(site, ["netsec"], keys=keys)
        # At first the newest page, no more.
        assert await polled(reader) == ("fetched", 100, 0)
        for _ in range(250):
            site.post()
        site.asked.clear()
        assert await polled(reader) == ("fetched", 250, 0)
        assert len(site.asked) == 3
        assert f"after={site.posts[-100]['name']}" in site.asked[1]
        site.asked.clear()
        site.post()
        assert await polled(reader) == ("fetched", 1, 0)
        assert len(site.asked) == 1


async def test_what_spoils_the_rest_is_split_off_and_named(autojump_clock: MockClock) -> None:
    site = site_of(limits=False, refused={"netsec": "private", "blueteamsec": "banned"})
    for name in NAMES:
        site.post(name)
    reader = reader_of(site, NAMES)
    assert await polled(reader) == ("fetched", 2, 0)
    # All four, two and two, each by itself.
    assert len(site.asked) == 7
    words = (
        "left out: r/blueteamsec was banned by Reddit; r/netsec is private; remove what is gone for good from the "
        "source"
    )
    assert reader.row["cursor"]["degraded"] == words
    site.asked.clear()
    site.post("cybersecurity")
    assert await polled(reader) == ("fetched", 1, 0)
    assert site.asked == ["https://www.reddit.com/r/cybersecurity+reverseengineering/new/.rss?limit=100"]
    assert reader.row["cursor"]["degraded"] == words
    # After a day they are tried again, apart from the others.
    del site.refused["netsec"]
    site.asked.clear()
    await trio.sleep(86_400)
    assert await polled(reader) == ("fetched", 1, 0)
    assert [url.partition("/r/")[2].partition("/")[0] for url in site.asked] == [
        "cybersecurity+reverseengineering",
        "blueteamsec+netsec",
        "blueteamsec",
        "netsec",
    ]
    assert "r/netsec" not in reader.row["cursor"]["degraded"]
    site.refused.clear()
    await trio.sleep(86_400)
    await polled(reader)
    assert "degraded" not in reader.row["cursor"]


async def test_one_that_is_closed_on_the_way_back_costs_the_others_nothing(autojump_clock: MockClock) -> None:
    site = site_of(limits=False)
    for name in NAMES:
        site.post(name)
    reader = reader_of(site, NAMES)
    await polled(reader)
    for number in range(300):
        site.post(NAMES[number % 4])
    asked = len(site.asked)

    def close() -> Said | None:
        if len(site.asked) == asked + 1:
            site.refused["netsec"] = "private"
        return None

    reader.http.before = close  # type: ignore[attr-defined]
    await polled(reader)
    there = {post["name"] for post in site.posts if post["subreddit"] != "netsec"}
    assert there <= reader.articles.keys()


@pytest.mark.parametrize("keys", [None, KEYS])
async def test_a_split_goes_on_where_the_poll_ended(
    keys: dict[str, str] | None, autojump_clock: MockClock
) -> None:
    site = site_of(limits=False, refused={"netsec": "quarantined"})
    for name in NAMES:
        site.post(name)
    reader = reader_of(site, NAMES, keys=keys)
    ends = iter([False, True] * 50)

    def end() -> Said | None:
        if next(ends):
            raise FetchTimeout("no answer")
        return None

    reader.http.before = end  # type: ignore[attr-defined]
    for _ in range(20):
        await reader.poll()
    assert len(reader.articles) == 3
    assert len({url.partition("?")[0] for url in site.asked if "/r/" in url}) == 6


@pytest.mark.parametrize(
    ("refused", "missing", "words"),
    [
        ({"netsec": "private"}, set(), "r/netsec is private"),
        ({"netsec": "banned"}, set(), "r/netsec was banned by Reddit"),
        (
            {"netsec": "quarantined"},
            set(),
            "r/netsec is quarantined, and shown to those alone who are logged in",
        ),
        ({"netsec": "gold_only"}, set(), "r/netsec is shown to those alone who pay"),
        ({}, {"netsec"}, "r/netsec does not exist"),
    ],
)
async def test_where_nothing_is_left_the_poll_fails(
    refused: dict[str, str], missing: set[str], words: str, autojump_clock: MockClock
) -> None:
    site = site_of(refused=refused, missing=missing)
    site.post()
    reader = reader_of(site, ["netsec"])
    assert (await polled(reader))[0] == "failed"
    failure = failure_of(reader)
    assert failure is not None
    assert (failure.cause, failure.message) == ("http_status", f"nothing is left to be read: {words}")
    refused.clear()
    missing.clear()
    for _ in range(150):
        site.post()
    # Still the first page that is kept.
    assert await polled(reader) == ("fetched", 100, 0)
    assert len(site.asked) == 2


async def test_asked_too_often_it_is_left_alone_for_as_long_as_it_says(autojump_clock: MockClock) -> None:
    site = site_of()
    site.post()
    reader = reader_of(site, ["netsec"])
    http = reader.http
    assert isinstance(http, Asking)
    await polled(reader)
    # Nothing is left of the limit.
    assert http.left_alone == [("https://www.reddit.com/r/netsec/new/.rss?limit=100", 60)]
    await trio.sleep(20)
    await reader.poll()
    assert failure_of(reader) == Failure(
        "http_status",
        "the server answered 429: Reddit was asked too often from this address; it is left alone until it may be asked "
        "again; if that goes on, give the sources the keys of an application (client_id and client_secret), or ask "
        "from another address",
        429,
        40,
    )
    assert http.left_alone[-1][1] == 40
    assert RedditKind(Tools(_no_feed)).spacing_seconds(Source(1, reader.spec)) == 61
    keyed = SourceSpec("one", "reddit", reader.spec.url, options=OPTIONS)
    assert RedditKind(Tools(_no_feed)).spacing_seconds(Source(1, keyed)) == 1


async def test_the_limit_of_the_api_is_in_seconds_that_are_left(autojump_clock: MockClock) -> None:
    site = site_of()
    site.post()
    reader = reader_of(site, ["netsec"], keys=KEYS)
    http = reader.http
    assert isinstance(http, Asking)
    for _ in range(1_000):
        await trio.sleep(0.5)
        await reader.poll()
    assert site.too_often == 0
    ((url, seconds),) = http.left_alone
    assert url == "https://oauth.reddit.com/r/netsec/new?limit=100&raw_json=1"
    assert 95 < seconds < 105
    await reader.poll()
    failure = failure_of(reader)
    assert failure is not None
    assert failure.message == (
        "the server answered 429: Reddit was asked too often from this address; it is left alone until it may be asked "
        "again"
    )


async def test_turned_away_it_is_left_alone_for_an_hour(autojump_clock: MockClock) -> None:
    site = site_of(blocked=True)
    reader = reader_of(site, NAMES)
    await polled(reader)
    assert failure_of(reader) == Failure(
        "http_status",
        "the server answered 403: Reddit turns this address or program away, and is left alone for an hour; give the "
        "sources the keys of an application (client_id and client_secret), or ask from another address",
        403,
        3_600,
    )
    # Nobody is taken for private.
    assert len(site.asked) == 1
    assert "out" not in reader.row["cursor"]


async def test_tokens_are_got_kept_and_got_anew(autojump_clock: MockClock) -> None:
    site = site_of(token_seconds=3_600)
    site.post()
    reader = reader_of(site, ["netsec"], keys=KEYS)
    await polled(reader)
    await polled(reader)
    token = "https://www.reddit.com/api/v1/access_token"
    listing = "https://oauth.reddit.com/r/netsec/new?limit=100&raw_json=1"
    assert site.asked == [token, listing, listing]
    # Its time is nearly over.
    await trio.sleep(3_540)
    await polled(reader)
    assert site.asked[3:] == [token, listing]
    # Reddit takes it back.
    site.tokens.clear()
    assert await polled(reader) == ("fetched", 0, 0)
    assert site.asked[5:] == [listing, token, listing]
    assert not any(one in str(reader.row) for one in [*site.tokens, SECRET])


async def test_a_token_that_never_works_and_keys_that_are_wrong_are_told(autojump_clock: MockClock) -> None:
    site = site_of(token_seconds=0)
    reader = reader_of(site, ["netsec"], keys=KEYS)
    await polled(reader)
    assert failure_of(reader) == Failure(
        "settings",
        "the server answered 401: Reddit does not take the token that it has just given; the application may have been "
        "closed",
        401,
    )
    assert len(site.asked) == 2
    reader = reader_of(site, ["netsec"], keys=KEYS | {"client_secret": "wrong"})
    await polled(reader)
    assert failure_of(reader) == Failure(
        "settings",
        "no token was given: the server answered 401: Reddit does not take the client_id and the client_secret; look "
        "them up under reddit.com/prefs/apps",
        401,
    )


async def test_a_token_of_a_moment_is_used_once(autojump_clock: MockClock) -> None:
    site = site_of(token_seconds=30)
    site.post()
    reader = reader_of(site, ["netsec"], keys=KEYS)
    for _ in range(3):
        assert (await polled(reader))[0] == "fetched"
    assert len(site.asked) == 6


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"error": "unsupported_grant_type"}',
        b'{"access_token": 7.5e300}',
        b'{"access_token": "a\\nb"}',
        b'{"access_token": "\\ud800"}',
        b'{"access_token": "%s"}' % (b"x" * 9_000),
        b"[" * 60_000,
        b"x" * 70_000,
    ],
)
async def test_no_token_in_what_came_is_told(body: bytes, autojump_clock: MockClock) -> None:
    reader = reader_of(site_of(), ["netsec"], keys=KEYS)
    reader.http.before = lambda: (200, {}, body)  # type: ignore[attr-defined]
    result = await reader.poll()
    assert result is not None
    assert result.failure is not None
    assert result.failure.message in (
        "no token was given: the server answered 200: what came is no answer of Reddit's; check base_url",
        "the server answered 401: Reddit does not take the token that it has just given; the application may have been "
        "closed",
    ) or result.failure.message.startswith("what came is no listing of Reddit")


async def test_the_name_of_the_application_is_of_reddit_s_form(autojump_clock: MockClock) -> None:
    site = site_of()
    reader = ApiReader(
        RedditKind, Asking(site, KEYS), f"{site.base}/r/netsec", username="our_team", **OPTIONS
    )
    await polled(reader)
    assert all(agent.startswith("linux:digestd:") for agent in site.agents)
    assert all(agent.endswith(" (by /u/our_team)") for agent in site.agents)


def said(status: int, body: bytes = b"") -> Callable[[], Said]:
    return lambda: (status, {}, body)


FAILURES = [
    said(500, b"oops"),
    said(429),
    said(403, BLOCKED),
    said(200, b"<html><title>Just a moment...</title>"),
    said(200, b'{"kind": "Listing", "data": {}}'),
    said(
        200,
        b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>t5_2qh</id><title>r/x</title></entry></feed>',
    ),
    said(401),
]


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[str, int]]:
    """What happens before each request, one after the other."""
    happening = st.one_of(
        st.tuples(st.just("post"), st.integers(0, 10)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.sampled_from(["close", "open"]), st.integers(0, 3)),
        st.tuples(st.just("fail"), st.integers(0, len(FAILURES) - 1)),
        st.tuples(st.sampled_from(["break off", "die", "take tokens back"]), st.integers(0, 1)),
    )
    return draw(st.lists(happening, max_size=30))


class Course:
    """Plays a course against a site, and knows what has to be kept in the end: whatever was there after the first page
    that was kept, but what was deleted or is closed."""

    def __init__(self, course: list[tuple[str, int]], keys: dict[str, str] | None) -> None:
        self.left = list(course)
        self.closes = any(what == "close" for what, _ in course)
        # As much happens on pages of 25 as on those of 100; fewer say that there are no more.
        self.site = Site(now=trio.current_time, limits=False, longest_page=25)
        for name in NAMES:
            self.site.post(name)
        self.reader = reader_of(self.site, NAMES, keys=keys)
        self.reader.http.before = self.happen  # type: ignore[attr-defined]

    def happen(self) -> Said | None:
        what, number = self.left.pop(0) if self.left else ("", 0)
        if what == "post":
            for one in range(number * 3):
                self.site.post(NAMES[one % 4])
        elif what == "delete" and self.site.posts:
            self.site.posts.pop(number % len(self.site.posts))
        elif what == "close":
            self.site.refused[NAMES[number]] = "private"
        elif what == "open":
            self.site.refused.pop(NAMES[number], None)
        elif what == "fail":
            return FAILURES[number]()
        elif what == "break off":
            raise FetchTimeout("no answer")
        elif what == "die":
            store = self.reader.store
            (store.dies_after if number else store.dies_before).add(store.records + 1)
        elif what == "take tokens back":
            self.site.tokens.clear()
        return None

    async def play(self) -> None:
        for _ in range(200):
            if not self.left:
                break
            await self.reader.poll()
        assert not self.left
        self.site.refused.clear()
        # Those that were left out are tried again after a day; what a page holds of theirs is there.
        for _ in range(3):
            await self.reader.poll()
            await trio.sleep(86_401)
        await self.reader.poll()
        kept = self.reader.articles.keys()
        oldest = min(kept, default="t3_")
        there = [post["name"] for post in self.site.posts if post["name"] >= oldest]
        # Of one that is closed while older posts are read, those are lost that it had there; of the others nothing.
        assert set(there if not self.closes else there[-25:]) <= kept
        assert "degraded" not in self.reader.row["cursor"]


@settings(max_examples=30, deadline=None)
@given(courses(), st.sampled_from([None, KEYS]))
def test_nothing_is_lost_or_doubled_whatever_fails(
    course: list[tuple[str, int]], keys: dict[str, str] | None
) -> None:
    async def play() -> None:
        await Course(course, keys).play()

    trio.run(play, clock=MockClock(autojump_threshold=0))


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_a_damaged_row_costs_no_more_than_its_overlap(junk: object) -> None:
    names = ("aa", "bb")
    for damaged in (
        {"groups": junk, "out": junk, "seen": junk},
        {"groups": [junk], "out": {"aa": junk, "bb": [junk, junk]}},
        {"groups": [[["aa"], "", 0], junk]},
        {"groups": [[["aa"], "", 0], [["aa"], "", 0]]},
        {"groups": [[[junk], "t3_a", 1]]},
    ):
        assert round_in(damaged, names, 0) == Round((Group(names),), {}, damaged.get("seen") is True)
    for after, pages in (("x", 1), ("t3_a", 0), ("t3_a", 10), ("t3_a", -1)):
        assert round_in({"groups": [[["aa"], after, pages]]}, names, 0) == Round((Group(("aa",)),))


@pytest.mark.parametrize(
    ("options", "url", "place"),
    [
        ({"subreddits": ["NetSec", "r/cve", "/r/netsec/"]}, None, "https://www.reddit.com/r/cve+netsec"),
        (
            {"subreddits": ["netsec"], "base_url": "http://127.0.0.1:80/x/"},
            None,
            "http://127.0.0.1:80/x/r/netsec",
        ),
        ({}, "https://www.reddit.com/r/NetSec+cve/new/.rss?limit=5", "https://www.reddit.com/r/cve+netsec"),
        ({}, "https://www.reddit.com/r/netsec.rss", "https://www.reddit.com/r/netsec"),
        ({}, "https://old.reddit.com/r/netsec/", "https://old.reddit.com/r/netsec"),
        ({"subreddits": ["netsec"], **OPTIONS}, None, "https://www.reddit.com/r/netsec"),
    ],
)
def test_subreddits_have_one_address(options: dict[str, Any], url: str | None, place: str) -> None:
    assert place_of(options, url) == place
    assert place_of({}, place) == place


@pytest.mark.parametrize(
    ("options", "url", "words"),
    [
        ({}, None, "url: either url or the option subreddits says what is read"),
        ({"subreddits": []}, None, "url: either url or the option subreddits says what is read"),
        (
            {},
            "https://me:s3cret@www.reddit.com/r/netsec",
            "url: user info is not sent to Reddit; give client_id and client_secret",
        ),
        (
            {},
            "https://www.reddit.com/r/netsec/.rss?limit=5&feed=s3cret&user=me",
            "url: the token of a personal feed (feed=…&user=…) is not sent; give client_id and client_secret",
        ),
        (
            {"subreddits": ["a b"]},
            None,
            "url: 'a b' is no name of a subreddit; it has 2 to 24 letters, digits and underscores",
        ),
        (
            {"subreddits": [f"name{number}" for number in range(101)]},
            None,
            "url: 101 subreddits are more than the 100 that are joined; make two sources",
        ),
        (
            {"subreddits": ["netsec"], "client_id": "x"},
            None,
            "url: the options client_id and client_secret go together",
        ),
        (
            {"subreddits": ["netsec"], "username": "/u/me"},
            None,
            "url: username: it is the bare name, without /u/",
        ),
        (
            {},
            "https://www.reddit.com/user/someone",
            "url: it must be the address of a subreddit, or of several: https://www.reddit.com/r/name+other",
        ),
        (
            {"base_url": "https://mirror.example"},
            "https://www.reddit.com/r/netsec",
            "url: leave base_url out: the url says where the subreddits are",
        ),
    ],
)
def test_what_says_something_else_is_refused(options: dict[str, Any], url: str | None, words: str) -> None:
    assert place_of(options, url) == [words]


def place_of(options: dict[str, Any], url: str | None) -> object:
    found = settled(RedditOptions, "reddit", options, url, Path("/"))
    return found if isinstance(found, list) else found.url


async def _no_feed(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Any:
    raise AssertionError


def test_what_was_kept_with_user_info_puts_none_into_links() -> None:
    assert read_place("https://me:s3cret@www.reddit.com/r/netsec").base == "https://www.reddit.com"
