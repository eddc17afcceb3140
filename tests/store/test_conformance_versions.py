"""What articles said before their updates: asked of the store in memory, of SQLite and of a real PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from digestd.feed.identity import UPDATES_LIMIT
from digestd.feed.revision import LONGEST_TEXT, TEXT_VERSIONS_LIMIT, VERSIONS_LIMIT
from digestd.model import ArticleVersion, Entry
from digestd.store import ArticleQuery, LeaseLost, Recorded, RetentionLimits
from store.builders import YESTERDAY, done, entry, one, source_ids, spec, step, taken, without
from store.conftest import Bench
from store.documents import let_days_pass, purge_all, serve

FACTS: dict[str, Any] = {"severity": "MEDIUM", "score": 5.0, "fixed": ["lib 1.2"]}
RAISED: dict[str, Any] = {"severity": "CRITICAL", "score": 9.8, "fixed": ["lib 1.2", "lib 2.0"]}


async def source(bench: Bench) -> int:
    return one(await source_ids(bench.store, spec()))


def advisory(content: str = "medium", facts: dict[str, Any] | None = FACTS, **changes: Any) -> Entry:
    return entry("1", content=content, facts=facts, **changes)


async def versions(bench: Bench) -> list[ArticleVersion]:
    """Those of the one article there is."""
    return await bench.store.article_versions(one(bench.articles())["id"])


async def test_an_update_keeps_what_the_article_said_and_tells_what_changed(bench: Bench) -> None:
    source_id = await source(bench)
    await serve(bench, source_id, advisory(summary="s", author="Ada"))
    first = one(bench.articles())
    assert (first["facts"], await versions(bench), bench.versions()) == (FACTS, [], [])
    newer = entry(
        "1", "Worse", link="https://example.org/new", author="Eve", content="critical", facts=RAISED
    )
    assert await serve(bench, source_id, newer) == Recorded(0, 1)
    article = one(bench.articles())
    assert (article["facts"], article["title"], article["updates"]) == (RAISED, "Worse", 1)
    expected = {
        "number": 1,
        "title": "A title",
        "url": "https://example.org/1/1",
        "author": "Ada",
        "summary": "s",
        "content": "medium",
        "facts": FACTS,
        "said_at": first["fetched_at"],
        "replaced_at": article["updated_at"],
        "changes": {
            "severity": ["MEDIUM", "CRITICAL"],
            "score": [5.0, 9.8],
            "fixed": [["lib 1.2"], ["lib 1.2", "lib 2.0"]],
            "title": ["A title", "Worse"],
            "url": ["https://example.org/1/1", "https://example.org/new"],
            "author": ["Ada", "Eve"],
            "summary": [1, None],
            "content": [6, 8],
        },
    }
    assert bench.versions() == [{"source_id": source_id, "article_id": article["id"], **expected}]
    assert await versions(bench) == [ArticleVersion(**expected)]
    assert list(one(await versions(bench)).changes)[:3] == ["severity", "score", "fixed"]
    shown = one(await bench.store.articles(ArticleQuery()))
    assert (shown.facts, shown.changes) == (RAISED, expected["changes"])
    assert one(await bench.store.newest_articles(1)) == shown
    # The next version begins where this one ends.
    await serve(bench, source_id, advisory("low"))
    second = (await versions(bench))[1]
    assert (second.number, second.said_at, second.content) == (2, article["updated_at"], "critical")
    assert (second.facts, second.changes["severity"]) == (RAISED, ["CRITICAL", "MEDIUM"])


async def test_what_is_offered_again_makes_no_second_version(bench: Bench) -> None:
    source_id = await source(bench)
    await serve(bench, source_id, advisory())
    await serve(bench, source_id, advisory("critical", RAISED))
    kept = bench.versions()
    # The answer to the record was lost, and the document is read again.
    for _ in range(2):
        assert await serve(bench, source_id, advisory("critical", RAISED)) == Recorded(0, 0)
    assert bench.versions() == kept
    # Dates alone change nothing, and neither do facts alone.
    dated = advisory("critical", FACTS, published_at=YESTERDAY - timedelta(1))
    assert await serve(bench, source_id, dated) == Recorded(0, 0)
    assert (bench.versions(), one(bench.articles())["facts"]) == (kept, RAISED)


async def test_without_the_lease_no_version_is_kept(bench: Bench) -> None:
    source_id = await source(bench)
    await serve(bench, source_id, advisory())
    claim = await taken(bench.store, source_id, force=True)
    bench.age(61)
    assert await bench.store.record([step(claim, advisory("critical", RAISED))]) == [LeaseLost()]
    assert (bench.versions(), one(bench.articles())["content"]) == ([], "medium")


async def test_a_step_that_fails_leaves_neither_update_nor_version(bench: Bench) -> None:
    source_id = await source(bench)
    await serve(bench, source_id, advisory())
    claim = await taken(bench.store, source_id, force=True)
    poisoned = step(claim, advisory("critical", RAISED))
    poisoned = replace(poisoned, next_state=replace(poisoned.next_state, cursor={"a": object()}))
    await bench.store.record([poisoned])
    assert (bench.versions(), one(bench.articles())["content"]) == ([], "medium")


async def test_the_text_of_the_page_is_no_version(bench: Bench) -> None:
    source_id = await source(bench)
    await serve(bench, source_id, advisory())
    claim = (await bench.store.claim_pages(1, 60)).claims[0]
    await bench.store.record_pages([done(claim, author="Page Author")])
    assert bench.versions() == []
    await serve(bench, source_id, advisory("critical", FACTS))
    # The author was never the feed's.
    assert one(await versions(bench)).changes == {"content": [6, 8]}


async def test_an_article_that_flips_for_ever_keeps_its_first_version_and_the_last_ones(bench: Bench) -> None:
    source_id = await source(bench)
    await serve(bench, source_id, advisory())
    for number in range(2 * VERSIONS_LIMIT):
        text = "critical" if number % 2 == 0 else "medium"
        await serve(bench, source_id, advisory(text, RAISED if number % 2 == 0 else FACTS))
    numbers = [version.number for version in await versions(bench)]
    assert numbers == [1, *range(VERSIONS_LIMIT + 2, 2 * VERSIONS_LIMIT + 1)]
    assert one(await bench.store.articles(ArticleQuery())).changes == {
        "severity": ["CRITICAL", "MEDIUM"],
        "score": [9.8, 5.0],
        "fixed": [["lib 1.2", "lib 2.0"], ["lib 1.2"]],
        "content": [8, 6],
    }


async def test_a_clock_in_the_text_costs_few_versions_and_hides_no_revision(bench: Bench) -> None:
    source_id = await source(bench)
    await serve(bench, source_id, advisory("at 0"))
    await serve(bench, source_id, advisory("at 1", RAISED))
    for minute in range(2, UPDATES_LIMIT + 1):
        assert await serve(bench, source_id, advisory(f"at {minute}", RAISED)) == Recorded(0, 1)
    assert await serve(bench, source_id, advisory("at 99", RAISED)) == Recorded(0, 0)
    kept = [UPDATES_LIMIT - 2, UPDATES_LIMIT - 1, UPDATES_LIMIT][-TEXT_VERSIONS_LIMIT:]
    assert [version.number for version in await versions(bench)] == [1, *kept]
    # It is followed no more, but where it says something else.
    assert await serve(bench, source_id, advisory("at 100", FACTS)) == Recorded(0, 1)
    assert one(bench.articles())["content"] == "at 100"
    assert (await versions(bench))[-1].changes["severity"] == ["CRITICAL", "MEDIUM"]
    assert await serve(bench, source_id, advisory("at 101", FACTS)) == Recorded(0, 0)
    assert await serve(bench, source_id, advisory("at 102", None)) == Recorded(0, 0)
    # Facts in another order say the same; where none were known, it is followed once.
    bench.change(one(bench.articles())["id"], facts={"fixed": ["a", "b"]})
    assert await serve(bench, source_id, advisory("at 103", {"fixed": ["b", "a"]})) == Recorded(0, 0)
    bench.change(one(bench.articles())["id"], facts=None)
    assert await serve(bench, source_id, advisory("at 104", {"fixed": ["b"]})) == Recorded(0, 1)
    assert await serve(bench, source_id, advisory("at 105", {"fixed": ["b"]})) == Recorded(0, 0)


async def test_many_articles_are_revised_in_one_step(bench: Bench) -> None:
    source_id = await source(bench)
    every = [entry(str(number), facts=FACTS) for number in range(250)]
    await serve(bench, source_id, *every)
    edited = [replace(each, title="Another", content_hash="f" * 64) for each in every[:230]]
    assert await serve(bench, source_id, *edited, *every[230:]) == Recorded(0, 230)
    assert len(bench.versions()) == 230
    assert {row["updates"] for row in bench.articles()} == {0, 1}


async def test_long_texts_are_cut_and_their_edits_noticed(bench: Bench) -> None:
    source_id = await source(bench)
    long = "<p>" + "é" * LONGEST_TEXT + "</p>"
    await serve(bench, source_id, advisory(long, summary="<b>" * 40_000))
    await serve(bench, source_id, advisory(long + "!", summary="<b>" * 40_001))
    version = one(await versions(bench))
    assert version.changes == {
        "summary": [120_000, 120_003],
        "content": [LONGEST_TEXT + 7, LONGEST_TEXT + 8],
    }
    assert version.content == long[:LONGEST_TEXT] + "…"
    assert version.summary == "<b>" * 33_333 + "…"


@pytest.mark.parametrize("way", ["deleted", "purged"])
async def test_versions_go_with_their_article(bench: Bench, way: str) -> None:
    source_id = await source(bench)
    other = entry("2", facts=FACTS)
    await serve(bench, source_id, advisory(), other)
    await serve(
        bench, source_id, advisory("critical", RAISED), replace(other, title="x", content_hash="0" * 64)
    )
    (stays, goes) = [row["id"] for row in bench.articles()]
    if way == "deleted":
        assert [article.changes for article in await bench.store.delete_articles([goes])] != [None]
    else:
        await serve(bench, source_id, replace(other, title="x", content_hash="0" * 64))
        let_days_pass(bench, 30)
        assert (await purge_all(bench.store, RetentionLimits(days=20))).articles == 1
    assert {row["article_id"] for row in bench.versions()} == {stays}
    assert await bench.store.article_versions(goes) == []
    # Of what was deleted nothing is kept again.
    await serve(bench, source_id, advisory("low", FACTS))
    assert {row["article_id"] for row in bench.versions()} == {stays}


async def test_what_was_revised_is_listed_by_when_it_was(bench: Bench) -> None:
    source_id = await source(bench)
    every = [entry(str(number)) for number in range(4)]
    await serve(bench, source_id, *every)
    for number in (2, 0, 1):
        every[number] = replace(every[number], title=f"edited {number}", content_hash=f"{number}" * 64)
        await serve(bench, source_id, *every)
    query = ArticleQuery(revised=True)
    found = await bench.store.articles(query)
    assert [article.title for article in found] == ["edited 1", "edited 0", "edited 2"]
    assert [article.changes for article in found] == [
        {"title": ["A title", f"edited {n}"]} for n in (1, 0, 2)
    ]
    last = await bench.store.articles(replace(query, limit=2))
    assert last == found[:2]
    assert found[1].updated_at is not None
    assert await bench.store.articles(replace(query, since=found[1].updated_at)) == found[:2]
    assert await bench.store.articles(replace(query, source="b")) == []


async def test_facts_of_a_wrong_form_cost_nothing(bench: Bench) -> None:
    source_id = await source(bench)
    odd = {"severity": "a\0b\ud800", "x": object(), "y": float("nan"), "title": "no", 5: "z", "n": 10**400}
    facts: Any = {**odd, **{f"fact_{number}": "v" * 500 for number in range(40)}}
    assert await serve(bench, source_id, advisory(facts=facts)) == Recorded(1, 0)
    kept = one(bench.articles())["facts"]
    assert kept == {"severity": "ab\ufffd"} | {f"fact_{number}": "v" * 200 for number in range(19)}
    assert await serve(bench, source_id, advisory("other", facts)) == Recorded(0, 1)
    assert one(await versions(bench)).changes == {"content": [6, 5]}


async def test_of_an_article_kept_before_only_the_words_are_told(bench: Bench) -> None:
    """As an update from an older digestd leaves it: no facts are known, and there may have been updates."""
    source_id = await source(bench)
    await serve(bench, source_id, advisory(facts=None))
    bench.change(one(bench.articles())["id"], updates=5, updated_at=YESTERDAY)
    await serve(bench, source_id, advisory("critical", RAISED))
    version = one(await versions(bench))
    assert (version.number, version.said_at) == (6, YESTERDAY)
    assert without(version.changes) == {"content": [6, 8]}
    assert one(bench.articles())["facts"] == RAISED
