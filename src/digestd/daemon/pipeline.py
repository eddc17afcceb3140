"""Everything that polls stand on, opened in the order of outliving."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

import trio

from digestd import __version__, kinds
from digestd.config import Configuration, Settings, database_url
from digestd.daemon.allocation import give_back_large_blocks
from digestd.daemon.ending import Ending
from digestd.errors import StoreUnavailable
from digestd.feed.outage import OutageDetector
from digestd.ingest.bell import Bell
from digestd.ingest.budgets import SharedBudgets
from digestd.ingest.doors import Doors
from digestd.ingest.extraction.pages import Pages
from digestd.ingest.extraction.service import TURN_SECONDS, Extraction, Limits
from digestd.ingest.http import open_http
from digestd.ingest.network.host_keys import host_of
from digestd.ingest.politeness import Hosts
from digestd.ingest.poll import LEASE_MARGIN_SECONDS, Poller
from digestd.ingest.robots import Robots
from digestd.ingest.slots import Slots
from digestd.ingest.source import Surroundings
from digestd.ingest.storing import StoreAccess
from digestd.ingest.workers.pool import open_parser, open_reader
from digestd.log import get_logger
from digestd.masking import mask_url
from digestd.metrics import Metrics
from digestd.model import SourceSpec, SourceStatus
from digestd.repeats import Seldom
from digestd.store import Store, SyncReport
from digestd.store.owner import current_owner
from digestd.store.sql import open_store

PARSERS = 2
"""Feeds read at one time: one that is slow to read must not hold up all others."""

START_PATIENCE_SECONDS = 80.0
"""For how long a start waits for a database that was opened and cannot be used."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What the sources' tasks run on, the enabled sources with their state, and the extraction of articles unless it is
    turned off."""

    around: Surroundings
    statuses: list[SourceStatus]
    extraction: Extraction | None
    store: Store
    owner: str
    kinds: Kinds
    bell: Bell
    doors: Doors


class Kinds:
    """The kinds that are in use: those `used` at start, and others when a source of theirs comes."""

    def __init__(self, tools: kinds.Tools, used: frozenset[str]) -> None:
        self.by_name: dict[str, kinds.Kind] = dict(kinds.load(used, tools))
        self._tools = tools
        self._tried = set(used)

    def has(self, spec: SourceSpec) -> bool:
        """Whether the source of `spec` can be polled; one whose kind is not installed here is named in the log."""
        if spec.kind not in self._tried:
            self._tried.add(spec.kind)
            self.by_name.update(kinds.load(frozenset({spec.kind}), self._tools))
        if spec.kind in self.by_name:
            return True
        get_logger().error(
            "worker.source.unknown_kind", source=spec.name, kind=spec.kind, effect="it is not polled"
        )
        return False


@asynccontextmanager
async def open_pipeline(
    config: Configuration,
    environ: Mapping[str, str],
    ending: Ending,
    metrics: Metrics,
    on_page: Callable[[str], None] = lambda outcome: None,
) -> AsyncIterator[Pipeline | None]:
    """Store, HTTP, parser and reader, opened in this order and closed in the other. None when a signal came before they
    stood. `on_page` is told the outcome of each attempt at an article's page.

    Error handling: :class:`digestd.errors.StoreError` when the database is not to be had, or was opened and cannot be
    used for over a minute.
    """
    give_back_large_blocks()
    settings = config.settings
    owner = current_owner()
    async with AsyncExitStack() as opened:
        store = await _opened_store(config, environ, ending, owner, metrics, opened)
        if store is None:
            yield None
            return
        statuses = await _synced(config, store, ending)
        if statuses is None:
            yield None
            return
        # One list, which whoever has started the sources can clear: of 100,000 it takes up 150 MB.
        statuses[:] = [status for status in statuses if status.source.spec.enabled]
        fetch = settings.fetch
        hosts = Hosts(fetch.per_host_concurrency, fetch.per_host_delay_seconds, fetch.hosts)
        async with (
            open_http(settings.fetch, hosts) as http,
            open_parser(PARSERS, parses=metrics.feed_parses) as parse,
            open_reader(settings.extract.processes, settings.extract.timeout_seconds) as read,
        ):
            access = StoreAccess(store, metrics)
            bell = Bell()
            chance = random.Random()  # noqa: S311 - jitter is no secret
            used = frozenset(status.source.spec.kind for status in statuses)
            tools = kinds.Tools(parse_feed=parse, read=parse.read, budgets=SharedBudgets(store.budgets))
            loaded = Kinds(tools, used)
            statuses[:] = [status for status in statuses if loaded.has(status.source.spec)]
            doors = Doors(http, config.secrets)
            poller = Poller(
                store=access,
                doors=doors,
                kinds=loaded.by_name,
                network=OutageDetector(_answered_last_time(statuses)),
                metrics=metrics,
                settings=settings.worker,
                chance=chance,
                extract=settings.extract.enabled,
                news=bell,
            )
            slots = Slots(settings.worker.max_sources)
            around = Surroundings(poller, access, hosts, slots, ending.shutdown, chance)
            extraction = None
            if settings.extract.enabled:
                pages = Pages(http, Robots(http), hosts, read, user_agent=settings.fetch.user_agent)
                extraction = _extraction(settings, pages, around, metrics, bell, on_page)
            yield Pipeline(around, statuses, extraction, store, owner, loaded, bell, doors)


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


def _extraction(
    settings: Settings,
    pages: Pages,
    around: Surroundings,
    metrics: Metrics,
    bell: Bell,
    on_page: Callable[[str], None],
) -> Extraction:
    fetch, extract = settings.fetch, settings.extract
    # For robots.txt and the page, and for every page before it to be read.
    work = 2 * fetch.timeout_seconds + extract.timeout_seconds * (1 + extract.max_pages / extract.processes)
    limits = Limits(
        pages=extract.max_pages,
        # As many as can be at work at one time, if all are on one host.
        per_source=fetch.per_host_concurrency + extract.processes + 1,
        lease_seconds=TURN_SECONDS + work + LEASE_MARGIN_SECONDS,
    )
    return Extraction(
        pages=pages,
        store=around.store,
        hosts=around.hosts,
        shutdown=around.shutdown,
        metrics=metrics,
        chance=around.chance,
        limits=limits,
        bell=bell,
        on_page=on_page,
        crashes=around.crashes,
    )


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


def _answered_last_time(statuses: list[SourceStatus]) -> set[str]:
    """The hosts whose sources all answered: their silence now would mean something."""
    failing = {host_of(s.source.url) for s in statuses if s.consecutive_failures}
    return {host_of(s.source.url) for s in statuses if s.last_success_at is not None} - failing


async def _synced(config: Configuration, store: Store, ending: Ending) -> list[SourceStatus] | None:
    """Make the store's sources those of the files, and read them with their state; None when a signal came first.

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
            return await store.sources()
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
