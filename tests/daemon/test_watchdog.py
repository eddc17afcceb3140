"""The watchdog hears from the daemon as long as there is progress."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio
from structlog.testing import capture_logs
from trio.testing import MockClock

from digestd.daemon.watchdog import watchdog
from digestd.ingest.shutdown import Shutdown
from digestd.systemd import Notifier


@contextmanager
def manager(folder: Path) -> Iterator[tuple[Notifier, socket.socket]]:
    """A service manager that listens, and the way to it."""
    path = str(folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(path)
        yield Notifier(os.fsencode(path)), listening


def heard(listening: socket.socket) -> int:
    """How often WATCHDOG=1 came since the last look."""
    count = 0
    while True:
        try:
            assert listening.recv(4096) == b"WATCHDOG=1"
        except BlockingIOError:
            return count
        count += 1


async def test_it_hears_as_long_as_there_is_progress(tmp_path: Path, autojump_clock: MockClock) -> None:
    reason: str | None = None
    shutdown = Shutdown()
    with manager(tmp_path) as (notifier, listening), capture_logs() as logs:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watchdog, notifier, 30.0, lambda: reason, shutdown)
            await trio.sleep(95)
            assert heard(listening) == 4
            reason = "the tasks of the sources have not woken for 70 s"
            await trio.sleep(300)
            assert heard(listening) == 0
            reason = None
            await trio.sleep(60)
            assert heard(listening) == 2
            shutdown.begin()
        assert heard(listening) == 0
    assert [(line["event"], line["log_level"], line.get("reason")) for line in logs] == [
        ("worker.stalled", "error", "the tasks of the sources have not woken for 70 s"),
        ("worker.stalled.over", "warning", None),
    ]
