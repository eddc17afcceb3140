"""What reaches a real datagram socket in the place of the service manager's."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from digestd.systemd import Notifier, watchdog_interval


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """A listening socket, and what `$NOTIFY_SOCKET` says of it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(2)
        if request.param == "path":
            name = str(tmp_path / "notify")
            listener.bind(name)
        else:
            name = f"@digestd-test-{os.getpid()}"
            listener.bind("\0" + name[1:])
        yield listener, name


def test_each_message_is_one_datagram(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    notifier = Notifier.from_environment({"NOTIFY_SOCKET": name})
    notifier.ready("watching 3 sources")
    notifier.status("polling 2 of 3 sources")
    notifier.watchdog()
    notifier.stopping("stopping; polls in flight: 2, for 8 s at most")
    assert [listener.recv(4096) for _ in range(4)] == [
        b"READY=1\nSTATUS=watching 3 sources",
        b"STATUS=polling 2 of 3 sources",
        b"WATCHDOG=1",
        b"STOPPING=1\nSTATUS=stopping; polls in flight: 2, for 8 s at most",
    ]


def test_a_status_cannot_carry_another_assignment(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    Notifier.from_environment({"NOTIFY_SOCKET": name}).status("last: Odd\r\nSTOPPING=1\u2028name \ud800")
    assert listener.recv(4096) == b"STATUS=last: Odd STOPPING=1 name ?"


def test_an_overlong_status_is_cut_between_characters(manager: tuple[socket.socket, str]) -> None:
    listener, name = manager
    Notifier.from_environment({"NOTIFY_SOCKET": name}).ready("x" + "é" * 100_000)
    assert listener.recv(8192) == b"READY=1\nSTATUS=x" + "é".encode() * 1023


@pytest.mark.parametrize(
    "environ",
    [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}, {"NOTIFY_SOCKET": "relative/path"}],
)
def test_no_socket_is_no_destination(environ: dict[str, str]) -> None:
    notifier = Notifier.from_environment(environ)
    assert notifier == Notifier(None)
    notifier.ready("nobody hears this")


@pytest.mark.parametrize("name", ["gone", "x" * 200, "plain file"])
def test_a_vanished_socket_is_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / "plain file").touch()
    Notifier.from_environment({"NOTIFY_SOCKET": str(tmp_path / name)}).watchdog()


def test_a_full_socket_never_blocks(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": path})
        started = time.monotonic()
        for _ in range(2_000):  # far more than net.unix.max_dgram_qlen lets queue
            notifier.watchdog()
        assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "seven"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": ""}, None),
        ({"WATCHDOG_PID": "7"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_interval(environ, 7) == seconds
