"""What the unit keeps digestd, and whoever gets hold of it, from; and that it works all the same."""

from __future__ import annotations

import json
import shutil

import pytest

from support.debian import PROJECT
from support.handbook import shell_block
from support.kiosk import LARGE
from support.unit import PORT, SECTION, Unit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ALLOWED = {
    "write to the state directory",
    "write to /tmp",
    "connect to a feed",
    "run the shell",
    "give way to others",
    "limit its memory",
}


def test_under_the_unit_nothing_more_can_be_done_than_is_needed(unit: Unit) -> None:
    unit.configure("one")
    unit.machine.run("install -d -m 0700 /etc/digestd/credentials")
    shutil.copy(PROJECT / "tests" / "e2e" / "probe.py", unit.place("/srv/probe.py"))
    # Another unit from the same file, with the probe in the daemon's place.
    unit.machine.run("cp /etc/systemd/system/digestd.service /etc/systemd/system/probe.service")
    command = f"/opt/digestd/bin/python /srv/probe.py {PORT}"
    unit.write(
        "/etc/systemd/system/probe.service.d/probe.conf",
        f"[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\nExecStart={command}\n",
    )
    unit.machine.run("systemctl daemon-reload && systemctl start probe")
    found = json.loads(unit.machine.says("journalctl --sync; journalctl -q --unit=probe -t python -o cat"))
    expected = {
        "NoNewPrivs": "1",
        "Seccomp": "2",
        "CapBnd": "0000000000000000",
        "CapEff": "0000000000000000",
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 8192,
        "umask": "0o77",
        # Root's and its own.
        "users": 2,
    }
    assert {name: found.pop(name) for name in expected} == expected
    assert {name for name, outcome in found.items() if outcome == "done"} == ALLOWED
    refused = {outcome for name, outcome in found.items() if name not in ALLOWED}
    assert refused == {"EPERM", "EACCES", "EROFS", "ENOENT", "EAFNOSUPPORT"}, found


def test_nobody_else_reads_the_database(unit: Unit) -> None:
    unit.configure("one")
    unit.publish("one", 1)
    unit.start()
    unit.wait_for("worker.fetch.complete")
    files = unit.machine.says("ls /var/lib/private/digestd").split()
    assert "digestd.db" in files
    # 65534 (nobody) owns the files on disk, where systemd shows them to the service as its own.
    for user in (1, 65534):
        for file in files:
            for path in (f"/var/lib/digestd/{file}", f"/var/lib/private/digestd/{file}"):
                done = unit.machine.run(
                    f"setpriv --reuid={user} --regid={user} --clear-groups cat {path}", check=False
                )
                assert done.returncode != 0
                assert done.stderr == f"cat: {path}: Permission denied\n"
    # A command of root's leaves no file behind that the service cannot use.
    assert "one" in unit.command("sources")
    assert unit.command("sources add two http://127.0.0.1:1/two").startswith("added")
    unit.machine.run("systemctl stop digestd")
    assert "two" in unit.command("sources")
    unit.start()
    unit.wait_for("worker.fetch.complete", 3)
    assert unit.events("worker.store.unavailable") == []


def test_parsers_are_confined_under_the_unit(unit: Unit) -> None:
    unit.configure(LARGE)
    unit.publish(LARGE, 3)
    unit.start()
    unit.machine.wait_until(
        lambda: [a["extraction"] for a in unit.articles()] == 3 * ["done"], "text of 3 articles"
    )
    own = nice(unit, int(unit.show("MainPID")))
    found = {nice(unit, pid) - own: pid for pid in unit.children()}
    # Its tracker of resources; a parser of feeds; a reader of pages.
    assert found.keys() == {0, 1, 5}
    for niceness in (1, 5):
        limit = unit.machine.says(f"grep 'Max address space' /proc/{found[niceness]}/limits").split()[3]
        assert 100 * 2**20 < int(limit) < 600 * 2**20
        assert unit.machine.says(f"cat /proc/{found[niceness]}/oom_score_adj") == "1000"


def nice(unit: Unit, pid: int) -> int:
    """By how much the process `pid` gives way to others (proc_pid_stat(5))."""
    return int(unit.machine.says(f"cat /proc/{pid}/stat").rpartition(")")[2].split()[16])


def test_what_root_restores_is_the_service_s(unit: Unit) -> None:
    unit.configure("one")
    unit.publish("one", 3)
    unit.start()
    unit.wait_for("worker.fetch.complete")
    exports = next(
        line for line in shell_block(SECTION, "enable --now").splitlines() if line.startswith("export")
    )
    section = "Back up and restore"
    backup, restore = shell_block(section, "db backup /var"), shell_block(section, "systemctl stop")
    try:
        unit.machine.run(f"set -e\n{exports}\n{backup}{restore}")
    finally:
        unit.machine.run("rm -f /var/backups/digestd.backup /root/digestd.db*")
    unit.wait_for("worker.fetch.complete", 3)
    assert unit.kept() == ["one-0", "one-1", "one-2"]
    assert unit.events("worker.store.unavailable") == []
