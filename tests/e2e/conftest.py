"""What the end-to-end tests share: Debian 13 and the wheels to install there.

Everything here runs against real programs: systemd, Podman, Prometheus, a browser. `tests/e2e/install-tools` installs
them; a test whose tool is missing is skipped, and fails in CI.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from support import debian
from support.farm import farm as farm


@pytest.fixture(scope="session")
def needs() -> Callable[..., None]:
    """Skip (in CI: fail) unless we are root and the named programs are installed."""

    def check(*tools: str) -> None:
        reason = debian.missing(*tools)
        if reason is None:
            return
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    return check


@pytest.fixture(scope="session")
def wheels(needs: Callable[..., None], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with this checkout's wheel and everything it needs on Debian 13, for `pip install --no-index`."""
    needs()
    folder = tmp_path_factory.mktemp("wheels")
    for wheel in debian.locked_wheels().iterdir():
        (folder / wheel.name).hardlink_to(wheel)
    debian.own_wheel(folder)
    return folder
