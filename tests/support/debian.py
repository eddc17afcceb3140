"""Real Debian systems to install digestd in: a root file system, and the wheels to put there offline.

Both are kept in the user's cache between runs: making them takes half a minute, and hundreds of megabytes of downloads.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

from platformdirs import user_cache_path

PROJECT = Path(__file__).parents[2]
LOCK = PROJECT / "conf" / "requirements.lock"
BUILD_LOCK = PROJECT / "conf" / "build.lock"
SUITE, PYTHON = {"12": ("bookworm", "3.11"), "13": ("trixie", "3.13")}[os.environ.get("DEBIAN_RELEASE", "13")]
"""The Debian that is made, and its Python."""

# Every glibc that wheels are built for up to Debian 13's own; pip takes each only by its name.
_PLATFORMS = [f"manylinux_2_{minor}" for minor in range(5, 42)] + ["manylinux2014", "manylinux1"]


def kept() -> Path:
    """The folder in which roots and wheels outlive a run."""
    return user_cache_path("digestd-e2e", ensure_exists=True)


def debian_root(packages: Collection[str]) -> Path:
    """A tar archive of Debian with `packages` beside what is essential, made by mmdebstrap (as root).

    Raises RuntimeError with the words of mmdebstrap when it cannot be made.
    """
    wanted = sorted(packages)
    archive = kept() / f"{SUITE}-{_short_hash(wanted)}.tar"
    if not archive.exists():
        unfinished = archive.with_suffix(f".{os.getpid()}")
        _run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", f"--include={','.join(wanted)}"]
            + [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man", "locale")]
            + [SUITE, str(unfinished)]
        )
        unfinished.rename(archive)
    return archive


def unpacked(archive: Path, folder: Path) -> Path:
    """`archive` unpacked as `folder`, as root with all owners and modes."""
    folder.mkdir(parents=True)
    _run(["tar", "--numeric-owner", "-C", str(folder), "-xf", str(archive)])
    return folder


def locked_wheels(lock: Path = LOCK) -> Path:
    """A folder with the wheels that `lock` names, for that Debian on this machine's processor."""
    folder = kept() / f"wheels-{_short_hash([lock.read_text(encoding='utf-8'), PYTHON, platform.machine()])}"
    if not folder.exists():
        unfinished = folder.with_suffix(f".{os.getpid()}")
        named = [f"{name}_{platform.machine()}" for name in _PLATFORMS]
        _run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
            + ["--only-binary=:all:", f"--dest={unfinished}", f"--python-version={PYTHON}"]
            + ["--implementation=cp", f"--abi=cp{PYTHON.replace('.', '')}", "--abi=abi3", "--abi=none"]
            + [f"--platform={name}" for name in (*named, "any")]
            + ["--require-hashes", f"--requirement={lock}"]
        )
        unfinished.rename(folder)
    return folder


def build_wheels() -> Path:
    """A folder with what builds this checkout's wheel on that Debian."""
    return locked_wheels(BUILD_LOCK)


def own_wheel(folder: Path) -> Path:
    """The wheel of this checkout, built into `folder`."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--no-deps", f"--wheel-dir={folder}", str(PROJECT)])
    (wheel,) = folder.glob("digestd-*.whl")
    return wheel


def program(name: str) -> str | None:
    """Where the program `name` is: among those that tests/e2e/install-tools has from PyPI, or on the PATH."""
    return shutil.which(name, path=str(kept() / "tools" / "bin")) or shutil.which(name)


def missing(*tools: str) -> str | None:
    """What keeps such a test from running here, in words; None when it can run."""
    if os.geteuid() != 0:
        return "needs root"
    absent = [tool for tool in tools if program(tool) is None]
    return f"needs {', '.join(absent)} (tests/e2e/install-tools)" if absent else None


def _short_hash(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
