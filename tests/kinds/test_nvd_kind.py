"""The kind `nvd`: windows, pages of a list that changes, its refusals, and whatever ends the process in between."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from digestd.errors import ConnectFailed, TooLarge
from digestd.feed.revision import told
from digestd.kinds.nvd import NvdKind
from digestd.model import Failure, Response
from support.api_reader import ApiReader
from support.nvd_site import API, NvdSite
from support.paged_site import Killed
from support.polling import EPOCH

HOUR = 3_600.0
DAY = 24 * HOUR
PLACE = f"{API}/rest/json/cves/2.0"


def reader_of(site: NvdSite, **options: object) -> ApiReader:
    return ApiReader(NvdKind, site, PLACE, **options)


async def polled(reader: ApiReader) -> tuple[str | None, int, int]:
    result = await reader.poll()
    assert result is not None
    return result.outcome, result.articles_new, result.articles_updated


def window(asked: dict[str, str]) -> tuple[timedelta, timedelta]:
    """From when to when, since the beginning of time in tests."""
    begin, end = (
        datetime.fromisoformat(asked[name]) - EPOCH for name in ("lastModStartDate", "lastModEndDate")
    )
    return begin, end


async def test_what_was_changed_is_found_and_found_again_once(autojump_clock: MockClock) -> None:
    site = NvdSite()
    site.publish(ago=47 * HOUR)
    site.publish(ago=49 * HOUR)
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 1, 0)
    assert site.asked[0] == {
        "lastModStartDate": "2026-11-21T00:00:00.000Z",
        "lastModEndDate": "2026-11-23T00:00:00.000Z",
        "startIndex": "0",
        "resultsPerPage": "2000",
    }
    # The answer came six seconds later, by both clocks; what the window asked for ended when the request began.
    assert reader.row["cursor"] == {"reached": "2026-11-23T00:00:00+00:00"}
    await trio.sleep(2 * HOUR)
    two = site.publish()
    assert await polled(reader) == ("fetched", 1, 0)
    assert await polled(reader) == ("fetched", 0, 0)
    assert window(site.asked[1])[0] == timedelta(hours=-10)
    site.change(two, vulnStatus="Rejected")
    await trio.sleep(1)
    assert await polled(reader) == ("fetched", 0, 1)
    assert reader.articles[two]["title"] == f"{two}: rejected"
    site.change(two)
    await trio.sleep(1)
    assert await polled(reader) == ("fetched", 0, 0)


def scored(score: float, severity: str, source: str = "nvd@nist.gov") -> dict[str, object]:
    return {"source": source, "type": "Primary", "cvssData": {"baseScore": score, "baseSeverity": severity}}


async def test_a_revised_cve_keeps_what_it_said_and_tells_what_changed(autojump_clock: MockClock) -> None:
    site = NvdSite()
    one = site.publish(metrics={"cvssMetricV31": [scored(5.0, "MEDIUM")]})
    await trio.sleep(1)
    reader = reader_of(site)
    await reader.poll()
    both = [scored(9.8, "CRITICAL", "a@example.com"), scored(9.8, "CRITICAL")]
    revisions: list[tuple[dict[str, object], str]] = [
        (
            {"metrics": {"cvssMetricV31": both}, "vulnStatus": "Analyzed"},
            "severity MEDIUM -> CRITICAL, score 5.0 -> 9.8, status Awaiting Analysis -> Analyzed",
        ),
        (
            {"cisaExploitAdd": "2026-11-21", "cisaActionDue": "2026-12-12"},
            "known to be exploited since 2026-11-21, due none -> 2026-12-12",
        ),
        ({"references": [{"url": "https://example.com/psirt"}]}, "edited: text"),
        ({"vulnStatus": "Rejected"}, "status Analyzed -> Rejected"),
    ]
    for changes, _ in revisions:
        site.change(one, **changes)
        await trio.sleep(1)
        assert await polled(reader) == ("fetched", 0, 1)
        assert await polled(reader) == ("fetched", 0, 0)
    # A status alone, and the same scores in another order, are no revision.
    site.change(one, metrics={"cvssMetricV31": both[::-1]}, lastModified="2026-11-23T00:00:01.000")
    assert await polled(reader) == ("fetched", 0, 0)
    versions = reader.store.versions[reader.articles[one]["id"]]
    assert [told(version["changes"]) for version in versions] == [words for _, words in revisions]
    assert versions[0]["facts"] == {
        "score": 5.0,
        "cvss": "3.1",
        "severity": "MEDIUM",
        "status": "Awaiting Analysis",
    }
    assert "<li>Severity: MEDIUM 5.0 (CVSS 3.1, nvd@nist.gov)</li>" in versions[0]["content"]


async def test_it_may_begin_further_back(autojump_clock: MockClock) -> None:
    site = NvdSite()
    keys = [site.publish(ago=days * DAY) for days in (1, 130, 250)]
    reader = reader_of(site, days=300)
    assert await polled(reader) == ("fetched", 3, 0)
    assert sorted(reader.articles) == sorted(keys)
    spans = [window(asked) for asked in site.asked]
    assert len(spans) == 3
    assert all(end - begin <= timedelta(days=119) for begin, end in spans)
    # Each begins ten hours before the end of the one before it.
    assert [begin - before for (_, before), (begin, _) in pairwise(spans)] == [
        timedelta(hours=-10),
        timedelta(hours=-10),
    ]


async def test_nothing_is_missed_over_a_long_pause(autojump_clock: MockClock) -> None:
    site = NvdSite()
    reader = reader_of(site)
    await reader.poll()
    await trio.sleep(10 * DAY)
    one = site.publish()
    await trio.sleep(190 * DAY)
    two = site.publish()
    await trio.sleep(1)
    assert await polled(reader) == ("fetched", 2, 0)
    assert sorted(reader.articles) == [one, two]


@pytest.mark.parametrize(
    "ahead", [timedelta(days=-3), timedelta(hours=-2), timedelta(hours=2), timedelta(days=3)]
)
async def test_nvd_s_own_clock_decides(ahead: timedelta, autojump_clock: MockClock) -> None:
    """`ahead` is NVD's clock before ours."""
    site = NvdSite(ahead=ahead)
    reader = reader_of(site)
    keys = []
    for _ in range(12):
        keys.append(site.publish())
        await trio.sleep(1)
        await reader.poll()
        await trio.sleep(5 * HOUR)
    await reader.poll()
    assert sorted(reader.articles) == keys


async def test_pages_of_a_list_that_moves_up_are_read_again(autojump_clock: MockClock) -> None:
    site = NvdSite()
    keys = [site.publish(ago=HOUR) for _ in range(60)]

    def trouble(number: int) -> None:
        # What was read has been changed: it leaves the window, and 15 that were not read yet take its place.
        if number == 2:
            for key in keys[:15]:
                site.change(key)

    site.trouble = trouble
    reader = reader_of(site, results_per_page=20)
    result = await polled(reader)
    while reader.row["cursor"].keys() != {"reached"}:
        result = await polled(reader)
    assert result[0] == "fetched"
    assert sorted(reader.articles) == keys
    assert [asked["startIndex"] for asked in site.asked] == ["0", "16", "0", "16", "32"]


async def test_a_poll_that_fails_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    def trouble(number: int) -> None:
        if number == 2:
            raise ConnectFailed("no connection")

    site = NvdSite(trouble=trouble)
    for _ in range(25):
        site.publish(ago=HOUR)
    reader = reader_of(site, results_per_page=20)
    result = await reader.poll()
    assert result is not None
    assert result.failure == Failure("connect", "no connection")
    assert len(reader.articles) == 20
    await trio.sleep(DAY)
    assert await polled(reader) == ("fetched", 5, 0)
    assert site.asked[1] == site.asked[2]


async def test_what_is_too_much_is_asked_for_in_smaller_pages(autojump_clock: MockClock) -> None:
    def trouble(number: int) -> None:
        if int(site.asked[-1]["resultsPerPage"]) > 50:
            raise TooLarge("the body is larger than 1,000 bytes")

    site = NvdSite(trouble=trouble)
    for _ in range(70):
        site.publish(ago=HOUR)
    reader = reader_of(site, results_per_page=150)
    result = await reader.poll()
    assert result is not None
    assert result.failure == Failure(
        "too_large", "the body is larger than 1,000 bytes; pages of 75 CVEs are asked for next"
    )
    await reader.poll()
    assert await polled(reader) == ("fetched", 70, 0)
    assert [asked["resultsPerPage"] for asked in site.asked] == ["150", "75", "37", "37", "37"]
    # The next window tries whole pages again.
    site.trouble = lambda number: None
    await reader.poll()
    assert site.asked[-1]["resultsPerPage"] == "150"


async def test_a_wrong_key_is_told_from_throttling(autojump_clock: MockClock) -> None:
    site = NvdSite(keys={"good"}, key="bad")
    reader = reader_of(site)
    result = await reader.poll()
    assert result is not None
    assert result.failure == Failure(
        "settings",
        "the server answered 404 (Invalid apiKey.): NVD does not take the key of its API; check the option key",
        404,
    )
    assert site.left_alone == []
    site.key = "good"
    assert await polled(reader) == ("fetched", 0, 0)


async def test_the_limit_bites_and_is_waited_out(autojump_clock: MockClock) -> None:
    site = NvdSite(apart=0.1)
    for _ in range(80):
        site.publish(ago=HOUR)
    reader = reader_of(site, results_per_page=10)
    result = await reader.poll()
    assert result is not None
    assert result.outcome is None
    assert result.failure == Failure(
        "paused",
        "the server answered 403: NVD was asked too often from this address, or is too busy, and is left alone for "
        "30 s",
        403,
        30.0,
    )
    assert reader.row["cursor"]["throttled"] == 1
    for _ in range(3):
        await trio.sleep(30)
        await reader.poll()
    assert len(reader.articles) == 80
    assert set(site.left_alone) == {30.0}


@pytest.mark.parametrize("status", [403, 429, 503])
async def test_pauses_grow_and_become_failures(status: int, autojump_clock: MockClock) -> None:
    site = NvdSite(trouble=lambda number: Response(PLACE, status, {}, b"<html>"))
    reader = reader_of(site)
    outcomes = []
    for _ in range(9):
        result = await reader.poll()
        assert result is not None
        outcomes.append(result.outcome)
    assert site.left_alone == [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert outcomes == [None] * 5 + ["failed"] * 4
    site.trouble = lambda number: None
    assert await polled(reader) == ("fetched", 0, 0)
    assert reader.row["cursor"].keys() == {"reached"}


async def test_whatever_names_a_time_is_left_alone_for_it(autojump_clock: MockClock) -> None:
    answers = [Response(PLACE, status, {"retry-after": "400"}, b"") for status in (503, 500)]
    site = NvdSite(trouble=lambda number: answers[number - 1])
    reader = reader_of(site)
    result = await reader.poll()
    assert result is not None
    assert result.failure == Failure(
        "paused",
        "the server answered 503: NVD was asked too often from this address, or is too busy, and is left alone for "
        "400 s",
        503,
        400.0,
    )
    assert site.left_alone == [400.0]
    result = await reader.poll()
    assert result is not None
    assert result.failure == Failure("http_status", "the server answered 500", 500, 400.0)


@pytest.mark.parametrize(
    ("response", "failure"),
    [
        (
            Response(PLACE, 404, {"message": "Invalid lastModStartDate parameter."}, b""),
            Failure(
                "settings",
                "the server answered 404 (Invalid lastModStartDate parameter.): NVD does not take the request; check "
                "the options of the source",
                404,
            ),
        ),
        (
            Response(PLACE, 404, {"message": "apiKey required"}, b""),
            Failure(
                "settings",
                "the server answered 404 (apiKey required): NVD does not take the key of its API; give the source "
                "a key",
                404,
            ),
        ),
        (
            Response(PLACE, 404, {}, b"<html>Not found"),
            Failure(
                "http_status",
                "the server answered 404: there is no CVE API at this address; check base_url",
                404,
            ),
        ),
        (Response(PLACE, 500, {}, b""), Failure("http_status", "the server answered 500", 500)),
        (
            Response(PLACE, 200, {}, b"<html>"),
            Failure(
                "not_a_feed",
                "JSON that cannot be read came instead of a feed: Expecting value: line 1 column 1 (char 0): ",
            ),
        ),
    ],
)
async def test_other_refusals(response: Response, failure: Failure, autojump_clock: MockClock) -> None:
    site = NvdSite(trouble=lambda number: response)
    reader = reader_of(site)
    result = await reader.poll()
    assert result is not None
    assert result.failure is not None
    assert result.failure.message.startswith(failure.message)
    assert (result.failure.cause, result.failure.status) == (failure.cause, failure.status)
    assert reader.row["cursor"] in (None, {})


@pytest.mark.parametrize(
    "cursor",
    [
        {"reached": "2031-01-01T00:00:00+00:00"},
        {"reached": 5, "window": [], "throttled": "x"},
        {"window": {"begin": "2026-11-01", "end": "2025-11-01", "at": 4}},
        {"window": {"begin": "2026-01-01", "end": "2026-11-01", "at": 4}},
        {"window": {"begin": "2026-11-01", "end": "2026-11-02", "at": -4}},
    ],
)
async def test_a_damaged_row_begins_anew(cursor: dict[str, Any], autojump_clock: MockClock) -> None:
    site = NvdSite()
    site.publish(ago=HOUR)
    reader = reader_of(site)
    await reader.poll()
    reader.row["cursor"].clear()
    reader.row["cursor"].update(cursor)
    assert await polled(reader) == ("fetched", 0, 0)
    assert timedelta(days=-2) <= window(site.asked[-1])[0] < timedelta(days=-1)


NUMBERS = st.sets(st.integers(1, 40), max_size=5)


@pytest.mark.slow
@settings(max_examples=40)
@given(
    hours=st.lists(st.integers(0, 40), min_size=15, max_size=45),
    by_change=st.booleans(),
    published=st.dictionaries(st.integers(1, 30), st.integers(1, 12), max_size=4),
    changed=st.dictionaries(st.integers(1, 8), st.sets(st.integers(0, 44), max_size=15), max_size=6),
    broken=NUMBERS,
    throttled=NUMBERS,
    dies_in_request=NUMBERS,
    dies_before=NUMBERS,
    dies_after=NUMBERS,
    most=st.sampled_from([2_000, 7]),
)
def test_nothing_is_lost_or_doubled_whatever_fails(
    hours: list[int],
    by_change: bool,
    published: dict[int, int],
    changed: dict[int, set[int]],
    broken: set[int],
    throttled: set[int],
    dies_in_request: set[int],
    dies_before: set[int],
    dies_after: set[int],
    most: int,
) -> None:
    async def live() -> None:
        site = NvdSite(by_change=by_change, most=most)
        for hour in hours:
            site.publish(ago=hour * HOUR)
        keys = list(site.cves)
        reader = reader_of(site, results_per_page=10)
        reader.store.dies_before, reader.store.dies_after = dies_before, dies_after

        def trouble(number: int) -> Response | None:
            for _ in range(published.get(number, 0)):
                site.publish()
            for place in changed.get(number, ()):
                if place < len(keys):
                    site.change(keys[place], descriptions=[{"lang": "en", "value": f"Changed at {number}."}])
            if number in dies_in_request:
                reader.store.alive = False
                raise Killed
            if number in broken:
                raise ConnectFailed("no connection")
            return Response(PLACE, 403, {}, b"") if number in throttled else None

        site.trouble = trouble
        for _ in range(12):
            await reader.poll()
        reader.store.dies_before = reader.store.dies_after = set()
        site.trouble = lambda number: None
        # What was left of the window that was open, and then one whole look.
        for _ in range(12):
            await reader.poll()
        await trio.sleep(1)
        for _ in range(12):
            await reader.poll()
        assert sorted(reader.articles) == sorted(site.cves)
        said = {key: one["descriptions"][0]["value"] for key, one in site.cves.items()}
        assert {key: str(one["content"]) for key, one in reader.articles.items()} == {
            key: f"<p>{words}</p><ul><li>Reported by: psirt@example.com</li></ul>"
            for key, words in said.items()
        }

    trio.run(live, clock=MockClock(autojump_threshold=0))
