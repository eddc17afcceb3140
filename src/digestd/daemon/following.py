"""Keeping up: with the files of this process (SIGHUP, a ConfigMap that changed) and with what other processes, or
commands, change in the database that all of them share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import trio

from digestd.config import Configuration, content_of
from digestd.daemon.ending import Ending
from digestd.daemon.opening import tell_synced
from digestd.daemon.pipeline import Pipeline
from digestd.daemon.reporting import Reporting
from digestd.errors import ConfigurationError, StoreUnavailable
from digestd.ingest.supervisor import Supervisor
from digestd.log import get_logger, set_up
from digestd.store import Changes, Store

REFRESH_SECONDS = 5.0
"""How often changed rows are looked for; a notification of PostgreSQL comes sooner."""
CONTENT_SECONDS = 30.0
"""How often the files of sources are compared: a ConfigMap that changes sends no signal."""
FOREIGN_LIST_SECONDS = 120.0
"""How long another list of sources may be in force before we warn: files of replicas do not change at one moment."""

_RELOADED = ("worker",)


@dataclass(slots=True)
class _List:
    """The list of sources in force that is not ours, since when, and whether that was told."""

    fingerprint: str
    since: float
    told: bool = False


class Following:
    """Keeps the tasks of sources to what files and database say. One for the daemon.

    `load` reads the configuration again as the command line asked for it; it blocks, and raises
    :class:`~digestd.errors.ConfigurationError`.
    """

    def __init__(
        self,
        config: Configuration,
        load: Callable[[], Configuration],
        pipeline: Pipeline,
        supervisor: Supervisor,
        ending: Ending,
        reporting: Reporting,
    ) -> None:
        self._config = config
        self._fingerprint = config.fingerprint
        self._load = load
        self._pipeline = pipeline
        self._store: Store = pipeline.store
        self._supervisor = supervisor
        self._ending = ending
        self._reporting = reporting
        # What the tasks began with needs not be followed: of a list that is new, each of 100,000 would begin anew.
        seen = pipeline.seen
        self._since: datetime | None = None if seen is None else seen.latest
        self._told_rows: frozenset[tuple[int, object]] = frozenset() if seen is None else seen.told
        self._foreign: _List | None = None
        self._content = config.source_content
        self._postponed = False
        self._told = trio.Event()
        # Reading files must wait for no database, nor for a name that hangs.
        self._threads = trio.CapacityLimiter(1)
        self._reloading = trio.Lock()

    async def run(self, sources: trio.Nursery) -> None:
        """Follow until shutdown begins, starting tasks of new sources in `sources`.

        Error handling: a file that is wrong changes nothing, and is told; an outage of the store is waited for; a bug
        is logged, and it goes on. Cancellation: may be cancelled at any moment.
        """
        with self._ending.shutdown.idle():
            async with trio.open_nursery() as followers:
                followers.start_soon(self._refresh_for_ever, sources, name="refresh")
                followers.start_soon(self._listen, name="listen")
                followers.start_soon(self._watch_files, name="files")
                while True:
                    await self._ending.reload_asked.wait()
                    self._ending.reload_asked = trio.Event()
                    async with self._reloading:
                        await self._reload(settings=True)

    async def _reload(self, *, settings: bool) -> None:
        """Read everything again and apply the sources; the `settings` too, where somebody asked for it."""
        self._reporting.reloading()
        self._reporting.remark = "the last reload was refused or is not over, see the log"
        log = get_logger()
        try:
            config = await trio.to_thread.run_sync(self._load, limiter=self._threads, abandon_on_cancel=True)
            if settings:
                self._apply_settings(config)
            await self._apply_sources(config)
            self._reporting.remark = None
        except ConfigurationError as error:
            log.error("worker.reload.refused", problems=list(error.problems), effect="nothing was changed")
            self._postponed = False
        except StoreUnavailable as error:
            # The content is compared again, and found to be another than the one applied.
            self._content = ""
            if settings or not self._postponed:
                log.error("worker.reload.postponed", error=str(error), effect="tried every half minute")
            self._postponed = True
        # The border round a reload, which the daemon must survive.
        except Exception:
            log.exception("worker.reload.crashed", effect="what was not applied yet stays as it was")
        finally:
            self._reporting.ready()

    def _apply_settings(self, config: Configuration) -> None:
        old, new = self._config.settings, config.settings
        self._pipeline.around.poller.adopt(new.worker)
        self._pipeline.around.slots.resize(new.worker.max_sources)
        self._supervisor.interval_seconds = new.worker.interval_seconds
        self._ending.grace_seconds = new.worker.shutdown_grace_seconds
        set_up(new.worker.log_level, new.worker.log_format)
        sections = [name for name in type(new).model_fields if getattr(old, name) != getattr(new, name)]
        waiting = [name for name in sections if name not in _RELOADED]
        get_logger().info("worker.reloaded", changed=[name for name in sections if name in _RELOADED])
        if waiting:
            get_logger().warning(
                "worker.reload.restart_needed", sections=waiting, effect="the old ones stay in force"
            )

    async def _apply_sources(self, config: Configuration) -> None:
        self._pipeline.doors.adopt(config.secrets)
        fingerprint = config.fingerprint
        report = await self._store.sync_sources(config.sources, fingerprint=fingerprint)
        if report.replaced is not None and report.replaced.fingerprint == self._fingerprint:
            # Another replica had written what was our list, too, until now: nobody has other files.
            report = replace(report, replaced=None)
        self._config, self._fingerprint, self._content = config, fingerprint, config.source_content
        self._postponed = False
        for warning in config.warnings:
            get_logger().warning("worker.configuration.warning", message=warning)
        tell_synced(report)
        self._told.set()

    async def _watch_files(self) -> None:
        while True:
            content = await trio.to_thread.run_sync(
                content_of, self._config.source_files, limiter=self._threads, abandon_on_cancel=True
            )
            if self._content is None:
                self._content = content
            elif content != self._content:
                self._content = content
                if not self._postponed:
                    files = [str(file) for file in self._config.source_files]
                    get_logger().info("worker.sources.changed", files=files)
                async with self._reloading:
                    await self._reload(settings=False)
            await trio.sleep(CONTENT_SECONDS)

    async def _refresh_for_ever(self, sources: trio.Nursery) -> None:
        while True:
            try:
                changes = await self._store.changed_sources(self._since, self._told_rows)
                self._follow(sources, changes)
                # Where nobody looked before the sources were read, all that was changed lately counts as news.
                self._told_rows = changes.told if self._since is not None else frozenset()
                self._since = changes.latest
            except StoreUnavailable:
                # The sources' tasks tell it.
                pass
            # The border round the refresh: a bug in it must not end the daemon.
            except Exception as bug:  # noqa: BLE001 - see above
                self._tell_crash("worker.refresh.crashed", bug, "tried again in a few seconds")
            else:
                crashes = self._pipeline.around.crashes
                crashes.over(
                    "worker.refresh.crashed", subject="worker.refresh.crashed", now=trio.current_time()
                )
            with trio.move_on_after(REFRESH_SECONDS):
                await self._told.wait()
            self._told = trio.Event()

    def _follow(self, sources: trio.Nursery, changes: Changes) -> None:
        for status in changes.statuses:
            wanted = status.source.spec.enabled and status.state not in ("removed", "duplicate")
            pollable = wanted and self._pipeline.kinds.has(status.source.spec)
            self._supervisor.follow(sources, status, pollable=pollable)
        self._watch_list(changes)

    def _watch_list(self, changes: Changes) -> None:
        """Warn when the list of another process, from other files, stays in force: the last one written wins."""
        found = changes.list_fingerprint
        if found is None or found == self._fingerprint or changes.list_owner == self._pipeline.owner:
            self._foreign = None
            return
        if self._foreign is None or self._foreign.fingerprint != found:
            self._foreign = _List(found, trio.current_time())
        elif not self._foreign.told and trio.current_time() - self._foreign.since > FOREIGN_LIST_SECONDS:
            self._foreign.told = True
            get_logger().warning(
                "worker.sources.other_list",
                owner=changes.list_owner,
                written_at=changes.list_written_at and changes.list_written_at.isoformat(),
                effect="its sources are in force, as they were written last",
                remedy="give all processes on this database the same sources",
            )

    async def _listen(self) -> None:
        """Refresh at once when the database tells of a change; where it cannot, the regular look is enough."""
        while True:
            try:
                async with self._store.changes_told() as told:
                    while True:
                        await told()
                        self._told.set()
            except StoreUnavailable:
                await trio.sleep(REFRESH_SECONDS)
            # The border round a mere shortcut.
            except Exception as bug:  # noqa: BLE001 - see above
                self._tell_crash("worker.listen.crashed", bug, "changes are seen within seconds anyway")
                await trio.sleep(60)

    def _tell_crash(self, event: str, bug: Exception, effect: str) -> None:
        crashes = self._pipeline.around.crashes
        crashes.tell(event, bug, subject=event, now=trio.current_time(), effect=effect)
