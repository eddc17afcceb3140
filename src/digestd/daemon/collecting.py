"""When Python's garbage collector looks at what: a full look at 100,000 sleeping tasks stops the event loop for a
second."""

from __future__ import annotations

import gc

import trio

from digestd.ingest.shutdown import Shutdown

YOUNG_SECONDS = 2.0
"""How often what is new is looked at, and what of it lives on is put out of sight: 10 ms at 333 polls a second."""
EVERYTHING_SECONDS = 3_600.0
"""How often everything is: what was put out of sight amid a poll may be garbage since, in a cycle that nothing else
finds."""


def postpone() -> None:
    """Collect nothing until :func:`settle`: a start makes a great deal, and throws little of it away."""
    gc.disable()


def tidy() -> None:
    """Collect once what imports and settings have left, and put the rest out of the collector's sight. Nothing is
    collected from then on until :func:`settle`."""
    gc.disable()
    gc.collect()
    gc.freeze()


def resume() -> None:
    """Collect as before, also what :func:`settle` has put out of sight."""
    gc.unfreeze()
    gc.enable()


def settle(*, collected: bool = True) -> None:
    """Put what there is out of the collector's sight, and have it work from now on; `collected` first, which costs a
    short run more than it saves."""
    if collected:
        gc.collect()
    gc.freeze()
    gc.enable()


async def keep_short(shutdown: Shutdown) -> None:
    """Collect so often that it never takes long, until shutdown begins. Cancellation: at any moment."""
    with shutdown.idle():
        while True:
            due = trio.current_time() + EVERYTHING_SECONDS
            while trio.current_time() < due:
                await trio.sleep(YOUNG_SECONDS)
                settle()
            gc.unfreeze()
            settle()
