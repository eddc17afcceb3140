"""One attempt at an article's page, over real sockets: what is asked for, and what is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest
import trio

from digestd.errors import FetchError, Forbidden, HTTPStatus, NoArticle, SourceError, TooLarge, UnwantedType
from digestd.ingest.extraction import pages as module
from digestd.ingest.extraction.pages import Pages
from digestd.ingest.http import open_http
from digestd.ingest.politeness import Hosts
from digestd.ingest.robots import Robots
from digestd.model import Page
from support.fault_server import Handler, Server, endless, open_server, redirect, respond
from support.http_door import Limits

HTML = {"Content-Type": "text/html; charset=utf-8"}


async def read(body: bytes, url: str, content_type: str | None, *, feed_html: str, title: str) -> Page:
    raise AssertionError("nothing is read here")


@asynccontextmanager
async def opened(
    handlers: Mapping[str, Handler], hosts: Hosts | None = None, limits: Limits | None = None
) -> AsyncIterator[tuple[Server, Pages]]:
    hosts = hosts or Hosts(2, 1.0)
    limits = limits or Limits(user_agent="digestd/1.0 (security feed reader)")
    with trio.fail_after(20):
        async with open_server(handlers) as server, open_http(limits, hosts) as http:
            yield server, Pages(http, Robots(http), hosts, read, user_agent=limits.user_agent)


async def failure(
    handlers: Mapping[str, Handler], path: str = "/a", limits: Limits | None = None
) -> tuple[SourceError, list[str]]:
    """What fetching `path` raises, and which paths were asked for."""
    async with opened(handlers, limits=limits) as (server, pages):
        with pytest.raises(SourceError) as caught:
            await pages.fetch(server.url(path))
        return caught.value, [request.path for request in server.requests]


def robots(text: str) -> Handler:
    return respond(text.encode(), headers={"Content-Type": "text/plain"})


async def test_a_page_is_fetched_after_its_robots_txt() -> None:
    async with opened({"/a": respond(b"<p>text", headers=HTML)}) as (server, pages):
        response = await pages.fetch(server.url("/a"))
        assert (response.body, response.url) == (b"<p>text", server.url("/a"))
        await pages.fetch(server.url("/a"))
        assert [request.path for request in server.requests] == ["/robots.txt", "/a", "/a"]
        assert server.requests[1].headers["accept"] == "text/html, application/xhtml+xml;q=0.9"


async def test_what_robots_txt_forbids_is_not_asked_for() -> None:
    error, asked = await failure({"/robots.txt": robots("User-agent: digestd\nDisallow: /a")})
    assert isinstance(error, Forbidden)
    assert str(error) == "robots.txt does not allow digestd to fetch this page"
    assert asked == ["/robots.txt"]


async def test_a_redirect_to_what_robots_txt_forbids_is_not_followed() -> None:
    handlers = {
        "/robots.txt": robots("User-agent: *\nDisallow: /private"),
        "/a": redirect("/private/a"),
        "/private/a": respond(b"secret", headers=HTML),
    }
    error, asked = await failure(handlers)
    assert isinstance(error, Forbidden)
    assert asked == ["/robots.txt", "/a"]


async def test_robots_txt_that_cannot_be_had_forbids_for_now() -> None:
    error, asked = await failure({"/robots.txt": respond(status=503)})
    assert isinstance(error, HTTPStatus)
    assert str(error).startswith("robots.txt could not be read: ")
    assert asked == ["/robots.txt"]


async def test_a_crawl_delay_spaces_the_host_s_starts() -> None:
    hosts = Hosts(2, 0)
    handlers = {
        "/robots.txt": robots("User-agent: *\nCrawl-delay: 0.3"),
        "/a": respond(b"<p>text", headers=HTML),
    }
    starts = []
    async with opened(handlers, hosts) as (server, pages):
        for _ in range(3):
            async with hosts.turn(server.url("/a")) as turn:
                turn.start()
                starts.append(trio.current_time())
                await pages.fetch(server.url("/a"))
    assert starts[1] - starts[0] >= 0.3
    assert starts[2] - starts[1] >= 0.3


@pytest.mark.parametrize("directive", ["noindex", "none", "noarchive", "digestd: noindex", "all, nosnippet"])
async def test_what_a_publisher_does_not_want_kept_is_not(directive: str) -> None:
    handlers = {"/a": respond(b"<p>text", headers={**HTML, "X-Robots-Tag": directive})}
    error, _ = await failure(handlers)
    assert isinstance(error, Forbidden)
    assert str(error).startswith("the publisher does not want its text kept (X-Robots-Tag: ")


async def test_what_is_told_to_other_robots_does_not_concern_us() -> None:
    handlers = {"/a": respond(b"<p>text", headers={**HTML, "X-Robots-Tag": "otherbot: noindex"})}
    async with opened(handlers) as (server, pages):
        assert (await pages.fetch(server.url("/a"))).body == b"<p>text"


async def test_what_is_no_html_is_not_read() -> None:
    large = endless(2**31)
    error, _ = await failure({"/a": large})
    assert isinstance(error, UnwantedType | TooLarge)
    error, _ = await failure({"/a": respond(b"%PDF-1.7", headers={"Content-Type": "application/pdf"})})
    assert isinstance(error, UnwantedType)
    assert error.media_type == "application/pdf"


async def test_a_page_that_is_too_large_goes_to_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 1_000)
    error, _ = await failure({"/a": respond(b"x" * 1_001, headers=HTML)})
    assert isinstance(error, TooLarge)
    assert str(error) == "the body has 1001 bytes, more than 1000 (the most of a page)"
    error, _ = await failure({"/a": endless(2**31)})
    assert str(error) == "the body is larger than 1000 bytes (the most of a page)"


@pytest.mark.parametrize("place", ["/", "/login?next=/a", "/en/"])
async def test_a_redirect_to_another_place_is_seen_as_such(place: str) -> None:
    path = place.partition("?")[0]
    handlers = {"/2026/11/a-flaw": redirect(place), path: respond(b"<p>Welcome", headers=HTML)}
    error, _ = await failure(handlers, "/2026/11/a-flaw")
    assert isinstance(error, NoArticle)
    assert str(error).startswith("redirected to ")


async def test_a_failure_tells_where_redirects_had_led() -> None:
    gone = "http://127.0.0.1:1/gone"
    error, _ = await failure({"/a": redirect(gone)})
    assert isinstance(error, FetchError)
    assert error.url == gone
