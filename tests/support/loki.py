"""A push endpoint like Loki's on loopback, in threads: strict about every request, and made to fail on demand."""

from __future__ import annotations

import gzip
import json
import re
import socket
import struct
import threading
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

PATH = "/loki/api/v1/push"
LONGEST_LINE_BYTES = 256 * 1024
"""Loki's `max_line_size`."""
LARGEST_REQUEST_BYTES = 1_000_000
"""What proxies in front of Loki allow by default; Loki itself takes four times that."""
LONGEST_LABEL_NAME, LONGEST_LABEL_VALUE, MOST_LABELS = 1_024, 2_048, 15

_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NANOSECONDS = re.compile(r"[0-9]{19}")


@dataclass(frozen=True, slots=True)
class Pushed:
    """One line as it arrived."""

    labels: tuple[tuple[str, str], ...]
    nanoseconds: int
    line: str

    @property
    def level(self) -> str:
        return dict(self.labels)["level"]


def read_push(headers: Mapping[str, str], raw: bytes) -> list[Pushed]:
    """The lines of a request, in its order.

    Raises ValueError, in words, for whatever Loki's push API does not allow
    (https://grafana.com/docs/loki/latest/reference/loki-http-api/#ingest-logs), and for an uncompressed body.
    """
    if headers.get("Content-Type") != "application/json":
        raise ValueError(f"Content-Type: {headers.get('Content-Type')}")
    if headers.get("Content-Encoding") != "gzip":
        raise ValueError(f"Content-Encoding: {headers.get('Content-Encoding')}")
    if len(raw) > LARGEST_REQUEST_BYTES:
        raise ValueError(f"a request of {len(raw)} bytes")
    try:
        document = json.loads(gzip.decompress(raw).decode("utf-8"), parse_constant=_refused)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"no gzip: {error}") from error
    streams = _only_key(document, "streams")
    if not isinstance(streams, list) or not streams:
        raise ValueError("streams is no list, or empty")
    return [pushed for stream in streams for pushed in _read_stream(stream)]


def _read_stream(stream: object) -> Iterator[Pushed]:
    if not isinstance(stream, dict) or set(stream) != {"stream", "values"}:
        raise ValueError(f"a stream of other keys: {stream!r:.200}")
    labels = _read_labels(stream["stream"])
    if not isinstance(stream["values"], list) or not stream["values"]:
        raise ValueError("values is no list, or empty")
    for value in stream["values"]:
        match value:
            case [str() as stamp, str() as line] if _NANOSECONDS.fullmatch(stamp):
                if len(line.encode()) > LONGEST_LINE_BYTES:
                    raise ValueError(f"a line of {len(line)} characters")
                yield Pushed(labels, int(stamp), line)
            case _:
                raise ValueError(f"a value that is no [nanoseconds, line]: {value!r:.200}")


def _read_labels(labels: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(labels, dict) or not 1 <= len(labels) <= MOST_LABELS:
        raise ValueError(f"labels: {labels!r:.200}")
    for name, value in labels.items():
        if not _LABEL_NAME.fullmatch(name) or len(name) > LONGEST_LABEL_NAME:
            raise ValueError(f"a label named {name!r:.200}")
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_LABEL_VALUE:
            raise ValueError(f"the label {name} is {value!r:.200}")
    return tuple(sorted(labels.items()))


def _only_key(document: object, key: str) -> object:
    if not isinstance(document, dict) or set(document) != {key}:
        raise ValueError(f"not an object with {key} alone: {document!r:.200}")
    return document[key]


def _refused(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


class Loki:
    """What a Loki would hold. `answers` says what becomes of the next requests, one each:

    a status (what was sent is not taken unless it is 204), `reset` (the connection breaks before an answer, and nothing
    is taken), `lost` (all is taken, and the connection breaks before the answer). After them every request is taken.
    `problems` are the requests that no Loki would take, in words.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.pushed: list[Pushed] = []
        self.problems: list[str] = []
        self.outcomes: Counter[str] = Counter()
        self._answers: Iterator[int | str] = iter(())
        self._lock = threading.Lock()

    @property
    def lines(self) -> set[str]:
        """The lines that arrived."""
        with self._lock:
            return {pushed.line for pushed in self.pushed}

    def has(self, lines: Iterable[str]) -> bool:
        """Whether all of `lines` arrived."""
        return self.lines.issuperset(lines)

    @property
    def streams(self) -> dict[tuple[tuple[str, str], ...], list[Pushed]]:
        """What arrived by stream, in the order of arrival; of what arrived again, the first."""
        found: dict[tuple[tuple[str, str], ...], dict[Pushed, None]] = {}
        with self._lock:
            for pushed in self.pushed:
                found.setdefault(pushed.labels, {}).setdefault(pushed)
        return {labels: list(kept) for labels, kept in found.items()}

    def answer(self, answers: Iterable[int | str]) -> None:
        """Answer the next requests like this."""
        with self._lock:
            self._answers = iter(list(answers))

    def take(self, headers: Mapping[str, str], raw: bytes) -> int | str:
        """Judge one request and keep its lines; what to answer."""
        with self._lock:
            answer = next(self._answers, 204)
            self.outcomes[str(answer)] += 1
            try:
                pushed = read_push(headers, raw)
            except ValueError as error:
                self.problems.append(str(error))
                return 400
            if answer in (204, "lost"):
                self.pushed += pushed
            return answer

    @contextmanager
    def here(self) -> Iterator[None]:
        """Listen meanwhile; before and after, connections are refused."""
        server = _Server(("127.0.0.1", self.port), _Handler)
        server.loki = self
        self.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.break_connections()
            server.server_close()
            thread.join(5)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    loki: Loki

    def __init__(self, *arguments: Any) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what this is about."""

    def break_connections(self) -> None:
        """Reset what is open: who goes away does not say goodbye."""
        for connection in list(self._open):
            reset(connection)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def do_POST(self) -> None:
        loki = cast(_Server, self.server).loki
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != PATH:
            loki.problems.append(f"a request for {self.path}")
        answer = loki.take(dict(self.headers), raw)
        if isinstance(answer, str):
            reset(self.connection)
            self.close_connection = True
            return
        self.send_response(answer)
        if answer == 429:
            self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - as inherited
        """Say nothing."""


def reset(connection: socket.socket) -> None:
    """Close with RST (SO_LINGER of zero, socket(7))."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
        connection.close()
    except OSError:
        pass
