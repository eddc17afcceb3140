"""A Debian that really boots: systemd is its PID 1, in namespaces of its own, on this machine's kernel.

systemd-nspawn makes the namespaces. Commands enter them by nsenter, as root of the machine; it has no network but a
loopback of its own. It needs root, and a place for a control group; it ends with the process that started it, and after
fifteen minutes by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

TOOLS = ("systemd-nspawn", "nsenter", "setpriv", "timeout")
LIFE_SECONDS = 900
_BOOT_SECONDS = 90
_STOP_SECONDS = 60


class Machine:
    """A machine that runs: see :func:`booted`. `root` is its root directory, seen from outside."""

    def __init__(self, root: Path, leader: int) -> None:
        self.root = root
        self._leader = leader

    def run(
        self, command: str, *, check: bool = True, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run `command` in the machine's shell, as root in /root. Raises AssertionError with all that it said where it
        fails, unless `check` is False."""
        nsenter = ["nsenter", "--target", str(self._leader), "--mount", "--uts", "--ipc", "--net", "--pid"]
        environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": "/root",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
        }
        done = subprocess.run(
            [*nsenter, "--cgroup", "sh", "-c", f"cd /root\n{command}"],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd="/",
            env=environment,
            timeout=seconds,
        )
        if check:
            assert done.returncode == 0, (
                f"{command}\nended with {done.returncode}:\n{done.stdout}{done.stderr}"
            )
        return done

    def says(self, command: str) -> str:
        """What `command` prints, without the line break at its end; it must succeed."""
        return self.run(command).stdout.strip()

    def is_up(self) -> bool:
        """Whether booting is over. Raises AssertionError where something failed on the way."""
        state = self.run("systemctl is-system-running", check=False).stdout.strip()
        assert state != "degraded", self.run("systemctl --failed --no-pager", check=False).stdout
        return state == "running"

    def wait_until(self, condition: Callable[[], object], what: str, seconds: float = 30) -> None:
        """Wait until `condition` holds. Raises AssertionError with the end of the journal where it does not."""
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                journal = self.run("journalctl --no-pager -n 40 -o cat", check=False).stdout
                raise AssertionError(f"no {what} within {seconds:g} s; the journal ends with:\n{journal}")
            time.sleep(0.2)


def missing() -> str | None:
    """What keeps a machine from being started here, in words; None when nothing does."""
    return (
        None if _control_groups() else "needs a control group hierarchy of version 2 that can be written to"
    )


@contextmanager
def booted(
    root: Path, lent: Mapping[str, Path] = MappingProxyType({}), *, log: Path, options: Sequence[str] = ()
) -> Iterator[Machine]:
    """Boot the Debian that lies in `root`, which it may change, with the folders `lent` (by their place inside) for
    reading; its console goes to `log`. nspawn gets `options`, too.

    Resource handling: when the block ends, it is switched off, and neither processes nor control groups are left.
    Error handling: AssertionError with the console when it does not come up.
    """
    parent = _control_groups()
    assert parent is not None, missing()
    _sweep(parent)
    group = parent / f"digestd-e2e-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    try:
        with log.open("wb") as console:
            process = subprocess.Popen(
                [
                    "sh",
                    "-c",
                    f'echo $$ > {group}/cgroup.procs; exec "$@"',
                    "sh",
                    *_nspawn(root, lent, options),
                ],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        try:
            machine = Machine(root, _leader(process, log))
            machine.wait_until(machine.is_up, "end of booting", _BOOT_SECONDS)
            yield machine
        finally:
            _switch_off(process, group)
    finally:
        _remove(group)


def _nspawn(root: Path, lent: Mapping[str, Path], options: Sequence[str]) -> list[str]:
    # The signal reaches `timeout` when we die, and from there nspawn, which then switches the machine off.
    bounded = ["setpriv", "--pdeathsig", "TERM", "timeout", "--kill-after=30", str(LIFE_SECONDS)]
    alone = ["--register=no", "--keep-unit", "--private-network", "--link-journal=no", "--resolv-conf=off"]
    bound = [f"--bind-ro={outside}:{inside}" for inside, outside in lent.items()]
    machine = ["--quiet", "--timezone=off", f"--machine=digestd-{os.getpid()}", f"--directory={root}"]
    return [*bounded, "systemd-nspawn", *alone, *machine, *bound, *options, "--boot"]


def _control_groups() -> Path | None:
    """Where control groups of version 2 can be made: on some systems beside those of version 1."""
    for place in (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified")):
        if (
            (place / "cgroup.procs").exists()
            and (place / "cgroup.controllers").exists()
            and os.access(place, os.W_OK)
        ):
            return place
    return None


def _leader(process: subprocess.Popen[bytes], log: Path) -> int:
    """The pid, as seen from here, of the machine's own PID 1."""
    deadline = time.monotonic() + _BOOT_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        for pid in _descendants(process.pid):
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{pid}/status").read_text()
                inside = status.partition("NSpid:")[2].splitlines()[0].split()
                if len(inside) > 1 and inside[-1] == "1" and status.startswith("Name:\tsystemd\n"):
                    return pid
        time.sleep(0.05)
    raise AssertionError(f"the machine did not start:\n{log.read_text(errors='replace')}")


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
            yield child
            yield from _descendants(child)


def _switch_off(process: subprocess.Popen[bytes], group: Path) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        for member in group.rglob("cgroup.procs"):
            for pid in map(int, member.read_text().split()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        process.wait(_STOP_SECONDS)


def _sweep(parent: Path) -> None:
    """Remove what runs that were killed have left."""
    for group in parent.glob("digestd-e2e-*"):
        if not Path(f"/proc/{group.name.split('-')[2]}").exists():
            _remove_empty(group)


def _remove(group: Path) -> None:
    """Remove the control group with those that the machine made in it, once their last processes have gone."""
    deadline = time.monotonic() + 10
    while group.exists():
        _remove_empty(group)
        assert time.monotonic() < deadline, f"processes stay in {group}"
        time.sleep(0.05)


def _remove_empty(group: Path) -> None:
    inner = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
    for folder in [*inner, group]:
        with contextlib.suppress(OSError):
            folder.rmdir()
