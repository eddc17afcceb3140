"""The compose file as docs/operations.md says, run by Docker Compose on Podman, with a PostgreSQL of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.handbook import packages, shell_block
from support.machine import Machine
from support.podman import SECTION, events, podman_machine, serve_feeds, settings

pytestmark = pytest.mark.e2e

COMPOSE = "cd /srv/digestd; export DOCKER_HOST=unix:///run/podman/podman.sock;"
DIGESTD, DATABASE = "digestd", "digestd-database-1"


@pytest.fixture(scope="module")
def host(
    digestd_image: Path, postgres_image: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Machine]:
    with podman_machine(tmp_path_factory.mktemp("compose"), digestd_image, postgres_image) as machine:
        serve_feeds(machine)
        install = shell_block(SECTION, "docker-compose up")
        # mmdebstrap has installed the packages before.
        machine.run(f"dpkg-query --show {' '.join(packages(install))}")
        prepare, up, _ = install.replace("apt-get install -y", ":").rpartition("docker-compose up")
        assert up
        machine.run(f"set -e; cd digestd\n{prepare}")
        (machine.root / "srv/digestd/settings/digestd.yaml").write_text(settings())
        machine.run(f"set -e; {COMPOSE} {install.strip().splitlines()[-1]}")
        yield machine
        machine.run(f"{COMPOSE} docker-compose down --volumes")


def inspect(host: Machine, container: str) -> Any:
    return json.loads(host.says(f"podman inspect {container}"))[0]


def test_both_run_healthy_and_with_no_right(host: Machine) -> None:
    for container in (DIGESTD, DATABASE):
        found = inspect(host, container)
        assert found["State"]["Health"]["Status"] == "healthy"
        assert (found["EffectiveCaps"] or [], found["BoundingCaps"] or []) == ([], [])
        assert "no-new-privileges" in found["HostConfig"]["SecurityOpt"]
    assert inspect(host, DIGESTD)["HostConfig"]["ReadonlyRootfs"]
    assert json.loads(host.says("podman network inspect digestd_database"))[0]["internal"] is True


def test_the_password_is_in_a_file_alone(host: Machine) -> None:
    password = (host.root / "srv/digestd/secrets/postgres_password").read_text()
    assert len(password) == 32
    assert events(host, DIGESTD, "worker.started")[0]["database"] == "postgresql://***@database/digestd"
    for container in (DIGESTD, DATABASE):
        assert password not in host.says(f"podman inspect {container}; podman logs {container} 2>&1")


def test_it_keeps_articles_in_the_database(host: Machine) -> None:
    host.wait_until(lambda: events(host, DIGESTD, "worker.fetch.complete"), "poll")
    # Its own socket lets everybody in who is in the container.
    asked = f"podman exec {DATABASE} psql -U digestd -Atc 'SELECT count(*) FROM articles'"
    host.wait_until(lambda: host.says(asked) == "3", "three articles")


def test_it_is_looked_at_and_told_as_the_documentation_says(host: Machine) -> None:
    host.run(f"set -e; {COMPOSE} {shell_block(SECTION, 'docker-compose kill')}")
    host.wait_until(lambda: events(host, DIGESTD, "worker.reloaded"), "reload")


def test_it_stops_in_order_and_goes_on_later(host: Machine) -> None:
    host.run(f"{COMPOSE} docker-compose stop")
    assert [inspect(host, name)["State"]["ExitCode"] for name in (DIGESTD, DATABASE)] == [0, 0]
    assert len(events(host, DIGESTD, "worker.stopped")) == 1
    host.run(f"{COMPOSE} docker-compose up --detach --wait")
    assert len(json.loads(host.says(f"podman exec {DIGESTD} digestd articles --json"))) == 3
