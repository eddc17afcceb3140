"""The service manager hears from us as long as polling goes on, and not merely as long as the process lives."""

from __future__ import annotations

from collections.abc import Callable

import trio

from digestd.ingest.shutdown import Shutdown
from digestd.log import get_logger
from digestd.systemd import Notifier

AGAIN_SECONDS = 1.0
"""How soon progress is looked for again where there was none: a moment's hold-up must not cost a whole interval, of
which the manager allows two."""


async def watchdog(
    notifier: Notifier, interval: float, stalled: Callable[[], str | None], shutdown: Shutdown
) -> None:
    """Report every `interval` seconds, until shutdown begins, unless `stalled` says why there is no progress
    (sd_watchdog_enabled(3)): then nothing is reported before there is progress again, and the manager ends the process
    and starts it anew. What begins and what ends is logged.

    Cancellation: may be cancelled at any moment.
    """
    told = False
    with shutdown.idle():
        while True:
            # If the event loop was held up, the ticker that `stalled` looks at is as late as we are: it goes first.
            await trio.lowlevel.checkpoint()
            reason = stalled()
            if reason is None:
                notifier.watchdog()
            if (reason is not None) != told:
                told = not told
                _tell(reason)
            await trio.sleep(interval if reason is None else min(interval, AGAIN_SECONDS))


def _tell(reason: str | None) -> None:
    if reason is None:
        get_logger().warning("worker.stalled.over")
    else:
        effect = "the watchdog is not told that all is well: the service manager will restart digestd"
        get_logger().error("worker.stalled", reason=reason, effect=effect)
