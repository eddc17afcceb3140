"""What the store's statements cost with 100,000 sources and a million articles: they stay on indexes, and those of a
poll read no more than with ten thousand."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
import trio

from digestd.model import Entry, Extraction, LeftOut
from digestd.store import (
    ArticleQuery,
    Claim,
    ClaimRequest,
    HostPause,
    HostStart,
    Lease,
    PageRecord,
    Recorded,
    StepRecord,
    Store,
)
from digestd.store.overview import SourceQuery
from store.builders import done, entry, one, step, taken
from store.conftest import SqlBench, bench_at, fresh_database
from store.plans import (
    Statement,
    analyse,
    explained,
    fill_articles,
    fill_polls,
    fill_set_aside,
    fill_sources,
    fill_versions,
    looked_through,
    pages_read,
    sent,
)

pytestmark = pytest.mark.slow

SOURCES = 100_000
ARTICLES = 1_000_000
FEW_ARTICLES = 10_000
PAST = datetime.now(UTC) - timedelta(days=1)
# Its articles are there from the beginning on.
POLLED = 500


@dataclass(frozen=True)
class Filled:
    """Where a large database lies; on PostgreSQL, what a poll read when it had but a hundredth of its articles."""

    url: str
    pages_of_poll: int | None


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Filled]:
    """A database with 100,000 sources and a million articles, of each kind in turn."""
    for url in fresh_database(request.param, request, tmp_path_factory.mktemp("large")):
        yield trio.run(fill, url)


async def fill(url: str) -> Filled:
    async with bench_at(url) as bench:
        fill_sources(bench, SOURCES, PAST)
        fill_articles(bench, 0, FEW_ARTICLES - 1, PAST)
        fill_set_aside(bench, 20_000, PAST)
        fill_polls(bench, SOURCES, PAST)
        analyse(bench)
        pages = await pages_of_poll(bench) if bench.engine.dialect.name == "postgresql" else None
        fill_articles(bench, FEW_ARTICLES, ARTICLES - 1, PAST)
        fill_versions(bench, PAST)
        analyse(bench)
        return Filled(url, pages)


@pytest.fixture
async def large(filled: Filled) -> AsyncIterator[SqlBench]:
    async with bench_at(filled.url) as bench:
        # Now and then a claim or start looks through the hosts: see the last test.
        await bench.store.start_at_hosts([HostStart("h", 1)])
        yield bench


async def pages_of_poll(bench: SqlBench) -> int:
    """The pages that one poll reads and writes, from its claim to its record: of ten known entries, one of them
    edited, and a new one."""
    # With room beside each row, as most have in time: one that has to move costs a write to every index, and which ones
    # do would be chance.
    with bench.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE articles SET (fillfactor = 20)")
    known = [entry(f"known {number}") for number in range(10)]
    await polled(bench.store, POLLED, *known)
    with sent() as statements:
        edited = entry("known 3", "Another title")
        recorded = await polled(bench.store, POLLED, entry("new"), *known[:3], edited, *known[4:])
    assert recorded == Recorded(1, 1)
    assert len(statements) >= 8
    # What was there from the beginning on has been tried once.
    untried = f"DELETE FROM articles WHERE source_id = {POLLED} AND extraction_attempts = 0"
    pages = pages_read(bench, statements, after=f"{untried} AND guid = 'new'")
    with bench.engine.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM article_versions WHERE source_id = {POLLED}")
        connection.exec_driver_sql(untried)
        connection.exec_driver_sql("ALTER TABLE articles RESET (fillfactor)")
    return pages


async def polled(store: Store, source_id: int, *entries: Entry) -> object:
    claim = await taken(store, source_id, force=True, host=HostStart(f"https://{source_id}.example", 0.001))
    await trio.sleep(0.002)
    return one(await store.record([step(claim, *entries)]))


async def test_a_poll_reads_no_more_pages_than_with_a_hundredth_of_the_articles(
    large: SqlBench, filled: Filled
) -> None:
    if filled.pages_of_poll is None:
        pytest.skip("SQLite does not count the pages a statement reads")
    # The indexes are a level deeper, no more.
    assert filled.pages_of_poll < await pages_of_poll(large) < 1.5 * filled.pages_of_poll


async def plan_of(large: SqlBench, work: Awaitable[object]) -> tuple[list[Statement], set[str]]:
    """The statements that `work` sends, and the tables they would read from end to end."""
    with sent() as statements:
        await work
    assert statements
    return statements, looked_through(large, statements)


def requests(first: int, count: int) -> list[ClaimRequest]:
    """Claims of sources that nothing else has claimed here, each with a host of its own."""
    return [
        ClaimRequest(number, 60, True, HostStart(f"https://{number}.example", 1))
        for number in range(first, first + count)
    ]


async def claims(store: Store, first: int, count: int) -> list[Claim]:
    answers = await store.claim(requests(first, count))
    assert all(isinstance(answer, Claim) for answer in answers)
    return [answer for answer in answers if isinstance(answer, Claim)]


@pytest.mark.parametrize("count", [1, 100])
async def test_claims_and_releases_stay_on_indexes(large: SqlBench, count: int) -> None:
    first = 1_000 + count
    assert (await plan_of(large, large.store.claim(requests(first, count))))[1] == set()
    # Those are leased now: these wait.
    assert (await plan_of(large, large.store.claim(requests(first, count))))[1] == set()
    leases = [
        Lease(claim.source.id, claim.token) for claim in await claims(large.store, 2_000 + count, count)
    ]
    assert (await plan_of(large, large.store.release(leases)))[1] == set()


@pytest.mark.parametrize("count", [1, 100])
async def test_starts_and_pauses_stay_on_indexes(large: SqlBench, count: int) -> None:
    hosts = [f"https://{number}.of-{count}.example" for number in range(count)]
    starts = [HostStart(host, 30) for host in hosts]
    for expected in (count, 0):
        with sent() as statements:
            answers = await large.store.start_at_hosts(starts)
        assert answers.count(None) == expected
        assert looked_through(large, statements) == set()
    pauses = [HostPause(host, 60) for host in hosts]
    assert (await plan_of(large, large.store.pause_hosts(pauses)))[1] == set()
    assert (await plan_of(large, large.store.start_at_hosts(starts)))[1] == set()


async def test_records_stay_on_indexes(large: SqlBench) -> None:
    known = [entry(f"guid {number}") for number in range(100)]
    edited = [replace(entry("guid 5", "Another title")), *known[:5], *known[6:]]
    bad = LeftOut("f" * 64, None, "A title", "a reason", "{}")
    steps: list[tuple[tuple[Entry, ...], tuple[LeftOut, ...]]] = [
        ((), ()),
        (tuple(known), ()),
        (tuple(known), ()),
        (tuple(edited), ()),
        ((), (bad,)),
        ((entry("guid 200"), *known), ()),
    ]
    for entries, left_out in steps:
        claim = await taken(large.store, 3_000, force=True)
        made = step(claim, *entries, left_out=left_out)
        statements, tables = await plan_of(large, large.store.record([made]))
        assert any("UPDATE sources" in statement for statement, _ in statements)
        assert tables == set()
    kept = await large.store.articles(ArticleQuery(source="s3000"))
    assert len(kept) == 111
    assert sum(article.updated_at is not None for article in kept) == 1


async def test_records_of_many_sources_at_once_stay_on_indexes(large: SqlBench) -> None:
    records: list[StepRecord] = [
        step(claim, entry("guid")) for claim in await claims(large.store, 4_000, 100)
    ]
    statements, tables = await plan_of(large, large.store.record(records))
    assert len(statements) >= 300
    assert tables == set()


async def test_the_queue_of_pages_stays_on_indexes(large: SqlBench) -> None:
    with sent() as statements:
        found = (await large.store.claim_pages(20, 60)).claims
        given = (await large.store.claim_pages(20, 60, source_ids=range(11, 2_000, 20))).claims
    assert (len(found), len(given)) == (20, 20)
    assert looked_through(large, statements) == set()
    failed = PageRecord(given[0].article_id, given[0].attempt, "pending", 1, "gone", 300)
    pages = [done(claim) for claim in found] + [failed]
    assert (await plan_of(large, large.store.record_pages(pages)))[1] == set()


async def test_the_queue_is_measured_by_its_own_indexes(large: SqlBench) -> None:
    """They hold what is pending and nothing else."""
    statements, tables = await plan_of(large, large.store.page_queue())
    assert tables == set()
    plan = explained(large, statements)
    assert "ix_articles_pending" in plan
    assert "ix_articles_waiting" in plan


LISTS: dict[str, ArticleQuery] = {
    "newest": ArticleQuery(limit=21),
    "since": ArticleQuery(since=PAST, limit=21),
    "source": ArticleQuery(source="s77", limit=21),
    "source and since": ArticleQuery(source="s77", since=PAST, limit=21),
    "article": ArticleQuery(ids=(77,)),
    "revised": ArticleQuery(revised=True, limit=21),
    "revised since": ArticleQuery(revised=True, since=PAST, limit=21),
}
STATES: tuple[Extraction, ...] = ("pending", "failed", "skipped")


@pytest.mark.parametrize("query", LISTS.values(), ids=LISTS)
async def test_lists_of_articles_stay_on_indexes(large: SqlBench, query: ArticleQuery) -> None:
    assert (await plan_of(large, large.store.articles(query)))[1] == set()


async def test_versions_are_found_by_their_article(large: SqlBench) -> None:
    # Other tests revise some, too.
    found = await large.store.articles(ArticleQuery(revised=True, limit=100))
    revised = next(article for article in found if article.changes == {"title": ["a", "b"]})
    statements, tables = await plan_of(large, large.store.article_versions(revised.id))
    assert tables == set()
    assert len(await large.store.article_versions(revised.id)) == 1
    again = entry("guid 7", "Another title")
    for edited in (entry("guid 7"), again, entry("guid 7"), again, entry("guid 7"), again):
        claim = await taken(large.store, 60_000, force=True)
        statements, tables = await plan_of(large, large.store.record([step(claim, edited)]))
        assert tables == set()
    assert any("SELECT article_versions.id" in statement for statement, _ in statements)
    kept = await large.store.articles(ArticleQuery(source="s60000", revised=True, limit=1))
    assert (await plan_of(large, large.store.delete_articles([kept[0].id])))[1] == set()


@pytest.mark.parametrize("extraction", STATES)
async def test_lists_by_extraction_read_what_they_show(large: SqlBench, extraction: Extraction) -> None:
    """Of the million none is `skipped`: whoever looks for some must not look through all."""
    query = ArticleQuery(extraction=extraction, limit=21)
    for asked in (query, replace(query, since=PAST)):
        statements, tables = await plan_of(large, large.store.articles(asked))
        assert tables == set()
        assert "ix_articles_not_done" in explained(large, statements)
    assert (await plan_of(large, large.store.articles(replace(query, source="s77"))))[1] == set()


async def test_retries_stay_on_indexes(large: SqlBench) -> None:
    every = [
        *(ArticleQuery(extraction=extraction) for extraction in STATES),
        ArticleQuery(extraction="failed", since=PAST),
        ArticleQuery(source="s88"),
        ArticleQuery(ids=(1001,)),
    ]
    for query in every:
        statements, tables = await plan_of(large, large.store.retry_pages(query))
        assert statements
        assert tables == set()


async def test_a_digest_reads_the_articles_of_its_days(large: SqlBench) -> None:
    for days in (1, 7):
        since = datetime.now(UTC) - timedelta(days=days)
        statements, tables = await plan_of(large, large.store.newest_articles(3, since))
        assert "ix_articles_published_at" in explained(large, statements)
        # To show twenty thousand articles, two in a hundred, PostgreSQL may rather fetch them in one go.
        assert tables == set() or days == 7


async def test_what_people_are_shown_reads_what_it_shows(large: SqlBench) -> None:
    overview = large.store.overview
    since = datetime.now(UTC) - timedelta(hours=5)
    assert (await plan_of(large, overview.headlines(10)))[1] == set()
    statements, tables = await plan_of(large, overview.polls(since, since + timedelta(hours=1)))
    assert tables == set()
    assert "ix_fetches_fetched_at" in explained(large, statements)
    # What was set aside has no index by source: it is little.
    assert (await plan_of(large, overview.source(77, fetches=25, newest=25)))[1] <= {"entries_set_aside"}


async def test_lists_of_sources_look_through_the_sources_and_nothing_else(large: SqlBench) -> None:
    """Each at most once for the number and once for the page: what changes with every poll is in no index."""
    overview = large.store.overview
    assert (await plan_of(large, overview.counts()))[1] == {"sources"}
    for query in (SourceQuery(), SourceQuery(search="77", sort="last_success"), SourceQuery(failing=True)):
        statements, tables = await plan_of(large, overview.sources(query, limit=100))
        assert tables == {"sources"}
        assert len([sent for sent, _ in statements if "FROM sources" in sent]) <= 3
    with sent() as by_name:
        found = await overview.sources(SourceQuery(sort="name"), limit=100, offset=100)
    assert (found.total, len(found.statuses)) == (SOURCES, 100)
    assert "uq_sources_name" in explained(large, by_name) or "sqlite_autoindex_sources" in explained(
        large, by_name
    )


async def test_what_was_set_aside_is_looked_through(large: SqlBench) -> None:
    """Entries that became no articles are few: no index has to follow when each was seen."""
    tables = (await plan_of(large, large.store.entries_set_aside(20)))[1]
    # Many of them are joined with all sources at once.
    assert tables - {"sources"} == {"entries_set_aside"}


async def test_a_start_looks_through_the_sources_once_and_never_through_the_articles(filled: Filled) -> None:
    """Whose leases it may free is asked of every source: an index on what each poll writes would cost every poll more.
    The first claim looks for hosts that were forgotten; so does one in five minutes."""
    async with bench_at(filled.url) as bench:
        with sent() as statements:
            async with bench_at(filled.url) as another:
                await another.store.claim(requests(5_000, 1))
        ours = [one for one in statements if "FROM pg_catalog" not in one[0] and "PRAGMA" not in one[0]]
        assert looked_through(bench, ours) <= {"sources", "hosts"}
        asked = [statement for statement, _ in ours if "FROM sources" in statement]
        assert len(asked) == 2
