"""What every store promises of sources that have moved, and of duplicates, asked of the one in memory, of SQLite and of
a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
from sqlalchemy import Connection, text, update

from digestd.model import PollState, SourceSpec, SourceStatus
from digestd.store import ClaimRequest, Duplicate, Gone, Recorded, Store
from digestd.store.schema import sources
from digestd.store.sync import alone
from store.builders import entry, one, spec, step, taken
from store.conftest import Bench, bench_at

NEW = "https://new.example/feed"
MOVED = Recorded(0, 0, moved=True)


async def ids_of(bench: Bench, *specs: SourceSpec) -> list[int]:
    """The ids of `specs`, the first one the oldest."""
    for number in range(len(specs)):
        await bench.store.sync_sources(specs[: number + 1])
    return [(await status(bench, one.name)).source.id for one in specs]


async def status(bench: Bench, name: str) -> SourceStatus:
    return one(await bench.store.sources(name=name))


async def moves(store: Store, source_id: int, url: str = NEW, **changes: Any) -> Recorded:
    """What comes of a poll that says that a source has moved to `url`."""
    claim = await taken(store, source_id, force=True)
    answer = one(await store.record([step(claim, effective_url=url, **changes)]))
    assert isinstance(answer, Recorded)
    return answer


async def states(bench: Bench, ids: Sequence[int]) -> list[str]:
    return [bench.row(source_id)["state"] for source_id in ids]


async def pair(bench: Bench, *more: SourceSpec) -> list[int]:
    """Two sources, of which the older, a, redirects to where the younger, b, is: b is paused."""
    ids = await ids_of(bench, spec("a"), spec("b", url=NEW), *more)
    answer = await moves(bench.store, ids[0])
    assert answer.duplicates == (Duplicate(paused="b", kept="a"),)
    return ids


class TestMoving:
    async def test_a_source_is_asked_where_it_has_moved_to(self, bench: Bench) -> None:
        (a,) = await ids_of(bench, spec("a"))
        assert await moves(bench.store, a) == MOVED
        claim = await taken(bench.store, a, force=True)
        assert (claim.source.url, claim.source.spec.url) == (NEW, "https://a.example/feed")
        assert (await status(bench, "a")).source.effective_url == NEW

    async def test_empty_clears_it_and_nothing_leaves_it(self, bench: Bench) -> None:
        (a,) = await ids_of(bench, spec("a"))
        await moves(bench.store, a)
        await bench.store.record([step(await taken(bench.store, a, force=True))])
        assert bench.row(a)["effective_url"] == NEW
        assert await moves(bench.store, a, "") == MOVED
        assert bench.row(a)["effective_url"] is None
        assert await moves(bench.store, a, "") == Recorded(0, 0)

    async def test_is_written_with_the_articles_of_its_step(self, bench: Bench) -> None:
        (a,) = await ids_of(bench, spec("a"))
        answer = await moves(bench.store, a, entries=(entry("1"),), next_state=PollState('"1"'))
        assert answer == Recorded(1, 0, moved=True)
        row = bench.row(a)
        assert (row["effective_url"], row["etag"], row["lease_token"]) == (NEW, '"1"', None)

    async def test_is_fenced_like_all_of_a_step(self, bench: Bench) -> None:
        a, b = await ids_of(bench, spec("a"), spec("b", url=NEW))
        claim = await taken(bench.store, a)
        bench.age(61)
        await bench.store.record([step(claim, effective_url=NEW)])
        assert (bench.row(a)["effective_url"], await states(bench, [a, b])) == (None, ["active", "active"])

    async def test_those_who_follow_are_told(self, bench: Bench) -> None:
        (a,) = await ids_of(bench, spec("a"))
        for url, expected in ((NEW, NEW), ("", "https://a.example/feed")):
            bench.age(120)
            began = await bench.store.changed_sources(None)
            await moves(bench.store, a, url)
            changes = await bench.store.changed_sources(began.latest, began.told)
            assert one(changes.statuses).source.url == expected

    async def test_another_url_forgets_it(self, bench: Bench) -> None:
        (a,) = await ids_of(bench, spec("a"))
        await moves(bench.store, a)
        await bench.store.sync_sources([spec("a", url="https://a.example/other")])
        assert bench.row(a)["effective_url"] is None

    async def test_several_move_at_once_and_two_to_one_place(self, bench: Bench) -> None:
        ids = await ids_of(bench, spec("a"), spec("b"), spec("c"), spec("d"))
        claims = [await taken(bench.store, source_id) for source_id in ids]
        urls = ["https://a.example/new", NEW, NEW, None]
        records = [step(claim, effective_url=url) for claim, url in zip(claims, urls, strict=True)]
        answers = await bench.store.record(records)
        duplicate = Duplicate(paused="c", kept="b")
        assert answers == [MOVED, MOVED, Recorded(0, 0, duplicates=(duplicate,)), Recorded(0, 0)]
        assert [bench.row(source_id)["effective_url"] for source_id in ids] == [urls[0], NEW, None, None]
        assert await states(bench, ids) == ["active", "active", "duplicate", "active"]


class TestDuplicates:
    async def test_an_older_source_that_leads_to_a_younger_pauses_it(self, bench: Bench) -> None:
        a, b = await pair(bench)
        assert (bench.row(a)["effective_url"], await states(bench, [a, b])) == (None, ["active", "duplicate"])
        assert (await status(bench, "b")).last_error == (
            "duplicate: a permanent redirect shows that it is the same as 'a' (https://new.example/feed), which is "
            "polled instead; take one of the two out, or poll both: digestd sources enable 'b'"
        )
        assert await bench.store.claim([ClaimRequest(b, 60, force=True)]) == [Gone("duplicate")]

    async def test_a_younger_source_that_leads_to_an_older_is_paused(self, bench: Bench) -> None:
        a, b = await ids_of(bench, spec("a", url=NEW), spec("b"))
        answer = await moves(bench.store, b, entries=(entry("1"),))
        assert answer == Recorded(1, 0, duplicates=(Duplicate(paused="b", kept="a"),))
        assert (bench.row(b)["effective_url"], await states(bench, [a, b])) == (None, ["active", "duplicate"])
        assert await bench.store.claim([ClaimRequest(b, 60, force=True)]) == [Gone("duplicate")]

    @pytest.mark.parametrize("younger_first", [True, False])
    async def test_where_another_has_moved_to_counts_too(self, bench: Bench, younger_first: bool) -> None:
        a, b = await ids_of(bench, spec("a"), spec("b"))
        first, second = (b, a) if younger_first else (a, b)
        assert (await moves(bench.store, first)).moved
        answer = await moves(bench.store, second)
        assert answer.duplicates == (Duplicate(paused="b", kept="a"),)
        assert await states(bench, [a, b]) == ["active", "duplicate"]

    @pytest.mark.parametrize(
        "url",
        ["HTTPS://New.example:443/feed#top", "https://b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example"],
    )
    async def test_urls_are_compared_by_what_they_mean(self, bench: Bench, url: str) -> None:
        a, b = await ids_of(bench, spec("a"), spec("b", url=url))
        target = NEW if "ew" in url else "https://xn--bcher-kva.example/"
        assert (await moves(bench.store, a, target)).duplicates
        assert await states(bench, [a, b]) == ["active", "duplicate"]

    @pytest.mark.parametrize(
        "other",
        [
            {"url": "https://new.example/feed2"},
            {"url": "https://new.example/Feed"},
            {"url": "http://new.example/feed"},
            {"url": "https://user:secret@new.example/feed"},
            {"enabled": False},
            {"kind": "page"},
            {"options": {"headers": {"X-Key": {"env": "KEY"}}}},
        ],
    )
    async def test_what_is_another_document_is_no_duplicate(
        self, bench: Bench, other: dict[str, Any]
    ) -> None:
        a, b = await ids_of(bench, spec("a"), spec("b", **{"url": NEW, **other}))
        assert await moves(bench.store, a) == MOVED
        assert await states(bench, [a, b]) == ["active", "active"]

    async def test_what_was_removed_is_no_duplicate(self, bench: Bench) -> None:
        (a, _) = await ids_of(bench, spec("a"), spec("b", url=NEW))
        await bench.store.sync_sources([spec("a")])
        assert await moves(bench.store, a) == MOVED

    async def test_a_poll_of_the_paused_one_is_fenced_off(self, bench: Bench) -> None:
        a, b = await ids_of(bench, spec("a"), spec("b", url=NEW))
        claim = await taken(bench.store, b)
        await moves(bench.store, a)
        await bench.store.record([step(claim, entry("1"))])
        assert (await states(bench, [b]), bench.articles()) == (["duplicate"], [])

    async def test_told_again_nothing_more_happens(self, bench: Bench) -> None:
        a, b = await pair(bench)
        before = bench.row(b)
        assert await moves(bench.store, a) == Recorded(0, 0)
        assert bench.row(b) == before

    async def test_a_third_one_is_paused_for_the_one_that_is_polled(self, bench: Bench) -> None:
        _, _, c = await pair(bench, spec("c"))
        assert (await moves(bench.store, c)).duplicates == (Duplicate(paused="c", kept="a"),)

    async def test_an_older_one_takes_the_place_of_both(self, bench: Bench) -> None:
        a, b, c = await ids_of(bench, spec("a"), spec("b"), spec("c", url=NEW))
        assert (await moves(bench.store, b)).duplicates == (Duplicate(paused="c", kept="b"),)
        assert (await moves(bench.store, a)).duplicates == (Duplicate(paused="b", kept="a"),)
        assert await states(bench, [a, b, c]) == ["active", "duplicate", "duplicate"]
        await bench.store.set_enabled("a", False)
        assert await states(bench, [a, b, c]) == ["active", "active", "duplicate"]

    async def test_those_who_follow_are_told(self, bench: Bench) -> None:
        a, b = await ids_of(bench, spec("a"), spec("b", url=NEW))
        bench.age(120)
        began = await bench.store.changed_sources(None)
        await moves(bench.store, a)
        changes = await bench.store.changed_sources(began.latest, began.told)
        assert [(found.source.id, found.state) for found in changes.statuses] == [(b, "duplicate")]


class TestComingBack:
    async def check(self, bench: Bench, source_id: int) -> None:
        row = bench.row(source_id)
        assert (row["state"], row["last_error"]) == ("active", None)
        assert "duplicate_of" not in (row["cursor"] or {})
        assert await taken(bench.store, source_id, force=True)

    async def test_a_list_that_changes_nothing_leaves_it_paused(self, bench: Bench) -> None:
        _, b = await pair(bench)
        await bench.store.sync_sources([spec("a", category="x"), spec("b", url=NEW)])
        await bench.store.sync_sources([spec("a"), spec("b", url=NEW), spec("c")])
        await bench.store.set_enabled("c", False)
        assert await states(bench, [b]) == ["duplicate"]

    async def test_when_its_own_url_changes(self, bench: Bench) -> None:
        _, b = await pair(bench)
        await bench.store.sync_sources([spec("a"), spec("b")])
        await self.check(bench, b)

    @pytest.mark.parametrize(
        "kept", [[], [spec("a", enabled=False)], [spec("a", url="https://a.example/2")]], ids=str
    )
    async def test_when_the_kept_one_leaves_its_file_is_disabled_there_or_changes(
        self, bench: Bench, kept: list[SourceSpec]
    ) -> None:
        _, b = await pair(bench)
        bench.age(120)
        began = await bench.store.changed_sources(None)
        await bench.store.sync_sources([*kept, spec("b", url=NEW)])
        await self.check(bench, b)
        changes = await bench.store.changed_sources(began.latest, began.told)
        assert "b" in [found.source.name for found in changes.statuses]

    async def test_when_the_kept_one_is_disabled_by_command(self, bench: Bench) -> None:
        _, b = await pair(bench)
        await bench.store.set_enabled("a", False)
        await self.check(bench, b)

    async def test_when_the_kept_one_is_removed_by_command(self, bench: Bench) -> None:
        await bench.store.add_source(spec("a"))
        await bench.store.add_source(spec("b", url=NEW))
        a, b = [(await status(bench, name)).source.id for name in "ab"]
        await moves(bench.store, a)
        await bench.store.remove_source("a")
        await self.check(bench, b)

    async def test_when_the_kept_one_leads_there_no_more(self, bench: Bench) -> None:
        a, b = await pair(bench)
        assert bench.row(a)["cursor"] == {"moved_shared": True}
        assert await moves(bench.store, a, "") == Recorded(0, 0)
        await self.check(bench, b)

    async def test_by_command_and_for_good(self, bench: Bench) -> None:
        a, b = await pair(bench)
        await bench.store.set_enabled("b", True)
        await self.check(bench, b)
        assert await moves(bench.store, a) == Recorded(0, 0)
        assert await states(bench, [a, b]) == ["active", "active"]

    async def test_by_command_though_it_is_the_one_that_leads_there(self, bench: Bench) -> None:
        a, b = await ids_of(bench, spec("a", url=NEW), spec("b"))
        await moves(bench.store, b, next_state=PollState('"1"', cursor={"asked": "x"}))
        await bench.store.set_enabled("b", True)
        claim = await taken(bench.store, b, force=True)
        assert claim.state == PollState('"1"', cursor={"asked": "x", "duplicate_wanted": True})
        again = step(claim, effective_url=NEW, next_state=claim.state)
        assert await bench.store.record([again]) == [Recorded(0, 0)]
        assert (await states(bench, [a, b]), bench.row(b)["effective_url"]) == (["active", "active"], None)

    async def test_disabling_the_paused_one_does_not_bring_it_back(self, bench: Bench) -> None:
        _, b = await pair(bench)
        await bench.store.set_enabled("b", False)
        assert await states(bench, [b]) == ["duplicate"]
        await bench.store.set_enabled("b", True)
        await self.check(bench, b)

    async def test_a_row_that_does_not_say_of_whom_comes_back(self, bench: Bench) -> None:
        (a,) = await ids_of(bench, spec("a"))
        await bench.store.record([step(await taken(bench.store, a), state="duplicate")])
        await bench.store.sync_sources([spec("a")])
        await self.check(bench, a)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_rows_are_locked_in_their_order_so_that_nobody_waits_in_a_circle(database: str) -> None:
    async with bench_at(database) as bench:
        a, b, c = await ids_of(bench, spec("a"), spec("b"), spec("c", url=NEW))
        claims = [await taken(bench.store, a), await taken(bench.store, b)]
        answers: list[object] = []

        async def record() -> None:
            moving = [step(claim, effective_url=url) for claim, url in zip(claims, (NEW, None), strict=True)]
            answers.extend(await bench.store.record(moving))

        with bench.engine.begin() as other:
            touch(other, b)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(record)
                with trio.fail_after(3):
                    while not others_wait(other):
                        await trio.sleep(0.02)
                # It waits for b, and has not taken c before.
                await trio.to_thread.run_sync(touch, other, c)
                other.commit()
        assert answers == [Recorded(0, 0, duplicates=(Duplicate(paused="c", kept="a"),)), Recorded(0, 0)]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
async def test_nobody_moves_while_another_changes_what_there_is(database: str) -> None:
    async with bench_at(database) as bench:
        (a,) = await ids_of(bench, spec("a"))
        with bench.engine.begin() as other:
            alone(other)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(moves, bench.store, a)
                with trio.fail_after(3):
                    while not others_wait(other):
                        await trio.sleep(0.02)
                other.commit()
        assert bench.row(a)["effective_url"] == NEW


def touch(connection: Connection, source_id: int) -> None:
    """Lock a source as a transaction of another process does."""
    connection.execute(update(sources).where(sources.c.id == source_id).values(category="x"))


def others_wait(connection: Connection) -> bool:
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return bool(connection.execute(waiting).scalar_one())
