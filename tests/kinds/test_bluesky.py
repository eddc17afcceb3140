"""The kind bluesky against feeds of profiles as Bluesky writes them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.config.kind_options import settled
from digestd.errors import FetchTimeout, NotAFeed
from digestd.feed.bluesky import read_profile
from digestd.kinds import Tools
from digestd.kinds.bluesky import BlueskyKind, BlueskyOptions
from digestd.model import Document, Entry, Failure, PollState, Source, SourceSpec, Step
from support.bluesky_site import BEGAN, Getting, Profile

URL = "https://bsky.app/profile/someone.bsky.social/rss"


async def unused(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    raise AssertionError


async def read(reader: Any, body: bytes, *arguments: object, source_url: str) -> Document:
    document: Document = reader(body, *arguments)
    return document


class Reader:
    """A source of the kind, and what it has kept."""

    def __init__(self, profile: Profile, url: str = URL) -> None:
        self.kind = BlueskyKind(Tools(unused, lambda: BEGAN, read))
        self.source = Source(1, SourceSpec("one", "bluesky", url))
        self.http = Getting(profile)
        self.state = PollState()
        self.kept: dict[str, Entry] = {}

    async def step(self, *, recorded: bool = True) -> Step:
        step = await self.kind.step(self.source, self.state, self.http)
        if recorded:
            self.state = step.next_state
            for document in step.documents:
                self.kept |= {entry.guid or "": entry for entry in reversed(document.entries)}
        return step


def entry(text: str) -> Entry:
    profile = Profile()
    profile.post(text)
    (found,) = read_profile(profile.feed(), URL, "application/xml; charset=UTF-8").entries
    return found


async def test_the_own_posts_of_a_profile_are_read() -> None:
    profile = Profile()
    first = profile.post(
        "A hole in FooVPN <script>alert(1)</script> & more\nDetails: https://example.com/a?b=1&c=2."
    )
    profile.post("passed on", is_own=False)
    profile.post("a reply", is_reply=True)
    reader = Reader(profile)
    step = await reader.step()
    (found,) = reader.kept.values()
    assert step.failure is None
    assert found.guid == profile.guid(first)
    assert found.title == "A hole in FooVPN <script>alert(1)</script> & more"
    assert found.content == (
        "A hole in FooVPN &lt;script&gt;alert(1)&lt;/script&gt; &amp; more<br>Details: "
        '<a href="https://example.com/a?b=1&amp;c=2" rel="noopener noreferrer">https://example.com/a?b=1&amp;c=2</a>.'
    )
    assert (found.author, found.complete, found.summary) == ("@someone.bsky.social", True, None)
    assert found.link == f"https://bsky.app/profile/someone.bsky.social/post/{first.key}"
    assert found.published_at is not None
    assert found.published_at.isoformat() == "2026-11-23T08:01:00+00:00"
    assert (await reader.step()).outcome == "unchanged"
    assert reader.http.asked == [URL, URL]


async def test_another_name_of_the_account_updates_nothing() -> None:
    profile = Profile()
    profile.post()
    reader = Reader(profile)
    await reader.step()
    before = dict(reader.kept)
    profile.name = "Someone <Else>"
    await reader.step()
    assert reader.kept == before


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("", "A post by @someone.bsky.social"),
        ("\n\n  Second \nThird", "Second"),
        ("5 &lt; 6 &amp;", "5 &lt; 6 &amp;"),
        ("word " * 60, "word " * 22 + "word…"),
        ("<b>", "<b>"),
        ("]]> <!-- -->", "]]> <!-- -->"),
    ],
)
def test_the_title_is_the_first_line_as_it_was_typed(text: str, title: str) -> None:
    assert entry(text).title == title


@settings(max_examples=60, deadline=None)
@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]) | st.sampled_from("<>&\"'\n"),
        max_size=60,
    )
)
def test_whatever_was_typed_is_shown_and_nothing_of_it_is_markup(text: str) -> None:
    found = entry(f"x{text}")
    assert found.content is not None
    tags = found.content.replace("<br>", "").replace("</a>", "").split("<")[1:]
    assert all(tag.startswith('a href="http') for tag in tags)
    assert found.title[:1] == "x"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            403,
            "the server answered 403: the account shows its posts to those alone who are logged in, or Bluesky refuses "
            "programs; there is no other way to read it here",
        ),
        (
            404,
            "the server answered 404: there is no such account; check its handle, which may have changed (its did "
            "stays)",
        ),
    ],
)
async def test_refusals_are_told_in_words(status: int, words: str) -> None:
    reader = Reader(Profile(hidden=True), URL if status == 403 else URL.replace("someone", "nobody"))
    step = await reader.step()
    assert step.failure == Failure("http_status", words, status)


async def test_a_page_instead_of_the_feed_is_named() -> None:
    reader = Reader(Profile())
    reader.http.before = lambda: b"<!doctype html><title>Bluesky</title><p>Log in"
    step = await reader.step()
    assert step.failure is not None
    assert (step.failure.cause, step.failure.message) == (
        "not_a_feed",
        "an HTML page (title 'Bluesky') came instead of a feed: check the URL of the source",
    )
    for other in (b"", b"\xff" * 1000, b"{}"):
        with pytest.raises(NotAFeed):
            read_profile(other, URL, None)


def test_hostile_feeds_are_read_within_reason() -> None:
    began = time.process_time()
    deep = "<description>" * 2_000
    assert read_profile(f"<rss><channel>{deep}".encode(), URL, None).entries == ()
    long = "https://" + "a" * 500_000 + " " + "&lt;" * 100_000
    feed = f"<rss><channel><item><guid>1</guid><description>{long}</description></item></channel></rss>"
    (found,) = read_profile(feed.encode(), URL, None).entries
    assert found.title == "https://" + "a" * 111 + "…"
    (bare,) = read_profile(
        b"<rss><channel><item><description>a</description></item></channel></rss>", URL, None
    ).entries
    assert (bare.guid, bare.link, bare.title, bare.author) == (None, None, "a", None)
    assert time.process_time() - began < 3


async def test_who_replies_alone_has_an_empty_feed_and_is_not_degraded() -> None:
    profile = Profile()
    profile.post()
    reader = Reader(profile)
    await reader.step()
    for _ in range(30):
        profile.post("a reply", is_reply=True)
    step = await reader.step()
    assert (step.failure, step.documents[0].entries) == (None, ())
    assert "degraded" not in (reader.state.cursor or {})


async def test_a_post_that_is_deleted_or_typed_anew_changes_no_other() -> None:
    profile = Profile()
    for _ in range(3):
        profile.post()
    reader = Reader(profile)
    await reader.step()
    before = dict(reader.kept)
    profile.posts.pop(1)
    profile.posts[0].text = "Corrected"
    await reader.step()
    assert [one.title for one in reader.kept.values()] == ["Corrected", "Post 2", "Post 3"]
    assert [one.identity for one in reader.kept.values()] == [one.identity for one in before.values()]


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[str, int]]:
    happening = st.one_of(
        st.tuples(st.just("post"), st.integers(0, 9)),
        st.tuples(st.sampled_from(["time out", "page", "unrecorded", "delete"]), st.just(0)),
        st.tuples(st.just("cut off"), st.integers(0, 100)),
    )
    return draw(st.lists(happening, max_size=15))


async def play(course: list[tuple[str, int]]) -> None:
    """Play `course`, one thing before each request, and ask once more; never more than 30 posts between two answers
    that are kept."""
    profile = Profile()
    profile.post()
    reader, waiting, deleted = Reader(profile), 0, set[str]()
    for what, number in course:
        if what == "post" and waiting + number <= 29:
            for _ in range(number):
                profile.post()
                waiting += 1
        if what == "delete" and len(profile.posts) > 1:
            deleted.add(profile.guid(profile.posts.pop(len(profile.posts) // 2)))
        reader.http.before = {
            "time out": timed_out,
            "page": lambda: b"<html>",
            "cut off": lambda: profile.feed()[:-40],
        }.get(what, lambda: None)
        step = await reader.step(recorded=what != "unrecorded")
        if what not in {"time out", "page", "cut off", "unrecorded"}:
            assert step.failure is None
            waiting = 0
    reader.http.before = lambda: None
    await reader.step()
    wanted = [profile.guid(post) for post in profile.posts]
    # In the order in which they were posted, each once; what was deleted may have been seen.
    assert [guid for guid in reader.kept if guid not in deleted] == wanted


def timed_out() -> bytes | None:
    raise FetchTimeout("no answer")


@settings(max_examples=40, deadline=None)
@given(courses())
def test_nothing_is_lost_and_nothing_doubled_whatever_fails(course: list[tuple[str, int]]) -> None:
    trio.run(play, course)


@pytest.mark.parametrize(
    ("options", "url", "place"),
    [
        ({"account": "@Someone.bsky.social"}, None, URL),
        ({"account": "did:plc:Abc"}, None, "https://bsky.app/profile/did:plc:Abc/rss"),
        (
            {"account": "a.example", "base_url": "http://127.0.0.1:80/x"},
            None,
            "http://127.0.0.1:80/x/profile/a.example/rss",
        ),
        ({}, "https://bsky.app/profile/someone.bsky.social", URL),
        ({}, "https://bsky.app/profile/someone.bsky.social/rss", URL),
        ({}, None, ["url: either url or the option account says which account is read"]),
        ({"account": "a.example"}, URL, ["url: either url or the option account says which account is read"]),
        (
            {"account": "someone"},
            None,
            ["url: account: 'someone' is none; write it as name.bsky.social, or as did:plc:…"],
        ),
        (
            {},
            "https://bsky.app/profile/a.example/post/3l",
            ["url: it must be the address of a profile: https://bsky.app/profile/name.example"],
        ),
        (
            {"base_url": "https://b.example"},
            URL,
            ["url: leave base_url out: the url says where the account is"],
        ),
    ],
)
def test_an_account_has_one_address(options: dict[str, Any], url: str | None, place: str | list[str]) -> None:
    found = settled(BlueskyOptions, "bluesky", options, url, Path("/"))
    assert (found if isinstance(found, list) else found.url) == place
