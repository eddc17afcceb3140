"""The two transactions that every poll costs: the claim of its lease, and the record of each step."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

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
from digestd.store.direct import AnyConnection, DirectEngine, NotDirectly
from digestd.store.transactions import database_time, transact

_Answers: TypeAlias = tuple[Sequence[Recorded | LeaseLost | Refused], Sequence[Claim | Wait | Gone | Refused]]


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

    def shares(self, records: Sequence[StepRecord]) -> bool:
        """Whether `records` may go where claims go, who wait for them: on SQLite they would in any case."""
        return self._direct is not None or not any(
            step.entries or step.left_out or steps.moves(step) for step in records
        )

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

    def _together(self, requests: Sequence[ClaimRequest], records: Sequence[StepRecord]) -> _Answers:
        if records and not any(map(steps.moves, records)):
            try:
                return self._at_once(requests, records)
            except NotDirectly:
                pass
        return self.record(records) if records else [], self.claim(requests) if requests else []

    def _at_once(self, requests: Sequence[ClaimRequest], records: Sequence[StepRecord]) -> _Answers:
        """Both in one transaction without a savepoint: raises NotDirectly for whatever is an error of one of them."""

        def work(connection: AnyConnection, now: datetime) -> _Answers:
            # What may wait for rows comes before what locks some without waiting: no two wait in a circle.
            recorded = steps.record_all(connection, records, now)
            return recorded, sources.claim(connection, requests, self._owner) if requests else []

        if self._direct is not None:
            return self._direct.transact(lambda direct: work(direct, datetime.now(UTC)))
        try:
            return transact(self._engine, lambda connection: work(connection, database_time(connection)))
        except StoreUnavailable:
            raise
        # The border between what is quick and what explains itself.
        except Exception as error:
            raise NotDirectly from error

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
