"""Runs in the place of digestd under its unit, and tries what digestd must not be able to do, and what it must.

Prints JSON: for each attempt "done", or the name of the error.
"""

from __future__ import annotations

import ctypes
import errno
import json
import mmap
import os
import resource
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, PER_LINUX32 = 0x10000000, 8


def system(call: str, *arguments: int) -> None:
    if getattr(LIBC, call)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), call)


def write(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_text("x")


def connect(family: int, address: str | tuple[str, int]) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as client:
        client.connect(address)


def run_own(folder: str) -> None:
    program = Path(folder) / "program"
    shutil.copy("/usr/bin/true", program)
    program.chmod(0o700)
    subprocess.run([program], check=True)


def set_user_id() -> None:
    file = Path("/tmp/file")
    file.touch()
    file.chmod(stat.S_ISUID | 0o700)


STATE = os.environ["STATE_DIRECTORY"]
ATTEMPTS: dict[str, Callable[[], object]] = {
    "write to the state directory": write(f"{STATE}/file"),
    "write to /tmp": write("/tmp/another"),
    "write to /etc": write("/etc/digestd/file"),
    "write to /opt/digestd": write("/opt/digestd/file"),
    "write to /var/lib": write("/var/lib/file"),
    "write to /usr": write("/usr/file"),
    "write to /dev/shm": write("/dev/shm/file"),
    "set a kernel parameter": write("/proc/sys/kernel/core_pattern"),
    "read home directories": lambda: list(Path("/home").iterdir()),
    "read the credentials' files": lambda: list(Path("/etc/digestd/credentials").iterdir()),
    "see another process": lambda: Path("/proc/1/cmdline").read_bytes(),
    "signal another process": lambda: os.kill(1, 0),
    "speak to D-Bus": lambda: connect(socket.AF_UNIX, "/run/dbus/system_bus_socket"),
    "connect to a feed": lambda: connect(socket.AF_INET, ("127.0.0.1", int(sys.argv[1]))),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "see the console": lambda: Path("/dev/console").stat(),
    "make a device": lambda: os.mknod("/tmp/device", stat.S_IFCHR, os.makedev(1, 3)),
    "make a namespace": lambda: system("unshare", CLONE_NEWUSER),
    "map memory to write and run": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC),
    "change its personality": lambda: system("personality", PER_LINUX32),
    "become root": lambda: os.setuid(0),
    "make a file that runs as its owner": set_user_id,
    "take real time": lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)),
    "bind itself to a processor": lambda: os.sched_setaffinity(0, {0}),
    "set the clock": lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()),
    "set the host name": lambda: socket.sethostname("other"),
    "run what it wrote to /tmp": lambda: run_own("/tmp"),
    "run what it wrote to /var/tmp": lambda: run_own("/var/tmp"),
    "run what it wrote to the state directory": lambda: run_own(STATE),
    "run the shell": lambda: subprocess.run(["/bin/sh", "-c", ":"], check=True),
    "give way to others": lambda: os.nice(5),
    "limit its memory": lambda: resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**31)),
}


def attempt(what: Callable[[], object]) -> str:
    try:
        what()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, str(error))
    return "done"


if __name__ == "__main__":
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
    found = {name: attempt(what) for name, what in ATTEMPTS.items()}
    kept = {name: status[name].strip() for name in ("NoNewPrivs", "Seccomp", "CapBnd", "CapEff")}
    limits = {
        name: resource.getrlimit(getattr(resource, name))[0] for name in ("RLIMIT_CORE", "RLIMIT_NOFILE")
    }
    users = len(Path("/proc/self/uid_map").read_text().splitlines())
    print(json.dumps({**found, **kept, **limits, "umask": oct(os.umask(0)), "users": users}))
