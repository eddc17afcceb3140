"""A real PgBouncer before a PostgreSQL of the tests', in transaction mode. Where it is not installed, tests skip."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from support.postgres import PostgresServer, unprivileged

PROGRAM = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

_SETTINGS = """
[databases]
* = host={server} port=5432 user=postgres
[pgbouncer]
listen_addr =
unix_socket_dir = {directory}
unix_socket_mode = 0777
listen_port = 5432
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 100
ignore_startup_parameters = {ignored}
server_login_retry = 1
logfile =
pidfile =
"""


class PgBouncer:
    """One PgBouncer between clients and `server`, from its making to :meth:`close`.

    `ignored` are the start-up parameters that it does not refuse but drops (`ignore_startup_parameters`).
    """

    def __init__(self, server: PostgresServer, ignored: str = "") -> None:
        assert PROGRAM is not None
        identity = unprivileged()
        self.directory = Path(tempfile.mkdtemp(prefix="bouncer-", dir="/tmp"))
        self.directory.chmod(0o755)
        if identity:
            os.chown(self.directory, identity["user"], identity["group"])
        settings = self.directory / "pgbouncer.ini"
        settings.write_text(
            _SETTINGS.format(server=server.directory, directory=self.directory, ignored=ignored)
        )
        with (self.directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "-q", settings], stdout=log, stderr=subprocess.STDOUT, **identity
            )
        self._wait_until_ready()

    def url(self, name: str) -> str:
        """The URL of the database called `name` by way of this pooler."""
        return f"postgresql://postgres@/{name}?host={self.directory}"

    def close(self) -> None:
        """End it and remove its files."""
        self._process.kill()
        self._process.wait(10)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + 10
        while not (self.directory / ".s.PGSQL.5432").exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                message = (self.directory / "log").read_text()
                self.close()
                raise RuntimeError(f"PgBouncer did not start: {message}")
            time.sleep(0.02)
