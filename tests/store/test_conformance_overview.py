"""What every store promises of what people are shown: the in-memory one, SQLite and a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from digestd.model import LeftOut
from digestd.store import Fetched
from digestd.store.overview import PollCounts, SourceCounts, SourceQuery
from store.builders import YESTERDAY, aged, entry, one, source_ids, spec, step, taken
from store.conftest import Bench, bench_at, damage

FAILED = Fetched("failed", 503, 1.5, 0)
BROUGHT = Fetched("fetched", None, 0.25, 4_000)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


async def poll(bench: Bench, name: str, *entries: Any, **changes: Any) -> None:
    ids = {status.source.name: status.source.id for status in await bench.store.sources()}
    claim = await taken(bench.store, ids[name], force=True)
    await bench.store.record([step(claim, *entries, **changes)])


async def newsroom(bench: Bench) -> None:
    """Sources of every standing: `active`, `never`, `failing`, `gone`, `degraded`, `disabled`, and one that left."""
    named = [
        spec("active", category="vendor"),
        spec("never", category="cert"),
        spec("failing", category="cert", kind="page"),
        spec("gone", category="vendor"),
        spec("degraded"),
        spec("disabled", enabled=False, category="cert"),
    ]
    await bench.store.sync_sources([*named, spec("left", category="gone with it")])
    await bench.store.sync_sources(named)
    await poll(bench, "active", aged(1), next_delay_seconds=600)
    failing: Any = {"succeeded": False, "consecutive_failures": 2, "last_error": "dns: no such name"}
    await poll(bench, "failing", **failing, next_delay_seconds=1_200, fetched=FAILED)
    await poll(bench, "gone", state="gone", next_delay_seconds=86_400)
    await poll(bench, "degraded", state="degraded", last_error="shape: no entries", next_delay_seconds=300)


async def names(bench: Bench, **asked: Any) -> list[str]:
    found = await bench.store.overview.sources(SourceQuery(**asked), limit=100)
    assert found.total == len(found.statuses)
    return [status.source.name for status in found.statuses]


async def test_sources_are_listed_with_what_is_wrong_first(bench: Bench) -> None:
    await newsroom(bench)
    in_order = ["failing", "gone", "degraded", "active", "never", "disabled"]
    assert await names(bench) == in_order
    assert await names(bench, descending=True) == ["disabled", "active", "never", *in_order[2::-1]]
    by_name = {status.source.name: status for status in await bench.store.sources()}
    listed = await bench.store.overview.sources(SourceQuery(), limit=100)
    first = listed.statuses[0]
    assert first.due_in_seconds == pytest.approx(by_name["failing"].due_in_seconds, abs=5)
    assert (first.source, first.last_error, first.failing) == (
        by_name["failing"].source,
        "dns: no such name",
        True,
    )


async def test_a_suspect_of_crashing_digestd_comes_before_all_others(bench: Bench) -> None:
    await newsroom(bench)
    ids = {status.source.name: status.source.id for status in await bench.store.sources()}
    for _ in range(3):
        await taken(bench.store, ids["never"], force=True)
        bench.age(100)
    assert (await names(bench))[:2] == ["never", "failing"]
    assert await names(bench, failing=True) == ["never", "failing"]
    assert (await bench.store.overview.counts()).failing == 2


async def test_they_are_chosen_by_standing_category_kind_failing_and_a_part_of_the_name(bench: Bench) -> None:
    await newsroom(bench)
    assert await names(bench, standing="active", sort="name") == ["active", "failing", "never"]
    assert await names(bench, standing="disabled") == ["disabled"]
    assert await names(bench, category="cert", sort="name") == ["disabled", "failing", "never"]
    assert await names(bench, kind="page") == ["failing"]
    assert await names(bench, failing=True) == ["failing"]
    assert await names(bench, search="ABLE") == ["disabled"]
    assert await names(bench, search="n", category="cert", standing="active") == ["failing", "never"]
    assert await names(bench, search="left") == await names(bench, kind="mastodon") == []


@pytest.mark.parametrize("part", ["100%", "a_b", "back\\slash", "sl/ash", "it's", '"', "ümlaut", "<b>", "\0"])
async def test_every_character_of_a_search_means_itself(bench: Bench, part: str) -> None:
    await bench.store.sync_sources([spec("100 or more"), spec("a-b"), spec("x" + part + "y")])
    assert [*map(len, await names(bench, search=part))] == [len(part) + 2]


async def test_they_are_sorted_by_name_and_moment_with_never_as_longest_ago(bench: Bench) -> None:
    await newsroom(bench)
    by_name = ["active", "degraded", "disabled", "failing", "gone", "never"]
    assert await names(bench, sort="name") == by_name
    assert await names(bench, sort="name", descending=True) == by_name[::-1]
    due = ["disabled", "never", "degraded", "active", "failing", "gone"]
    assert await names(bench, sort="next_poll") == due
    never_last = ["gone", "failing", "active", "degraded", "disabled", "never"]
    assert await names(bench, sort="next_poll", descending=True) == never_last
    succeeded = await names(bench, sort="last_success")
    assert succeeded == ["disabled", "failing", "never", "active", "gone", "degraded"]
    assert (await names(bench, sort="last_new", descending=True))[0] == "active"
    assert (await names(bench, sort="last_new"))[-1] == "active"


@pytest.mark.parametrize("sort", ["trouble", "name", "last_success"])
async def test_pages_follow_each_other_without_a_gap(bench: Bench, sort: Any) -> None:
    await bench.store.sync_sources([spec(f"s{number:02}") for number in range(11)])
    query, seen = SourceQuery(sort=sort), []
    for offset in range(0, 12, 4):
        page = await bench.store.overview.sources(query, limit=4, offset=offset)
        assert page.total == 11
        seen += [status.source.name for status in page.statuses]
    assert seen == [f"s{number:02}" for number in range(11)]
    assert (await bench.store.overview.sources(query, limit=4, offset=12)).statuses == ()


async def test_they_are_counted_by_what_they_can_be_chosen_by(bench: Bench) -> None:
    empty = await bench.store.overview.counts()
    assert (empty, empty.total) == (SourceCounts({}, 0, {}, {}), 0)
    await newsroom(bench)
    counts = await bench.store.overview.counts()
    assert counts.standings == {"active": 3, "gone": 1, "degraded": 1, "disabled": 1}
    assert (counts.failing, counts.total) == (1, 6)
    assert list(counts.kinds.items()) == [("feed", 5), ("page", 1)]
    assert list(counts.categories.items()) == [("cert", 3), ("vendor", 2)]


async def test_what_a_command_said_of_enabled_counts(bench: Bench) -> None:
    await newsroom(bench)
    await bench.store.set_enabled("failing", False)
    await bench.store.set_enabled("disabled", True)
    assert await names(bench, standing="disabled") == ["failing"]
    counts = await bench.store.overview.counts()
    assert (counts.failing, counts.standings["disabled"]) == (0, 1)


async def test_a_source_is_shown_with_its_polls_and_newest_articles(bench: Bench) -> None:
    first, second = await source_ids(bench.store, spec("a"), spec("b"))
    await poll(bench, "a", *(aged(hours) for hours in (3, 1, 2)), fetched=BROUGHT)
    left_out = (LeftOut("k" * 64, "guid", "title", "it cannot be read", "{}"),)
    await poll(bench, "a", left_out=left_out, fetched=BROUGHT)
    await poll(bench, "a", fetched=FAILED, succeeded=False, consecutive_failures=1)
    await poll(bench, "b", aged(1))
    detail = await bench.store.overview.source(first, fetches=2, newest=2)
    assert detail is not None
    assert (detail.status.source.name, detail.articles, detail.entries_set_aside) == ("a", 3, 1)
    assert [fetch.outcome for fetch in detail.fetches] == ["failed", "fetched"]
    assert [headline.title for headline in detail.newest] == ["1 h", "2 h"]
    newest = detail.newest[0]
    assert (newest.source_id, newest.source_name, newest.url) == (first, "a", "https://example.org/1 h")
    assert (newest.published_from, newest.published_at) == ("entry", YESTERDAY - timedelta(hours=1))
    other = await bench.store.overview.source(second, fetches=2, newest=2)
    assert other is not None
    assert (other.articles, other.fetches, other.entries_set_aside) == (1, (), 0)
    assert await bench.store.overview.source(second + 1_000, fetches=2, newest=2) is None


async def test_one_that_left_is_shown_too(bench: Bench) -> None:
    source_id = one(await source_ids(bench.store, spec()))
    await bench.store.sync_sources([])
    detail = await bench.store.overview.source(source_id, fetches=1, newest=1)
    assert detail is not None
    assert detail.status.state == "removed"


async def test_headlines_are_those_seen_last(bench: Bench) -> None:
    await bench.store.sync_sources([spec("a"), spec("b")])
    assert await bench.store.overview.headlines(3) == []
    await poll(bench, "a", aged(1), aged(2))
    await poll(bench, "b", aged(500))
    headlines = await bench.store.overview.headlines(2)
    assert [(one.source_name, one.title) for one in headlines] == [("b", "500 h"), ("a", "1 h")]


async def test_polls_are_counted_within_their_time(bench: Bench) -> None:
    await bench.store.sync_sources([spec()])
    now = datetime.now(UTC)
    nothing = PollCounts(0, 0, 0, 0)
    assert await bench.store.overview.polls(LONG_AGO, now + timedelta(hours=1)) == nothing
    await poll(bench, "a", entry("1"), entry("2"), fetched=BROUGHT)
    await poll(bench, "a", entry("1", "Another title"), fetched=BROUGHT)
    await poll(bench, "a", fetched=FAILED, succeeded=False)
    counts = await bench.store.overview.polls(LONG_AGO, datetime.now(UTC) + timedelta(hours=1))
    assert counts == PollCounts(brought=2, failed=1, articles_new=2, articles_updated=1)
    (last, *_) = await bench.store.fetches("a", 1)
    assert (await bench.store.overview.polls(last.fetched_at, last.fetched_at)) == nothing
    until = last.fetched_at + timedelta(microseconds=1)
    assert (await bench.store.overview.polls(last.fetched_at, until)).failed == 1
    assert (await bench.store.overview.polls(LONG_AGO, last.fetched_at)).failed == 0


async def test_a_damaged_row_is_shown_among_the_others(sqlite_url: str) -> None:
    async with bench_at(sqlite_url) as bench:
        damaged, _ = await source_ids(bench.store, spec("a"), spec("b"))
        damage(bench, damaged, "options", "no JSON")
        listed = await bench.store.overview.sources(SourceQuery(sort="name"), limit=10)
        first, second = listed.statuses
        assert (first.source.name, second.source.name, second.last_error) == ("a", "b", None)
        assert "cannot be read" in (first.last_error or "")
