"""The kind mastodon against an instance that behaves as documented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.config.kind_options import settled
from digestd.errors import FetchTimeout, NotAFeed, SourceError
from digestd.kinds import Tools
from digestd.kinds.mastodon import MastodonKind, MastodonOptions
from digestd.model import Document, Entry, Failure, PollState, Source, SourceSpec, Step
from support.mastodon_instance import Asking, Instance, Said

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
ACCOUNT = "https://instance.example/@someone"
TAG = "https://instance.example/tags/cve"


async def unused(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    raise AssertionError


async def read(reader: Any, body: bytes, *arguments: object, source_url: str) -> Document:
    document: Document = reader(body, *arguments)
    return document


class Reader:
    """A source of the kind and what it has kept: articles by guid, in the order in which they came."""

    def __init__(
        self, instance: Instance, url: str = ACCOUNT, token: str | None = None, **options: Any
    ) -> None:
        self.kind = MastodonKind(Tools(unused, lambda: NOW, read))
        self.source = Source(1, SourceSpec("one", "mastodon", url, options=options))
        self.http = Asking(instance, token)
        self.state = PollState()
        self.kept: dict[str, Entry] = {}
        self.failure: Failure | None = None

    async def step(self) -> Step:
        """One step, and what it leaves."""
        step = await self.kind.step(self.source, self.state, self.http)
        self.take(step)
        return step

    def take(self, step: Step) -> None:
        """Record `step`, as the store does: documents begin with what is newest."""
        self.failure, self.state = step.failure, step.next_state
        for document in step.documents:
            guids = [entry.guid or "" for entry in document.entries]
            assert len(set(guids)) == len(guids)
            self.kept |= {entry.guid or "": entry for entry in reversed(document.entries)}

    async def poll(self) -> Step:
        """Steps until there is no more."""
        while (step := await self.step()).more:
            pass
        return step

    @property
    def titles(self) -> list[str]:
        return [entry.title for entry in self.kept.values()]


def titles_of(instance: Instance) -> list[str]:
    return [f"Post {status['id']}" for status in instance.statuses]


async def test_an_account_is_looked_up_once_and_its_newest_page_is_taken_oldest_first() -> None:
    instance = Instance()
    for _ in range(50):
        instance.post()
    reader = Reader(instance)
    step = await reader.poll()
    assert reader.titles == titles_of(instance)[10:]
    assert (step.failure, step.more, step.hints.gap_seconds) == (None, False, 1.0)
    account = instance.accounts["someone"]["id"]
    page = f"/api/v1/accounts/{account}/statuses?limit=40&exclude_reblogs=true&exclude_replies=true"
    assert instance.asked == ["/api/v1/accounts/lookup?acct=someone", page]
    instance.post()
    await reader.poll()
    # One request, though edits of the last 40 come along.
    assert instance.asked[2:] == [page]
    assert reader.titles == titles_of(instance)[10:]
    await reader.poll()
    assert reader.titles == titles_of(instance)[10:]


async def test_a_tag_is_read_without_a_lookup() -> None:
    instance = Instance()
    instance.post()
    instance.post(tags=[{"name": "other"}])
    instance.post(in_reply_to_id="1", name="another")
    reader = Reader(instance, TAG, local=True)
    await reader.poll()
    assert instance.asked == ["/api/v1/timelines/tag/cve?limit=40&local=true"]
    assert [entry.author for entry in reader.kept.values()] == ["Some One (@someone)", "Some One (@another)"]


async def test_more_than_a_page_between_two_polls_is_walked_forward_without_gaps() -> None:
    instance = Instance()
    instance.post()
    reader = Reader(instance, TAG)
    await reader.poll()
    for _ in range(100):
        instance.post()
    instance.asked.clear()
    await reader.poll()
    assert reader.titles == titles_of(instance)
    ids = [status["id"] for status in instance.statuses]
    tag = "/api/v1/timelines/tag/cve?limit=40"
    assert instance.asked == [tag, *(f"{tag}&min_id={ids[at]}" for at in (0, 40, 80, 100))]
    # The walk is over: what comes next needs one request.
    instance.asked.clear()
    instance.post()
    await reader.poll()
    assert instance.asked == [tag]
    assert reader.titles == titles_of(instance)


async def test_edits_and_late_statuses_of_the_last_page_come_along() -> None:
    instance = Instance()
    for _ in range(60):
        instance.post()
    reader = Reader(instance)
    await reader.poll()
    edited = instance.statuses[-30]
    instance.edit(edited, "<p>Fixed: the patch is 1.2.4</p>")
    late = instance.post(late=20)
    before = reader.kept[edited["uri"]]
    await reader.poll()
    after = reader.kept[edited["uri"]]
    assert (before.identity, before.published_at) == (after.identity, after.published_at)
    assert (after.title, after.content_hash == before.content_hash) == ("Fixed: the patch is 1.2.4", False)
    assert late["uri"] in reader.kept
    # Over a walk, too: it begins before the last page.
    instance.edit(edited, "<p>Fixed: the patch is 1.2.5</p>")
    for _ in range(60):
        instance.post()
    await reader.poll()
    assert reader.kept[edited["uri"]].title == "Fixed: the patch is 1.2.5"


async def test_votes_change_nothing() -> None:
    instance = Instance()
    status = instance.post(poll={"options": [{"title": "Yes", "votes_count": 1}], "votes_count": 1})
    reader = Reader(instance)
    await reader.poll()
    before = dict(reader.kept)
    status["poll"] = {"options": [{"title": "Yes", "votes_count": 7}], "votes_count": 7}
    await reader.poll()
    assert reader.kept == before


async def test_boosts_and_replies_are_read_where_they_are_wanted() -> None:
    instance = Instance()
    other = instance.post("<p>Of another</p>", name="other")
    instance.post("<p>Own</p>")
    instance.post("", reblog=other)
    instance.post("<p>Reply</p>", in_reply_to_id="1")
    own = instance.accounts["someone"]["id"]
    instance.post("<p>Thread</p>", in_reply_to_id="1", in_reply_to_account_id=own)
    instance.post("<p>For one alone</p>", visibility="direct")
    plain, all_of_it = Reader(instance), Reader(instance, boosts=True, replies=True)
    await plain.poll()
    await all_of_it.poll()
    assert plain.titles == ["Own", "Thread"]
    assert all_of_it.titles == ["Own", "Of another", "Reply", "Thread"]
    boosted = all_of_it.kept[other["uri"]]
    assert (boosted.link, boosted.author) == (other["url"], "Some One (@other)")


async def test_what_was_seen_last_may_be_deleted() -> None:
    instance = Instance()
    for _ in range(5):
        instance.post()
    reader = Reader(instance)
    await reader.poll()
    instance.statuses.clear()
    await reader.poll()
    assert (reader.state.cursor or {})["degraded"] == (
        "the instance shows no statuses, and it did before: they were deleted, the account was suspended, or it shows "
        "them to its own users alone, and the source needs an access_token"
    )
    instance.post("<p>Afresh</p>")
    await reader.poll()
    assert reader.titles[-1] == "Afresh"
    assert len(reader.kept) == 6
    assert "degraded" not in (reader.state.cursor or {})


async def test_a_limited_instance_wants_a_token_which_is_sent() -> None:
    instance = Instance(token="hunter2")
    instance.post()
    reader = Reader(instance)
    await reader.poll()
    assert reader.failure == Failure(
        "settings",
        "the server answered 401 (This API requires an authenticated user): the instance shows this to its own users "
        "alone; give the source an access_token of an account there, with the scopes read:accounts and read:statuses",
        401,
    )
    reader.http.token = "wrong"
    await reader.poll()
    assert reader.failure == Failure(
        "settings",
        "the server answered 401 (The access token is invalid): the instance does not take the access_token; make a "
        "new one there",
        401,
    )
    reader.http.token = "hunter2"
    await reader.poll()
    assert len(reader.kept) == 1


def said(status: int, words: str = "") -> Callable[[], Said]:
    return lambda: (status, {}, words.encode())


@pytest.mark.parametrize(
    ("answer", "url", "words"),
    [
        (
            said(404, '{"error":"Record not found"}'),
            ACCOUNT,
            "the server answered 404 (Record not found): the instance knows no account someone; check its name, and "
            "give base_url where the instance is at another address than the one behind the @",
        ),
        (
            said(404, "<h1>Not here</h1>"),
            TAG,
            "the server answered 404: there is no API of Mastodon at this address; check base_url",
        ),
        (
            said(410),
            ACCOUNT,
            "the server answered 410: the account was suspended or deleted for good; look where it posts now, or "
            "remove the source",
        ),
        (
            said(422, '{"error":"Unprocessable"}'),
            TAG,
            "the server answered 422 (Unprocessable): the instance does not take the request; check the options of the "
            "source",
        ),
        (
            said(403, '{"error":"This action is outside the authorized scopes"}'),
            TAG,
            "the server answered 403 (This action is outside the authorized scopes): the instance does not allow it; "
            "an access_token needs the scopes read:accounts and read:statuses",
        ),
        (
            said(503, "x" * 70_000),
            TAG,
            "the server answered 503: the instance has trouble of its own; nothing needs to be done here",
        ),
        (said(202, "[" * 60_000), TAG, "the server answered 202: what came is no answer of Mastodon's API"),
        (
            said(400, '{"error":"a\\u202e\\u0007b"}'),
            TAG,
            "the server answered 400 (ab): what came is no answer of Mastodon's API",
        ),
    ],
)
async def test_refusals_are_told_in_words(answer: Callable[[], Said], url: str, words: str) -> None:
    reader = Reader(Instance(), url)
    reader.http.before = answer
    step = await reader.poll()
    assert step.failure == Failure("http_status", words, answer()[0])
    assert reader.state == PollState()


async def test_a_suspended_account_is_named() -> None:
    instance = Instance()
    instance.open_account(suspended=True)
    with pytest.raises(NotAFeed) as raised:
        await Reader(instance).poll()
    assert str(raised.value) == (
        "the account is suspended, and the instance shows nothing of it; remove the source, or look where it posts now"
    )


async def test_an_account_that_was_made_anew_is_looked_up_again() -> None:
    instance = Instance()
    instance.post("<p>Before</p>")
    reader = Reader(instance)
    await reader.poll()
    instance.statuses.clear()
    instance.open_account()
    instance.post("<p>After</p>")
    await reader.poll()
    assert reader.failure is not None
    assert reader.failure.status == 404
    await reader.poll()
    assert reader.titles == ["Before", "After"]


async def test_an_account_that_has_moved_is_told() -> None:
    instance = Instance()
    instance.post()
    instance.accounts["someone"]["moved"] = {"url": "https://other.example/@someone"}
    reader = Reader(instance)
    await reader.poll()
    assert (reader.state.cursor or {})["degraded"] == (
        "the account has moved to https://other.example/@someone; give the source that address"
    )
    before = (reader.state.cursor or {})["degraded"]
    for _ in range(50):
        instance.post()
    await reader.poll()
    assert (reader.state.cursor or {})["degraded"] == before


async def test_the_limit_is_kept_and_where_it_bites_the_instance_is_left_alone() -> None:
    now = 0.0
    instance = Instance(now=lambda: now)
    instance.post()
    reader = Reader(instance)
    for _ in range(299):
        await reader.poll()
        now += 0.5
    assert (len(instance.asked), instance.refused) == (300, 0)
    # The last one said that none is left, and until when.
    ((url, seconds),) = reader.http.left_alone
    assert url.startswith("https://instance.example/api/v1/accounts/")
    assert seconds == pytest.approx(300 - 298 * 0.5, abs=2)
    await reader.poll()
    assert reader.failure is not None
    assert (reader.failure.cause, reader.failure.status) == ("http_status", 429)
    assert reader.failure.message == (
        "the server answered 429 (Too many requests): the instance was asked too often from this address, and is left "
        "alone until it may be asked again"
    )
    assert reader.failure.retry_after_seconds == pytest.approx(300 - 299 * 0.5, abs=2)
    assert reader.http.left_alone[-1][1] == reader.failure.retry_after_seconds
    assert MastodonKind.spacing_seconds(reader.kind, reader.source) >= 300 / 300


async def test_an_instance_that_does_not_page_forward_is_told() -> None:
    instance = Instance()
    instance.post()
    reader = Reader(instance, TAG)
    await reader.poll()
    for _ in range(50):
        instance.post()
    assert (await reader.step()).more
    state = reader.state
    reader.http.before = lambda: instance.answer(
        "/api/v1/timelines/tag/cve?limit=40&max_id=" + instance.statuses[9]["id"], {}
    )
    with pytest.raises(NotAFeed) as raised:
        await reader.step()
    assert str(raised.value) == (
        "the instance does not page forward: what came does not follow the min_id that was asked for"
    )
    assert reader.state == state


@pytest.mark.parametrize("damaged", [{"at": 7}, {"account": "../x"}, {"newest": []}, {"since": "x" * 101}])
async def test_a_damaged_row_costs_no_more_than_its_overlap(damaged: dict[str, Any]) -> None:
    instance = Instance()
    instance.post()
    reader = Reader(instance)
    await reader.poll()
    reader.state = replace(reader.state, cursor={**(reader.state.cursor or {}), **damaged})
    instance.post()
    await reader.poll()
    assert (reader.failure, reader.titles) == (None, titles_of(instance))


FAILURES: list[Callable[[], Said]] = [
    said(500, "oops"),
    said(429, '{"error":"Too many requests"}'),
    said(200, "<html><title>Just a moment...</title>"),
    said(200, '[{"id": "115'),
    said(200, '{"error": "no"}'),
    said(200, '[{"content": "no id"}]'),
]


@st.composite
def courses(draw: st.DrawFn) -> list[tuple[str, int]]:
    """What happens before each request, one after the other."""
    happening = st.one_of(
        st.tuples(st.just("post"), st.integers(0, 14)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("edit"), st.integers(0, 3)),
        st.tuples(st.just("fail"), st.integers(0, len(FAILURES) - 1)),
        st.tuples(st.sampled_from(["break off", "end unrecorded"]), st.just(0)),
    )
    return draw(st.lists(happening, max_size=30))


class Course:
    """Plays a course against an instance, and knows what has to be kept in the end: whatever was there from the first
    page that was kept on, unless it was deleted."""

    def __init__(self, course: list[tuple[str, int]], url: str) -> None:
        self.left = list(course)
        self.deletes = any(what == "delete" for what, _ in course)
        # As much happens on pages of four as on those of forty, in a tenth of the time.
        self.instance = Instance(longest_page=4)
        self.instance.post()
        self.reader = Reader(self.instance, url)
        self.reader.http.before = self.happen
        self.unrecorded = False

    def happen(self) -> Said | None:
        self.unrecorded = False
        what, number = self.left.pop(0) if self.left else ("", 0)
        statuses = self.instance.statuses
        if what == "post":
            for _ in range(number):
                self.instance.post()
        elif what == "delete" and statuses:
            statuses.pop(number % len(statuses))
        elif what == "edit" and statuses:
            self.instance.edit(statuses[-(number % len(statuses) + 1)], f"<p>Edit {len(self.left)}</p>")
        elif what == "fail":
            return FAILURES[number]()
        elif what == "break off":
            raise FetchTimeout("no answer")
        self.unrecorded = what == "end unrecorded"
        return None

    async def play(self) -> None:
        while self.left:
            await self.attempt()
        # A walk that was under way ends with the first; the newest page, with edits of what was read, comes after it.
        await self.reader.poll()
        await self.reader.poll()
        kept = [int(guid.rpartition("/")[2]) for guid in self.reader.kept]
        # Oldest first, but that a page reaches further back where some of it was deleted.
        assert self.deletes or kept == sorted(kept)
        there = [one for one in self.instance.statuses if int(one["id"]) >= min(kept, default=0)]
        assert {one["uri"] for one in there} <= self.reader.kept.keys()
        # What was edited is read again, as far as a page goes back.
        for status in there[-4:]:
            assert self.reader.kept[status["uri"]].content == status["content"]

    async def attempt(self) -> None:
        """One step, which may fail, or end before it is recorded."""
        before = self.reader.state
        try:
            step = await self.reader.kind.step(self.reader.source, before, self.reader.http)
        except SourceError:
            return
        if step.failure is not None:
            assert step.documents == ()
        if not self.unrecorded:
            self.reader.take(step)


@settings(max_examples=60, deadline=None)
@given(courses(), st.sampled_from([ACCOUNT, TAG]))
def test_nothing_is_lost_and_nothing_doubled_whatever_fails(course: list[tuple[str, int]], url: str) -> None:
    trio.run(Course(course, url).play)


@pytest.mark.parametrize(
    ("options", "url", "place"),
    [
        ({"account": "@Someone@Infosec.Exchange"}, None, "https://infosec.exchange/@someone"),
        (
            {"account": "someone@infosec.exchange", "base_url": "https://mastodon.social/"},
            None,
            "https://mastodon.social/@someone@infosec.exchange",
        ),
        ({"account": "a", "base_url": "http://127.0.0.1:80/x"}, None, "http://127.0.0.1:80/x/@a"),
        (
            {"account": "a@127.0.0.1.example:81", "base_url": "http://127.0.0.1.example:81"},
            None,
            "http://127.0.0.1.example:81/@a",
        ),
        ({"tag": "#CVE", "base_url": "https://infosec.exchange"}, None, "https://infosec.exchange/tags/cve"),
        (
            {"tag": "Sicherheitslücke", "base_url": "https://a.example"},
            None,
            "https://a.example/tags/sicherheitsl%C3%BCcke",
        ),
        ({}, "https://infosec.exchange/@Someone/", "https://infosec.exchange/@someone"),
        ({}, "https://infosec.exchange/users/Someone", "https://infosec.exchange/@someone"),
        ({}, "https://infosec.exchange/tags/CVE", "https://infosec.exchange/tags/cve"),
    ],
)
def test_an_account_or_tag_has_one_address(options: dict[str, Any], url: str | None, place: str) -> None:
    assert place_of(options, url) == place
    # It stands for itself.
    assert place_of({}, place) == place


@pytest.mark.parametrize(
    ("options", "url", "words"),
    [
        ({}, None, "url: exactly one of url, account and tag says what is read"),
        (
            {"account": "a@b.example", "tag": "c"},
            None,
            "url: exactly one of url, account and tag says what is read",
        ),
        ({"account": "a"}, None, "url: account: its instance is missing: write name@host, or give base_url"),
        ({"account": "a b"}, None, "url: account: 'a b' is none; write it as name@host"),
        ({"tag": "c"}, None, "url: missing; give base_url, the instance whose posts with the tag are read"),
        (
            {"tag": "c d", "base_url": "https://a.example"},
            None,
            "url: tag: 'c d' is none; it is one word of letters, digits and underscores",
        ),
        (
            {"tag": "c", "base_url": "https://a.example", "boosts": True},
            None,
            "url: the options boosts and replies go with an account; a tag has no boosts, and all replies",
        ),
        ({"account": "a@b.example", "local": True}, None, "url: the option local goes with a tag"),
        (
            {},
            "https://a.example/@a.rss",
            "url: it is the address of a feed; make it a source of the kind 'feed', or leave its ending away",
        ),
        (
            {},
            "https://a.example/@a/115",
            "url: it must be the address of an account or a tag: https://host/@name or https://host/tags/name",
        ),
        (
            {"base_url": "https://b.example"},
            "https://a.example/@a",
            "url: leave base_url out: the url says where the instance is",
        ),
    ],
)
def test_what_says_something_else_is_refused(options: dict[str, Any], url: str | None, words: str) -> None:
    assert place_of(options, url) == [words]


def place_of(options: dict[str, Any], url: str | None) -> object:
    found = settled(MastodonOptions, "mastodon", options, url, Path("/"))
    return found if isinstance(found, list) else found.url
