"""What a start opens first: the store, and in it the sources, as the files have them. Nothing that fetches or reads is
imported here: where nothing is due nobody needs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import trio

from digestd import __version__
from digestd.config import Configuration, database_url
from digestd.daemon.allocation import give_back_large_blocks
from digestd.daemon.ending import Ending
from digestd.errors import StoreUnavailable
from digestd.log import get_logger
from digestd.masking import mask_url
from digestd.metrics import Metrics
from digestd.model import SourceStatus
from digestd.repeats import Seldom
from digestd.store import Changes, Store, SyncReport
from digestd.store.owner import current_owner
from digestd.store.sql import open_store

START_PATIENCE_SECONDS = 80.0
"""For how long a start waits for a database that was opened and cannot be used."""


@dataclass(frozen=True, slots=True)
class Known:
    """The store, the name of this process in it, and the enabled sources with their state. That is the one list of
    them, which whoever has started them can clear: of 100,000 it takes up 150 MB. `seen` is from before they were read:
    what was changed since may not be in them."""

    store: Store
    owner: str
    statuses: list[SourceStatus]
    seen: Changes


@asynccontextmanager
async def open_known(
    config: Configuration, environ: Mapping[str, str], ending: Ending, metrics: Metrics
) -> AsyncIterator[Known | None]:
    """The store, with the sources of the files. None when a signal came before it stood.

    Error handling: :class:`digestd.errors.StoreError` when the database is not to be had, or was opened and cannot be
    used for over a minute.
    """
    give_back_large_blocks()
    owner = current_owner()
    async with AsyncExitStack() as opened:
        store = await _opened_store(config, environ, ending, owner, metrics, opened)
        found = None if store is None else await _synced(config, store, ending)
        if store is None or found is None:
            yield None
            return
        seen, statuses = found
        statuses[:] = [status for status in statuses if status.source.spec.enabled]
        del found
        yield Known(store, owner, statuses, seen)


async def _opened_store(
    config: Configuration,
    environ: Mapping[str, str],
    ending: Ending,
    owner: str,
    metrics: Metrics,
    opened: AsyncExitStack,
) -> Store | None:
    """The store, entered into `opened`; None when a signal came first."""
    database = config.settings.database
    store_context = open_store(
        database_url(database, environ),
        owner=owner,
        pool_size=database.pool_size,
        connect_timeout_seconds=database.connect_timeout_seconds,
        calls=metrics.store,
    )
    store: Store | None = None
    try:
        # A signal ends the wait for a database: nothing depends on it yet.
        with ending.shutdown.idle():
            store = await opened.enter_async_context(store_context)
    except StoreUnavailable:
        # Who was told to stop while it waited for a database has nothing to complain about.
        if not ending.shutdown.begun.is_set():
            raise
    return None if ending.shutdown.begun.is_set() else store


def tell_started(config: Configuration, environ: Mapping[str, str], sources: int) -> None:
    """Log what runs, and by which settings."""
    worker = config.settings.worker
    get_logger().info(
        "worker.started",
        version=__version__,
        configuration=str(config.file) if config.file else None,
        database=mask_url(database_url(config.settings.database, environ)),
        sources=sources,
        interval_seconds=worker.interval_seconds,
        jitter_seconds=worker.jitter_seconds,
        max_sources=worker.max_sources,
    )


def tell_stopped(metrics: Metrics, now: float) -> None:
    """Log the totals and the end."""
    get_logger().info("worker.metrics", **metrics.event(now))
    get_logger().info("worker.stopped", uptime_seconds=round(now - metrics.started, 3))


async def _synced(
    config: Configuration, store: Store, ending: Ending
) -> tuple[Changes, list[SourceStatus]] | None:
    """Make the store's sources those of the files, and read them with their state, and before that what was changed
    lately; None when a signal came first.

    The database was there a moment ago. If it is busy now, with the long first lists of others for one, that is waited
    for: `StoreUnavailable` only when it lasts.
    """
    for warning in config.warnings:
        get_logger().warning("worker.configuration.warning", message=warning)
    deadline = trio.current_time() + START_PATIENCE_SECONDS
    # systemd may start us again and again, for as long as the database is busy.
    telling = Seldom(gap=5.0)
    while not ending.shutdown.begun.is_set():
        try:
            await _apply(config, store)
            return await store.changed_sources(None), await store.sources()
        except StoreUnavailable as error:
            if trio.current_time() > deadline:
                raise
            if telling.is_due(trio.current_time()):
                get_logger().warning("worker.start.waiting", error=str(error), effect="tried every second")
        with ending.shutdown.idle():
            await trio.sleep(1)
    return None


async def _apply(config: Configuration, store: Store) -> None:
    if config.file is None and not config.sources:
        # Without any file an empty list is no decision to remove everything that was polled before.
        get_logger().warning(
            "worker.configuration.warning", message="no settings file was found; `digestd init` writes one"
        )
    else:
        tell_synced(await store.sync_sources(config.sources, fingerprint=config.fingerprint))


def tell_synced(report: SyncReport) -> None:
    """Log what became of the list of sources."""
    if (other := report.replaced) is not None:
        get_logger().warning(
            "worker.sources.replaced",
            owner=other.owner,
            written_at=other.written_at.isoformat(),
            effect="another process wrote another list of sources: ours is in force from now on",
        )
    if replace(report, replaced=None) != SyncReport():
        get_logger().info(
            "worker.sources.synced",
            added=len(report.added),
            changed=list(report.changed),
            renamed=[f"{old} -> {new}" for old, new in report.renamed],
            removed=list(report.removed),
            returned=list(report.returned),
        )
