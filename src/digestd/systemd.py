"""What systemd is told: ready, status, stopping, and that the event loop still turns.

The protocol is one datagram of `NAME=value` lines to the socket in `$NOTIFY_SOCKET` (sd_notify(3)). Telling
is best effort: without that variable, or with a socket that has gone, nothing is sent and nothing is raised.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

# The manager reads at most 4,096 bytes of a datagram (NOTIFY_BUFFER_MAX in systemd) and drops a longer one
# whole, READY=1 included, so a status is cut well before.
_STATUS_LIMIT = 2048


@dataclass(frozen=True, slots=True)
class Notifier:
    """The way to the service manager. `address` is a path, or NUL and an abstract name."""

    address: bytes | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Notifier:
        """The notifier for `$NOTIFY_SOCKET`: a path, or `@` and an abstract name.

        Other address families (`vsock:`, for virtual machines) count as no socket, as an empty value does.
        """
        name = environ.get("NOTIFY_SOCKET", "")
        if name.startswith("/"):
            return cls(os.fsencode(name))
        if name.startswith("@"):
            return cls(b"\0" + os.fsencode(name[1:]))
        return cls()

    def ready(self, status: str) -> None:
        """Say that start-up is over (`READY=1`), with `status` for `systemctl status`."""
        self._send(b"READY=1\n" + _status_line(status))

    def reloading(self, monotonic_usec: int) -> None:
        """Say that settings are read again (`RELOADING=1`) since `monotonic_usec`, microseconds of CLOCK_MONOTONIC, as
        `Type=notify-reload` wants it (sd_notify(3)); :meth:`ready` ends it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_usec}".encode())

    def status(self, text: str) -> None:
        """Say what the daemon is doing. Line breaks in `text` become spaces, and overlong text is cut."""
        self._send(_status_line(text))

    def stopping(self, status: str) -> None:
        """Say that shutdown has begun (`STOPPING=1`), with `status`."""
        self._send(b"STOPPING=1\n" + _status_line(status))

    def watchdog(self) -> None:
        """Say that the daemon is alive (`WATCHDOG=1`); due every :func:`watchdog_interval` seconds."""
        self._send(b"WATCHDOG=1")

    def _send(self, message: bytes) -> None:
        if self.address is None:
            return
        try:
            # A socket for each datagram: the manager's own may be replaced while we run (systemctl
            # daemon-reexec).
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as channel:
                channel.sendto(message, self.address)
        except OSError:
            # Gone, full or forbidden. A manager that does not listen is no reason to stop reading feeds.
            return


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """How many seconds may pass between two calls of :meth:`Notifier.watchdog`; None when nobody watches.

    It is half of `$WATCHDOG_USEC`, as sd_watchdog_enabled(3) recommends. None also when `$WATCHDOG_PID` names
    another process than `pid` (we were started by the watched one) and when a value is no number.
    """
    try:
        timeout = int(environ["WATCHDOG_USEC"])
        watched = int(environ.get("WATCHDOG_PID", pid))
    except (KeyError, ValueError):
        return None
    return timeout / 2 / 1_000_000 if timeout > 0 and watched == pid else None


def _status_line(text: str) -> bytes:
    line = " ".join(text.split())
    cut = line.encode("utf-8", "replace")[:_STATUS_LIMIT].decode("utf-8", "ignore")
    return f"STATUS={cut}".encode()
