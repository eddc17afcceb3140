"""Everything that polls stand on beside the store, opened in the order of outliving."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from digestd import kinds
from digestd.config import Configuration, Settings
from digestd.daemon.ending import Ending
from digestd.daemon.opening import Known
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
from digestd.metrics import Metrics
from digestd.model import SourceSpec, SourceStatus
from digestd.store import Changes, Store

PARSERS = 2
"""Feeds read at one time: one that is slow to read must not hold up all others."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What the sources' tasks run on, the enabled sources with their state, and the extraction of articles unless it is
    turned off. `seen` is as in :class:`~digestd.daemon.opening.Known`; None where nobody looked."""

    around: Surroundings
    statuses: list[SourceStatus]
    extraction: Extraction | None
    store: Store
    owner: str
    kinds: Kinds
    bell: Bell
    doors: Doors
    seen: Changes | None = None


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
    known: Known,
    ending: Ending,
    metrics: Metrics,
    on_page: Callable[[str], None] = lambda outcome: None,
) -> AsyncIterator[Pipeline]:
    """HTTP, parser and reader over what is `known`, opened in this order and closed in the other; sources that cannot
    be polled are taken from its list. `on_page` is told the outcome of each attempt at an article's page."""
    settings, store, statuses = config.settings, known.store, known.statuses
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
        yield Pipeline(around, statuses, extraction, store, known.owner, loaded, bell, doors, known.seen)


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


def _answered_last_time(statuses: list[SourceStatus]) -> set[str]:
    """The hosts whose sources all answered: their silence now would mean something."""
    failing = {host_of(s.source.url) for s in statuses if s.consecutive_failures}
    return {host_of(s.source.url) for s in statuses if s.last_success_at is not None} - failing
