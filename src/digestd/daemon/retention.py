"""Retention: what has left its source's document long ago is deleted, and what is old in the log of polls, a little at
a time."""

from __future__ import annotations

import random

import trio

from digestd.config import RetentionSettings
from digestd.errors import StoreUnavailable
from digestd.ingest.shutdown import Shutdown
from digestd.log import Crashes, get_logger
from digestd.store import RetentionLimits, Store

PASS_SECONDS = 3_600.0
"""How often everything is looked at; each time later by up to a quarter, so that replicas take turns."""
FIRST_SECONDS = 60.0
"""How long after the start at least: what runs for minutes only shall get to it too."""
PAUSE_SECONDS = 0.2
"""Between two pieces: each holds the database for a few milliseconds, and polls come first."""

FETCHES_KEPT_SECONDS = 7 * 86_400.0
"""How long the log of polls goes back."""

_FETCHES_LIMIT = 2_000
_LATER = "tried again in an hour"
_CRASHED = "worker.retention.crashed"


class Retention:
    """Deletes by `settings`, hour by hour. One for the daemon; several on one database do each other no harm."""

    def __init__(
        self,
        settings: RetentionSettings,
        store: Store,
        shutdown: Shutdown,
        chance: random.Random,
        crashes: Crashes | None = None,
    ) -> None:
        self._limits = RetentionLimits(settings.days, settings.max_per_source)
        self._store = store
        self._shutdown = shutdown
        self._chance = chance
        self._crashes = crashes or Crashes()

    async def run(self) -> None:
        """Delete until shutdown begins.

        Error handling: an outage of the store ends a pass, and a bug is logged; the next pass comes in any case.
        Cancellation: at any moment; the piece in hand is finished.
        """
        with self._shutdown.idle():
            await trio.sleep(FIRST_SECONDS * (1 + self._chance.random()))
            while True:
                await self.once()
                await trio.sleep(PASS_SECONDS * (1 + self._chance.random() / 4))

    async def once(self) -> None:
        """One pass. Error handling and cancellation as for `run`, which makes such passes."""
        try:
            await self.forget_fetches()
            # Without a limit tombstones stay too: no more than commands deleted articles.
            if self._limits != RetentionLimits():
                await self.purge()
        except StoreUnavailable as error:
            get_logger().warning("worker.retention.postponed", error=str(error), effect=_LATER)
        # The border round retention, which nothing else depends on.
        except Exception as bug:  # noqa: BLE001 - see above
            self._crashes.tell(_CRASHED, bug, subject=_CRASHED, now=trio.current_time(), effect=_LATER)
        else:
            self._crashes.over(_CRASHED, subject=_CRASHED, now=trio.current_time())

    async def forget_fetches(self) -> None:
        """Drop what is older than a week from the log of polls.

        Error handling: raises :class:`~digestd.errors.StoreUnavailable`. Cancellation: as for `run`.
        """
        forgotten = _FETCHES_LIMIT
        while forgotten == _FETCHES_LIMIT:
            forgotten = await self._store.forget_fetches(FETCHES_KEPT_SECONDS, _FETCHES_LIMIT)
            await trio.sleep(PAUSE_SECONDS if forgotten else 0)

    async def purge(self) -> None:
        """Delete what articles may go now, and log how much that was if it was anything.

        Error handling: raises :class:`~digestd.errors.StoreUnavailable`; what went until then has gone.
        Cancellation: as for `run`.
        """
        began = trio.current_time()
        articles = tombstones = 0
        after: int | None = 0
        while after is not None:
            purged = await self._store.purge(self._limits, after)
            after = purged.after
            articles += purged.articles
            tombstones += purged.tombstones
            await trio.sleep(0 if after is None else PAUSE_SECONDS)
        if articles or tombstones:
            get_logger().info(
                "worker.retention.complete",
                articles_deleted=articles,
                tombstones_deleted=tombstones,
                duration_seconds=round(trio.current_time() - began, 3),
            )
