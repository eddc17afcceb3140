"""The kind `sitemap`: one sitemap a step, and whatever ends a round in its middle, nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import HostPaused
from digestd.feed import sitemaps
from digestd.kinds.sitemap import SitemapKind
from digestd.model import Failure, Source, SourceSpec
from support.kind_runs import Killed, Run, Site

URL = "https://example.com/sitemap.xml"


def urlset(*paths: str) -> bytes:
    each = "".join(f"<url><loc>https://example.com/{path}</loc></url>" for path in paths)
    return f"<urlset>{each}</urlset>".encode()


def index(*parts: str, lastmod: str = "") -> bytes:
    modified = f"<lastmod>{lastmod}</lastmod>" if lastmod else ""
    each = "".join(f"<sitemap><loc>https://example.com/{part}</loc>{modified}</sitemap>" for part in parts)
    return f"<sitemapindex>{each}</sitemapindex>".encode()


def part(name: str) -> str:
    return f"https://example.com/{name}"


def run(site: Site, url: str = URL, **options: object) -> Run:
    return Run(SitemapKind, Source(1, SourceSpec("one", "sitemap", url, options=options)), site)


async def test_new_urls_become_entries_once_and_a_daily_reading_proves_what_has_left() -> None:
    site = Site({URL: urlset("a", "b")})
    polled = run(site)
    first = await polled.poll()
    assert first is not None
    assert (set(polled.kept), first.whole) == ({part("a"), part("b")}, True)
    assert (await polled.poll() or first).unchanged
    site.documents[URL] = urlset("c", "a", "b").replace(b"</loc>", b"</loc><lastmod>2026-11-23</lastmod>")
    third = await polled.poll()
    assert third is not None
    assert part("c") in polled.kept
    site.documents[URL] = urlset(*(f"n{number}" for number in range(500)), "a", "b", "c")
    await polled.poll()
    site.documents[URL] = urlset(*(f"n{number}" for number in range(500)), "a", "b", "d")
    some = await polled.poll()
    assert some is not None
    assert (some.whole, part("d") in polled.kept) == (False, True)
    polled.later(days=1, minutes=1)
    site.documents[URL] = urlset(*(f"n{number}" for number in range(500)), "a", "b", "e")
    all_of_it = await polled.poll()
    assert all_of_it is not None
    assert (all_of_it.whole, len(all_of_it.documents[0].entries)) == (True, 503)


async def test_an_index_is_read_part_by_part_and_parts_that_did_not_change_are_not_asked_for() -> None:
    site = Site({URL: index("1", "2", lastmod="2026-11-01"), part("1"): urlset("a"), part("2"): urlset("b")})
    polled = run(site)
    last = await polled.poll()
    assert last is not None
    assert (set(polled.kept), last.more, last.whole) == ({part("a"), part("b")}, False, False)
    assert site.asked == [URL, part("1"), part("2")]
    site.asked.clear()
    site.documents[part("2")] = urlset("b", "c")
    await polled.poll()
    assert site.asked == [URL]
    polled.later(days=1, minutes=1)
    await polled.poll()
    assert site.asked == [URL, URL, part("1"), part("2")]
    assert polled.kept == {part("a"): 1, part("b"): 2, part("c"): 1}
    site.documents[URL] = index("2", lastmod="2026-11-23")
    await polled.poll()
    assert site.asked[-2:] == [URL, part("2")]
    assert len(sitemaps.round_of(polled.state).parts) == 1


async def test_without_dates_all_parts_are_asked_for_with_their_validators() -> None:
    site = Site({URL: index("1", "2"), part("1"): urlset("a"), part("2"): urlset("b")})
    polled = run(site)
    for _ in range(2):
        await polled.poll()
    assert site.asked == [URL, part("1"), part("2")] * 2
    assert [bool(sent.get("If-None-Match")) for sent in site.sent] == [False, False, False, False, True, True]
    assert polled.kept == {part("a"): 1, part("b"): 1}


async def test_an_index_in_an_index_is_read_and_none_in_a_circle_for_ever() -> None:
    site = Site(
        {URL: index("1", "i"), part("i"): index("2", "j"), part("j"): index("i", "3"), part("3"): urlset("z")}
    )
    site.documents |= {part("1"): urlset("a"), part("2"): urlset("b")}
    polled = run(site)
    await polled.poll()
    assert set(polled.kept) == {part("a"), part("b")}
    assert len(site.asked) < 10


async def test_a_part_that_is_gone_costs_the_others_nothing_and_is_told() -> None:
    site = Site({URL: index("1", "2", "3"), part("1"): urlset("a"), part("2"): 404, part("3"): urlset("c")})
    polled = run(site)
    last = await polled.poll()
    assert last is not None
    assert set(polled.kept) == {part("a"), part("c")}
    assert (last.failure, last.remark) == (
        None,
        "1 of 3 sitemaps of the index cannot be read, the last one since https://example.com/2: the server answered "
        "404 Not Found: there is nothing at this address; check the URL",
    )
    site.documents[part("2")] = urlset("b")
    last = await polled.poll()
    assert last is not None
    assert (last.remark, part("b") in polled.kept) == (None, True)


async def test_a_part_that_has_trouble_is_tried_three_times() -> None:
    site = Site({URL: index("1", "2"), part("1"): 500, part("2"): urlset("b")})
    polled = run(site)
    for _ in range(2):
        await polled.poll()
        assert polled.failure is not None
        assert polled.failure.message.startswith("the sitemap https://example.com/1: the server answered 500")
        assert not polled.kept
    last = await polled.poll()
    assert last is not None
    assert set(polled.kept) == {part("b")}
    assert last.failure is None
    assert site.asked == [URL, part("1"), part("1"), part("1"), part("2")]


async def test_where_no_part_can_be_read_the_source_fails() -> None:
    site = Site({URL: index("1", "2"), part("1"): 410, part("2"): b"<html><title>No</title></html>"})
    polled = run(site)
    await polled.poll()
    assert polled.failure == Failure(
        "not_a_feed",
        "none of the 2 sitemaps of the index can be read: https://example.com/2: an HTML page (title 'No') came "
        "instead of a sitemap: check the URL of the source",
    )


async def test_a_host_that_wants_to_be_left_alone_counts_against_no_part() -> None:
    def paused(url: str) -> None:
        if url == part("1"):
            raise HostPaused("later", retry_after=30)

    site = Site({URL: index("1"), part("1"): urlset("a")}, before=paused)
    polled = run(site)
    for _ in range(5):
        await polled.poll()
        assert polled.failure == Failure("paused", "later", None, 30)
    site.before = lambda url: None
    await polled.poll()
    assert set(polled.kept) == {part("a")}


async def test_what_was_cut_off_is_read_again() -> None:
    whole = urlset("a", "b", "c")
    site = Site({URL: whole[:-40]})
    polled = run(site)
    await polled.poll()
    assert polled.kept == {part("a"): 1, part("b"): 1}
    # A 304 would say that all of it was seen.
    assert (polled.state.etag, polled.state.body_hash) == (None, None)
    site.documents[URL] = whole
    await polled.poll()
    assert polled.kept == {part("a"): 2, part("b"): 2, part("c"): 1}
    site.documents = {URL: index("1"), part("1"): whole[:-40]}
    again = run(site)
    await again.poll()
    site.documents[part("1")] = whole
    await again.poll()
    assert "If-None-Match" not in site.sent[-1]
    assert set(again.kept) == {part("a"), part("b"), part("c")}


async def test_a_robots_txt_leads_to_its_sitemaps() -> None:
    url = "https://example.com/robots.txt"
    site = Site({url: b"User-agent: *\nSitemap: https://example.com/s\n", part("s"): urlset("a")})
    polled = run(site, url)
    await polled.poll()
    assert set(polled.kept) == {part("a")}


@pytest.mark.parametrize(
    "cursor",
    [
        {"left": "x", "parts": 3, "bad": [1], "good": "2"},
        {"left": [["u"], 3, ["https://example.com/1", "", "x"]], "parts": {"a": ["b"]}},
        {"buckets": 7, "all_at": "never"},
    ],
)
async def test_a_damaged_row_costs_a_reading(cursor: dict[str, object]) -> None:
    site = Site({URL: index("1"), part("1"): urlset("a")})
    polled = run(site)
    polled.state = type(polled.state)(cursor=cursor)
    await polled.poll()
    assert set(polled.kept) == {part("a")}


def interruptions(chance: random.Random, rate: float) -> Iterator[bool]:
    while True:
        yield chance.random() < rate


@settings(max_examples=60)
@given(st.integers(1, 6), st.integers(0, 2**32), st.booleans())
def test_whatever_fails_and_whenever_it_is_killed_nothing_is_lost(parts: int, seed: int, dated: bool) -> None:
    chance = random.Random(seed)

    async def main() -> None:
        site = Site()
        published: dict[str, list[str]] = {part(f"p{number}"): [] for number in range(parts)}

        def publish() -> None:
            name = chance.choice(list(published))
            published[name].append(f"u{sum(map(len, published.values()))}")
            site.documents = {url: urlset(*paths) for url, paths in published.items()}
            stamp = f"2026-11-23T08:00:00.{chance.randrange(10**6)}" if dated else ""
            site.documents[URL] = index(*(url.rpartition("/")[2] for url in published), lastmod=stamp)

        trouble = interruptions(chance, 0.15)
        wanted: set[str] = set()
        polled = run(site)

        def troubled(url: str) -> None:
            if next(trouble):
                raise chance.choice([HostPaused("later", retry_after=1), Killed()])

        def record() -> None:
            if next(trouble):
                raise Killed

        for _ in range(12):
            publish()
            wanted |= {part(path) for paths in published.values() for path in paths}
            site.before = troubled
            await polled.poll(record)
            polled.later(minutes=5)
        trouble = interruptions(chance, 0)
        # The round in hand, and one more.
        polled.later(days=2)
        for _ in range(2):
            await polled.poll()
        assert set(polled.kept) == wanted
        asked = len(site.asked)
        await polled.poll()
        assert not any(step for step in site.asked[asked:] if step not in {URL, *published})
        assert sitemaps.round_of(polled.state).left == ()

    trio.run(main)
