"""The kind `kev`: asked for with conditions, the mirror in its stead, and whatever ends the process in between."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from digestd.config.kind_options import settled
from digestd.errors import ConnectFailed, HostPaused, HTTPStatus
from digestd.feed.revision import changed_facts, told
from digestd.kinds.kev import KevKind, KevOptions
from digestd.model import Failure
from support.api_reader import ApiReader
from support.kev_site import MIRROR, SITE, KevSite
from support.paged_site import Killed

ONE, TWO, THREE = "CVE-2026-12345", "CVE-2026-0001", "CVE-2021-44228"
FROM_MIRROR = (
    "shape: https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json says 403: the mirror "
    "https://raw.githubusercontent.com/cisagov/kev-data/develop/known_exploited_vulnerabilities.json is read instead, "
    "which may be late"
)


def reader_of(site: KevSite, **options: object) -> ApiReader:
    return ApiReader(KevKind, site, SITE, **options)


async def polled(reader: ApiReader) -> tuple[str | None, int, int]:
    # What is not seen at a later moment has left.
    await trio.sleep(300)
    result = await reader.poll()
    assert result is not None
    return result.outcome, result.articles_new, result.articles_updated


def revisions(reader: ApiReader, guid: str) -> list[str]:
    """What each revision of an article changed, in words."""
    return [told(version["changes"]) for version in reader.store.versions[reader.articles[guid]["id"]]]


async def test_added_changed_and_removed_entries(autojump_clock: MockClock) -> None:
    site = KevSite()
    site.release(ONE, TWO)
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 2, 0)
    site.release(THREE)
    assert await polled(reader) == ("fetched", 1, 0)
    site.release(TWO, knownRansomwareCampaignUse="Known")
    assert await polled(reader) == ("fetched", 0, 1)
    assert "ransomware campaigns: Known" in reader.articles[TWO]["content"]
    assert revisions(reader, TWO) == ["use in ransomware campaigns Unknown -> Known"]
    site.release(TWO, knownRansomwareCampaignUse="Known", dueDate="2027-01-01")
    assert await polled(reader) == ("fetched", 0, 1)
    assert revisions(reader, TWO)[1:] == ["due 2026-12-12 -> 2027-01-01"]
    site.remove(ONE)
    assert await polled(reader) == ("fetched", 0, 1)
    removed = reader.articles[ONE]
    assert (removed["title"], removed["facts"]) == (
        f"{ONE}: removed from the KEV catalogue",
        {"removed": "2025-10-20"},
    )
    assert revisions(reader, ONE) == ["removed from the catalogue on 2025-10-20"]
    (before,) = reader.store.versions[removed["id"]]
    assert "ransomware campaigns: Unknown" in before["content"]
    assert before["title"] == f"{ONE}: Example Gateway Command Injection Vulnerability"
    # It keeps its date, and is there for as long as nobody knows a newer catalogue.
    assert (removed["published_raw"], removed["left_at"]) == ("2026-11-21", None)
    assert await polled(reader) == ("unchanged", 0, 0)
    # For retention, it has left with the next one.
    site.release(THREE, notes="")
    assert await polled(reader) == ("fetched", 0, 1)
    assert reader.articles[ONE]["left_at"] is not None
    site.release(ONE)
    assert await polled(reader) == ("fetched", 0, 1)
    assert "ransomware campaigns: Unknown" in reader.articles[ONE]["content"]
    assert revisions(reader, ONE)[1:] == ["listed in the catalogue again"]
    assert revisions(reader, THREE) == ["edited: text"]
    assert {guid for guid, one in reader.articles.items() if one["left_at"] is None} == {ONE, TWO, THREE}
    assert (reader.row["last_error"], reader.row["state"]) == (None, "active")


async def test_it_is_asked_with_conditions_and_read_when_it_changed(autojump_clock: MockClock) -> None:
    site = KevSite()
    site.release(ONE)
    reader = reader_of(site)
    await reader.poll()
    await reader.poll()
    (first, second) = [headers for _, headers in site.asked]
    assert first == {"Accept": "application/json"}
    assert second == {"Accept": "application/json", "If-None-Match": reader.row["etag"]}
    assert [step.body_bytes > 0 for step in reader.steps] == [True, False]
    # Credentials that came or went may mean another document.
    site.mark = "other"
    assert await polled(reader) == ("fetched", 0, 0)


async def test_the_same_bytes_without_validators_are_not_read_again(autojump_clock: MockClock) -> None:
    site = KevSite()
    site.release(ONE)
    reader = reader_of(site)
    await reader.poll()
    reader.row["cursor"]["kev"]["listed"] = {"2026": "12345 777777"}
    reader.store.rows[1]["etag"] = None
    assert await polled(reader) == ("unchanged", 0, 0)
    assert "777777" in str(reader.row["cursor"])


async def test_where_cisa_says_403_the_mirror_is_read_and_told(autojump_clock: MockClock) -> None:
    site = KevSite(status=403)
    site.release(ONE)
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 1, 0)
    assert (reader.row["last_error"], reader.row["state"]) == (FROM_MIRROR, "degraded")
    assert await polled(reader) == ("unchanged", 0, 0)
    assert (reader.row["last_error"], reader.row["consecutive_failures"]) == (FROM_MIRROR, 0)
    assert [(url, "If-None-Match" in headers) for url, headers in site.asked] == [
        (SITE, False),
        (MIRROR, False),
        (SITE, False),
        (MIRROR, True),
    ]
    site.status = 200
    site.release(TWO)
    assert await polled(reader) == ("fetched", 1, 0)
    assert (reader.row["last_error"], reader.row["state"]) == (None, "active")


async def test_a_mirror_that_is_late_takes_nothing_back(autojump_clock: MockClock) -> None:
    site = KevSite(late=1)
    site.release(ONE)
    site.release(TWO, dueDate="2027-01-01")
    reader = reader_of(site)
    await reader.poll()
    site.status = 403
    for _ in range(2):
        assert await polled(reader) == ("unchanged", 0, 0)
        assert reader.row["last_error"] == (
            f"{FROM_MIRROR}; the catalogue that is served (2025.10.19.0) is older than one read before "
            "(2025.10.19.1): it waits for the next"
        )
    assert sorted(reader.articles) == sorted([ONE, TWO])
    site.release(THREE)
    site.release(THREE)
    assert await polled(reader) == ("fetched", 1, 0)
    assert reader.row["last_error"] == FROM_MIRROR


async def test_both_failures_are_told_where_the_mirror_fails_too(autojump_clock: MockClock) -> None:
    site = KevSite(status=403, mirror_status=404)
    reader = reader_of(site)
    result = await reader.poll()
    assert result is not None
    words = (
        "the server answered 403; and of the mirror https://raw.githubusercontent.com/cisagov/kev-data/develop/"
        "known_exploited_vulnerabilities.json: the server answered 404"
    )
    assert result.failure == Failure("http_status", words, 403)


async def test_a_mirror_that_is_to_be_left_alone_puts_the_poll_off(autojump_clock: MockClock) -> None:
    def trouble(number: int) -> None:
        if number == 2:
            raise HostPaused("the host is to be left alone for another 40 s", retry_after=40)

    reader = reader_of(KevSite(status=403, trouble=trouble))
    result = await reader.poll()
    assert result is not None
    assert (result.outcome, result.next_delay_seconds, result.failing) == (None, 40, False)


@pytest.mark.parametrize(("status", "options"), [(403, {"mirror_url": None}), (500, {}), (404, {})])
async def test_nothing_else_asks_the_mirror(
    autojump_clock: MockClock, status: int, options: dict[str, object]
) -> None:
    site = KevSite(status=status)
    reader = reader_of(site, **options)
    result = await reader.poll()
    assert result is not None
    assert result.failure == Failure("http_status", f"the server answered {status}", status)
    assert [url for url, _ in site.asked] == [SITE]


async def test_a_page_in_its_place_is_told_for_what_it_is(autojump_clock: MockClock) -> None:
    site = KevSite()
    site.served = [b"<html><title>Just a moment...</title><body>Checking your browser</body></html>"]
    result = await reader_of(site).poll()
    assert result is not None
    assert result.failure is not None
    assert result.failure.cause == "not_a_feed"
    assert "it is the challenge of a bot protection" in result.failure.message


async def test_an_empty_catalogue_is_told_and_takes_nothing_back(autojump_clock: MockClock) -> None:
    site = KevSite()
    site.release(ONE)
    reader = reader_of(site)
    await reader.poll()
    site.remove(ONE)
    for expected in ("fetched", "unchanged"):
        assert await polled(reader) == (expected, 0, 0)
        assert reader.row["last_error"] == "shape: the catalogue has no entries"
    assert reader.articles[ONE]["left_at"] is None


def test_its_options(tmp_path: Path) -> None:
    def say(options: dict[str, object], url: str | None = None) -> object:
        done = settled(KevOptions, "kev", options, url, tmp_path)
        return done if isinstance(done, list) else done.url

    assert say({}) == say({}, SITE) == SITE
    mirror: dict[str, object] = {"base_url": "https://mirror.example/cisa/", "mirror_url": None}
    assert say(mirror) == "https://mirror.example/cisa" + SITE.removeprefix("https://www.cisa.gov")
    refusal = "url: leave it out: the catalogue has one address, and base_url tells of another site"
    assert say({}, "https://example.com/") == [refusal]
    assert say({"mirror": "x"}) == ["options: mirror: unknown option; did you mean mirror_url?"]
    assert say({"mirror_url": "ftp://a.example/"}) == [
        "options.mirror_url: must start with http:// or https://",
    ]


CVES = [f"CVE-2026-{number}" for number in range(1000, 1006)]
CHANGES = st.lists(
    st.tuples(st.sampled_from(["add", "flag", "remove"]), st.sampled_from(CVES)), min_size=1, max_size=3
)
NUMBERS = st.sets(st.integers(1, 16), max_size=4)


@settings(max_examples=100)
@given(
    history=st.lists(CHANGES, max_size=6),
    refused=NUMBERS,
    broken=NUMBERS,
    dies_in_request=NUMBERS,
    dies_before=NUMBERS,
    dies_after=NUMBERS,
    late=st.integers(0, 2),
)
def test_nothing_is_lost_or_doubled_whatever_fails(
    history: list[list[tuple[str, str]]],
    refused: set[int],
    broken: set[int],
    dies_in_request: set[int],
    dies_before: set[int],
    dies_after: set[int],
    late: int,
) -> None:
    async def live() -> None:
        site = KevSite(late=late)
        site.release(ONE)
        reader = reader_of(site)
        reader.store.dies_before, reader.store.dies_after = dies_before, dies_after

        def trouble(number: int) -> None:
            if number in dies_in_request:
                reader.store.alive = False
                raise Killed
            if number in broken:
                raise ConnectFailed("no connection")
            if number in refused and site.asked[-1][0] == SITE:
                raise HTTPStatus("the server answered 403", status=403)

        site.trouble = trouble
        removed: Counter[str] = Counter()
        for changes in history:
            for what, cve in changes:
                if what == "remove":
                    removed[cve] += cve in site.entries
                    site.remove(cve)
                else:
                    site.release(cve, knownRansomwareCampaignUse="Known" if what == "flag" else "Unknown")
            await reader.poll()
        read_so_far = set(reader.articles) if reader.store.rows else set()
        site.trouble = lambda number: None
        reader.store.dies_before = reader.store.dies_after = set()
        while await reader.poll() is None:
            pass
        kept = reader.articles
        for cve, entry in site.entries.items():
            assert f"ransomware campaigns: {entry['knownRansomwareCampaignUse']}<" in kept[cve]["content"]
            assert kept[cve]["left_at"] is None
        revised = {guid: reader.store.versions.get(one["id"], []) for guid, one in kept.items()}
        for guid, versions in revised.items():
            # One version for each change that was read: they follow each other without a gap, up to what it says now.
            assert [version["number"] for version in versions] == list(range(1, kept[guid]["updates"] + 1))
            said = [*(version["facts"] for version in versions), kept[guid]["facts"]]
            words = {"title", "content"}
            assert [changed_facts(*pair) for pair in pairwise(said)] == [
                {name: pair for name, pair in version["changes"].items() if name not in words}
                for version in versions
            ]
            assert all(version["changes"] for version in versions)
        # Each time that it went was told once at most: it may have come back before anybody looked.
        notices = {
            guid: sum(version["changes"].get("removed", [1])[0] is None for version in versions)
            for guid, versions in revised.items()
        }
        assert Counter(notices) <= removed
        # Whatever was read once and is not listed any more was told.
        assert {
            guid for guid, one in kept.items() if "removed" in one["facts"]
        } == read_so_far - site.entries.keys()
        assert kept.keys() <= {ONE, *CVES}

    trio.run(live, clock=MockClock(autojump_threshold=0))
