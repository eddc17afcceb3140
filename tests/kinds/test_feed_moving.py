"""How a feed moves, over days: at a server that redirects, and stops, and dies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digestd.config.access import Access, Secret
from digestd.errors import HTTPStatus, NotAFeed
from digestd.feed.parse import parse_feed
from digestd.kinds import Http, Tools
from digestd.kinds.feed import FeedKind
from digestd.model import Document, PollState, Response, Source, SourceSpec, Step
from support.asking import GetsOnly
from support.fault_server import open_server, redirect, respond
from support.http_door import FEED, opened

OLD, NEW, OTHER = "https://old.example/feed", "https://new.example/feed", "https://other.example/feed"
BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def feed(*guids: str, older: str = "") -> bytes:
    items = "".join(f"<item><guid>{guid}</guid></item>" for guid in guids)
    link = f"<a:link rel='prev-archive' href='{older}'/>" if older else ""
    return (
        "<rss version='2.0' xmlns:a='http://www.w3.org/2005/Atom'><channel><title>t</title>"
        f"{link}{items}</channel></rss>"
    ).encode()


@dataclass
class Web(GetsOnly):
    """A server, its clock, and every URL that it was asked for. `moved_to` is where permanent redirects lead."""

    body: bytes = feed("1")
    etag: str | None = '"1"'
    status: int = 200
    moved_to: str | None = None
    mark: str = ""
    now: datetime = BEGIN
    asked: list[str] = field(default_factory=list)

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        self.asked.append(url)
        if self.status >= 400:
            raise HTTPStatus("broken", status=self.status)
        target = None if url == self.moved_to else self.moved_to
        fields = {"etag": self.etag} if self.etag else {}
        if self.etag and (headers or {}).get("If-None-Match") == self.etag:
            return Response(target or url, 304, fields, b"", target)
        return Response(target or url, self.status, fields, self.body, target)

    async def parse(self, body: bytes, url: str, content_type: str | None, **_: Any) -> Document:
        if body.startswith(b"<html"):
            raise NotAFeed("this is a page")
        return parse_feed(body, url, content_type)


@dataclass
class Reader:
    """Polls `web`, and keeps what each poll leaves as the store does."""

    web: Web
    url: str = OLD
    effective_url: str | None = None
    state: PollState = field(default_factory=PollState)
    moves: list[str] = field(default_factory=list)

    async def poll(self) -> Step:
        kind = FeedKind(Tools(self.web.parse, lambda: self.web.now))
        source = Source(1, SourceSpec("one", "feed", self.url), effective_url=self.effective_url)
        done = await kind.step(source, self.state, self.web)
        self.state = done.next_state
        if done.effective_url is not None:
            self.effective_url = done.effective_url or None
            self.moves.append(done.effective_url)
        return done

    async def poll_for(self, days: float, hours: float = 1) -> None:
        end = self.web.now + timedelta(days=days)
        while self.web.now < end:
            await self.poll()
            self.web.now += timedelta(hours=hours)


async def test_a_permanent_redirect_is_followed_for_a_week_and_then_asked_directly() -> None:
    web = Web(moved_to=NEW)
    reader = Reader(web)
    await reader.poll_for(days=7)
    assert (set(web.asked), reader.moves) == ({OLD}, [])
    await reader.poll_for(days=2)
    assert (web.asked[-1], reader.moves) == (NEW, [NEW])
    assert web.asked.count(NEW) == 47


async def test_documents_that_change_do_not_disturb_the_week() -> None:
    web = Web(moved_to=NEW)
    reader = Reader(web)
    for day in range(8):
        web.body, web.etag = feed(str(day)), f'"{day}"'
        await reader.poll_for(days=1, hours=6)
    assert reader.moves == [NEW]


async def test_the_same_over_tls_is_asked_at_once() -> None:
    web = Web(moved_to=OLD)
    reader = Reader(web, url=OLD.replace("https", "http"))
    await reader.poll()
    await reader.poll()
    assert web.asked == [OLD.replace("https", "http"), OLD]


@pytest.mark.parametrize("break_in", [None, OTHER])
async def test_one_other_answer_begins_the_week_anew(break_in: str | None) -> None:
    web = Web(moved_to=NEW)
    reader = Reader(web)
    await reader.poll_for(days=6)
    web.moved_to = break_in
    await reader.poll()
    web.moved_to = NEW
    await reader.poll_for(days=7)
    assert reader.moves == []
    await reader.poll()
    assert reader.moves == [NEW]


async def test_failures_are_no_answers() -> None:
    web = Web(moved_to=NEW)
    reader = Reader(web)
    await reader.poll_for(days=3)
    web.status = 503
    await reader.poll_for(days=5)
    assert reader.moves == []
    web.status = 200
    await reader.poll()
    assert reader.moves == [NEW]


async def test_a_page_that_came_instead_moves_nothing() -> None:
    web = Web(moved_to=NEW, body=b"<html><title>Log in</title></html>", etag=None)
    reader = Reader(web)
    await reader.poll_for(days=9)
    assert (reader.moves, (reader.state.cursor or {})) == ([], {})


async def test_while_older_pages_are_offered_nothing_moves() -> None:
    web = Web(moved_to=OLD, body=feed("1", older="https://old.example/feed?page=2"))
    reader = Reader(web, url=OLD.replace("https", "http"))
    done = await reader.poll()
    assert (done.older is not None, reader.moves) == (True, [])
    await reader.poll()
    assert reader.moves == [OLD]


async def test_older_pages_keep_what_is_remembered() -> None:
    web = Web(moved_to=NEW)
    reader = Reader(web)
    await reader.poll()
    remembered = {"moved_to", "moved_since"}
    web.body, web.etag = feed("2", older=NEW + "?page=2"), '"2"'
    done = await reader.poll()
    assert done.older is not None
    for state in (done.next_state, done.older):
        assert remembered <= (state.cursor or {}).keys()


async def test_other_credentials_forget_no_mark_of_the_store() -> None:
    web = Web()
    marks = {"moved_shared": True, "duplicate_wanted": True}
    for status in (200, 503):
        reader = Reader(web, state=PollState(cursor={"asked": "others", "moved_to": "x", **marks}))
        web.status, web.mark = status, "a1b2"
        await reader.poll()
        cursor = reader.state.cursor or {}
        assert {name for name in marks if name in cursor} == (
            {"duplicate_wanted"} if status == 200 else set(marks)
        )
        assert reader.moves == ([""] if status == 200 else [])


class TestCredentials:
    async def test_keep_a_source_where_it_is(self) -> None:
        web = Web(moved_to=NEW, mark="a1b2")
        reader = Reader(web)
        await reader.poll_for(days=9, hours=6)
        assert (reader.moves, set(web.asked)) == ([], {OLD})

    async def test_given_later_bring_it_back(self) -> None:
        web = Web(moved_to=NEW)
        reader = Reader(web, effective_url=NEW)
        await reader.poll()
        web.mark = "a1b2"
        await reader.poll()
        assert (web.asked, reader.moves) == ([NEW, OLD], [""])

    async def test_never_reach_the_origin_that_was_adopted(self) -> None:
        async with open_server({"/new": respond(FEED)}) as other:
            handlers = {"/feed": redirect(other.url("/new"), 301)}
            async with opened(handlers) as (server, http):
                own = Access({"authorization": Secret("Bearer secret"), "x-key": Secret("secret")})
                spec = SourceSpec("one", "feed", server.url("/feed"))
                adopted = Source(1, spec, effective_url=other.url("/new"))
                step = await read(adopted, http.with_access(own, spec.url))
                # Nor where a kind asks the adopted URL itself.
                await http.with_access(own, spec.url).get(adopted.url)
        assert (step.outcome, step.effective_url) == ("fetched", "")
        assert server.requests[0].headers["authorization"] == "Bearer secret"
        assert len(other.requests) == 2
        assert not any("secret" in str(request.headers) for request in other.requests)


async def read(source: Source, http: Http) -> Step:
    """What the kind makes of one poll by `http`."""
    return await FeedKind(Tools(Web().parse)).step(source, PollState(), http)
