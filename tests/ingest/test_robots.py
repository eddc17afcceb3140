"""The robots.txt of an origin over real sockets: what each answer and each failure means."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Mapping

import pytest
from trio.testing import MockClock

from digestd.errors import (
    AddressRefused,
    BadURL,
    ConnectFailed,
    FetchError,
    FetchTimeout,
    HostPaused,
    HTTPStatus,
    ProtocolFailed,
    TooLarge,
)
from digestd.ingest.politeness import Hosts
from digestd.page.robots import ROBOTS_BYTES, Rules, parse_robots
from support.fault_server import (
    Handler,
    drip,
    endless,
    never_answer,
    open_server,
    raw,
    redirect,
    reset_after,
    respond,
)
from support.http_door import Limits
from support.robots import NOTHING, PRIVATE, changing, failure, opened, permits, rules

DAY = 86_400


@pytest.fixture
def clock(mock_clock: MockClock) -> MockClock:
    """A clock that runs, so that whatever hangs ends, and can be moved on."""
    mock_clock.rate = 1.0
    return mock_clock


async def test_one_request_answers_for_all_pages_of_the_origin() -> None:
    async with opened({"/robots.txt": respond(PRIVATE)}) as (server, robots):
        assert await permits(robots, server, "/news?a=1#b")
        assert not await permits(robots, server, "/private/x")
        assert await permits(robots, server, "/")
    assert [request.target for request in server.requests] == ["/robots.txt"]


async def test_who_asks_is_told_and_user_info_is_not() -> None:
    async with opened({"/robots.txt": respond(PRIVATE)}) as (server, robots):
        await rules(robots, server.url("/page", user_info="user:secret@"))
    (request,) = server.requests
    assert request.headers["user-agent"] == "digestd/test"
    assert "authorization" not in request.headers


async def test_every_scheme_host_and_port_has_its_own() -> None:
    async with (
        open_server({"/robots.txt": respond(NOTHING)}) as other,
        opened({"/robots.txt": respond(PRIVATE)}, Limits(timeout_seconds=0.5)) as (server, robots),
    ):
        assert await permits(robots, server, "/")
        assert not await permits(robots, other, "/")
        await rules(robots, server.url(host="localhost"))
        await failure(robots, server.url().replace("http:", "https:"))
    assert len(server.requests) == 2
    assert server.connections == 3


@pytest.mark.parametrize("url", ["ftp://example.org/", "http://", "nonsense", "http://[/"])
async def test_a_url_without_origin_is_told_apart(url: str) -> None:
    async with opened({}) as (_, robots):
        assert isinstance(await failure(robots, url), BadURL)


@pytest.mark.parametrize("status", [204, 206, 300, 304, 400, 401, 403, 404, 408, 410, 425, 451, 499])
async def test_where_there_is_none_all_is_allowed(status: int) -> None:
    async with opened({"/robots.txt": respond(NOTHING, status)}) as (server, robots):
        assert await permits(robots, server, "/page")
        assert await permits(robots, server, "/page")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (
            429,
            "robots.txt could not be read: the server answered 429 Too Many Requests: it was asked too often, and is "
            "left alone for a while",
        ),
        (
            500,
            "robots.txt could not be read: the server answered 500 Internal Server Error: it has trouble of its own; "
            "nothing needs to be done here",
        ),
        (
            503,
            "robots.txt could not be read: the server answered 503 Service Unavailable: it has trouble of its own; "
            "nothing needs to be done here",
        ),
        (
            599,
            "robots.txt could not be read: the server answered 599: it has trouble of its own; nothing needs to be "
            "done here",
        ),
    ],
)
async def test_a_server_in_trouble_is_asked_again_in_minutes(
    clock: MockClock, status: int, message: str
) -> None:
    troubled = changing(respond(status=status), respond(PRIVATE))
    async with opened({"/robots.txt": troubled}) as (server, robots):
        error = await failure(robots, server.url("/page"))
        assert isinstance(error, HTTPStatus)
        assert (str(error), error.status, error.cause) == (message, status, "http_status")
        assert error.retry_after == pytest.approx(300, abs=5)
        clock.jump(200)
        again = await failure(robots, server.url("/page"))
        assert str(again) == message
        assert again.retry_after == pytest.approx(100, abs=5)
        assert len(server.requests) == 1
        clock.jump(101)
        assert await permits(robots, server, "/page")
        assert not await permits(robots, server, "/private")
    assert len(server.requests) == 2


@pytest.mark.parametrize(("said", "seconds"), [("3600", 3600), ("5", 300), ("604800", DAY)])
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_kept_within_bounds(status: int, said: str, seconds: float) -> None:
    hosts = Hosts(2, 1.0)
    busy = respond(status=status, headers={"Retry-After": said})
    async with opened({"/robots.txt": busy}, hosts=hosts) as (server, robots):
        error = await failure(robots, server.url())
        assert error.retry_after == pytest.approx(seconds, abs=5)
        assert hosts.paused_for(server.url()) > 0


@pytest.mark.parametrize(
    ("handler", "expected"),
    [
        (never_answer(), FetchTimeout),
        (drip(PRIVATE, 0.3), FetchTimeout),
        (raw(b""), ProtocolFailed),
        (raw(b"garbage\r\n\r\n"), ProtocolFailed),
        (reset_after(PRIVATE, 1000), ProtocolFailed),
        (redirect("http://127.0.0.1:1/robots.txt"), ConnectFailed),
        (respond(b"no gzip", headers={"Content-Encoding": "gzip"}), ProtocolFailed),
    ],
)
async def test_what_breaks_on_the_way_forbids_nothing_for_good(
    clock: MockClock, handler: Handler, expected: type[FetchError]
) -> None:
    broken = changing(handler, respond(PRIVATE))
    async with opened({"/robots.txt": broken}, Limits(timeout_seconds=0.6)) as (server, robots):
        error = await failure(robots, server.url())
        assert isinstance(error, expected)
        assert str(error).startswith("robots.txt could not be read: ")
        clock.jump(301)
        assert await permits(robots, server, "/page")


async def test_a_server_that_is_not_there_and_an_address_that_may_not_be_asked() -> None:
    async with open_server({}) as gone:
        url = gone.url()
    async with opened({}) as (_, robots):
        assert isinstance(await failure(robots, url), ConnectFailed)
    async with opened({}, Limits(allow_private_networks=False)) as (server, robots):
        assert isinstance(await failure(robots, server.url()), AddressRefused)
    assert server.requests == []


async def test_five_redirects_are_followed_to_other_hosts_too() -> None:
    async with open_server({"/rules": respond(PRIVATE)}) as other:
        hops = {f"/{hop}": redirect(f"/{hop + 1}", 301) for hop in range(1, 4)}
        onward = {"/robots.txt": redirect("/1"), **hops, "/4": redirect(other.url("/rules"), 308)}
        async with opened(onward) as (server, robots):
            assert not await permits(robots, server, "/private")
            assert await permits(robots, server, "/page")
        assert len(server.requests) == 5
    assert len(other.requests) == 1


@pytest.mark.parametrize(
    "handlers",
    [
        {"/robots.txt": redirect("/robots.txt")},
        {"/robots.txt": redirect("/a"), "/a": redirect("/robots.txt")},
        {"/robots.txt": redirect("/1"), **{f"/{hop}": redirect(f"/{hop + 1}") for hop in range(1, 10)}},
        {"/robots.txt": redirect("")},
        {"/robots.txt": redirect("ftp://example.org/robots.txt")},
        {"/robots.txt": redirect("/gone")},
    ],
    ids=["itself", "circle", "too many", "nowhere", "no http", "not found"],
)
async def test_redirects_that_lead_to_none_allow_all(handlers: Mapping[str, Handler]) -> None:
    async with opened(handlers) as (server, robots):
        assert await permits(robots, server, "/page")
        asked = len(server.requests)
        assert await permits(robots, server, "/page")
    assert len(server.requests) == asked


async def test_a_redirect_to_a_host_that_is_paused_is_waited_for() -> None:
    hosts = Hosts(2, 1.0)
    hosts.pause("http://paused.example/", 1000)
    handlers = {"/robots.txt": redirect("http://paused.example/robots.txt")}
    async with opened(handlers, hosts=hosts) as (server, robots):
        error = await failure(robots, server.url())
    assert isinstance(error, HostPaused)
    assert error.retry_after == pytest.approx(1000, abs=5)


@pytest.mark.parametrize("media_type", ["text/html; charset=utf-8", "Application/XHTML+XML"])
async def test_a_redirect_to_a_web_page_is_no_robots_txt(media_type: str) -> None:
    home = respond(b"<pre>\nUser-agent: *\nDisallow: /\n</pre>", headers={"Content-Type": media_type})
    async with opened({"/robots.txt": redirect("/home"), "/home": home}) as (server, robots):
        assert await permits(robots, server, "/page")


@pytest.mark.parametrize(
    "handlers",
    [
        {"/robots.txt": respond(NOTHING, headers={"Content-Type": "text/html"})},
        {"/robots.txt": redirect("/robots.txt?1"), "/robots.txt?1": respond(NOTHING)},
        {
            "/robots.txt": redirect("/r"),
            "/r": respond(NOTHING, headers={"Content-Type": "text/plain"}),
        },
    ],
    ids=["wrong type", "a query", "another path"],
)
async def test_other_answers_count_whatever_they_call_themselves(handlers: dict[str, Handler]) -> None:
    if "/robots.txt?1" in handlers:
        handlers["/robots.txt"] = changing(handlers["/robots.txt"], handlers.pop("/robots.txt?1"))
    async with opened(handlers) as (server, robots):
        assert not await permits(robots, server, "/page")


@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_of_10_mb_the_first_500_kib_count(coding: str) -> None:
    fill = b"# nothing\n" * (ROBOTS_BYTES // 10)
    body = PRIVATE + fill + b"User-agent: *\nDisallow: /\n" + fill * 20
    sent = gzip.compress(body) if coding == "gzip" else body
    handler = respond(sent, headers={"Content-Encoding": coding})
    async with opened({"/robots.txt": handler}, Limits(max_body_bytes=1024)) as (server, robots):
        assert not await permits(robots, server, "/private")
        assert await permits(robots, server, "/page")


async def test_an_endless_one_is_cut() -> None:
    async with opened({"/robots.txt": endless(2**31)}) as (server, robots):
        assert await permits(robots, server, "/page")


async def test_one_that_decodes_to_nothing_for_ever_is_too_large() -> None:
    empty = gzip.compress(b"") + b"\0" * 4_000_000
    handler = respond(empty, headers={"Content-Encoding": "gzip"})
    async with opened({"/robots.txt": handler}) as (server, robots):
        assert isinstance(await failure(robots, server.url()), TooLarge)


async def test_a_long_one_is_read_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def noted(body: bytes) -> Rules:
        threads.append(threading.get_ident())
        return parse_robots(body)

    monkeypatch.setattr("digestd.ingest.robots.parse_robots", noted)
    own = threading.get_ident()
    long = PRIVATE + b"Disallow: /x\n" * 1_000
    async with (
        opened({"/robots.txt": respond(long)}) as (server, robots),
        opened({"/robots.txt": respond(PRIVATE)}) as (other, _),
    ):
        assert not await permits(robots, server, "/private")
        assert not await permits(robots, other, "/private")
    assert [thread == own for thread in threads] == [False, True]
