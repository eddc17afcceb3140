"""The kind `ghsa`: rounds by cursor, GitHub's two limits, and whatever ends the process in between."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from digestd.config.kind_options import settled
from digestd.errors import ConnectFailed
from digestd.feed.revision import told
from digestd.kinds.ghsa import GhsaKind, GhsaOptions
from digestd.model import Failure, Response
from support.api_reader import ApiReader
from support.ghsa_site import API, HOUR, GhsaSite, said
from support.paged_site import Killed

PLACE = f"{API}/advisories?type=reviewed"


def reader_of(site: GhsaSite, **options: object) -> ApiReader:
    return ApiReader(GhsaKind, site, GhsaOptions.model_validate(options).place(None), **options)


async def polled(reader: ApiReader) -> tuple[str | None, int, int]:
    result = await reader.poll()
    assert result is not None
    return result.outcome, result.articles_new, result.articles_updated


async def failed(reader: ApiReader) -> Failure | None:
    result = await reader.poll()
    assert result is not None
    return result.failure


async def test_what_was_changed_is_found_and_found_again_once(autojump_clock: MockClock) -> None:
    site = GhsaSite()
    one = site.publish(ago=47 * HOUR)
    site.publish(ago=49 * HOUR)
    site.publish(type="malware")
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 1, 0)
    assert site.asked[0] == {
        "type": "reviewed",
        "modified": ">=2026-11-21T00:00:00Z",
        "sort": "updated",
        "direction": "asc",
        "per_page": "100",
    }
    assert reader.row["cursor"] == {"reached": "2026-11-23T00:00:01+00:00"}
    await trio.sleep(10 * HOUR)
    site.change(one, withdrawn_at="2026-11-23T10:00:00Z")
    assert await polled(reader) == ("fetched", 0, 1)
    assert site.asked[1]["modified"] == ">=2026-11-22T23:00:01Z"
    assert reader.articles[one]["title"] == f"{one}: withdrawn: Bug number 1"
    site.change(one, epss={"percentage": 0.9, "percentile": 0.9})
    assert await polled(reader) == ("fetched", 0, 0)


def package(name: str, fixed: str | None) -> dict[str, object]:
    return {
        "package": {"ecosystem": "npm", "name": name},
        "vulnerable_version_range": "< 2",
        "first_patched_version": fixed,
    }


async def test_a_revised_advisory_keeps_what_it_said_and_tells_what_changed(
    autojump_clock: MockClock,
) -> None:
    site = GhsaSite()
    one = site.publish(severity="medium", vulnerabilities=[package("a", "1.0"), package("b", None)])
    reader = reader_of(site)
    await reader.poll()
    scored = {"cvss_v3": {"vector_string": "CVSS:3.1/AV:N/AC:L", "score": 9.8}}
    revisions: list[tuple[dict[str, object], str]] = [
        (
            {"severity": "critical", "cvss_severities": scored},
            "severity MEDIUM -> CRITICAL, score none -> 9.8, CVSS none -> 3.1",
        ),
        ({"vulnerabilities": [package("b", "2.0"), package("a", "1.0")]}, "fix available: npm b 2.0"),
        ({"description": "In other words."}, "edited: text"),
        ({"withdrawn_at": "2026-11-23T10:00:00Z"}, "withdrawn on 2026-11-23T10:00:00Z"),
        ({"withdrawn_at": None}, "withdrawn no longer"),
    ]
    for changes, _ in revisions:
        await trio.sleep(HOUR)
        site.change(one, **changes)
        assert await polled(reader) == ("fetched", 0, 1)
        # Asked again within the overlap, it is what is known already.
        assert await polled(reader) == ("fetched", 0, 0)
    versions = reader.store.versions[reader.articles[one]["id"]]
    assert [told(version["changes"]) for version in versions] == [words for _, words in revisions]
    assert versions[0]["facts"] == {"severity": "MEDIUM", "fixed": ["npm a 1.0"]}
    assert "<li>Severity: medium</li>" in versions[0]["content"]
    assert [version["title"] for version in versions[-2:]] == [
        f"{one}: Bug number 1",
        f"{one}: withdrawn: Bug number 1",
    ]
    assert reader.articles[one]["facts"] == {
        "severity": "CRITICAL",
        "score": 9.8,
        "cvss": "3.1",
        "fixed": ["npm b 2.0", "npm a 1.0"],
    }


async def test_pages_follow_the_cursors_alone(autojump_clock: MockClock) -> None:
    site = GhsaSite()
    keys = [site.publish(ago=HOUR) for _ in range(250)]
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 250, 0)
    assert sorted(reader.articles) == keys
    assert [set(asked) - set(site.asked[0]) for asked in site.asked] == [set(), {"after"}, {"after"}]
    assert all("before" not in asked and "page" not in asked for asked in site.asked)


async def test_a_poll_that_fails_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    def trouble(number: int) -> None:
        if number == 2:
            raise ConnectFailed("no connection")

    site = GhsaSite(trouble=trouble)
    for _ in range(120):
        site.publish(ago=HOUR)
    reader = reader_of(site)
    assert await failed(reader) == Failure("connect", "no connection")
    assert len(reader.articles) == 100
    await trio.sleep(100 * HOUR)
    assert await polled(reader) == ("fetched", 20, 0)
    assert site.asked[1] == site.asked[2]
    # What comes next is counted from when the first page was asked for.
    await polled(reader)
    assert site.asked[3]["modified"] == ">=2026-11-22T23:00:01Z"


@pytest.mark.parametrize(
    "ahead", [timedelta(days=-3), timedelta(hours=-2), timedelta(hours=2), timedelta(days=3)]
)
async def test_github_s_own_clock_decides(ahead: timedelta, autojump_clock: MockClock) -> None:
    site = GhsaSite(ahead=ahead, most=3)
    reader = reader_of(site)
    keys = []
    for _ in range(8):
        keys += [site.publish() for _ in range(5)]
        await trio.sleep(1)
        await reader.poll()
        await trio.sleep(2 * HOUR)
    await reader.poll()
    assert sorted(reader.articles) == keys


async def test_the_limit_bites_and_is_waited_out(autojump_clock: MockClock) -> None:
    site = GhsaSite(most=2, limit=3)
    for _ in range(10):
        site.publish(ago=HOUR)
    reader = reader_of(site)
    assert await failed(reader) == Failure(
        "paused",
        "the server answered 403 (API rate limit exceeded for 203.0.113.5): GitHub was asked too often, which allows "
        "more to who gives it a token, and is left alone for 3598 s",
        403,
        3598.0,
    )
    # The third answer said already that there are no more; the fourth was the one too many.
    assert site.left_alone == [3598.0, 3598.0]
    await trio.sleep(3598)
    assert await polled(reader) == ("fetched", 4, 0)
    assert reader.row["cursor"].keys() == {"reached"}


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "47", "x-ratelimit-remaining": "59", "x-ratelimit-reset": "1"}, 47.0),
        ({"retry-after": "Mon, 23 Nov 2026 00:05:00 GMT", "date": "Mon, 23 Nov 2026 00:00:00 GMT"}, 300.0),
        ({}, 60.0),
        ({"retry-after": "soon"}, 60.0),
    ],
)
async def test_the_secondary_limit(
    status: int, headers: dict[str, str], seconds: float, autojump_clock: MockClock
) -> None:
    body = said("You have exceeded a secondary rate limit.")
    site = GhsaSite(trouble=lambda number: Response(PLACE, status, headers, body), token="t")
    reader = reader_of(site)
    failures = [await failed(reader) for _ in range(6)]
    assert failures[0] == Failure(
        "paused",
        f"the server answered {status} (You have exceeded a secondary rate limit): GitHub was asked too often, and is "
        f"left alone for {seconds:.0f} s",
        status,
        seconds,
    )
    assert [failure and failure.cause for failure in failures] == ["paused"] * 5 + ["http_status"]
    grows = seconds == 60
    assert site.left_alone == [seconds * (2**times if grows else 1) for times in range(6)]


@pytest.mark.parametrize(
    ("status", "message", "token", "failure"),
    [
        (
            401,
            "Bad credentials",
            "t",
            (
                "settings",
                "the server answered 401 (Bad credentials): GitHub does not take the token; make a new one, it needs "
                "no rights",
            ),
        ),
        (
            422,
            "Validation Failed",
            None,
            (
                "settings",
                "the server answered 422 (Validation Failed): GitHub does not take the request; check the options of "
                "the source",
            ),
        ),
        (
            403,
            "Resource not accessible",
            "t",
            (
                "http_status",
                "the server answered 403 (Resource not accessible): GitHub refuses it; check the token",
            ),
        ),
        (
            404,
            "Not Found",
            None,
            (
                "http_status",
                "the server answered 404 (Not Found): there is no API with advisories at this address; check base_url",
            ),
        ),
        (500, "", None, ("http_status", "the server answered 500")),
    ],
)
async def test_other_refusals(
    status: int, message: str, token: str | None, failure: tuple[str, str], autojump_clock: MockClock
) -> None:
    body = said(message) if message else b"<html>"
    site = GhsaSite(trouble=lambda number: Response(PLACE, status, {}, body), token=token)
    assert await failed(reader_of(site)) == Failure(*failure, status)
    assert site.left_alone == []


async def test_a_cursor_that_github_forgot_begins_the_round_again(autojump_clock: MockClock) -> None:
    site = GhsaSite(most=3)
    keys = [site.publish(ago=HOUR) for _ in range(5)]
    reader = reader_of(site)

    def trouble(number: int) -> Response | None:
        return Response(PLACE, 422, {}, said("Validation Failed")) if number == 2 else None

    site.trouble = trouble
    assert await failed(reader) == Failure(
        "http_status",
        "the server answered 422 (Validation Failed): GitHub does not know the page any more where the last poll "
        "ended; it begins again",
        422,
    )
    assert await polled(reader) == ("fetched", 2, 0)
    assert sorted(reader.articles) == keys


@pytest.mark.parametrize(
    ("link", "words"),
    [
        (
            '<https://evil.example/?page=2>; rel="next"',
            "the answer names a next page, and no cursor to it (after) that can be used",
        ),
        (
            '<https://evil.example/?after=same>; rel="next"',
            "the answers do not come to an end: each names another page to follow it",
        ),
    ],
)
async def test_links_that_lead_nowhere(link: str, words: str, autojump_clock: MockClock) -> None:
    site = GhsaSite(trouble=lambda number: Response(PLACE, 200, {"link": link}, b"[]"))
    assert await failed(reader_of(site)) == Failure("not_a_feed", words)


@pytest.mark.parametrize(
    "cursor",
    [
        {"reached": "2031-01-01T00:00:00+00:00"},
        {"reached": 5, "round": [], "throttled": "x"},
        {"round": {"since": "2026-11-01", "began": None, "after": "x", "pages": 1}},
        {"round": {"since": "2026-11-01", "began": "2026-11-01", "after": "x\n", "pages": 1}},
        {"round": {"since": "2026-11-01", "began": "2026-11-01", "after": "x", "pages": -1}},
    ],
)
async def test_a_damaged_row_begins_anew(cursor: dict[str, Any], autojump_clock: MockClock) -> None:
    site = GhsaSite()
    reader = reader_of(site)
    await reader.poll()
    reader.row["cursor"].clear()
    reader.row["cursor"].update(cursor)
    assert await polled(reader) == ("fetched", 0, 0)
    assert site.asked[-1]["modified"].startswith(">=2026-11-21T")


async def test_whatever_names_a_time_is_left_alone_for_it(autojump_clock: MockClock) -> None:
    site = GhsaSite(trouble=lambda number: Response(PLACE, 502, {"retry-after": "400"}, b""))
    assert await failed(reader_of(site)) == Failure("http_status", "the server answered 502", 502, 400.0)


def test_its_options(tmp_path: Path) -> None:
    def say(url: str | None = None, **options: object) -> object:
        done = settled(GhsaOptions, "ghsa", options, url, tmp_path)
        return done if isinstance(done, list) else done.url

    assert say() == PLACE
    assert say(
        type="malware", ecosystem="npm", severity="high", base_url="https://git.corp.example/api/v3/"
    ) == ("https://git.corp.example/api/v3/advisories?type=malware&ecosystem=npm&severity=high")
    assert say("https://github.com/advisories") == [
        "url: leave it out: type, ecosystem and severity tell what is asked for"
    ]
    for wrong in (
        {"type": "all"},
        {"ecosystem": "PyPI"},
        {"severity": "moderate"},
        {"days": 0},
        {"token": 5},
    ):
        done = say(**wrong)
        assert isinstance(done, list)
        assert done[0].startswith(f"options.{next(iter(wrong))}")


NUMBERS = st.sets(st.integers(1, 30), max_size=5)


@settings(max_examples=30)
@given(
    hours=st.lists(st.integers(0, 40), min_size=5, max_size=30),
    published=st.dictionaries(st.integers(1, 20), st.integers(1, 8), max_size=4),
    changed=st.dictionaries(st.integers(1, 12), st.sets(st.integers(0, 29), max_size=8), max_size=6),
    broken=NUMBERS,
    throttled=NUMBERS,
    forgotten=NUMBERS,
    dies_in_request=NUMBERS,
    dies_before=NUMBERS,
    dies_after=NUMBERS,
)
def test_nothing_is_lost_or_doubled_whatever_fails(
    hours: list[int],
    published: dict[int, int],
    changed: dict[int, set[int]],
    broken: set[int],
    throttled: set[int],
    forgotten: set[int],
    dies_in_request: set[int],
    dies_before: set[int],
    dies_after: set[int],
) -> None:
    async def live() -> None:
        site = GhsaSite(most=4, limit=1_000)
        for hour in hours:
            site.publish(ago=hour * HOUR)
        keys = list(site.advisories)
        reader = reader_of(site)
        reader.store.dies_before, reader.store.dies_after = dies_before, dies_after

        def trouble(number: int) -> Response | None:
            for _ in range(published.get(number, 0)):
                site.publish()
            for which in changed.get(number, ()):
                if which < len(keys):
                    severity = ["low", "medium", "high", "critical", "unknown"][number % 5]
                    site.change(keys[which], description=f"Changed at {number}.", severity=severity)
            if number in dies_in_request:
                reader.store.alive = False
                raise Killed
            if number in broken:
                raise ConnectFailed("no connection")
            if number in forgotten:
                return Response(PLACE, 422, {}, said("Validation Failed"))
            return Response(PLACE, 429, {"retry-after": "5"}, b"") if number in throttled else None

        site.trouble = trouble
        for _ in range(12):
            await reader.poll()
            await trio.sleep(HOUR / 4)
        reader.store.dies_before = reader.store.dies_after = set()
        site.trouble = lambda number: None
        for _ in range(4):
            await reader.poll()
        assert sorted(reader.articles) == sorted(site.advisories)
        assert {key: str(one["content"]).partition("</p>")[0] for key, one in reader.articles.items()} == {
            key: f"<p>{one['description']}" for key, one in site.advisories.items()
        }
        for key, one in reader.articles.items():
            # One version for each change that was read, and each tells what the next one says.
            versions = reader.store.versions.get(one["id"], [])
            assert [version["number"] for version in versions] == [*range(1, one["updates"] + 1)][
                -len(versions) :
            ]
            severities = [version["facts"].get("severity", "UNKNOWN") for version in (*versions, one)]
            assert severities[-1] == site.advisories[key]["severity"].upper()
            told_of = [version["changes"].get("severity") for version in versions]
            assert [pair and [one or "UNKNOWN" for one in pair] for pair in told_of] == [
                [*pair] if pair[0] != pair[1] else None for pair in pairwise(severities)
            ]

    trio.run(live, clock=MockClock(autojump_threshold=0))
