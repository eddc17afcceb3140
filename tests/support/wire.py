"""A unix socket before a real PostgreSQL, on which a connection can be cut, slowed down or refused at a chosen moment.

It runs in threads, for processes under test.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path
from typing import Literal

from support.postgres import PostgresServer

Moment = Literal["before", "after"]

# A simple query: its type, its length and its text (PostgreSQL manual, 55.7).
_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"


class Wire:
    """Passes everything on between clients and `server`, until it is told otherwise.

    `delay_seconds` is how long each message of a client is held up, `cut` counts connections cut in a commit.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="wire-", dir="/tmp"))
        self.delay_seconds = 0.0
        self.cut = 0
        self._cuts: list[Moment] = []
        self._server = server.directory / ".s.PGSQL.5432"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.directory / ".s.PGSQL.5432"))
        self._listening.listen(64)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, name: str) -> str:
        """The URL of the database called `name` by way of this wire."""
        return f"postgresql://postgres@/{name}?host={self.directory}"

    def cut_commits(self, *moments: Moment) -> None:
        """Cut the next connections that commit: `before` the server hears of it, or `after` it has done so, when the
        client has not."""
        with self._lock:
            self._cuts.extend(moments)

    def close(self) -> None:
        """Cut everything, and let nobody in any more."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for end in list(self._open):
            _shut(end)
        shutil.rmtree(self.directory, ignore_errors=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=[client], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            try:
                server.connect(str(self._server))
            except OSError:
                return
            self._open |= {client, server}
            try:
                self._pass_on(client, server)
            finally:
                self._open -= {client, server}

    def _pass_on(self, client: socket.socket, server: socket.socket) -> None:
        muted = threading.Event()
        back = threading.Thread(target=self._answer, args=[server, client, muted], daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                time.sleep(self.delay_seconds)
                moment = self._moment(data)
                if moment == "after":
                    muted.set()
                if moment != "before":
                    server.sendall(data)
                if moment is not None:
                    break
        if muted.is_set():
            back.join(5)
        _shut(server)
        _shut(client)
        back.join(5)

    def _answer(self, server: socket.socket, client: socket.socket, muted: threading.Event) -> None:
        """Give the server's answers to the client; once muted, swallow the first of them and end."""
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if muted.is_set():
                    return
                client.sendall(data)
        _shut(client)

    def _moment(self, data: bytes) -> Moment | None:
        if _COMMIT not in data:
            return None
        with self._lock:
            if not self._cuts:
                return None
            self.cut += 1
            return self._cuts.pop(0)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
