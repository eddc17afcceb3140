"""Who holds a lease: a process, named so that another one on the same machine can tell whether it still
lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path

# Stands for what this system does not tell. Owners that are not known in full are never taken for dead.
_UNKNOWN = "-"


def current_owner() -> str:
    """Name this process: host, boot id, pid namespace, pid and start time, with slashes between.

    The start time is in clock ticks since boot, as in proc_pid_stat(5); it tells a process from a later one
    with the same pid. Where there is no /proc, what it would have told is `-`.
    """
    pid = os.getpid()
    host = socket.gethostname().replace("/", "_") or _UNKNOWN
    return "/".join((host, _boot_id(), _pid_namespace(), str(pid), _start_time(pid) or _UNKNOWN))


def is_dead(owner: str, me: str) -> bool:
    """Whether the process `owner` has certainly ended, as far as the process `me`, the caller, can see.

    True only for the same host, boot and pid namespace, where the pid no longer lives or belongs to a process
    that started at another moment. Everything else, text that names no owner included, is False.
    """
    theirs, ours = owner.split("/"), me.split("/")
    if len(theirs) != 5 or theirs[:3] != ours[:3] or _UNKNOWN in theirs or not theirs[3].isdecimal():
        return False
    try:
        os.kill(int(theirs[3]), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        pass
    # /proc may hide the processes of other users (hidepid): no start time is no proof.
    started = _start_time(int(theirs[3]))
    return started is not None and started != theirs[4]


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip() or _UNKNOWN
    except OSError:
        return _UNKNOWN


def _pid_namespace() -> str:
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return _UNKNOWN


def _start_time(pid: int) -> str | None:
    """The start time of `pid`, or its state where it has ended and only waits to be reaped; None if it does
    not show."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    # The second field is the program's name in parentheses and may itself hold blanks and parentheses.
    fields = stat.rpartition(")")[2].split()
    return "ended" if fields[0] in ("Z", "X") else fields[19]
