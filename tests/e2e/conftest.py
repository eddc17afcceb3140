"""What the end-to-end tests share: Debian 13 and the wheels to install there.

Everything here runs against real programs: systemd, Podman, Prometheus, a browser. `tests/e2e/install-tools` installs
them; a test whose tool is missing is skipped, and fails in CI.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support import debian, machine, podman
from support.farm import farm as farm


def refuse(reason: str | None) -> None:
    """Skip for `reason` if there is one; fail in CI."""
    if reason is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """Skip (in CI: fail) unless we are root and the named programs are installed."""
    return lambda *tools: refuse(debian.missing(*tools))


@pytest.fixture(scope="session")
def wheels(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this checkout's wheel and everything it needs on Debian 13, for `pip install --no-index`."""
    needs()
    folder = tmp_path_factory.mktemp("wheels")
    for wheel in debian.locked_wheels().iterdir():
        (folder / wheel.name).hardlink_to(wheel)
    debian.own_wheel(folder)
    return folder


@pytest.fixture(scope="session")
def digestd_image(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of digestd's image, for :func:`support.podman.podman_machine`."""
    needs("mmdebstrap", *machine.TOOLS)
    refuse(machine.missing())
    refuse(podman.missing())
    return podman.digestd_image(tmp_path_factory.mktemp("digestd-image"))


@pytest.fixture(scope="session")
def postgres_image(digestd_image: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of a PostgreSQL that stands in for Docker's official image."""
    return podman.postgres_image(tmp_path_factory.mktemp("postgres-image"))
