"""The store as the tasks of sources see it: shared transactions, and an outage told once instead of by everybody."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Collection, Sequence
from contextlib import suppress
from typing import TypeVar

import trio

from digestd.errors import HostPaused, StoreUnavailable
from digestd.ingest.politeness import Hosts, Turn
from digestd.log import get_logger
from digestd.metrics import Metrics
from digestd.store import (
    Claim,
    ClaimRequest,
    Gone,
    HostStart,
    Lease,
    LeaseLost,
    PageClaims,
    PageLost,
    PageQueue,
    PageRecord,
    PageRecorded,
    Recorded,
    Refused,
    StepRecord,
    Store,
    Wait,
)
from digestd.store.batching import Batcher

TURN_KEPT_SECONDS = 2.0
"""How long a task that was let to its host's turn keeps it while other processes start there."""
FLICKER_SECONDS = 10.0
"""A database that answers some calls and refuses others (read-only, out of connections) is told no more often, ..."""
LONGEST_FLICKER_SECONDS = 300.0
"""... and ever less often, up to this, while it goes on. An outage that lasts so long is told in any case."""
CALM_SECONDS = 3_600.0
"""After how long without an outage the next one is told at once again."""

Answer = TypeVar("Answer")


class StoreAccess:
    """Claims, records and releases one at a time for the caller, many to a transaction underneath.

    `answered_at` is when, by Trio's clock, the database answered last.

    Every method raises :class:`digestd.errors.StoreUnavailable` while the database is away. Cancellation: a call whose
    transaction has begun ends with it (see :mod:`digestd.store.batching`).
    """

    def __init__(self, store: Store, metrics: Metrics) -> None:
        self._record_page: Batcher[PageRecord, PageRecorded | PageLost | Refused] = Batcher(
            store.record_pages
        )
        self._start: Batcher[HostStart, Wait | None] = Batcher(store.start_at_hosts)
        self._release: Batcher[Lease, None] = Batcher(self._released)
        self._store = store
        self._metrics = metrics
        self._away_since: float | None = None
        self.answered_at = -math.inf
        self._told = False
        self._quiet_until = self._last_away = -math.inf
        self._flicker = FLICKER_SECONDS
        self._owed: dict[int, Lease] = {}
        self.last_error = "the database could not be reached"

    @property
    def away_since(self) -> float | None:
        """Since when, by Trio's clock, the database has been away; None while it answers."""
        return self._away_since

    async def claim(self, request: ClaimRequest) -> Claim | Wait | Gone | Refused:
        """See :meth:`digestd.store.Store.claim`; a lease that could not be given back before is given back first."""
        owed = self._owed.get(request.source_id)
        if owed is not None:
            await self._watched(self._release(owed))
            del self._owed[request.source_id]
        try:
            (answer,) = await self._watched(self._store.claim([request]))
        except StoreUnavailable:
            # The connection may have broken after the commit: then we hold a lease whose token nobody knows.
            self._owed[request.source_id] = Lease(request.source_id, None)
            raise
        return answer

    async def start_at_host(self, turn: Turn) -> None:
        """Reserve a start for who holds `turn`, among those of all processes, and wait for it.

        Error handling: :class:`~digestd.errors.HostPaused` when that would take more than two seconds: the turn is
        then to be given back, and the next one comes when the host may be asked.
        """
        while (wait := await self._watched(self._start(turn.host_start()))) is not None:
            turn.heed(wait)
            if wait.seconds > TURN_KEPT_SECONDS:
                message = f"the host is to be left alone for another {wait.seconds:.0f} s"
                raise HostPaused(message, retry_after=wait.seconds)
            await turn.wait_until_due(TURN_KEPT_SECONDS)

    async def share_pauses(self, hosts: Hosts) -> None:
        """Tell the other processes which hosts want to be left alone, where there is news.

        Never raises: what could not be told for an outage or for being cancelled is told the next time.
        """
        if not hosts.has_new_pauses:
            return
        with suppress(StoreUnavailable), hosts.new_pauses() as pauses:
            if pauses:
                await self._watched(self._store.pause_hosts(pauses))

    async def record(self, record: StepRecord) -> Recorded | LeaseLost | Refused:
        """See :meth:`digestd.store.Store.record`."""
        (answer,) = await self._watched(self._store.record([record]))
        return answer

    async def claim_pages(
        self,
        limit: int,
        lease_seconds: float,
        *,
        per_source: int | None = None,
        source_ids: Collection[int] | None = None,
        except_source_ids: Collection[int] = (),
    ) -> PageClaims:
        """See :meth:`digestd.store.Store.claim_pages`."""
        return await self._watched(
            self._store.claim_pages(
                limit,
                lease_seconds,
                per_source=per_source,
                source_ids=source_ids,
                except_source_ids=except_source_ids,
            )
        )

    async def record_page(self, record: PageRecord) -> PageRecorded | PageLost | Refused:
        """See :meth:`digestd.store.Store.record_pages`."""
        return await self._watched(self._record_page(record))

    async def page_queue(self) -> PageQueue:
        """See :meth:`digestd.store.Store.page_queue`."""
        return await self._store.page_queue()

    async def give_back(self, lease: Lease) -> None:
        """Give `lease` back unused, within two seconds even where the caller is cancelled.

        Never raises: where the store is away, it is given back with the source's next claim, so that an outage does
        not look like a poll that killed the process; at the end of the process it ends by itself.
        """
        self._owed[lease.source_id] = lease
        if self._away_since is not None:
            return
        with trio.move_on_after(2, shield=True):
            try:
                await self._store.release([lease])
            except StoreUnavailable as error:
                self._lost(error)
            else:
                del self._owed[lease.source_id]

    async def _released(self, leases: Sequence[Lease]) -> Sequence[None]:
        await self._store.release(leases)
        return [None] * len(leases)

    async def _watched(self, call: Awaitable[Answer]) -> Answer:
        try:
            answer = await call
        except StoreUnavailable as error:
            self._lost(error)
            raise
        self.answered_at = trio.current_time()
        self._found()
        return answer

    def _lost(self, error: StoreUnavailable) -> None:
        self.last_error = str(error)
        now = trio.current_time()
        if self._away_since is None:
            if now - self._last_away > CALM_SECONDS:
                self._flicker = FLICKER_SECONDS
            self._away_since, self._told = now, False
            # Counted whether it is told or not.
            self._metrics.store_outages += 1
        if self._told or now < min(self._quiet_until, self._away_since + self._flicker):
            return
        self._told = True
        get_logger().error("worker.store.unavailable", error=str(error), effect="polls wait; nothing is lost")

    def _found(self) -> None:
        if self._away_since is None:
            return
        now = trio.current_time()
        away, self._away_since = now - self._away_since, None
        self._last_away = now
        if self._told:
            self._quiet_until = now + self._flicker
            self._flicker = min(2 * self._flicker, LONGEST_FLICKER_SECONDS)
            get_logger().warning("worker.store.recovered", after_seconds=round(away, 3))
