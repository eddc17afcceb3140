"""Whether the daemon is ready: its database can be used, and has the schema that this digestd needs."""

from __future__ import annotations

import math

import trio

from digestd.errors import StoreError
from digestd.ingest.shutdown import Shutdown
from digestd.ingest.storing import StoreAccess
from digestd.log import get_logger
from digestd.store import Store

LOOK_SECONDS = 5.0
"""How long what was seen of the database counts, however many ask."""
ANSWER_SECONDS = 2.0
"""How long who asks waits for a look at the database. A probe of Kubernetes gives up after one second by itself, unless
its `timeoutSeconds` says otherwise."""


class Readiness:
    """Answers `/ready`, at once where the database was looked at within the last five seconds.

    There is one look at a time, made by :meth:`run` when somebody asks: it needs one of the database's few connections,
    and a database in trouble must not get more work for each that asks how it is. While it hangs in line behind others,
    what the calls of the polls say lately counts.
    """

    def __init__(self, store: Store, access: StoreAccess, shutdown: Shutdown) -> None:
        self._store = store
        self._access = access
        self._shutdown = shutdown
        # Whoever opened the store has just brought the schema up to date.
        self._found: str | None = None
        self._looked_at = trio.current_time()
        self._begun_at = math.inf
        self._wanted = trio.Event()
        self._looked = trio.Event()

    async def run(self) -> None:
        """Look at the database whenever that is wanted, until shutdown begins.

        Error handling: what the database says is kept for who asks; a bug is logged, and makes us not ready.
        Cancellation: may be cancelled at any moment; a look under way is left alone.
        """
        with self._shutdown.idle():
            while True:
                await self._wanted.wait()
                self._begun_at = trio.current_time()
                self._found = await self._look()
                self._looked_at, self._begun_at = trio.current_time(), math.inf
                self._wanted = trio.Event()
                self._looked.set()
                self._looked = trio.Event()

    async def _look(self) -> str | None:
        try:
            await self._store.check_schema()
        except StoreError as error:
            return str(error)
        # The border round a look: it must not end the daemon.
        except Exception:  # noqa: BLE001 - see above
            get_logger().exception("worker.ready.crashed", effect="digestd says that it is not ready")
            return "looking at the database failed by a bug in digestd: its log has the traceback"
        return None

    async def reason(self) -> str | None:
        """Why the daemon is not ready, in words; None where it is. Takes at most :data:`ANSWER_SECONDS`."""
        await trio.lowlevel.checkpoint()
        now = trio.current_time()
        if not self._shutdown.begun.is_set() and now >= self._looked_at + LOOK_SECONDS:
            self._wanted.set()
            with trio.move_on_at(min(self._begun_at, now) + ANSWER_SECONDS):
                await self._looked.wait()
        return self._judged()

    def _judged(self) -> str | None:
        if self._shutdown.begun.is_set():
            return "digestd is shutting down"
        if self._access.away_since is not None:
            return self._access.last_error
        silent = trio.current_time() - max(self._begun_at, self._access.answered_at)
        if silent >= ANSWER_SECONDS:
            return f"the database has given no answer for {silent:.0f} s"
        return self._found
