"""How a run ends: whoever only waits leaves at once, whoever works may finish."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import trio


class Shutdown:
    """Tells waiting from working, so that the first signal ends the one and spares the other.

    `begun` is set from the moment no new poll may start.
    """

    def __init__(self) -> None:
        self.begun = trio.Event()
        self._idle: set[trio.CancelScope] = set()

    @contextlib.contextmanager
    def idle(self) -> Iterator[trio.CancelScope]:
        """A cancel scope for waiting without work in hand; after the block, `cancelled_caught` means: leave."""
        scope = trio.CancelScope()
        if self.begun.is_set():
            scope.cancel()
        self._idle.add(scope)
        try:
            with scope:
                yield scope
        finally:
            self._idle.discard(scope)

    def begin(self) -> None:
        """Cancel every idle scope, now and from now on."""
        self.begun.set()
        for scope in list(self._idle):
            scope.cancel()
