"""The store over SQLAlchemy, for SQLite and PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

import trio
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from digestd.errors import StoreUnavailable
from digestd.metrics import StoreCalls
from digestd.model import Article, ArticleVersion, Fetch, Origin, SourceSpec, SourceStatus
from digestd.store import (
    ArticleQuery,
    Changes,
    Claim,
    ClaimRequest,
    EntrySetAside,
    Gone,
    HostPause,
    HostStart,
    Lease,
    LeaseLost,
    PageClaims,
    PageLost,
    PageQueue,
    PageRecord,
    PageRecorded,
    Purged,
    Recorded,
    Refused,
    RetentionLimits,
    StepRecord,
    Store,
    SyncReport,
    Wait,
    changes,
    commands,
    fetches,
    hosts,
    listing,
    pagerecords,
    pages,
    retention,
    setaside,
    sources,
    sync,
    versions,
)
from digestd.store.budgets import Budgets
from digestd.store.checking import cannot_open, is_there
from digestd.store.engine import create, database_url, file_of, reading
from digestd.store.groupcommit import GroupCommit
from digestd.store.listener import Listener
from digestd.store.migrate import check_current, migrate
from digestd.store.overview import Overview
from digestd.store.owner import is_dead
from digestd.store.pageturns import PageRequest
from digestd.store.places import Places
from digestd.store.polling import Polls
from digestd.store.spending import SqlBudgets
from digestd.store.survey import SqlOverview
from digestd.store.transactions import database_time, transact

_CLOSING_SECONDS = 2.0
_FORGET_HOSTS_SECONDS = 300.0

_Result = TypeVar("_Result")


@asynccontextmanager
async def open_store(
    url: str,
    *,
    owner: str,
    pool_size: int,
    connect_timeout_seconds: float,
    create_file: bool = True,
    calls: StoreCalls | None = None,
) -> AsyncGenerator[Store]:
    """Open the database at `url` (`database.url`), bring its schema up to date, and give the store over it.

    Without `create_file`, an SQLite file that is not there is an error: commands that only look make none.
    `owner` names this process (:func:`digestd.store.owner.current_owner`): leases of owners that have died on
    this machine are freed. `pool_size` is how many transactions PostgreSQL is given at one time; SQLite takes
    one. How its calls fare is counted in `calls`.

    Resource handling: leaving the block closes every connection; no call may be under way then.
    Error handling: :class:`~digestd.errors.StoreUnavailable` when the database cannot be had or `url` names
    none, :class:`~digestd.errors.SchemaError` when it is not ours or newer; both name the database without
    its password.
    Cancellation: opening is given up at once, since another's migration may be waited for for minutes; its thread
    ends with the process, and the database rolls back what was begun. Leaving takes two seconds at most.
    """
    database = database_url(url)
    if not create_file and database.get_backend_name() == "sqlite" and not is_there(file_of(database)):
        raise StoreUnavailable(
            f"there is no database {file_of(database)} yet: nothing was polled into it; "
            "if the daemon keeps its own elsewhere, set STATE_DIRECTORY or database.url as it has them"
        )
    threads = 1 if database.get_backend_name() == "sqlite" else pool_size
    places = Places(threads, calls or StoreCalls())
    engine = create(database, pool_size=pool_size, connect_timeout_seconds=connect_timeout_seconds)
    listener = Listener(database, connect_timeout_seconds)
    try:
        # In a thread of its own: another's migration may take minutes.
        await trio.to_thread.run_sync(
            _open, engine, owner, abandon_on_cancel=True, limiter=trio.CapacityLimiter(1)
        )
        yield SqlStore(engine, places, owner, listener)
    finally:
        with trio.move_on_after(_CLOSING_SECONDS, shield=True):
            # Not in one of its places: a call that was given up may hold the last of them.
            await trio.to_thread.run_sync(engine.dispose, abandon_on_cancel=True)
        places.close()


def _open(engine: Engine, owner: str) -> None:
    try:
        migrate(engine)
        with engine.begin() as connection:
            sources.free_leases(connection, lambda other: is_dead(other, owner))
            pages.free_leases(connection, lambda other: is_dead(other, owner), database_time(connection))
    except DBAPIError as error:
        raise cannot_open(engine, error) from error


class SqlStore:
    """Keeps the :class:`digestd.store.Store` protocol; made by :func:`open_store`."""

    def __init__(self, engine: Engine, places: Places, owner: str, listener: Listener) -> None:
        self._writing = engine
        self._reading = reading(engine)
        self._places = places
        self._polls = Polls(engine, owner)
        self._shared: GroupCommit[Any, Any] = GroupCommit(places, self._polls.both)
        self._long_records: GroupCommit[StepRecord, Any] = GroupCommit(places, self._polls.record)
        self._owner = owner
        self._listener = listener
        self._hosts_looked_through_at = -math.inf
        self.overview: Overview = SqlOverview(self._look)
        self.budgets: Budgets = SqlBudgets(self._write)
        # Claims of pages go round the sources.
        self._looked_at = 0

    async def check_schema(self) -> None:
        """See `Store.check_schema`."""
        await self._run(
            self._reading, lambda connection, _: check_current(connection), abandon_on_cancel=True
        )

    async def sync_sources(self, specs: Sequence[SourceSpec], *, fingerprint: str = "") -> SyncReport:
        """See `Store.sync_sources`."""
        return await self._run(
            self._writing,
            lambda connection, now: sync.sync(connection, specs, fingerprint, self._owner, now),
        )

    async def add_source(self, spec: SourceSpec) -> bool:
        """See `Store.add_source`."""
        return await self._run(self._writing, lambda connection, now: commands.add(connection, spec, now))

    async def add_sources(self, specs: Sequence[SourceSpec]) -> list[bool]:
        """See `Store.add_sources`."""
        return await self._run(
            self._writing, lambda connection, now: commands.add_all(connection, specs, now)
        )

    async def set_enabled(self, name: str, enabled: bool) -> Origin | None:
        """See `Store.set_enabled`."""
        return await self._run(
            self._writing, lambda connection, now: commands.set_enabled(connection, name, enabled, now)
        )

    async def remove_source(self, name: str) -> Origin | None:
        """See `Store.remove_source`."""
        return await self._run(self._writing, lambda connection, now: commands.remove(connection, name, now))

    async def poll_now(self, name: str) -> bool:
        """See `Store.poll_now`."""
        return await self._run(
            self._writing, lambda connection, now: commands.poll_now(connection, name, now)
        )

    async def changed_sources(
        self, since: datetime | None, told: Collection[tuple[int, object]] = frozenset()
    ) -> Changes:
        """See `Store.changed_sources`."""
        return await self._run(
            self._reading, lambda connection, now: changes.changed(connection, since, told, now)
        )

    def changes_told(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """See `Store.changes_told`."""
        return self._listener.changes_told()

    async def sources(self, *, count_articles: bool = False, name: str | None = None) -> list[SourceStatus]:
        """See `Store.sources`."""
        return await self._run(
            self._reading,
            lambda connection, now: sources.statuses(
                connection, now, count_articles=count_articles, name=name
            ),
        )

    async def claim(self, requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        """See `Store.claim`."""
        await self._forget_hosts()
        return await self._shared(requests)

    async def start_at_hosts(self, starts: Sequence[HostStart]) -> list[Wait | None]:
        """See `Store.start_at_hosts`."""
        await self._forget_hosts()
        return await self._run(self._writing, lambda connection, now: hosts.reserve(connection, starts, now))

    async def pause_hosts(self, pauses: Sequence[HostPause]) -> None:
        """See `Store.pause_hosts`."""
        await self._run(self._writing, lambda connection, now: hosts.pause(connection, pauses, now))

    async def paused_hosts(self) -> Mapping[str, float]:
        """See `Store.paused_hosts`."""
        return await self._run(self._reading, hosts.paused)

    async def _forget_hosts(self) -> None:
        """Now and then, hosts that nobody has asked for long go: redirects and pages bring ever new ones."""
        if trio.current_time() < self._hosts_looked_through_at + _FORGET_HOSTS_SECONDS:
            return
        self._hosts_looked_through_at = trio.current_time()
        await self._run(self._writing, hosts.forget_idle)

    async def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        """See `Store.record`."""
        if self._polls.shares(records):
            return await self._shared(records, patient=True)
        return await self._long_records(records)

    async def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        """See `Store.entries_set_aside`."""
        return await self._run(self._reading, lambda connection, _: setaside.listed(connection, limit))

    async def fetches(self, source_name: str, limit: int) -> list[Fetch]:
        """See `Store.fetches`."""
        return await self._run(
            self._reading, lambda connection, _: fetches.listed(connection, source_name, limit)
        )

    async def forget_fetches(self, older_than_seconds: float, limit: int) -> int:
        """See `Store.forget_fetches`."""
        age = timedelta(seconds=older_than_seconds)
        return await self._run(
            self._writing, lambda connection, now: fetches.forget(connection, now - age, limit)
        )

    async def release(self, leases: Sequence[Lease]) -> None:
        """See `Store.release`."""
        await self._run(
            self._writing,
            lambda connection, _: sources.release(connection, leases, self._owner),
            abandon_on_cancel=True,
        )

    async def newest_articles(self, per_source: int, since: datetime | None = None) -> list[Article]:
        """See `Store.newest_articles`."""
        return await self._run(
            self._reading, lambda connection, _: listing.newest(connection, per_source, since)
        )

    async def claim_pages(
        self,
        limit: int,
        lease_seconds: float,
        *,
        per_source: int | None = None,
        source_ids: Collection[int] | None = None,
        except_source_ids: Collection[int] = (),
    ) -> PageClaims:
        """See `Store.claim_pages`."""
        request = PageRequest(
            limit, lease_seconds, per_source, source_ids, frozenset(except_source_ids), self._looked_at
        )
        claims, self._looked_at = await self._run(
            self._writing, lambda connection, now: pages.claim(connection, request, now, self._owner)
        )
        return claims

    async def record_pages(self, records: Sequence[PageRecord]) -> list[PageRecorded | PageLost | Refused]:
        """See `Store.record_pages`."""
        return await self._run(
            self._writing, lambda connection, now: pagerecords.record(connection, records, now)
        )

    async def page_queue(self) -> PageQueue:
        """See `Store.page_queue`."""
        return await self._run(self._reading, pages.queue)

    async def articles(self, query: ArticleQuery) -> list[Article]:
        """See `Store.articles`."""
        return await self._run(self._reading, lambda connection, _: listing.listed(connection, query))

    async def article_versions(self, article_id: int) -> list[ArticleVersion]:
        """See `Store.article_versions`."""
        return await self._run(self._reading, lambda connection, _: versions.listed(connection, article_id))

    async def retry_pages(self, query: ArticleQuery) -> int:
        """See `Store.retry_pages`."""
        return await self._run(self._writing, lambda connection, now: pages.retry(connection, query, now))

    async def delete_articles(self, ids: Collection[int]) -> list[Article]:
        """See `Store.delete_articles`."""
        return await self._run(
            self._writing, lambda connection, now: retention.delete_articles(connection, ids, now)
        )

    async def purge(self, limits: RetentionLimits, after: int = 0) -> Purged:
        """See `Store.purge`."""
        found = await self._run(
            self._reading, lambda connection, now: retention.look(connection, limits, after, now)
        )
        if not found.source_ids:
            return Purged(0, 0, found.after)
        return await self._run(
            self._writing, lambda connection, now: retention.purge(connection, limits, found, now)
        )

    async def _look(self, work: Callable[[Connection, datetime], _Result]) -> _Result:
        # Who looks waits no longer than it likes to: nothing depends on the end of a read.
        return await self._run(self._reading, work, abandon_on_cancel=True)

    async def _write(self, work: Callable[[Connection, datetime], _Result]) -> _Result:
        return await self._run(self._writing, work)

    async def _run(
        self,
        engine: Engine,
        work: Callable[[Connection, datetime], _Result],
        *,
        abandon_on_cancel: bool = False,
    ) -> _Result:
        """Do `work` in one thread and one transaction, handing it the database's time."""
        return await self._places.run(
            lambda: transact(engine, lambda connection: work(connection, database_time(connection))),
            abandon_on_cancel=abandon_on_cancel,
        )
