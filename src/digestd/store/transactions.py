"""Transactions: what every call of the store is made of, and what an error in one means."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

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
from digestd.store.outage import masked, outage

_Result = TypeVar("_Result")


class Polls:
    """The two transactions of every poll on `engine`, in the name of `owner`. On SQLite they go to the driver directly
    where nothing but rows of sources and hosts is concerned."""

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

    def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        """See `Store.record`."""
        if self._direct is not None and all(map(steps.is_quiet, records)):
            try:
                return self._direct.transact(
                    lambda direct: steps.record_quiet(direct, records, datetime.now(UTC))
                )
            except NotDirectly:
                pass
        return transact(
            self._engine, lambda connection: steps.record(connection, records, now_of(connection))
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


def transact(engine: Engine, work: Callable[[Connection], _Result]) -> _Result:
    """Do `work` in one transaction of `engine`. Raises :class:`~digestd.errors.StoreUnavailable` in an outage."""
    try:
        with engine.begin() as connection:
            return work(connection)
    except SQLAlchemyError as error:
        unavailable = outage(error, masked(engine.url))
        if unavailable is None:
            raise
        raise unavailable from error


def now_of(connection: Connection) -> datetime:
    """The database's time; SQLite has no other than the machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)
