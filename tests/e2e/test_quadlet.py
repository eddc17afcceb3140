"""The Quadlet as docs/operations.md installs it: Podman 5 under a real systemd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.handbook import shell_block
from support.machine import Machine
from support.podman import FEED_URL, SECTION, podman_machine, serve_feeds, settings

pytestmark = pytest.mark.e2e

DROP_INS = "/etc/containers/systemd/digestd.container.d"


@pytest.fixture(scope="module")
def host(digestd_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with podman_machine(tmp_path_factory.mktemp("quadlet"), digestd_image) as machine:
        serve_feeds(machine)
        install, start, _ = shell_block(SECTION, "install -D -m 0644 systemd/digestd.container").rpartition(
            "systemctl start"
        )
        assert start
        machine.run(f"set -e; cd digestd\n{install}")
        yield machine


@pytest.fixture
def running(host: Machine) -> Iterator[Machine]:
    """The service, started as the documentation says, with a feed that it polls every second."""
    write(host, "/etc/digestd/digestd.yaml", settings())
    write(host, f"{DROP_INS}/test.conf", "[Service]\nRestartSec=1\n")
    host.run("rm -f /etc/containers/systemd/digestd.container.d/database.conf; systemctl daemon-reload")
    host.run("journalctl --rotate && journalctl --vacuum-time=1s && systemctl reset-failed")
    host.run("systemctl start digestd")
    yield host
    host.run("systemctl stop digestd")
    host.run("podman volume rm digestd")


def write(host: Machine, path: str, text: str) -> None:
    file = host.root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def show(host: Machine, name: str) -> str:
    return host.says(f"systemctl show --value -p {name} digestd")


def events(host: Machine, name: str) -> list[dict[str, Any]]:
    lines = host.says("journalctl --no-pager -u digestd -o cat").splitlines()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    return [line for line in logged if line["event"] == name]


def test_it_is_started_when_it_is_ready(running: Machine) -> None:
    assert show(running, "ActiveState") == "active"
    assert "sources: 1, " in show(running, "StatusText")
    assert len(events(running, "worker.started")) == 1
    running.wait_until(lambda: events(running, "worker.fetch.complete"), "poll")
    running.run(f"set -e\n{shell_block(SECTION, 'podman exec digestd digestd health')}")
    program = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/health').read().decode())"
    assert json.loads(running.says(f'python3 -c "{program}"'))["status"] == "ok"
    container = json.loads(running.says("podman inspect digestd"))[0]
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert (container["EffectiveCaps"] or [], container["BoundingCaps"] or []) == ([], [])
    assert "no-new-privileges" in container["HostConfig"]["SecurityOpt"]


def test_a_reload_reads_the_settings_again_and_restarts_nothing(running: Machine) -> None:
    container = running.says("podman inspect --format={{.Id}} digestd")
    changed = json.loads(settings())
    changed["sources"].append({"name": "second", "url": f"{FEED_URL}/second.xml"})
    write(running, "/etc/digestd/digestd.yaml", json.dumps(changed))
    running.run(f"set -e\n{shell_block(SECTION, 'systemctl reload')}")
    running.wait_until(
        lambda: any(poll["source"] == "second" for poll in events(running, "worker.fetch.complete")),
        "poll of the new source",
    )
    write(running, "/etc/digestd/digestd.yaml", "worker: {max_sorces: 1}")
    running.run("systemctl reload digestd")
    running.wait_until(lambda: events(running, "worker.reload.refused"), "refusal")
    assert running.says("podman inspect --format={{.Id}} digestd") == container
    assert (show(running, "ActiveState"), show(running, "NRestarts")) == ("active", "0")


def test_what_hangs_is_killed_and_started_anew(running: Machine) -> None:
    watchdog = "[Container]\nEnvironment=WATCHDOG_USEC=4000000\n[Service]\nRestartSec=1\nWatchdogSec=4\n"
    write(running, f"{DROP_INS}/test.conf", watchdog)
    running.run("systemctl daemon-reload && systemctl restart digestd && sleep 9")
    # Twice the watchdog's time has passed: what digestd says of itself arrives.
    assert (show(running, "ActiveState"), show(running, "NRestarts")) == ("active", "0")
    running.run("podman kill --signal STOP digestd")
    running.wait_until(lambda: show(running, "NRestarts") == "1", "restart", 20)
    running.wait_until(lambda: show(running, "ActiveState") == "active", "second start")
    assert "Watchdog timeout (limit 4s)!" in running.says("journalctl --no-pager -u digestd -o cat")
    running.run("podman kill --signal KILL digestd")
    running.wait_until(lambda: show(running, "NRestarts") == "2", "restart", 20)
    running.wait_until(lambda: show(running, "ActiveState") == "active", "third start")


def test_a_secret_is_a_file_that_nobody_else_reads(running: Machine) -> None:
    commands = shell_block(SECTION, "podman secret create")
    address = "postgresql://digestd:PASSWORD@db.example.org/digestd"
    assert address in commands
    running.run(f"set -e\n{commands.replace(address, 'sqlite:////var/lib/digestd/secret.db')}")
    assert events(running, "worker.started")[-1]["database"] == "sqlite:////var/lib/digestd/secret.db"
    assert running.says("podman exec digestd stat -c '%a %u' /run/secrets/database_url") == "400 10001"
    assert "secret.db" not in running.says("podman inspect digestd")


def test_a_wrong_configuration_is_not_tried_again(running: Machine) -> None:
    write(running, "/etc/digestd/digestd.yaml", "worker: {max_sorces: 1}")
    assert running.run("systemctl restart digestd", check=False).returncode == 1
    assert (show(running, "ActiveState"), show(running, "ExecMainStatus")) == ("failed", "78")
    assert "worker.max_sorces: unknown key" in running.says("journalctl --no-pager -u digestd -o cat")
    running.run("sleep 3")
    assert (show(running, "ActiveState"), show(running, "NRestarts")) == ("failed", "0")


def test_a_stop_is_clean_and_removal_leaves_nothing(running: Machine) -> None:
    running.wait_until(lambda: events(running, "worker.fetch.complete"), "poll")
    running.run("systemctl stop digestd")
    assert (show(running, "Result"), show(running, "ExecMainStatus")) == ("success", "0")
    assert len(events(running, "worker.stopped")) == 1
    assert running.says("podman ps --all --quiet") == ""
    # Articles stay.
    running.run("systemctl start digestd")
    assert json.loads(running.says("podman exec digestd digestd articles --json"))


def test_as_the_documentation_removes_it_nothing_is_left(host: Machine) -> None:
    host.run(f"systemctl start digestd; set -e\n{shell_block(SECTION, 'podman volume rm')}")
    left = host.says(
        "podman ps -aq; podman volume ls -q; podman secret ls -q; podman images -q localhost/digestd"
    )
    assert left == ""
    assert host.run("systemctl list-unit-files --no-legend 'digestd*'", check=False).stdout == ""
