"""How a feed is asked for again, over days: counted at a server that keeps, loses or makes up its validators."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from digestd.errors import HTTPStatus
from digestd.feed.parse import parse_feed
from digestd.kinds import Tools
from digestd.kinds import feed as module
from digestd.kinds.feed import FeedKind
from digestd.model import Document, PollState, Response, Source, SourceSpec, Step
from support.asking import GetsOnly

URL = "https://one.example/feed"
BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)


def feed(*guids: str, built: str = "Mon, 23 Nov 2026 10:00:00 GMT", comments: int = 0) -> bytes:
    items = "".join(
        f"<item><guid>{guid}</guid><slash:comments>{comments}</slash:comments></item>" for guid in guids
    )
    return (
        "<rss version='2.0' xmlns:slash='http://purl.org/rss/1.0/modules/slash/'><channel><title>t</title>"
        f"<lastBuildDate>{built}</lastBuildDate><!-- made in {comments} ms -->{items}</channel></rss>"
    ).encode()


@dataclass
class Site(GetsOnly):
    """A server, its clock, and every request it got. Without `honest` it says 304 to every condition."""

    body: bytes = feed("1")
    etag: str | None = '"1"'
    status: int = 200
    honest: bool = True
    mark: str = ""
    now: datetime = BEGIN
    asked: list[Mapping[str, str]] = field(default_factory=list)
    parsed: int = 0

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        self.asked.append(headers or {})
        tag = (headers or {}).get("If-None-Match")
        fields = {"etag": self.etag} if self.etag else {}
        if self.status >= 400:
            raise HTTPStatus("broken", status=self.status)
        if tag is not None and (tag == self.etag or not self.honest):
            return Response(url, 304, fields, b"")
        return Response(url, self.status, fields, self.body)

    async def parse(self, body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
        self.parsed += 1
        return parse_feed(body, url, content_type)

    @property
    def unconditional(self) -> int:
        return sum("If-None-Match" not in headers for headers in self.asked)


class Reader:
    """Polls `site` every `minutes`, and keeps what each poll leaves."""

    def __init__(self, site: Site, url: str = URL) -> None:
        self.site, self.state, self.url = site, PollState(), url
        self.kind = FeedKind(Tools(site.parse, lambda: site.now))

    async def poll(self) -> Step:
        source = Source(1, SourceSpec("one", "feed", self.url))
        done = await self.kind.step(source, self.state, self.site)
        self.state = done.next_state
        return done

    async def poll_for(self, hours: float, minutes: float = 5) -> None:
        end = self.site.now + timedelta(hours=hours)
        while self.site.now < end:
            await self.poll()
            self.site.now += timedelta(minutes=minutes)


async def test_a_quiet_feed_is_asked_for_whole_once_a_day() -> None:
    site = Site()
    await Reader(site).poll_for(hours=72)
    assert (len(site.asked), site.unconditional, site.parsed) == (864, 3, 1)


async def test_a_server_that_always_says_304_is_found_out_within_a_day() -> None:
    site = Site(honest=False)
    reader = Reader(site)
    await reader.poll()
    site.body, site.etag = feed("2", "1"), '"2"'
    await reader.poll_for(hours=25)
    assert (site.unconditional, site.parsed) == (2, 2)


async def test_a_feed_that_changes_daily_is_never_asked_for_what_it_need_not_send() -> None:
    site = Site()
    reader = Reader(site)
    for day in range(5):
        site.body, site.etag = feed(*map(str, range(day, -1, -1))), f'"{day}"'
        await reader.poll_for(hours=20)
    assert site.unconditional == 1


async def test_a_server_that_fails_is_not_asked_without_conditions_again_and_again() -> None:
    site = Site()
    reader = Reader(site)
    await reader.poll()
    site.now += timedelta(hours=25)
    site.status = 503
    await reader.poll_for(hours=20)
    assert site.unconditional == 2


async def test_a_clock_that_was_set_back_asks_for_nothing_more() -> None:
    site = Site()
    reader = Reader(site)
    await reader.poll()
    site.now -= timedelta(days=300)
    await reader.poll_for(hours=48)
    assert site.unconditional == 1 + 1


async def test_newer_validators_of_a_304_go_back() -> None:
    site = Site(honest=False)
    reader = Reader(site)
    await reader.poll()
    site.etag = 'W/"' + "x" * 2_000 + '"'
    await reader.poll()
    await reader.poll()
    assert site.asked[-1]["If-None-Match"] == site.etag


async def test_what_was_asked_otherwise_is_asked_for_whole_and_read_again() -> None:
    site = Site()
    reader = Reader(site)
    await reader.poll()
    reader.url = URL + "?all"
    await reader.poll()
    site.mark = "abcd"
    await reader.poll()
    assert (site.unconditional, site.parsed) == (3, 3)
    await reader.poll()
    assert (site.unconditional, site.parsed) == (3, 3)


async def test_a_release_that_reads_more_reads_everything_again_once(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    reader = Reader(site)
    await reader.poll()
    monkeypatch.setattr(module, "_PARSER_VERSION", "next")
    for _ in range(3):
        await reader.poll()
    assert (site.unconditional, site.parsed) == (2, 2)


async def test_dates_of_building_and_counts_of_comments_are_no_change() -> None:
    site = Site(etag=None)
    reader = Reader(site)
    first = await reader.poll()
    for hour in range(3):
        site.body = feed("1", built=f"Mon, 23 Nov 2026 1{hour}:30:00 GMT", comments=hour)
        again = await reader.poll()
        assert (again.unchanged, again.body_bytes) == (True, len(site.body))
    assert (first.outcome, site.parsed) == ("fetched", 1)
    site.body = feed("2", "1")
    await reader.poll()
    # The same bytes again, and then what is new beyond its date.
    await reader.poll()
    site.body = feed("2", "1", comments=9)
    await reader.poll()
    assert site.parsed == 2


async def test_the_new_entries_alone_are_taken_and_what_is_known_stays() -> None:
    site = Site()
    reader = Reader(site)
    await reader.poll()
    assert "A-IM" not in site.asked[0]
    whole = reader.state.body_hash
    site.body, site.etag, site.status = feed("2"), '"2"', 226
    done = await reader.poll()
    assert site.asked[-1]["A-IM"] == "feed"
    assert [entry.guid for entry in done.documents[0].entries] == ["2"]
    assert (reader.state.etag, reader.state.body_hash) == ('"2"', whole)
    site.body, site.etag = feed(), '"3"'
    done = await reader.poll()
    # Nothing new is no feed that has lost its entries.
    assert (done.documents[0].entries, "degraded" in (reader.state.cursor or {})) == ((), False)
