"""The status page over HTTP, from a real database."""

from __future__ import annotations

import gc
import re
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import trio

from digestd.errors import StoreUnavailable
from digestd.store.overview import Overview
from digestd.web.address import Address
from digestd.web.pages import StatusPages, routes
from digestd.web.pages.gate import COOKIE
from digestd.web.server import serve_web
from store.conftest import open_at
from support.showroom import HOSTILE, LONG, Showroom
from web.states import state

LOOPBACK, WIDE = Address("127.0.0.1", 0), Address("0.0.0.0", 0)
TOKEN = "correct-horse-battery-staple"
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


async def is_ready() -> None:
    return None


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str
    shown: str = field(init=False)

    def __post_init__(self) -> None:
        """What a person reads: without tags, on one line."""
        without = re.sub(r"<(head|svg|select)\b.*?</\1>|<[^>]*>", " ", self.body, flags=re.S)
        self.shown = " ".join(without.replace("&lt;", "<").replace("&gt;", ">").split())

    def names(self) -> list[str]:
        """The sources in the table, in order."""
        return re.findall(r'role="rowheader"><a href="/sources/\d+"><bdi>(.*?)</bdi>', self.body)


class Browser:
    """Asks the server at `address`; keeps no cookies by itself."""

    def __init__(self, address: Address) -> None:
        self._address = address

    async def get(self, path: str, method: str = "GET", body: str = "", **fields: str) -> Answer:
        head = {"Host": f"localhost:{self._address.port}", "Content-Length": str(len(body)), **fields}
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in head.items())
        stream = await trio.open_tcp_stream(self._address.host, self._address.port)
        async with stream:
            await stream.send_all(f"{method} {path} HTTP/1.1\r\n{lines}\r\n{body}".encode())
            answer = b"".join([part async for part in stream])
        head_bytes, _, content = answer.partition(b"\r\n\r\n")
        first, *rest = head_bytes.decode().split("\r\n")
        return Answer(int(first.split()[1]), dict(line.split(": ", 1) for line in rest), content.decode())

    async def post(self, path: str, **form: str) -> Answer:
        fields = {"Content_Type": "application/x-www-form-urlencoded"}
        return await self.get(path, "POST", urlencode(form), **fields)


@asynccontextmanager
async def browsing(
    overview: Overview, address: Address = LOOPBACK, token: str | None = None, **daemon: Any
) -> AsyncIterator[Browser]:
    shown = state(**daemon)
    pages = StatusPages(overview, lambda: shown, address, token)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(serve_web, address, lambda: shown, is_ready, (), pages)
            yield Browser(bound[0].from_here)
            nursery.cancel_scope.cancel()


@dataclass
class Shown:
    overview: Overview
    ids: dict[str, int]


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A database with something in it, and the ids of some sources."""
    path = tmp_path_factory.mktemp("showroom") / "template.db"

    async def migrated() -> None:
        async with open_at(f"sqlite:///{path}"):
            pass

    trio.run(migrated)
    return path, Showroom(f"sqlite:///{path}").furnish(plain=120)


@pytest.fixture
async def shown(furnished: tuple[Path, dict[str, int]], tmp_path: Path) -> AsyncIterator[Shown]:
    template, ids = furnished
    shutil.copy(template, tmp_path / "shown.db")
    async with open_at(f"sqlite:///{tmp_path / 'shown.db'}") as store:
        yield Shown(store.overview, ids)


class Nowhere:
    """An overview whose database is away, or hangs."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self._answer = answer

    def __getattr__(self, _name: str) -> Any:
        async def asked(*_: Any, **__: Any) -> Any:
            await trio.lowlevel.checkpoint()
            return await self._answer()

        return asked


async def refuse() -> None:
    raise StoreUnavailable(
        "the database postgresql://digestd@db.example/digestd cannot be used: nobody listens"
    )


async def test_the_first_page_shows_what_is_wrong_first_and_everything_else(shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        page = await browser.get("/")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert page.names()[0] == "Bomb Weekly"
    assert "Bomb Weekly feed State suspect it may crash digestd Last success 3 min ago" in page.shown
    assert (
        "Next poll in 24 h it failed 4 times in a row Last error http_status: the server answered 503"
        in page.shown
    )
    assert "1 to 100 of 133 sources." in page.shown
    assert "Page 1 of 2 Next Last" in page.shown
    tiles = (
        "131 sources polled",
        "6 failing",
        "1 degraded",
        "1 gone",
        "1 of 10 polls in flight",
        "7 pages to fetch",
    )
    assert all(tile in page.shown for tile in tiles)
    assert "Polls that failed 5" in page.shown
    assert "polling goes on up 1 h 0 min" in page.shown
    assert "Harbour Linux notices" in page.shown


async def test_every_answer_forbids_scripts_frames_and_telling_others(shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        style = re.findall(r'href="(/style-[0-9a-f]{12}\.css)"', (await browser.get("/")).body)[0]
        pages = ["/", "/?q=x", "/sources/1", "/sources/999", "/sources/x", style, "/icon.svg"]
        answers = {path: await browser.get(path) for path in pages}
    for path, answer in answers.items():
        assert answer.headers["content-security-policy"] == POLICY, path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        kept = path == style
        assert answer.headers["cache-control"].endswith("immutable") is kept
        assert ("no-store" in answer.headers["cache-control"]) is (path not in (style, "/icon.svg"))
    assert answers[style].headers["content-type"] == "text/css; charset=utf-8"
    assert answers["/icon.svg"].headers["content-type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("q=FENWICK", ["Fenwick CERT"]),
        ("q=%25", []),
        ("state=gone", ["Old Fen News"]),
        ("state=disabled", ["Turned off", "Turned off by command"]),
        ("failing=1&category=cert", ["Fenwick CERT"]),
        ("kind=page&sort=name&order=down&q=source", [f"Plain source {n:04}" for n in range(119, 0, -4)]),
        ("q=Plain&page=2&sort=name", [f"Plain source {n:04}" for n in range(100, 120)]),
        ("q=Plain+source+000&sort=last_success&order=down", [f"Plain source {n:04}" for n in range(10)]),
        ("q=script", [HOSTILE.translate({ord("\u202e"): "", ord("\u202c"): "", ord("\x1b"): ""})]),
    ],
)
async def test_sources_are_searched_filtered_sorted_and_paged(
    asked: str, names: list[str], shown: Shown
) -> None:
    async with browsing(shown.overview) as browser:
        page = await browser.get(f"/?{asked}")
    escapes = {"<": "&lt;", ">": "&gt;", '"': "&#34;", "'": "&#39;"}
    assert page.names() == ["".join(escapes.get(letter, letter) for letter in name) for name in names]
    assert ("No source fits." in page.shown) is (not names)


async def test_the_form_keeps_what_was_asked_and_the_headings_say_the_order(shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        page = await browser.get("/?q=e&category=cert&sort=name&order=down&failing=1")
    assert 'name="q" type="search" value="e"' in page.body
    assert '<option value="cert" selected>cert (25)</option>' in page.body
    assert '<option value="name" selected>Name</option>' in page.body
    assert '<option value="down" selected>descending</option>' in page.body
    assert 'value="1" checked' in page.body
    (sorted_by,) = re.findall(r'aria-sort="(\w+)"><a href="([^"]*)">(\w+)', page.body)
    assert sorted_by == (
        "descending",
        "/?q=e&amp;category=cert&amp;failing=1&amp;sort=name#sources",
        "Source",
    )


async def test_a_category_that_is_not_there_stays_chosen(shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        page = await browser.get("/?category=%22%3E%3Cb%3E")
    assert '<option value="&#34;&gt;&lt;b&gt;" selected>&#34;&gt;&lt;b&gt;</option>' in page.body


async def test_a_source_has_a_page_of_its_own(shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        page = await browser.get(f"/sources/{shown.ids['Harbour Linux notices']}")
        failing = await browser.get(f"/sources/{shown.ids['Fenwick CERT']}")
        long = await browser.get(f"/sources/{shown.ids[LONG]}")
    assert "<title>Harbour Linux notices · digestd</title>" in page.body
    assert (
        "what the server says of caching (Cache-Control, Expires), but no longer than allowed" in page.shown
    )
    assert "Articles 9" in page.shown
    assert "Outcome fetched New" in page.shown
    assert (
        'href="https://news.example/story?id=1&amp;sid=***" rel="noreferrer noopener external"' in page.body
    )
    assert "failing 4 times in a row" in failing.shown
    assert "Outcome failed HTTP 503 New 0" in failing.shown
    assert "It has brought no article yet." in failing.shown
    assert f"<h1><bdi>{LONG.strip()}</bdi></h1>" in long.body


@pytest.mark.parametrize("number", ["999999", "0", "9" * 18, "9" * 19, "x", "-1", "1.5", "%C2%B2", "%00"])
async def test_a_source_that_is_none_is_404_in_words(number: str, shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        page = await browser.get(f"/sources/{number}")
    assert (page.status, "There is no source with this number. All sources" in page.shown) == (404, True)


async def test_an_empty_database_says_what_to_do(tmp_path: Path) -> None:
    async with open_at(f"sqlite:///{tmp_path / 'empty.db'}") as store, browsing(store.overview) as browser:
        page = await browser.get("/")
    assert page.status == 200
    assert "There is no source yet. digestd sources add adds one" in page.shown
    assert "There is no article yet." in page.shown
    assert "New articles in the last 24 hours: 0" in page.body


async def test_head_is_answered_without_a_body_and_nothing_else_is_taken(shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        head = await browser.get("/", "HEAD")
        assert (head.status, head.body) == (200, "")
        assert (await browser.get("/", "POST")).status == 405
        assert (await browser.get("/sources/1", "DELETE")).status == 405


async def test_an_outage_is_told_in_words_with_what_is_known(shown: Shown) -> None:
    async with browsing(Nowhere(refuse), store_away_since=datetime.now(UTC)) as browser:
        page = await browser.get("/?q=fen")
        source = await browser.get("/sources/1")
    assert (page.status, page.headers["retry-after"]) == (503, "5")
    assert "This page cannot be read from the database just now" in page.shown
    assert "cannot be used: nobody listens · away since" in page.shown
    assert "The database is away: polls wait, nothing is lost." in page.shown
    assert "polls wait for the database up 1 h 0 min" in page.shown
    assert '<a href="/?q=fen">Refresh</a>' in page.body
    assert "4 sources to be polled" in page.shown
    assert "40 new articles since the start" in page.shown
    assert "Fenwick CERT dns: no address for cert.fenwick.example" in page.shown
    assert source.status == 503
    assert page.headers["content-security-policy"] == POLICY


@pytest.mark.slow
async def test_a_database_that_hangs_holds_up_nobody_for_long() -> None:
    async with browsing(Nowhere(trio.sleep_forever)) as browser:
        began = trio.current_time()
        answers: list[Answer] = []

        async def ask() -> None:
            answers.append(await browser.get("/"))

        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(ask)
            await trio.sleep(0.5)
            assert (await browser.get("/health")).status == 200
        assert {answer.status for answer in answers} == {503}
        assert trio.current_time() - began < 6
        words = {"the database has given no answer for 3 s", "too many look at these pages at one time"}
        assert all(any(one in answer.shown for one in words) for answer in answers)


async def test_no_progress_and_a_shutdown_are_said(shown: Shown) -> None:
    async with browsing(
        shown.overview, stalled="a poll has held its slot for 95 s", stopping=True
    ) as browser:
        page = await browser.get("/")
    assert "There is no progress: a poll has held its slot for 95 s." in page.shown
    assert "digestd is shutting down: polls in flight may end." in page.shown
    assert "no progress up" in page.shown


async def test_beyond_loopback_nothing_is_shown_without_a_token(shown: Shown) -> None:
    async with browsing(shown.overview, WIDE) as browser:
        for path in ("/", "/sources/1", "/sources/999"):
            page = await browser.get(path, Authorization="Bearer ", Cookie=f"{COOKIE}=1.{'0' * 64}")
            assert page.status == 403
            assert "Set web.token" in page.shown
            assert "Fenwick" not in page.body
        assert (await browser.post("/sign-in", token="")).headers["location"] == "/"
        assert (await browser.get("/health")).status == 200
        assert (await browser.get("/metrics")).status == 200


async def test_a_token_is_asked_for_once(shown: Shown) -> None:
    async with browsing(shown.overview, WIDE, TOKEN) as browser:
        asked = await browser.get("/sources/2?q=x")
        assert (asked.status, asked.headers["www-authenticate"]) == (401, 'Bearer realm="digestd"')
        assert '<input type="hidden" name="back" value="/sources/2?q=x">' in asked.body
        assert "Fenwick" not in asked.body
        given = await browser.post("/sign-in", token=f" {TOKEN}\n", back="/sources/2?q=x")
        assert (given.status, given.headers["location"]) == (303, "/sources/2?q=x")
        cookie = given.headers["set-cookie"].split(";")[0]
        page = await browser.get("/sources/2", Cookie=f"other=1; {cookie}")
        assert (page.status, "Fenwick CERT" in page.shown, "Sign out" in page.shown) == (200, True, True)
        gone = await browser.post("/sign-out")
        assert (gone.status, "Max-Age=0" in gone.headers["set-cookie"]) == (303, True)
        assert (await browser.get("/", Authorization=f"Bearer {TOKEN}")).status == 200
        assert (await browser.get("/health")).status == 200
        behind = {"Content_Type": "application/x-www-form-urlencoded", "X_Forwarded_Proto": "https"}
        given = await browser.get("/sign-in", "POST", urlencode({"token": TOKEN}), **behind)
        assert given.headers["set-cookie"].endswith("; Secure")


async def test_a_wrong_token_is_told_after_a_second(shown: Shown) -> None:
    async with browsing(shown.overview, LOOPBACK, TOKEN) as browser:
        began = trio.current_time()
        wrong = await browser.post("/sign-in", token="wrong", back="/sources/1")
        assert trio.current_time() - began >= 1
        assert (wrong.status, "That is not the token." in wrong.shown) == (401, True)
        assert 'name="back" value="/sources/1"' in wrong.body
        assert 'aria-invalid="true"' in wrong.body
        assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/sources/1\r\nX: y",
        "/sign-out",
        "",
        "/health",
    ],
)
async def test_nobody_is_led_elsewhere(back: str, shown: Shown) -> None:
    async with browsing(shown.overview, LOOPBACK, TOKEN) as browser:
        given = await browser.post("/sign-in", token=TOKEN, back=back)
    assert (given.status, given.headers["location"]) == (303, "/")


async def test_a_form_that_is_none_is_a_wrong_token(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "WRONG_TOKEN_SECONDS", 0.0)
    async with browsing(shown.overview, LOOPBACK, TOKEN) as browser:
        for body in (
            "",
            "x" * 5_000,
            "token=" + "x" * 4_000,
            "\0&=%%%",
            "&".join(f"a{n}=b" for n in range(200)),
        ):
            assert (await browser.get("/sign-in", "POST", body)).status == 401


async def test_a_browser_with_many_cookies_is_answered(shown: Shown) -> None:
    async with browsing(shown.overview) as browser:
        page = await browser.get(
            "/", Cookie="; ".join(f"n{n}={'x' * 80}" for n in range(48)), Accept="text/html," * 400
        )
        assert page.status == 200
        assert (await browser.get("/", Cookie="x" * 30_000)).status == 431


@pytest.fixture
def quiet_collector() -> Iterator[None]:
    """What lives as long as the tests is out of the garbage collector's sight, as in the daemon what lives as long."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


async def test_the_daemon_goes_on_while_pages_are_made(shown: Shown, quiet_collector: None) -> None:
    """The event loop is not stopped for longer than 20 ms of this process's own time; here for three times as long, as
    machines may be slow."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.thread_time()
            await trio.sleep(0)
            longest = max(longest, time.thread_time() - before)

    async with browsing(shown.overview) as browser:
        await browser.get("/")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            for number in range(10):
                assert (await browser.get(f"/?page={number % 2 + 1}")).status == 200
            nursery.cancel_scope.cancel()
    assert longest < 0.06
