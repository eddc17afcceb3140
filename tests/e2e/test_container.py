"""The image: what is in it, and how it runs under Podman with no rights at all."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import digestd
from support.debian import PROJECT, program
from support.handbook import shell_block
from support.machine import Machine
from support.podman import BASE_IMAGE, FEED_URL, IMAGE, SECTION, events, podman_machine, serve_feeds, settings

pytestmark = pytest.mark.e2e

CONFINED = (
    "--read-only --cap-drop=all --security-opt=no-new-privileges --user=10001:10001"
    " --volume=digestd:/var/lib/digestd --volume=/root/settings:/etc/digestd:ro"
)
MOST_MEGABYTES = 175
"""What digestd and everything it needs may add to its base."""


@pytest.fixture(scope="module")
def host(digestd_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with podman_machine(tmp_path_factory.mktemp("container"), digestd_image) as machine:
        serve_feeds(machine)
        yield machine


def inspect(host: Machine, what: str, name: str) -> Any:
    return json.loads(host.says(f"podman {what} inspect {name}"))[0]


def configure(host: Machine, text: str) -> None:
    folder = host.root / "root/settings"
    folder.mkdir(exist_ok=True)
    (folder / "digestd.yaml").write_text(text)


def test_the_containerfile_is_clean(needs: Callable[..., None]) -> None:
    needs("hadolint")
    done = subprocess.run(
        [str(program("hadolint")), str(PROJECT / "Containerfile")], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_the_image_says_what_it_is_and_is_small(host: Machine) -> None:
    image = inspect(host, "image", IMAGE)
    assert image["Labels"].items() >= {
        ("org.opencontainers.image.title", "digestd"),
        ("org.opencontainers.image.licenses", "MIT"),
        ("org.opencontainers.image.version", digestd.__version__),
        ("org.opencontainers.image.base.name", BASE_IMAGE),
    }
    config = image["Config"]
    assert (config["User"], config["Entrypoint"]) == ("10001:10001", ["digestd"])
    assert (config["StopSignal"], config["Volumes"]) == ("SIGTERM", {"/var/lib/digestd": {}})
    assert image["Healthcheck"]["Test"] == ["CMD", "digestd", "health"]
    added = (image["Size"] - inspect(host, "image", BASE_IMAGE)["Size"]) / 1e6
    assert added < MOST_MEGABYTES, f"{added:.0f} MB more than its base"


def test_there_is_nothing_to_build_with_in_it(host: Machine) -> None:
    look = (
        "for tool in gcc cc g++ clang tcc ld make pip; do command -v $tool; done;"
        " find / -xdev '(' -name '*.whl' -o -path '*/.cache/*' -o -path '/opt/*/pip' -o -path /opt/build ')';"
        " find / -xdev -writable -not -type l -not -path '/proc/*' -not -path '/dev/*' -not -path '/run/*'"
    )
    found = host.says(f'podman run --rm --network=none --entrypoint=sh {IMAGE} -c "{look} 2>/dev/null"; true')
    # These belong to Debian's python3-venv.
    ours = [line for line in found.splitlines() if not line.startswith("/usr/share/python-wheels/")]
    assert sorted(ours) == ["/tmp", "/var/lib/digestd", "/var/tmp"]


def test_a_build_whose_label_would_lie_fails(host: Machine) -> None:
    (check,) = [
        line for line in (PROJECT / "Containerfile").read_text().splitlines() if line.startswith("RUN test")
    ]
    folder = host.root / "root/lie"
    folder.mkdir()
    for version, status in ((digestd.__version__, 0), ("9.9", 1)):
        (folder / "Containerfile").write_text(f"FROM {IMAGE}\nARG VERSION={version}\n{check}\n")
        done = host.run("podman build -q --network=none lie", check=False)
        assert done.returncode == status, done.stderr


def test_it_polls_without_any_right_turns_healthy_and_stops(host: Machine) -> None:
    configure(host, settings())
    host.run(f"podman run -d --name=d --health-interval=2s {CONFINED} {IMAGE}")
    host.wait_until(lambda: events(host, "d", "worker.extraction.complete")[2:], "pages read", 60)
    assert [page["outcome"] for page in events(host, "d", "worker.extraction.complete")] == ["done"] * 3
    host.wait_until(
        lambda: inspect(host, "container", "d")["State"]["Health"]["Status"] == "healthy", "good health", 60
    )
    status = host.says("podman exec d cat /proc/1/status")
    assert "Uid:\t10001\t10001\t10001\t10001" in status
    assert "CapPrm:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Read-only file system" in host.run("podman exec --user=0 d touch /opt/x", check=False).stderr
    listed = json.loads(host.says("podman exec d digestd articles --json"))
    assert len(listed) == 3
    began = time.monotonic()
    host.run("podman stop d")
    assert time.monotonic() - began < 10, "killed after the ten seconds that Podman gives"
    assert inspect(host, "container", "d")["State"]["ExitCode"] == 0
    assert events(host, "d", "worker.stopping")[0]["signal"] == "SIGTERM"
    assert host.run("podman logs d").stderr.splitlines()[-1].count('"event": "worker.stopped"') == 1
    host.run("podman rm d")


def test_as_pid_1_it_leaves_no_zombies(host: Machine) -> None:
    """No init stands before digestd: it waits for every process that it starts, also for those that were killed."""
    configure(host, settings(f"{FEED_URL}/other.xml"))
    feed = host.root / "srv/feeds/other.xml"
    # What is not well-formed is for another process to read.
    feed.write_bytes((host.root / "srv/feeds/feed.xml").read_bytes().replace(b"Story", b"Story&nbsp;", 1))
    host.run(f"podman run -d --name=z {CONFINED} {IMAGE}")
    host.wait_until(lambda: changes(host) == 1 and len(children(host)) > 1, "processes that read", 60)
    killed = children(host)
    host.run(f"podman exec z sh -c 'kill -9 {' '.join(killed)}'")
    # The next document needs them.
    feed.write_text(feed.read_text().replace("Story", "A story"))
    host.wait_until(
        lambda: changes(host) == 2 and not {*killed} & {*children(host)}, "end of the zombies", 60
    )
    host.run("podman rm -f z")


def children(host: Machine) -> list[str]:
    """The processes that digestd has in the container `z` and that it has not waited for."""
    return host.says("podman exec z sh -c 'cat /proc/1/task/*/children'").split()


def changes(host: Machine) -> int:
    return sum(poll["outcome"] == "fetched" for poll in events(host, "z", "worker.fetch.complete"))


def test_it_runs_as_the_documentation_says(host: Machine) -> None:
    (demo,) = [line for line in shell_block(SECTION, "podman build").splitlines() if line.endswith(" demo")]
    assert "sources checked    6 of 6" in host.says(demo)
    (host.root / "etc/digestd").mkdir()
    (host.root / "etc/digestd/digestd.yaml").write_text(settings())
    start, stop, remove = shell_block(SECTION, "podman run -d").replace("\\\n", "").splitlines()
    host.run(start)
    host.wait_until(lambda: events(host, "digestd", "worker.fetch.complete"), "poll")
    asked = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/health').status)"
    assert host.says(f'python3 -c "{asked}"') == "200"
    host.run(stop)
    assert inspect(host, "container", "digestd")["State"]["ExitCode"] == 0
    host.run(remove)


def test_a_wrong_configuration_ends_with_78(host: Machine) -> None:
    configure(host, "worker: {max_sorces: 1}")
    done = host.run(f"podman run --rm {CONFINED} {IMAGE}", check=False)
    assert done.returncode == 78
    assert (
        "/etc/digestd/digestd.yaml: worker.max_sorces: unknown key; did you mean max_sources?" in done.stderr
    )
