"""The status page of a real daemon in a real Chromium, by mouse, by keyboard, and by axe's rules of accessibility."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import trio

from store.conftest import open_at
from support.process import Digestd, free_port, write_settings
from support.showroom import HOSTILE, LONG, Showroom

pytestmark = pytest.mark.e2e

# Playwright's types are there only where it is installed.
Page: TypeAlias = Any

TOKEN = "correct-horse-battery-staple"
DESKTOP, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 844}
# Nothing of the browser's own goes anywhere.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
ARGUMENTS += ["--disable-component-update", "--disable-sync"]
SHOWN = HOSTILE.translate({0x202E: None, 0x202C: None, 0x1B: None})


@contextmanager
def daemon(folder: Path, plain: int, host: str = "127.0.0.1", **environ: str) -> Iterator[str]:
    """Where a daemon with a furnished database shows its pages."""
    url = f"sqlite:///{folder / 'digestd.db'}"

    async def migrated() -> None:
        async with open_at(url):
            pass

    trio.run(migrated)
    room = Showroom(url)
    if plain:
        room.furnish(plain)
    room.close()
    port = free_port()
    file = write_settings(folder, {}, database={"url": url}, web={"listen": f"{host}:{port}"})
    with Digestd(["-c", str(file)], folder, environ) as process:
        process.wait_for("web.listening")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def site(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon that anybody on this machine may look at."""
    needs("chromium")
    with daemon(tmp_path_factory.mktemp("site"), plain=120) as address:
        yield address


@pytest.fixture(scope="module")
def empty_site(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon that has nothing to show yet."""
    needs("chromium")
    with daemon(tmp_path_factory.mktemp("empty"), plain=0) as address:
        yield address


@pytest.fixture(scope="module")
def guarded_site(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A daemon that listens beyond loopback, and asks for a token."""
    needs("chromium")
    with daemon(tmp_path_factory.mktemp("guarded"), 5, "0.0.0.0", WEB_TOKEN=TOKEN) as address:
        yield address


@pytest.fixture(scope="module")
def chromium(needs: Callable[..., None]) -> Iterator[Any]:
    needs("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        reason = "needs playwright: pip install -e '.[e2e]'"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Any) -> Iterator[Callable[..., Page]]:
    """Open an address; what its page complains of, asks of others, or pops up fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def open_page(
        address: str,
        viewport: dict[str, int] = DESKTOP,
        scheme: str = "light",
        expected: tuple[str, ...] = (),
    ) -> Page:
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
        contexts.append(context)
        page = context.new_page()
        origin = "/".join(address.split("/")[:3])

        def hear(message: Any) -> None:
            if not any(words in message.text for words in expected):
                complaints.append(f"console: {message.text}")

        def watch(request: Any) -> None:
            if not request.url.startswith(f"{origin}/"):
                complaints.append(f"a request elsewhere: {request.url}")

        def refuse(dialog: Any) -> None:
            complaints.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("request", watch)
        page.on("dialog", refuse)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def names(page: Page) -> list[str]:
    found: list[str] = page.locator("table.sources [role=rowheader] a").all_inner_texts()
    return found


def judge(page: Page) -> list[str]:
    """What axe finds wrong with `page`, and whether it is wider than its window."""
    from axe_playwright_python.sync_playwright import Axe

    results = Axe().run(page).response
    wrong = [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]
    # What axe leaves to people would have to be looked at once, and be named here.
    wrong += [f"left open: {rule['id']}" for rule in results["incomplete"]]
    too_wide = page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    return wrong + (["it is wider than the window"] if too_wide else [])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_every_page_is_accessible(
    viewport: dict[str, int],
    scheme: str,
    site: str,
    empty_site: str,
    guarded_site: str,
    opened: Callable[..., Page],
) -> None:
    found = {}
    paths = [
        "/",
        "/?failing=1&sort=name&order=down",
        "/?q=nothing+fits",
        "/?page=2",
        "/sources/1",
        "/sources/11",
    ]
    for path in [*paths, "/sources/12", "/sources/13"]:
        found[path] = judge(opened(site + path, viewport, scheme))
    found["empty"] = judge(opened(empty_site, viewport, scheme))
    found["missing"] = judge(opened(f"{site}/sources/999", viewport, scheme, expected=("404",)))
    found["sign in"] = judge(opened(guarded_site, viewport, scheme, expected=("401",)))
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


def test_hostile_text_is_text(site: str, opened: Callable[..., Page]) -> None:
    page = opened(site)
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name="<script>alert(1)</script>"))
    assert SHOWN in row.inner_text()
    assert "<b>bold</b>" in row.inner_text()
    row.get_by_role("rowheader").get_by_role("link").click()
    assert page.locator("h1").inner_text() == SHOWN
    assert page.title() == f"{SHOWN} · digestd"
    assert page.locator("script, iframe, object, img, style, [onerror]").count() == 0
    links = page.locator("#newest ~ ol a, .headlines a")
    assert "A link that is none" in page.locator(".headlines").inner_text()
    assert links.count() == 0


def test_links_to_articles_tell_nobody_where_they_were_followed(
    site: str, opened: Callable[..., Page]
) -> None:
    page = opened(site)
    links = page.locator(".headlines > li > a").all()
    assert len(links) == 7
    for link in links:
        assert link.get_attribute("href") == "https://news.example/story?id=1&sid=***"
        assert {"noreferrer", "noopener"} <= set((link.get_attribute("rel") or "").split())


def test_sources_are_searched_filtered_sorted_and_paged(site: str, opened: Callable[..., Page]) -> None:
    page = opened(site)
    assert names(page)[0] == "Bomb Weekly"
    page.get_by_label("Name has").fill("fenwick")
    page.get_by_role("button", name="Show").click()
    assert names(page) == ["Fenwick CERT"]
    assert page.get_by_label("Name has").input_value() == "fenwick"
    assert page.locator("#sources").evaluate("it => it.getBoundingClientRect().top < innerHeight")
    page.get_by_role("link", name="Show all").click()
    page.get_by_label("State").select_option("disabled")
    page.get_by_role("button", name="Show").click()
    assert names(page) == ["Turned off", "Turned off by command"]
    page.get_by_role("link", name="failing").click()
    assert page.get_by_label("Failing only").is_checked()
    assert len(names(page)) == 6
    page.get_by_role("columnheader", name="Source").get_by_role("link").click()
    assert names(page) == sorted(names(page))
    assert page.get_by_role("columnheader", name="Source").get_attribute("aria-sort") == "ascending"
    before = names(page)
    page.get_by_role("columnheader", name="Source").get_by_role("link").click()
    assert names(page) == before[::-1]
    assert page.get_by_role("columnheader", name="Source").get_attribute("aria-sort") == "descending"
    page.get_by_label("Sort by").select_option("Last success")
    page.get_by_label("Order").select_option("ascending")
    page.get_by_label("Failing only").uncheck()
    page.get_by_role("button", name="Show").click()
    assert names(page)[0] == "Never polled"
    page.get_by_role("link", name="Next", exact=True).click()
    assert "Page 2 of 2" in page.get_by_role("navigation", name="Pages of sources").inner_text()
    assert len(names(page)) == 33


def focused(page: Page) -> str:
    """Which of the page's links, fields and buttons has the focus."""
    told: str = page.evaluate(
        "[...document.querySelectorAll('a, button, input, select, summary')].indexOf(document.activeElement) + ''"
    )
    return told


@pytest.mark.parametrize("path", ["/?failing=1", "/sources/1"])
def test_the_keyboard_reaches_everything_and_shows_where_it_is(
    path: str, site: str, opened: Callable[..., Page]
) -> None:
    page = opened(site + path)
    count = page.evaluate(
        "[...document.querySelectorAll('a, button, input, select, summary')].filter(it => it.checkVisibility()).length"
    )
    reached = []
    for _ in range(count):
        page.keyboard.press("Tab")
        reached.append(focused(page))
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert len(set(reached)) == count
    assert reached == sorted(reached, key=int), "in the order in which they are read"


def test_the_content_can_be_skipped_to_and_the_numbers_opened_by_keyboard(
    site: str, opened: Callable[..., Page]
) -> None:
    page = opened(site)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    assert page.locator(".skip").evaluate("it => it.getBoundingClientRect().top") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.get_by_text("The numbers, hour by hour").focus()
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name="Articles and polls of the last 24 hours, the latest hour first")
    assert table.get_by_role("row").count() == 25
    assert "not counted yet" not in table.inner_text()


def test_charts_are_pictures_with_words(site: str, opened: Callable[..., Page]) -> None:
    page = opened(site)
    charts = page.get_by_role("img")
    words = [chart.get_attribute("aria-label") for chart in charts.all()]
    assert len(words) == 3
    assert re.fullmatch(
        r"New articles in the last 24 hours: [\d,]+; most in the hour from \d\d:00 UTC: \d+", words[0]
    )
    assert page.locator("figure.new rect").count() >= 20


def test_a_phone_shows_cards_with_what_each_value_is(site: str, opened: Callable[..., Page]) -> None:
    page = opened(f"{site}/?q=fenwick", PHONE)
    card = page.get_by_role("row").filter(has_text="Fenwick CERT")
    lines = card.inner_text().split("\n")
    for label in ("State", "Last success", "Next poll", "Last error"):
        assert label in lines
    assert page.get_by_role("table").get_by_role("cell").count() == 4
    assert page.get_by_role("button", name="Show").bounding_box()["height"] >= 32


def test_long_names_are_cut_in_lists_and_whole_on_their_page(site: str, opened: Callable[..., Page]) -> None:
    page = opened(f"{site}/?q=extraordinarily", PHONE)
    (name,) = names(page)
    assert name.endswith("…")
    page.get_by_role("rowheader").get_by_role("link").click()
    assert page.locator("h1").inner_text() == " ".join(LONG.split())


def test_beyond_loopback_a_token_is_asked_for(guarded_site: str, opened: Callable[..., Page]) -> None:
    page = opened(f"{guarded_site}/sources/2", expected=("401",))
    assert "Fenwick" not in page.content()
    assert page.evaluate("document.activeElement.id") == "token"
    page.keyboard.type("not the token at all")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert page.get_by_role("alert").inner_text().strip() == "That is not the token."
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_role("button", name="Sign in").click()
    assert page.url == f"{guarded_site}/sources/2"
    assert page.locator("h1").inner_text() == "Fenwick CERT"
    (cookie,) = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], TOKEN in cookie["value"]) == (True, "Lax", False)
    assert judge(page) == []
    page.get_by_role("button", name="Sign out").click()
    assert page.get_by_label("Token").is_visible()
    assert page.context.cookies() == []
