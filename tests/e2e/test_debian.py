"""digestd installs offline from its lock on Debian 13, and runs there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from support import debian

pytestmark = pytest.mark.e2e


def test_the_lock_installs_on_debian_13(needs: Callable[..., None], wheels: Path, tmp_path: Path) -> None:
    needs("mmdebstrap", "systemd-nspawn")
    root = debian.unpacked(
        debian.debian_root(["ca-certificates", "python3", "python3-venv"]), tmp_path / "root"
    )
    script = (
        "python3 -m venv /opt/digestd && /opt/digestd/bin/pip install -q --no-index --find-links /wheels digestd"
        " && /opt/digestd/bin/digestd demo"
    )
    command = [
        "systemd-nspawn",
        "-q",
        "--register=no",
        "--keep-unit",
        "--private-network",
        "--resolv-conf=off",
    ]
    command += ["--timezone=off", "--as-pid2", f"--bind-ro={wheels}:/wheels", "-D", str(root)]
    done = subprocess.run(
        [*command, "sh", "-c", script], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sources checked    6 of 6" in done.stdout
