"""The daemon follows its files, and what others change in the database, touching only the tasks concerned."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, ClassVar, cast

import pytest
import trio
import trio.testing
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.config import Configuration, Settings, WorkerSettings, content_of
from digestd.daemon import following as module
from digestd.daemon.ending import Ending
from digestd.daemon.following import Following
from digestd.daemon.health import Health
from digestd.daemon.pipeline import Kinds, Pipeline
from digestd.daemon.reporting import Reporting
from digestd.errors import ConfigurationError, StoreUnavailable
from digestd.ingest.bell import Bell
from digestd.ingest.supervisor import Supervisor
from digestd.model import SourceSpec
from digestd.systemd import Notifier
from support.polling import Bench, always, fetched


class Told(Notifier):
    """Keeps what systemd would be told."""

    lines: ClassVar[list[str]] = []

    def _send(self, message: bytes) -> None:
        self.lines.append(message.decode().splitlines()[0])


@pytest.fixture(autouse=True)
def levels(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The logging that was set up; really doing it would take the lines away from the tests."""
    calls: list[tuple[str, str]] = []
    monkeypatch.setattr(module, "set_up", lambda level, style: calls.append((level, style)))
    return calls


@pytest.fixture(autouse=True)
def without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock that jumps does not wait for threads."""

    async def run_sync(work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        await trio.lowlevel.checkpoint()
        return work(*arguments)

    monkeypatch.setattr(trio.to_thread, "run_sync", run_sync)


def spec(name: str, **changes: Any) -> SourceSpec:
    return replace(SourceSpec(name, "feed", f"https://{name}.example/feed"), **changes)


class Daemon:
    """The sources of a bench run as the daemon runs them, with files that are a function."""

    def __init__(self, bench: Bench, *specs: SourceSpec) -> None:
        self.bench = bench
        self.config = Configuration(Path("digestd.yaml"), Settings(worker=bench.settings), specs)
        self.files: Callable[[], Configuration] = lambda: self.config
        self.notifier = Told()
        self.notifier.lines.clear()
        self.ending = Ending(8)
        self.ending.shutdown = bench.shutdown
        self.supervisor = Supervisor(bench.around, bench.metrics, bench.settings.interval_seconds)
        kinds = cast(Kinds, SimpleNamespace(has=lambda spec: spec.kind == "feed"))
        self.pipeline = Pipeline(bench.around, [], None, bench.store, "me", kinds, Bell(), bench.doors)
        self.following: Following | None = None
        health = Health(self.pipeline, self.supervisor, bench.metrics)
        self.reporting = Reporting(self.notifier, health.state, bench.shutdown)

    async def run(self, nursery: trio.Nursery) -> None:
        """Start as the daemon does."""
        await self.bench.store.sync_sources(self.config.sources, fingerprint=self.config.fingerprint)
        self.pipeline = replace(self.pipeline, seen=await self.bench.store.changed_sources(None))
        self.supervisor.start(nursery, await self.bench.store.sources())
        self.following = Following(
            self.config, lambda: self.files(), self.pipeline, self.supervisor, self.ending, self.reporting
        )
        nursery.start_soon(self.following.run, nursery)
        await trio.testing.wait_all_tasks_blocked()

    def change(self, *specs: SourceSpec, **worker: Any) -> None:
        """Let the files say something else."""
        settings = Settings(worker=WorkerSettings(**{**self.bench.settings.model_dump(), **worker}))
        self.config = replace(self.config, settings=settings, sources=specs)


def events(logs: Sequence[MutableMapping[str, Any]], name: str) -> list[MutableMapping[str, Any]]:
    return [line for line in logs if line["event"] == name]


async def test_what_a_command_adds_is_polled_within_seconds(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(100)
        assert await daemon.bench.store.add_source(spec("two"))
        await trio.sleep(module.REFRESH_SECONDS + 1.1)
        assert len(daemon.bench.times("two")) == 1
        assert (daemon.supervisor.running, daemon.supervisor.enabled) == (2, 2)
        await trio.sleep(900)
        assert len(daemon.bench.times("two")) == 4
        assert len(daemon.bench.times("one")) == 4
        nursery.cancel_scope.cancel()


async def test_the_sources_of_a_new_list_begin_each_at_its_own_moment(autojump_clock: MockClock) -> None:
    """What the first looks find is that all of them are new, which is known."""
    names = [f"s{number}" for number in range(60)]
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), *map(spec, names))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(2 * module.REFRESH_SECONDS + 1)
        assert sum(len(daemon.bench.times(name)) for name in names) < 25
        await trio.sleep(60)
        assert all(len(daemon.bench.times(name)) == 1 for name in names)
        nursery.cancel_scope.cancel()


async def test_what_a_command_disables_or_removes_is_polled_no_more(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=10), spec("one"), spec("two"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await daemon.bench.store.add_source(spec("three"))
        await trio.sleep(60)
        await daemon.bench.store.set_enabled("one", False)
        await daemon.bench.store.remove_source("three")
        await trio.sleep(6)
        assert (daemon.supervisor.running, daemon.supervisor.enabled) == (1, 1)
        before = {name: len(daemon.bench.times(name)) for name in ("one", "two", "three")}
        await trio.sleep(100)
        after = {name: len(daemon.bench.times(name)) for name in ("one", "two", "three")}
        assert (after["one"], after["three"]) == (before["one"], before["three"])
        assert after["two"] >= before["two"] + 9
        await daemon.bench.store.set_enabled("one", True)
        await trio.sleep(16)
        assert len(daemon.bench.times("one")) > after["one"]
        nursery.cancel_scope.cancel()


async def test_a_source_that_is_to_be_polled_now_is(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=80_000), spec("one"), spec("two"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(100)
        assert await daemon.bench.store.poll_now("one")
        await trio.sleep(module.REFRESH_SECONDS + 0.1)
        assert [len(daemon.bench.times(name)) for name in ("one", "two")] == [2, 1]
        nursery.cancel_scope.cancel()


async def test_sighup_applies_sources_and_settings_and_touches_nobody_else(
    autojump_clock: MockClock, levels: list[tuple[str, str]]
) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"), spec("two"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(10)
        daemon.change(spec("one"), spec("three"), interval_seconds=50.0, max_sources=3, log_level="DEBUG")
        with capture_logs() as logs:
            daemon.ending.reload_asked.set()
            await trio.sleep(5)
        assert daemon.supervisor.running == 2
        assert len(daemon.bench.times("three")) == 1
        assert daemon.bench.slots.total == 3
        assert levels == [("DEBUG", "auto")]
        assert daemon.notifier.lines == ["RELOADING=1", "READY=1"]
        assert events(logs, "worker.reloaded")[0]["changed"] == ["worker"]
        assert len(daemon.bench.times("one")) == 1, "its sleep goes on"
        await trio.sleep(400)
        assert daemon.bench.times("one")[1] == pytest.approx(daemon.bench.times("one")[0] + 300)
        assert daemon.bench.times("one")[2] == pytest.approx(daemon.bench.times("one")[1] + 50)
        assert len(daemon.bench.times("two")) == 1
        nursery.cancel_scope.cancel()


async def test_a_wrong_file_changes_nothing_and_is_told(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))

    def wrong() -> Configuration:
        raise ConfigurationError(["sources.yaml: sources[0]: name: missing"])

    daemon.files = wrong
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        with capture_logs() as logs:
            daemon.ending.reload_asked.set()
            await trio.sleep(1)
        (line,) = events(logs, "worker.reload.refused")
        assert line["problems"] == ["sources.yaml: sources[0]: name: missing"]
        assert daemon.supervisor.running == 1
        assert daemon.notifier.lines == ["RELOADING=1", "READY=1"]
        assert daemon.reporting.remark == "the last reload was refused or is not over, see the log"
        daemon.files = lambda: daemon.config
        daemon.ending.reload_asked.set()
        await trio.sleep(1)
        assert daemon.reporting.remark is None
        nursery.cancel_scope.cancel()


async def test_what_needs_a_restart_is_said(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a"))), spec("one"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        settings = daemon.config.settings
        fetch = settings.fetch.model_copy(update={"max_redirects": 1})
        daemon.config = replace(daemon.config, settings=settings.model_copy(update={"fetch": fetch}))
        with capture_logs() as logs:
            daemon.ending.reload_asked.set()
            await trio.sleep(1)
        assert events(logs, "worker.reload.restart_needed")[0]["sections"] == ["fetch"]
        nursery.cancel_scope.cancel()


async def test_files_of_sources_are_followed_without_a_signal(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("one")
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    daemon.config = replace(daemon.config, source_files=(file,))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(40)
        file.write_text("one, two")
        daemon.change(spec("one"), spec("two"), interval_seconds=10.0)
        await trio.sleep(module.CONTENT_SECONDS + module.REFRESH_SECONDS)
        assert len(daemon.bench.times("two")) == 1
        await trio.sleep(100)
        assert len(daemon.bench.times("one")) == 1, "settings wait for a signal"
        nursery.cancel_scope.cancel()


async def test_what_changed_before_the_first_look_is_followed(
    autojump_clock: MockClock, tmp_path: Path
) -> None:
    """A start takes its time between reading the files and watching them, with a long list above all."""
    file = tmp_path / "sources.yaml"
    file.write_text("one")
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    daemon.config = replace(daemon.config, source_files=(file,), source_content=content_of([file]))
    async with trio.open_nursery() as nursery:
        file.write_text("one, two")
        read = daemon.config
        daemon.change(spec("one"), spec("two"))
        daemon.config = replace(daemon.config, source_content=content_of([file]))
        changed, daemon.config = daemon.config, read
        daemon.files = lambda: changed
        with capture_logs() as logs:
            await daemon.run(nursery)
            await trio.sleep(module.REFRESH_SECONDS + 100)
        assert len(daemon.bench.times("two")) == 1
        assert len(events(logs, "worker.sources.changed")) == 1
        nursery.cancel_scope.cancel()


async def test_what_a_signal_took_over_is_no_change(autojump_clock: MockClock, tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("one")
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    daemon.config = replace(daemon.config, source_files=(file,), source_content=content_of([file]))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(10)
        file.write_text("one, two")
        daemon.change(spec("one"), spec("two"))
        daemon.config = replace(daemon.config, source_content=content_of([file]))
        with capture_logs() as logs:
            daemon.ending.reload_asked.set()
            await trio.sleep(2 * module.CONTENT_SECONDS)
        assert len(events(logs, "worker.reloaded")) == 1
        assert events(logs, "worker.sources.changed") == []
        nursery.cancel_scope.cancel()


async def test_a_reload_during_an_outage_is_made_up_for(autojump_clock: MockClock, tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text("one")
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    daemon.config = replace(daemon.config, source_files=(file,))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(10)
        daemon.bench.store.outage = True
        file.write_text("one, two")
        daemon.change(spec("one"), spec("two"))
        with capture_logs() as logs:
            await trio.sleep(3_600)
        assert len(events(logs, "worker.reload.postponed")) == 1, "told once, however long it takes"
        assert len(events(logs, "worker.sources.changed")) == 1
        daemon.bench.store.outage = False
        await trio.sleep(60)
        assert len(daemon.bench.times("two")) == 1
        nursery.cancel_scope.cancel()


async def test_another_list_that_stays_in_force_is_warned_of_once(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        store = daemon.bench.store
        mine = store._owner
        store._owner = "other"
        await store.sync_sources([spec("two")], fingerprint="f" * 64)
        store._owner = mine
        with capture_logs() as logs:
            await trio.sleep(1_000)
        (line,) = events(logs, "worker.sources.other_list")
        assert line["owner"] == "other"
        assert daemon.supervisor.running == 1
        assert len(daemon.bench.times("two")) >= 3
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("same_before", [True, False])
async def test_a_list_that_was_ours_until_now_is_nobody_elses(
    autojump_clock: MockClock, same_before: bool
) -> None:
    """Files of replicas change at nearly one moment: the first to follow replaces what another wrote of the same."""
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        store = daemon.bench.store
        mine, store._owner = store._owner, "other"
        fingerprint = daemon.config.fingerprint if same_before else "f" * 64
        await store.sync_sources([spec("one")], fingerprint="e" * 64)
        await store.sync_sources([spec("one")], fingerprint=fingerprint)
        store._owner = mine
        daemon.change(spec("one"), spec("two"))
        with capture_logs() as logs:
            daemon.ending.reload_asked.set()
            await trio.sleep(5)
        assert [line["owner"] for line in events(logs, "worker.sources.replaced")] == (
            [] if same_before else ["other"]
        )
        assert len(events(logs, "worker.sources.synced")) == 1
        nursery.cancel_scope.cancel()


async def test_a_bug_in_the_refresh_does_not_end_it(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        with capture_logs() as logs:
            await trio.sleep(100)
            daemon.bench.store.fail_next(ValueError("odd"))
            await trio.sleep(10)
        assert len(events(logs, "worker.refresh.crashed")) == 1
        await daemon.bench.store.add_source(spec("two"))
        await trio.sleep(10)
        assert len(daemon.bench.times("two")) == 1
        nursery.cancel_scope.cancel()


class Notifications(AbstractAsyncContextManager[Callable[[], Any]]):
    """A listener that tells at second 100 and breaks at second 200."""

    def __init__(self) -> None:
        self.opened = 0

    async def __aenter__(self) -> Callable[[], Any]:
        self.opened += 1
        return self._told

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def _told(self) -> None:
        await trio.sleep(100)
        if trio.current_time() % 200 < 1:
            raise StoreUnavailable("the connection broke")


async def test_a_notification_is_acted_on_at_once_and_a_broken_listener_is_opened_again(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REFRESH_SECONDS", 1_000.0)
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    listener = Notifications()
    monkeypatch.setattr(daemon.bench.store, "changes_told", lambda: listener)
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(50)
        await daemon.bench.store.add_source(spec("two"))
        await trio.sleep(52)
        assert len(daemon.bench.times("two")) == 1
        await trio.sleep(2_000)
        assert listener.opened >= 2
        nursery.cancel_scope.cancel()


async def test_shutdown_ends_it_at_once(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))
    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            await daemon.run(nursery)
            daemon.bench.shutdown.begin()


async def test_a_bug_in_a_reload_does_not_end_the_daemon(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=300), spec("one"))

    def odd() -> Configuration:
        raise ValueError("odd")

    daemon.files = odd
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        with capture_logs() as logs:
            daemon.ending.reload_asked.set()
            await trio.sleep(1)
        assert len(events(logs, "worker.reload.crashed")) == 1
        assert daemon.notifier.lines == ["RELOADING=1", "READY=1"]
        await daemon.bench.store.add_source(spec("two"))
        await trio.sleep(10)
        assert len(daemon.bench.times("two")) == 1
        nursery.cancel_scope.cancel()


async def test_a_source_enabled_again_before_its_task_has_ended_is_polled(autojump_clock: MockClock) -> None:
    daemon = Daemon(Bench(always(fetched("a")), interval_seconds=10), spec("one"))
    async with trio.open_nursery() as nursery:
        await daemon.run(nursery)
        await trio.sleep(15)
        status = await daemon.bench.status()
        daemon.supervisor.follow(nursery, status, pollable=False)
        daemon.supervisor.follow(nursery, status, pollable=True)
        before = len(daemon.bench.times())
        await trio.sleep(60)
        assert daemon.supervisor.running == 1
        assert len(daemon.bench.times()) >= before + 5
        nursery.cancel_scope.cancel()
