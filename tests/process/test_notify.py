"""What a service manager hears from a real daemon: ready, reloading, alive, stopping."""

from __future__ import annotations

import signal
import socket
import time
from pathlib import Path

import pytest

from support.process import Digestd, write_settings


def messages(listening: socket.socket) -> list[str]:
    """What has come since the last look, a datagram each."""
    found = []
    while True:
        try:
            found.append(listening.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.mark.slow
def test_the_service_manager_hears_how_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "notify"
    file = write_settings(tmp_path, {})
    environ = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(path))
        with Digestd(["-c", str(file)], tmp_path, environ) as process:
            process.wait_for("worker.started")
            time.sleep(2.2)
            first = messages(listening)
            process.send(signal.SIGHUP)
            process.wait_for("worker.reloaded")
            time.sleep(0.2)
            reload = messages(listening)
            process.send(signal.SIGTERM)
            assert process.end() == 0
        last = messages(listening)
    status = "sources: 0, being polled: 0, failing: 0; new articles since start: 0; pages to be read: 0"
    assert f"READY=1\nSTATUS={status}" in first
    assert first.index(f"READY=1\nSTATUS={status}") <= 1, "the watchdog may be first"
    # Twice as often as it has to be, with no source at all.
    assert 3 <= first.count("WATCHDOG=1") <= 6
    began = next(message for message in reload if message.startswith("RELOADING=1\nMONOTONIC_USEC="))
    assert f"READY=1\nSTATUS={status}" in reload[reload.index(began) :]
    assert "STOPPING=1\nSTATUS=stopping; polls in flight: 0, for 8 s at most" in last
