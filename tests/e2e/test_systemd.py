"""digestd under a real systemd, installed and run on a bare Debian 13 as docs/operations.md says."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing

import pytest

from support import debian
from support.handbook import shell_block
from support.unit import SECTION, Unit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FILE = "/etc/systemd/system/digestd.service"
STATE = "/var/lib/private/digestd"


def test_what_is_installed_runs_and_the_unit_is_clean(unit: Unit) -> None:
    demo = unit.machine.run("/opt/digestd/bin/digestd demo").stdout
    assert "sources checked    6 of 6" in demo
    assert "pages read         27" in demo
    verified = unit.machine.run(f"systemd-analyze --man=no verify --recursive-errors=no {FILE}")
    assert (verified.stdout, verified.stderr) == ("", "")
    # In tenths.
    unit.machine.run(f"systemd-analyze security --offline=true --threshold=15 {FILE}")
    unit.configure()
    first = shell_block(SECTION, "enable --now")
    unit.machine.run(f"set -e\n{first}")
    unit.machine.run("systemd-analyze security --threshold=15 digestd.service")
    shown = unit.machine.run(
        f"set -e\n{first.splitlines()[0]}\n{shell_block(SECTION, 'status digestd  ')}"
    ).stdout
    assert (
        'Status: "sources: 0, being polled: 0, failing: 0; new articles since start: 0; pages to be read: 0"'
        in shown
    )


def test_it_is_ready_when_the_database_is(unit: Unit) -> None:
    unit.configure("one")
    unit.publish("one", 1)
    unit.start()
    unit.machine.run("systemctl stop digestd")
    with closing(sqlite3.connect(unit.place(f"{STATE}/digestd.db"), isolation_level=None)) as database:
        # A start waits 5 s for who writes.
        database.execute("BEGIN IMMEDIATE")
        unit.machine.run("systemctl start --no-block digestd")
        time.sleep(3)
        assert unit.show("ActiveState") == "activating"
        assert unit.show("StatusText") == ""
        database.execute("ROLLBACK")
    unit.wait_for_property("ActiveState", "active")
    assert unit.show("NRestarts") == "0"
    assert unit.show("StatusText").startswith("sources: 1, ")


def test_a_reload_leaves_polls_in_flight_alone(unit: Unit) -> None:
    unit.configure("slow", worker={"interval_seconds": 60})
    unit.publish("slow", 3, seconds=4)
    unit.publish("other", 2)
    unit.start()
    pid = unit.show("MainPID")
    unit.machine.wait_until(lambda: unit.requests("slow"), "request")
    unit.write_sources("slow", "other")
    unit.machine.run(shell_block(SECTION, "systemctl reload digestd").replace("digestd check", ":"))
    unit.wait_for("worker.reloaded")
    unit.machine.wait_until(lambda: len(unit.kept()) == 5, "articles of both feeds")
    assert unit.requests("slow") == ["asked -", "200 -"]
    events = [json.loads(line)["event"] for line in unit.journal() if line.startswith("{")]
    slow = [line["source"] for line in unit.events("worker.fetch.complete")].index("slow")
    polls = [number for number, event in enumerate(events) if event == "worker.fetch.complete"]
    assert events.index("worker.reloaded") < polls[slow]
    unit.write("/etc/digestd/sources.yaml", "sources: [{name: slow}]")
    unit.machine.run("systemctl reload digestd")
    (refused,) = unit.wait_for("worker.reload.refused")
    assert refused["problems"] == [
        "/etc/digestd/sources.yaml: sources[0] (slow): url: missing; every source of the kind 'feed' needs one"
    ]
    assert unit.show("StatusText").startswith(
        "the last reload was refused or is not over, see the log; sources: 2, "
    )
    assert (unit.show("ActiveState"), unit.show("MainPID"), unit.show("NRestarts")) == ("active", pid, "0")


@pytest.mark.skipif(debian.SUITE == "bookworm", reason="Type=notify-reload needs systemd 253")
def test_a_reload_can_be_waited_for(unit: Unit) -> None:
    unit.configure("one")
    unit.publish("one", 1)
    unit.machine.run(f"set -e; cd digestd\n{shell_block(SECTION, 'notify-reload')}")
    assert unit.show("Type") == "notify-reload"
    for number in (1, 2, 3):
        unit.machine.run("systemctl reload digestd")
        assert len(unit.events("worker.reloaded")) == number


def test_the_watchdog_ends_what_hangs_and_not_what_is_quiet(unit: Unit) -> None:
    unit.configure("one", drop_in="WatchdogSec=3", worker={"interval_seconds": 3600})
    unit.publish("one", 1)
    unit.start()
    pid = unit.show("MainPID")
    time.sleep(8)
    assert (unit.show("NRestarts"), unit.show("MainPID")) == ("0", pid), "one poll an hour is no hang"
    unit.machine.run(f"kill -STOP {pid}")
    unit.wait_for_property("NRestarts", "1")
    unit.wait_for_property("ActiveState", "active")
    unit.machine.wait_until(
        lambda: any(
            line.startswith("digestd.service: Watchdog timeout (limit 3s)!") for line in unit.journal()
        ),
        "word of the watchdog",
    )
    said = unit.journal()
    assert "Fatal Python error: Aborted" in said
    assert any("in run" in line and "trio/_core/_run.py" in line for line in said), "what it was doing"
    assert len(unit.events("worker.started")) == 2
    assert unit.kept() == ["one-0"]


def test_kill_9_loses_and_doubles_nothing(unit: Unit) -> None:
    feeds = [f"feed{number}" for number in range(8)]
    unit.configure(*feeds)
    for feed in feeds:
        unit.publish(feed, 5, seconds=0.3)
    unit.start()
    for killed in (1, 2):
        unit.machine.wait_until(lambda: unit.show("ActiveState") == "active", "restart")
        unit.wait_for("worker.fetch.complete", 3)
        for feed in feeds:
            unit.publish(feed, 5 + 5 * killed, seconds=0.3)
        unit.machine.run("systemctl kill --kill-whom=all --signal=KILL digestd")
        unit.wait_for_property("NRestarts", str(killed))
    began = time.monotonic()
    wanted = sorted(f"{feed}-{number}" for feed in feeds for number in range(15))
    unit.machine.wait_until(lambda: len(unit.articles()) >= len(wanted), "all articles")
    # No lease of the killed ones is waited for (75 s).
    assert time.monotonic() - began < 20
    assert unit.kept() == wanted
    # Their pages follow, through processes under the unit's limits.
    unit.machine.wait_until(
        lambda: {article["extraction"] for article in unit.articles()} == {"done"}, "text of all articles"
    )
    assert unit.events("worker.source.crashed") == []


def test_a_stop_is_clean_and_lets_polls_end(unit: Unit) -> None:
    unit.configure("lasting", worker={"interval_seconds": 60})
    unit.publish("lasting", 2, seconds=3)
    unit.start()
    unit.machine.wait_until(lambda: unit.requests("lasting"), "request")
    began = time.monotonic()
    unit.machine.run("systemctl stop digestd")
    assert 1 < time.monotonic() - began < 8
    assert (unit.show("Result"), unit.show("ExecMainStatus"), unit.show("NRestarts")) == ("success", "0", "0")
    assert unit.kept() == ["lasting-0", "lasting-1"]
    (stopping,) = unit.events("worker.stopping")
    assert (stopping["message"], stopping["signal"]) == ("shutting down gracefully", "SIGTERM")
    assert len(unit.events("worker.stopped")) == 1
    assert unit.events("worker.cut_off") == []
    # Between systemd's own words nothing but JSON: what reads the journal for Loki relies on it.
    lines = unit.machine.says("journalctl -q --sync; journalctl -q -t digestd -o cat").splitlines()
    own = [json.loads(line) for line in unit.journal() if line in set(lines)]
    assert len(own) > 5
    assert all({"timestamp", "level", "event"} <= line.keys() for line in own)


def test_a_wrong_configuration_is_told_in_words_and_not_tried_again(unit: Unit) -> None:
    unit.configure("one", worker={"max_sorces": 3})
    assert unit.machine.run("systemctl start digestd", check=False).returncode != 0
    assert unit.show("ExecMainStatus") == "78"
    time.sleep(3)
    assert (unit.show("ActiveState"), unit.show("NRestarts")) == ("failed", "0")
    said = unit.journal()
    assert "digestd: the configuration is wrong:" in said
    assert "  /etc/digestd/digestd.yaml: worker.max_sorces: unknown key; did you mean max_sources?" in said
