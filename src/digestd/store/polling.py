"""The two transactions that every poll costs: the claim of its lease, and the record of each step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import Engine

from digestd.errors import StoreUnavailable
from digestd.store import (
    Claim,
    ClaimRequest,
    Gone,
    LeaseLost,
    Recorded,
    Refused,
    StepRecord,
    Wait,
    sources,
    steps,
)
from digestd.store.direct import DirectEngine, NotDirectly
from digestd.store.transactions import database_time, transact


class Polls:
    """The two transactions of every poll on `engine`, in the name of `owner`. On SQLite they go to the driver directly
    where nothing can be refused but the whole."""

    def __init__(self, engine: Engine, owner: str) -> None:
        self._engine = engine
        self._owner = owner
        self._direct = DirectEngine(engine) if engine.dialect.name == "sqlite" else None

    def claim(self, requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        """See `Store.claim`."""
        if self._direct is not None:
            try:
                return [*self._direct.transact(lambda direct: sources.claim(direct, requests, self._owner))]
            except NotDirectly:
                pass
        return self._claim(requests)

    def both(
        self, asked: Sequence[ClaimRequest | StepRecord]
    ) -> list[Claim | Wait | Gone | Recorded | LeaseLost | Refused]:
        """:meth:`claim` and :meth:`record` at once, in one transaction where that can be; answers are in the order of
        what was `asked`."""
        requests = [one for one in asked if isinstance(one, ClaimRequest)]
        records = [one for one in asked if isinstance(one, StepRecord)]
        together = self._together(requests, records)
        recorded, claimed = iter(together[0]), iter(together[1])
        return [next(claimed) if isinstance(one, ClaimRequest) else next(recorded) for one in asked]

    def _together(
        self, requests: Sequence[ClaimRequest], records: Sequence[StepRecord]
    ) -> tuple[Sequence[Recorded | LeaseLost | Refused], Sequence[Claim | Wait | Gone | Refused]]:
        if self._direct is not None and requests and records and not any(map(steps.moves, records)):
            try:
                return self._direct.transact(
                    lambda direct: (
                        steps.record_all(direct, records, datetime.now(UTC)),
                        sources.claim(direct, requests, self._owner),
                    )
                )
            except NotDirectly:
                pass
        return self.record(records) if records else [], self.claim(requests) if requests else []

    def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        """See `Store.record`."""
        if self._direct is not None and not any(map(steps.moves, records)):
            try:
                return self._direct.transact(
                    lambda direct: steps.record_all(direct, records, datetime.now(UTC))
                )
            except NotDirectly:
                pass
        return transact(
            self._engine, lambda connection: steps.record(connection, records, database_time(connection))
        )

    def _claim(self, requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        try:
            return [
                *transact(self._engine, lambda connection: sources.claim(connection, requests, self._owner))
            ]
        except StoreUnavailable:
            raise
        # The border between sources: a row that cannot be read or written costs the others of its transaction nothing.
        # No savepoint for that: it happens once in a lifetime, and claims are made all the time.
        except Exception as error:  # noqa: BLE001 - see above
            if len(requests) == 1:
                return [Refused(error)]
        return [answer for request in requests for answer in self._claim([request])]
