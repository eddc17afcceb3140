"""What the end-to-end tests share: Debian 13, the wheels to install there, and digestd installed in a machine.

Everything here runs against real programs: systemd, Podman, Prometheus, a browser. `tests/e2e/install-tools` installs
them; a test whose tool is missing is skipped, and fails in CI. DEBIAN_RELEASE=12 tries Debian 12 in the place of 13.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import debian, machine, podman
from support.farm import farm as farm
from support.handbook import packages, shell_block
from support.postgres import PostgresServer
from support.unit import SECTION, Unit


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
def database_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that does not run yet; the machine of :func:`unit` has its socket in /srv/postgresql."""
    try:
        server = PostgresServer()
    except (RuntimeError, OSError) as error:
        refuse(f"no PostgreSQL to test with: {error}")
        raise
    yield server
    server.destroy()


@pytest.fixture(scope="session")
def unit(
    needs: Callable[..., None], database_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Unit]:
    """digestd installed as docs/operations.md says in a bare Debian 13 that boots once, and removed as it says; a test
    begins with :meth:`Unit.configure`."""
    needs("mmdebstrap", *machine.TOOLS)
    if (reason := machine.missing()) is not None:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("systemd")
    install = shell_block(SECTION, "python3 -m venv")
    system = debian.debian_root(["systemd", "systemd-sysv", "dbus", *packages(install)])
    root = debian.unpacked(system, folder / "root")
    lent = {
        # Nothing but loopback is there: pip takes from these folders what it would get from its index.
        "/wheels": debian.locked_wheels(),
        "/build": debian.build_wheels(),
        "/root/digestd": debian.PROJECT,
        "/srv/postgresql": database_server.directory,
    }
    (root / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links =\n  /wheels\n  /build\n")
    with machine.booted(root, lent, log=folder / "console") as running:
        # mmdebstrap has installed the packages before.
        offline = install.replace("apt-get install -y", "dpkg-query --show")
        running.run(f"set -e; cd digestd\n{offline}", seconds=300)
        yield Unit(running)
        running.run(f"set -e\n{shell_block(SECTION, 'disable --now')}")
        left = running.says("find /etc /opt /run /usr /var -xdev -name '*digestd*'")
        assert left == "", "what the removal leaves"
    # Half a gigabyte, of which pytest would keep three.
    shutil.rmtree(root)


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
