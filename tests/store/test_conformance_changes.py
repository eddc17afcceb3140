"""What every store promises of sources that several processes and commands change, asked of the one in memory, of
SQLite and of a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from digestd.model import PollState
from digestd.store import (
    Changes,
    Claim,
    ClaimRequest,
    Gone,
    Lease,
    LeaseLost,
    ListOwner,
    SyncReport,
    Wait,
    sync,
)
from store.builders import FULL_SPEC, NEVER_POLLED, entry, one, source_ids, spec, step, taken, without
from store.conftest import OWNER, Bench, bench_at, open_at


async def begun(bench: Bench) -> Changes:
    """Where following begins, long after everything that was done so far."""
    bench.age(120)
    return await bench.store.changed_sources(None)


async def changed_names(bench: Bench, last: Changes) -> list[str]:
    changes = await bench.store.changed_sources(last.latest, last.told)
    return [status.source.name for status in changes.statuses]


async def enabled(bench: Bench, name: str = "a") -> tuple[bool, bool]:
    """Whether it is, and whether a command said so."""
    (status,) = [status for status in await bench.store.sources() if status.source.name == name]
    return status.source.spec.enabled, status.overridden


class TestSync:
    async def test_says_when_a_source_was_changed(self, bench: Bench) -> None:
        a, b = await source_ids(bench.store, spec("a"), spec("b"))
        before = bench.row(b)["changed_at"]
        assert abs(datetime.now(UTC) - before) < timedelta(seconds=30)
        await bench.store.sync_sources([spec("a", category="x"), spec("b")])
        assert bench.row(b)["changed_at"] == before
        assert bench.row(a)["changed_at"] > before

    async def test_no_poll_counts_as_a_change(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        before = bench.row(source_id)["changed_at"]
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"))])
        claim = await taken(bench.store, source_id, force=True)
        await bench.store.release([Lease(source_id, claim.token)])
        assert bench.row(source_id)["changed_at"] == before

    async def test_several_changes_at_once_are_all_written(self, bench: Bench) -> None:
        before = [spec(name) for name in "abcdef"]
        ids = await source_ids(bench.store, *before)
        after = [spec("a", category="x"), spec("b", category="y"), spec("c", url="https://new.example/")]
        report = await bench.store.sync_sources([*after, spec("d", options={"deep": [1]})])
        assert report == SyncReport(changed=("a", "b", "c", "d"), removed=("e", "f"))
        rows = [bench.row(source_id) for source_id in ids]
        assert [row["category"] for row in rows] == ["x", "y", None, None, None, None]
        assert rows[2]["url"] == "https://new.example/"
        assert rows[3]["options"] == {"deep": [1]}
        assert [row["state"] for row in rows] == ["active"] * 4 + ["removed"] * 2

    async def test_says_whose_list_is_in_force(self, bench: Bench) -> None:
        assert (await bench.store.sync_sources([], fingerprint="1")).replaced is None
        assert (await bench.store.sync_sources([], fingerprint="2")).replaced is None
        changes = await bench.store.changed_sources(None)
        assert (changes.list_fingerprint, changes.list_owner) == ("2", OWNER)
        assert changes.list_written_at is not None
        assert abs(datetime.now(UTC) - changes.list_written_at) < timedelta(seconds=30)


async def test_the_list_of_another_process_is_replaced_and_named(database: str) -> None:
    async with open_at(database) as store, open_at(database, "another") as other:
        assert (await store.sync_sources([spec("a")], fingerprint="1")).replaced is None
        assert (await other.sync_sources([spec("a")], fingerprint="1")).replaced is None
        assert (await store.sync_sources([spec("a")], fingerprint="1")).replaced is None
        first = await store.changed_sources(None)
        report = await other.sync_sources([spec("b")], fingerprint="2")
        assert first.list_written_at is not None
        assert report.replaced == ListOwner("1", OWNER, first.list_written_at)
        assert (await other.sync_sources([spec("b")], fingerprint="3")).replaced is None
        latest = await store.changed_sources(first.latest, first.told)
        assert (latest.list_fingerprint, latest.list_owner) == ("3", "another")
        assert [status.source.name for status in await store.sources()] == ["b"]


async def test_a_list_that_took_longer_than_a_look_goes_back_is_followed(database: str) -> None:
    """100,000 sources over a slow line: all of it is committed minutes after the moment that it has written down."""
    async with bench_at(database) as bench:
        await bench.store.sync_sources([spec("a"), spec("b")], fingerprint="1")
        bench.age(3_600)
        first = await bench.store.changed_sources(None)
        second = await bench.store.changed_sources(first.latest, first.told)
        assert second.statuses == ()
        with bench.engine.begin() as connection:
            began = datetime.now(UTC) - timedelta(minutes=10)
            sync.sync(connection, [spec("a"), spec("b", category="x"), spec("c")], "2", "another", began)
        third = await bench.store.changed_sources(second.latest, second.told)
        assert [status.source.name for status in third.statuses] == ["b", "c"]
        fourth = await bench.store.changed_sources(third.latest, third.told)
        assert fourth.statuses == ()


class TestAdding:
    async def test_a_source_of_a_command_is_like_any_other(self, bench: Bench) -> None:
        assert await bench.store.add_source(FULL_SPEC)
        status = one(await bench.store.sources())
        row = bench.row(status.source.id)
        assert without(row, "id") == NEVER_POLLED | {"origin": "cli"}
        assert abs(datetime.now(UTC) - row["changed_at"]) < timedelta(seconds=30)
        assert (await taken(bench.store, status.source.id)).source.origin == "cli"

    async def test_text_that_no_database_keeps_is_replaced(self, bench: Bench) -> None:
        assert await bench.store.add_source(spec("a\0\ud800"))
        assert await bench.store.set_enabled("a\0\ud800", False) == "cli"
        assert one(await bench.store.sources()).source.name == "a\ufffd\ufffd"

    async def test_a_name_that_is_taken_stays_as_it_is(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        before = bench.row(source_id)
        assert not await bench.store.add_source(spec(category="x"))
        assert bench.row(source_id) == before
        assert len(await bench.store.sources()) == 1

    async def test_files_leave_it_alone(self, bench: Bench) -> None:
        await bench.store.add_source(spec())
        assert await bench.store.sync_sources([]) == SyncReport()
        assert one(await bench.store.sources()).source.origin == "cli"

    async def test_a_file_that_names_it_has_it_from_then_on(self, bench: Bench) -> None:
        await bench.store.add_source(spec())
        await bench.store.set_enabled("a", False)
        assert await bench.store.sync_sources([spec()]) == SyncReport(changed=("a",))
        assert one(await bench.store.sources()).source.origin == "file"
        assert await enabled(bench) == (True, False)

    @pytest.mark.parametrize("origin", ["file", "cli"])
    async def test_what_was_removed_is_taken_up_again_with_its_articles(
        self, bench: Bench, origin: str
    ) -> None:
        if origin == "file":
            await bench.store.sync_sources([spec()])
        else:
            await bench.store.add_source(spec())
        source_id = one(await bench.store.sources()).source.id
        claim = await taken(bench.store, source_id)
        await bench.store.record([step(claim, entry("1"), next_state=PollState(etag='"1"'))])
        if origin == "file":
            await bench.store.sync_sources([])
        else:
            await bench.store.remove_source("a")
        last = await begun(bench)
        assert await bench.store.add_source(spec(category="x"))
        status = one(await bench.store.sources(count_articles=True))
        assert (status.source.id, status.source.origin, status.state) == (source_id, "cli", "active")
        assert (status.source.spec.category, status.articles) == ("x", 1)
        assert bench.row(source_id)["etag"] == '"1"'
        assert await changed_names(bench, last) == ["a"]

    async def test_taken_up_at_another_place_it_forgets_what_was_learnt(self, bench: Bench) -> None:
        await bench.store.add_source(FULL_SPEC)
        source_id = one(await bench.store.sources()).source.id
        state = PollState('"1"', "Mon", "hash", {"page": 2})
        failed = step(await taken(bench.store, source_id), next_state=state, consecutive_failures=7)
        await bench.store.record([failed])
        await bench.store.remove_source("a")
        url = "https://new.example/"
        assert await bench.store.add_source(replace(FULL_SPEC, url=url))
        moments = ("last_fetched_at", "last_success_at")
        expected = NEVER_POLLED | {"origin": "cli", "url": url}
        assert without(bench.row(source_id), "id", *moments) == without(expected, *moments)


class TestAddingMany:
    async def test_all_are_like_one_that_was_added_alone(self, bench: Bench) -> None:
        await bench.store.add_source(spec("z"))
        last = await begun(bench)
        assert await bench.store.add_sources([FULL_SPEC, spec("b")]) == [True, True]
        first, second, _ = await bench.store.sources()
        assert second.source.spec == spec("b")
        assert without(bench.row(first.source.id), "id") == NEVER_POLLED | {"origin": "cli"}
        assert await changed_names(bench, last) == ["a", "b"]
        assert (await taken(bench.store, second.source.id)).source.origin == "cli"

    async def test_what_is_known_by_name_or_place_is_passed_over(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.add_source(spec("b"))
        before = bench.row(source_id)
        answers = await bench.store.add_sources(
            [
                spec("a", url="https://new.example/"),
                spec("new", url="https://b.example/feed"),
                spec("c"),
                spec("c", url="https://other.example/"),
                spec("d", url="https://c.example/feed"),
                spec("e", url="https://c.example/feed", kind="page"),
                spec("b\0", url="https://f.example/"),
            ]
        )
        assert answers == [False, False, True, False, False, True, True]
        assert bench.row(source_id) == before
        names = [status.source.name for status in await bench.store.sources()]
        assert names == ["a", "b", "b\ufffd", "c", "e"]

    async def test_nothing_is_no_change(self, bench: Bench) -> None:
        await bench.store.add_source(spec())
        last = await begun(bench)
        assert await bench.store.add_sources([]) == []
        assert await bench.store.add_sources([spec(category="x")]) == [False]
        assert await changed_names(bench, last) == []

    async def test_what_was_removed_is_taken_up_and_its_place_is_free(self, bench: Bench) -> None:
        await bench.store.add_sources([spec("a"), spec("b"), spec("c")])
        ids = {status.source.name: status.source.id for status in await bench.store.sources()}
        state = PollState(etag='"1"')
        for name in ("a", "b", "c"):
            await bench.store.record(
                [step(await taken(bench.store, ids[name]), entry("1"), next_state=state)]
            )
            await bench.store.remove_source(name)
        moved = spec("b", url="https://new.example/")
        elsewhere = spec("other", url="https://c.example/feed")
        assert await bench.store.add_sources([spec("a", category="x"), moved, elsewhere]) == [
            True,
            True,
            True,
        ]
        found = {one.source.name: one for one in await bench.store.sources(count_articles=True)}
        assert {name: (one.source.id, one.articles) for name, one in found.items()} == {
            "a": (ids["a"], 1),
            "b": (ids["b"], 1),
            "other": (found["other"].source.id, 0),
        }
        assert found["other"].source.id not in ids.values()
        assert [bench.row(ids[name])["etag"] for name in ("a", "b")] == ['"1"', None]
        assert found["a"].source.spec.category == "x"


class TestEnabling:
    async def test_a_command_goes_over_the_file(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        assert await bench.store.set_enabled("a", False) == "file"
        assert await enabled(bench) == (False, True)
        assert await bench.store.claim([ClaimRequest(source_id, 60, force=True)]) == [Gone("disabled")]
        assert await bench.store.set_enabled("a", True) == "file"
        assert await enabled(bench) == (True, False)
        assert bench.row(source_id)["enabled_override"] is None

    async def test_what_the_file_disables_a_command_enables(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec(enabled=False)))
        assert await bench.store.set_enabled("a", True) == "file"
        assert await enabled(bench) == (True, True)
        claim = await taken(bench.store, source_id)
        assert claim.source.spec.enabled
        await bench.store.record([step(claim)])
        row = bench.row(source_id)
        assert (row["enabled"], row["enabled_override"]) == (False, True)

    async def test_of_a_source_of_a_command_it_is_its_own_word(self, bench: Bench) -> None:
        await bench.store.add_source(spec())
        assert await bench.store.set_enabled("a", False) == "cli"
        assert await enabled(bench) == (False, False)

    async def test_the_word_of_a_command_outlives_files_that_say_nothing_new(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec("a"), spec("b")])
        await bench.store.set_enabled("a", False)
        assert await bench.store.sync_sources([spec("a"), spec("b")]) == SyncReport()
        assert await bench.store.sync_sources(
            [spec("a", url="https://new.example/"), spec("b")]
        ) == SyncReport(changed=("a",))
        renamed = spec("c", url="https://new.example/")
        assert (await bench.store.sync_sources([renamed, spec("b")])).renamed == (("a", "c"),)
        assert await enabled(bench, "c") == (False, True)

    async def test_the_file_has_the_word_again_when_it_changes_its_own(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec()])
        await bench.store.set_enabled("a", False)
        await bench.store.sync_sources([spec(enabled=False)])
        assert await enabled(bench) == (False, False)
        await bench.store.sync_sources([spec(enabled=True)])
        assert await enabled(bench) == (True, False)

    async def test_what_left_returns_as_the_file_has_it(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec()])
        await bench.store.set_enabled("a", False)
        await bench.store.sync_sources([])
        await bench.store.sync_sources([spec()])
        assert await enabled(bench) == (True, False)

    async def test_there_is_nobody_of_that_name(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec()])
        await bench.store.sync_sources([])
        assert await bench.store.set_enabled("a", False) is None
        assert await bench.store.set_enabled("b", False) is None


class TestRemoving:
    async def test_a_source_of_a_command_goes_and_its_articles_stay(self, bench: Bench) -> None:
        await bench.store.add_source(spec())
        source_id = one(await bench.store.sources()).source.id
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"))])
        claim = await taken(bench.store, source_id, force=True)
        assert await bench.store.remove_source("a") == "cli"
        assert await bench.store.sources() == []
        assert await bench.store.record([step(claim, entry("2"))]) == [LeaseLost()]
        assert len(bench.articles()) == 1
        row = bench.row(source_id)
        assert (row["state"], row["lease_owner"], row["lease_expires_at"]) == ("removed", None, None)
        assert await bench.store.remove_source("a") is None

    async def test_a_source_of_a_file_stays(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        before = bench.row(source_id)
        assert await bench.store.remove_source("a") == "file"
        assert bench.row(source_id) == before
        assert await bench.store.remove_source("b") is None


class TestPollingNow:
    async def test_makes_a_source_due(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        await bench.store.record([step(await taken(bench.store, source_id))])
        assert await bench.store.poll_now("a")
        status = one(await bench.store.sources())
        assert (status.next_fetch_at, status.schedule_reason) == (None, "asked for")
        await taken(bench.store, source_id)

    async def test_leaves_the_lease_in_force(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        claim = await taken(bench.store, source_id)
        assert await bench.store.poll_now("a")
        answer = one(await bench.store.claim([ClaimRequest(source_id, 60)]))
        assert isinstance(answer, Wait)
        assert answer.reason == "leased"
        await bench.store.record([step(claim)])
        assert bench.row(source_id)["schedule_reason"] == "interval"

    @pytest.mark.parametrize("already_put_off", [True, False])
    async def test_lifts_a_put_off_once(self, bench: Bench, already_put_off: bool) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        for _ in range(3):
            await taken(bench.store, source_id)
            bench.age(61)
        if already_put_off:
            assert isinstance(one(await bench.store.claim([ClaimRequest(source_id, 60)])), Wait)
        assert await bench.store.poll_now("a")
        # It is still polled as one that may kill the process,
        assert (await taken(bench.store, source_id)).unfinished_claims == 3
        bench.age(61)
        # and put off if it did.
        assert one(await bench.store.claim([ClaimRequest(source_id, 60)])) == Wait(60, "unfinished_claims", 4)

    async def test_a_put_off_stays_lifted_when_the_lease_in_force_is_given_back(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        for _ in range(3):
            await taken(bench.store, source_id)
            bench.age(61)
        await bench.store.poll_now("a")
        claim = await taken(bench.store, source_id)
        await bench.store.poll_now("a")
        await bench.store.release([Lease(source_id, claim.token)])
        assert isinstance(one(await bench.store.claim([ClaimRequest(source_id, 60)])), Claim)

    async def test_there_is_nobody_of_that_name(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec()])
        await bench.store.sync_sources([])
        assert not await bench.store.poll_now("a")
        assert not await bench.store.poll_now("b")


class TestFollowing:
    async def test_begins_with_nothing(self, bench: Bench) -> None:
        empty = await bench.store.changed_sources(None)
        assert replace(empty, latest=YEAR_ONE) == Changes((), YEAR_ONE, None, None, None)
        assert abs(datetime.now(UTC) - empty.latest) < timedelta(seconds=30)
        await bench.store.sync_sources([spec()])
        assert (await begun(bench)).statuses == ()

    async def test_finds_what_was_changed_by_name(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec(name) for name in "dcba"])
        last = await begun(bench)
        assert await changed_names(bench, last) == []
        await bench.store.sync_sources([spec("a"), spec("b"), spec("d", enabled=False)])
        assert await changed_names(bench, last) == ["c", "d"]

    @pytest.mark.parametrize("command", ["add_source", "set_enabled", "remove_source", "poll_now"])
    async def test_follows_every_command(self, bench: Bench, command: str) -> None:
        await bench.store.add_source(spec("a"))
        await bench.store.sync_sources([spec("f")])
        last = await begun(bench)
        changed: dict[str, Callable[[], Awaitable[object]]] = {
            "add_source": lambda: bench.store.add_source(spec("b")),
            "set_enabled": lambda: bench.store.set_enabled("f", False),
            "remove_source": lambda: bench.store.remove_source("a"),
            "poll_now": lambda: bench.store.poll_now("f"),
        }
        assert await changed[command]()
        changes = await bench.store.changed_sources(last.latest, last.told)
        status = one(changes.statuses)
        expected = {
            "add_source": ("b", True, "active", None),
            "set_enabled": ("f", False, "active", None),
            "remove_source": ("a", True, "removed", None),
            "poll_now": ("f", True, "active", "asked for"),
        }
        source = status.source
        assert (source.name, source.spec.enabled, status.state, status.schedule_reason) == expected[command]
        assert status.overridden is (command == "set_enabled")

    async def test_gives_a_change_once(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec("a"), spec("b")])
        last = await begun(bench)
        await bench.store.poll_now("a")
        first = await bench.store.changed_sources(last.latest, last.told)
        assert [status.source.name for status in first.statuses] == ["a"]
        second = await bench.store.changed_sources(first.latest, first.told)
        assert second.statuses == ()
        await bench.store.poll_now("a")
        await bench.store.set_enabled("b", False)
        assert await changed_names(bench, second) == ["a", "b"]

    async def test_what_was_committed_late_is_found_all_the_same(self, bench: Bench) -> None:
        """A change whose moment is earlier than that of a look which did not see it yet."""
        last = await bench.store.changed_sources(None)
        await bench.store.sync_sources([spec()])
        bench.age(50)
        assert await changed_names(bench, last) == ["a"]

    async def test_what_stood_before_all_was_read_is_no_news(self, bench: Bench) -> None:
        await bench.store.sync_sources([spec("a"), spec("b"), spec("c")])
        last = await bench.store.changed_sources(None)
        assert last.statuses == ()
        await bench.store.set_enabled("b", False)
        assert [status.source.name for status in await bench.store.sources()] == ["a", "b", "c"]
        assert await changed_names(bench, last) == ["b"]

    async def test_polls_are_not_followed(self, bench: Bench) -> None:
        source_id = one(await source_ids(bench.store, spec()))
        last = await begun(bench)
        await bench.store.record([step(await taken(bench.store, source_id), entry("1"))])
        assert await changed_names(bench, last) == []


YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
