from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.store import owner
from digestd.store.owner import current_owner, is_dead

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc on this system")

_PROGRAM = "from digestd.store.owner import current_owner; print(current_owner(), flush=True); input()"


@contextmanager
def another_process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", _PROGRAM]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def changed(name: str, part: int, value: str) -> str:
    parts = name.split("/")
    return "/".join([*parts[:part], value, *parts[part + 1 :]])


def test_an_owner_names_host_boot_namespace_pid_and_start() -> None:
    host, boot, namespace, pid, start = current_owner().split("/")
    assert host == os.uname().nodename
    assert boot == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert namespace == str(Path("/proc/self/ns/pid").readlink())
    assert pid == str(os.getpid())
    assert int(start) > 0
    assert current_owner() == current_owner()


def test_a_living_process_is_not_dead() -> None:
    me = current_owner()
    with another_process() as (_, other):
        assert not is_dead(other, me)
        assert not is_dead(me, other)


def test_a_killed_process_is_dead_before_and_after_it_is_reaped() -> None:
    me = current_owner()
    with another_process() as (process, other):
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(other, me)
        process.wait()
        assert is_dead(other, me)


def test_a_pid_that_another_process_has_now_is_dead() -> None:
    me = current_owner()
    assert is_dead(changed(me, 4, "1"), me)
    assert is_dead(changed(me, 3, "9" * 30), me)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_what_cannot_be_seen_from_here_is_not_dead(part: int) -> None:
    me = current_owner()
    with another_process() as (process, other):
        process.kill()
        process.wait()
    assert is_dead(other, me)
    assert not is_dead(changed(other, part, "elsewhere"), me)
    assert not is_dead(changed(other, part, "-"), changed(me, part, "-"))


@given(st.text())
def test_text_that_names_no_owner_is_not_dead(text: str) -> None:
    assert not is_dead(text, current_owner())


def test_without_proc_nobody_is_ever_dead(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(owner, "Path", lambda path: tmp_path / path.lstrip("/"))
    me = current_owner()
    assert me == f"{os.uname().nodename}/-/-/{os.getpid()}/-"
    assert not is_dead(changed(me, 3, "999999999"), me)
