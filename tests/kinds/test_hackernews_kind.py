"""The kind `hackernews`: late risers, windows that are made narrower, and whatever ends the process in between."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from digestd.config.kind_options import settled
from digestd.errors import ConnectFailed, HTTPStatus
from digestd.kinds.hackernews import HackerNewsKind, HackerNewsOptions
from digestd.model import Failure
from support.api_reader import ApiReader
from support.hackernews_site import API, HackerNewsSite
from support.paged_site import Killed

HOUR = 3_600.0


def reader_of(site: HackerNewsSite, **options: object) -> ApiReader:
    options = {"query": "cve", "points": 5} | options
    place = HackerNewsOptions.model_validate(options).place(None)
    return ApiReader(HackerNewsKind, site, place, **options)


async def polled(reader: ApiReader) -> tuple[str | None, int, int]:
    result = await reader.poll()
    assert result is not None
    return result.outcome, result.articles_new, result.articles_updated


async def test_stories_are_found_and_votes_change_nothing(autojump_clock: MockClock) -> None:
    site = HackerNewsSite()
    one = site.publish(ago=HOUR)
    site.publish(ago=HOUR, title="Something else")
    site.publish(ago=HOUR, _tags=["comment"])
    site.publish(ago=49 * HOUR)
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 1, 0)
    site.hits[one]["points"] = 900
    assert await polled(reader) == ("fetched", 0, 0)
    site.hits[one]["title"] = "CVE, and what is new of it"
    assert await polled(reader) == ("fetched", 0, 1)
    assert list(reader.articles) == [str(one)]
    assert reader.articles[str(one)]["left_at"] is None


async def test_one_that_rises_late_is_found(autojump_clock: MockClock) -> None:
    site = HackerNewsSite()
    one = site.publish(points=1)
    reader = reader_of(site)
    for _ in range(47):
        assert await polled(reader) == ("fetched", 0, 0)
        await trio.sleep(HOUR)
    site.hits[one]["points"] = 5
    assert await polled(reader) == ("fetched", 1, 0)


async def test_nothing_is_missed_over_days_without_a_poll(autojump_clock: MockClock) -> None:
    site = HackerNewsSite()
    reader = reader_of(site)
    await reader.poll()
    late = site.publish(ago=47 * HOUR, points=1)
    await trio.sleep(HOUR)
    numbers = [site.publish(points=30)]
    await trio.sleep(6 * 24 * HOUR)
    site.hits[late]["points"] = 30
    numbers.append(site.publish())
    assert await polled(reader) == ("fetched", 3, 0)
    assert sorted(reader.articles) == sorted(map(str, [late, *numbers]))


async def test_more_than_an_answer_holds_is_asked_for_in_narrower_windows(autojump_clock: MockClock) -> None:
    site = HackerNewsSite()
    for number in range(2_500):
        site.publish(ago=60 * number)
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 2_500, 0)
    assert len(site.asked) == 3
    assert all(url.endswith("&hitsPerPage=1000&page=0") for url in site.asked)
    assert [step.more for step in reader.steps] == [True, True, False]
    assert reader.row["cursor"].keys() == {"asked", "done"}


async def test_a_poll_that_fails_goes_on_where_it_was(autojump_clock: MockClock) -> None:
    def trouble(number: int) -> None:
        if number == 2:
            raise HTTPStatus("the server answered 429", status=429, retry_after=60)

    site = HackerNewsSite(most=10, trouble=trouble)
    for number in range(25):
        site.publish(ago=60 * number)
    reader = reader_of(site)
    result = await reader.poll()
    assert result is not None
    assert result.failure == Failure("http_status", "the server answered 429", 429, 60)
    assert len(reader.articles) == 10
    assert await polled(reader) == ("fetched", 15, 0)
    assert site.asked[1] == site.asked[2]


async def test_totals_that_are_guesses_end_no_round_and_make_none_endless(autojump_clock: MockClock) -> None:
    site = HackerNewsSite(most=10, skew=7)
    for number in range(25):
        site.publish(ago=60 * number)
    reader = reader_of(site)
    assert await polled(reader) == ("fetched", 25, 0)
    assert reader.row["cursor"].keys() == {"asked", "done"}
    site.hits.clear()
    assert await polled(reader) == ("fetched", 0, 0)


async def test_another_question_begins_anew(autojump_clock: MockClock) -> None:
    site = HackerNewsSite()
    reader = reader_of(site)
    await reader.poll()
    reader.row["cursor"]["done"] -= 86_400
    await reader.poll()
    site.mark = "other"
    reader.row["cursor"]["done"] -= 86_400
    await reader.poll()
    begins = [int(url.partition("created_at_i%3E")[2].partition("%2C")[0]) for url in site.asked]
    # Each request takes a second.
    assert [begin - begins[0] for begin in begins] == [0, -86_400, 2]


def test_its_options(tmp_path: Path) -> None:
    def say(**options: object) -> object:
        done = settled(HackerNewsOptions, "hackernews", options, None, tmp_path)
        return done if isinstance(done, list) else done.url

    assert say(
        query=" zero  day ", tags=["story", "front_page"], points=100, base_url="http://127.0.0.1:1/"
    ) == (
        "http://127.0.0.1:1/api/v1/search_by_date?query=zero+day&tags=front_page%2Cstory&numericFilters=points%3E99"
    )
    assert say(query="CVE") == f"{API}/api/v1/search_by_date?query=CVE&tags=story"
    needs = "url: the options need query or points: all of Hacker News would be asked for"
    assert say() == say(query="  ") == [needs]
    url = settled(HackerNewsOptions, "hackernews", {"query": "x"}, "https://news.ycombinator.com/", tmp_path)
    assert url == ["url: leave it out: query, tags and points tell what is asked for"]


@pytest.mark.parametrize(
    "options",
    [{"points": -1}, {"points": "5"}, {"tags": []}, {"tags": ["a,b"]}, {"tags": "story"}, {"query": 5}],
)
def test_options_that_are_none(tmp_path: Path, options: dict[str, object]) -> None:
    done = settled(HackerNewsOptions, "hackernews", {"query": "x"} | options, None, tmp_path)
    assert isinstance(done, list)
    assert done[0].startswith(f"options.{next(iter(options))}")


NUMBERS = st.sets(st.integers(1, 40), max_size=5)


@settings(max_examples=30)
@given(
    minutes=st.sets(st.integers(0, 46 * 60), max_size=20),
    published=st.dictionaries(st.integers(1, 30), st.integers(1, 4), max_size=4),
    broken=NUMBERS,
    dies_in_request=NUMBERS,
    dies_before=NUMBERS,
    dies_after=NUMBERS,
    skews=st.lists(st.integers(-2, 5), min_size=1, max_size=5),
)
def test_nothing_is_lost_or_doubled_whatever_fails(
    minutes: set[int],
    published: dict[int, int],
    broken: set[int],
    dies_in_request: set[int],
    dies_before: set[int],
    dies_after: set[int],
    skews: list[int],
) -> None:
    async def live() -> None:
        site = HackerNewsSite(most=7)
        for minute in sorted(minutes):
            # Two in a second, so that windows begin and end within one; an answer holds more than come in any.
            for _ in range(2):
                site.publish(ago=60 * minute, points=1 if minute % 5 == 0 else 8)
        reader = reader_of(site)
        reader.store.dies_before, reader.store.dies_after = dies_before, dies_after

        def trouble(number: int) -> None:
            site.skew = max(0, skews[number % len(skews)])
            for _ in range(published.get(number, 0)):
                site.publish(points=8)
            if number in dies_in_request:
                reader.store.alive = False
                raise Killed
            if number in broken:
                raise ConnectFailed("no connection")

        site.trouble = trouble
        for _ in range(8):
            await reader.poll()
        for one in site.hits.values():
            one["points"] = 8
        reader.store.dies_before = reader.store.dies_after = set()
        site.trouble = lambda number: setattr(site, "skew", max(0, skews[number % len(skews)]))
        for _ in range(5):
            await reader.poll()
        assert sorted(reader.articles) == sorted(map(str, site.hits))

    trio.run(live, clock=MockClock(autojump_threshold=0))
