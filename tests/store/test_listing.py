"""What every store promises of lists of articles, asked of the one in memory, of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from digestd.model import Article
from digestd.store import ArticleQuery, PageRecord
from store.builders import YESTERDAY, aged, done, entry, one, polled
from store.conftest import Bench


async def listed(bench: Bench, query: ArticleQuery) -> list[str]:
    return [article.title for article in await bench.store.articles(query)]


def first_seen_on(bench: Bench, days: dict[str, int]) -> None:
    """Let the article of each title have been first seen so many days ago."""
    for row in bench.articles():
        bench.change(row["id"], fetched_at=datetime.now(UTC) - timedelta(days=days[row["title"]]))


async def test_an_article_is_shown_whole(bench: Bench) -> None:
    await polled(bench.store, a=[entry("1", author="Ada", language="en", summary="s", content="c")])
    claim = one((await bench.store.claim_pages(1, 60)).claims)
    await bench.store.record_pages([done(claim, "The text.", canonical_url="https://example.org/canonical")])
    updated, again = datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1)
    row = one(bench.articles())
    bench.change(
        row["id"], updated_at=updated, extraction="failed", extraction_error="why", next_extraction_at=again
    )
    article = Article(
        id=row["id"],
        source_name="a",
        title="A title",
        url="https://example.org/1/1",
        author="Ada",
        language="en",
        summary="s",
        content="c",
        published_at=YESTERDAY,
        published_from="entry",
        fetched_at=row["fetched_at"],
        guid="1",
        canonical_url="https://example.org/canonical",
        text="The text.",
        updated_at=updated,
        extraction="failed",
        extraction_attempts=1,
        extraction_error="why",
        next_extraction_at=again,
    )
    assert await bench.store.articles(ArticleQuery()) == [article]
    assert await bench.store.newest_articles(1) == [article]


async def test_those_first_seen_last_come_first(bench: Bench) -> None:
    await polled(bench.store, a=[aged(1, "x"), aged(3, "y")], b=[aged(2, "z"), aged(9, "last")])
    first_seen_on(bench, {"x": 2, "y": 0, "z": 1, "last": 3})
    assert await listed(bench, ArticleQuery()) == ["y", "z", "x", "last"]
    assert await listed(bench, ArticleQuery(limit=2)) == ["y", "z"]
    assert await listed(bench, ArticleQuery(limit=0)) == []


async def test_of_those_first_seen_at_one_time_the_one_stored_last_comes_first(bench: Bench) -> None:
    await polled(bench.store, a=[aged(9, "last"), aged(1, "first")])
    assert await listed(bench, ArticleQuery(limit=1)) == ["last"]
    assert await listed(bench, ArticleQuery()) == ["last", "first"]


async def test_every_field_of_a_query_narrows_it(bench: Bench) -> None:
    await polled(bench.store, a=[aged(1, "x"), aged(2, "y")], b=[aged(3, "z")])
    first_seen_on(bench, {"x": 1, "y": 3, "z": 1})
    ids = {row["title"]: row["id"] for row in bench.articles()}
    bench.change(ids["x"], extraction="failed")
    since = datetime.now(UTC) - timedelta(days=2)
    assert await listed(bench, ArticleQuery(source="a")) == ["x", "y"]
    assert await listed(bench, ArticleQuery(source="a", since=since)) == ["x"]
    assert await listed(bench, ArticleQuery(extraction="pending")) == ["z", "y"]
    assert await listed(bench, ArticleQuery(extraction="pending", since=since)) == ["z"]
    assert await listed(bench, ArticleQuery(ids=(ids["y"], ids["z"], 10_000))) == ["z", "y"]
    assert await listed(bench, ArticleQuery(ids=(ids["y"], ids["z"]), source="a")) == ["y"]
    assert await listed(bench, ArticleQuery(ids=())) == []
    assert await listed(bench, ArticleQuery(source="nobody")) == []
    assert await listed(bench, ArticleQuery(source="a", limit=1)) == ["x"]


async def test_since_takes_the_moment_itself(bench: Bench) -> None:
    await polled(bench.store, a=[aged(1, "x")])
    moment = one(bench.articles())["fetched_at"]
    assert await listed(bench, ArticleQuery(since=moment)) == ["x"]
    assert await listed(bench, ArticleQuery(since=moment + timedelta(microseconds=1))) == []


async def test_the_articles_of_a_removed_source_are_listed(bench: Bench) -> None:
    await polled(bench.store, a=[aged(1, "x")])
    await bench.store.sync_sources([])
    assert await listed(bench, ArticleQuery(source="a")) == ["x"]


@pytest.mark.parametrize("extraction", ["done", "failed", "skipped", "pending"])
async def test_each_ending_is_found(bench: Bench, extraction: str) -> None:
    await polled(bench.store, a=[aged(number, name) for number, name in enumerate("wxyz")])
    w, x, y, _ = (await bench.store.claim_pages(4, 60)).claims
    records = [PageRecord(w.article_id, 1, "failed", 1), PageRecord(x.article_id, 1, "skipped", 0), done(y)]
    await bench.store.record_pages(records)
    expected = {"failed": "w", "skipped": "x", "done": "y", "pending": "z"}
    query = ArticleQuery(extraction=extraction)  # type: ignore[arg-type]
    assert await listed(bench, query) == [expected[extraction]]
