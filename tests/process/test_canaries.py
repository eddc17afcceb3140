"""Secrets planted wherever an operator can put one, and looked for in everything that a real daemon says and keeps."""

from __future__ import annotations

import http.client
import signal
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from support.process import Digestd, run

# One word in all of them, so that one search finds any.
CANARY = "canary7f3a"
# What is encoded on the way: an echo of it is no better.
ENCODED = (b64encode(f"u:{CANARY}-url".encode()).decode(), b64encode(f"u:{CANARY}-file".encode()).decode())
SENT = (
    f"{CANARY}-header",
    f"{CANARY}-environment",
    f"Bearer {CANARY}-systemd",
    f"sid={CANARY}-cookie",
    *(f"Basic {encoded}" for encoded in ENCODED),
)
_TOLD = {"authorization", "cookie", "x-key", "x-two"}


class Reflecting(BaseHTTPRequestHandler):
    """Fails in every way it can, and sends back whatever it was sent."""

    sent: ClassVar[set[str]] = set()

    def do_GET(self) -> None:
        self.sent.update(value for name, value in self.headers.items() if name.lower() in _TOLD)
        kind = self.path.strip("/").partition("?")[0]
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", f"ftp://u:{CANARY}-location@a.example/?token={CANARY}-location")
            self.end_headers()
            return
        said = " ".join(value for name, value in self.headers.items() if name.lower() in _TOLD)
        body = f"<html><title>{escape(said)}</title></html>".encode()
        self.send_response(404 if kind == "missing" else 200, said)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def reflecting() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Reflecting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def options(folder: Path) -> dict[str, dict[str, Any]]:
    """Secrets in every option, from everywhere."""
    (folder / "secret").write_text(f"{CANARY}-file")
    (folder / "credentials").mkdir(exist_ok=True)
    (folder / "credentials" / "named").write_text(f"{CANARY}-systemd")
    return {
        "headers": {"headers": {"X-Key": f"{CANARY}-header", "X-Two": {"env": "PLANTED"}}},
        "basic": {"basic_auth": {"username": "u", "password": {"file": "secret"}}},
        "bearer": {"bearer_token": {"credential": "named"}},
        "cookies": {"cookies": {"sid": f"{CANARY}-cookie"}},
        "proxy": {"proxy": f"socks5://u:{CANARY}-proxy@127.0.0.1:9"},
        "key": {"client_certificate": "secret", "client_key_password": f"{CANARY}-key"},
    }


def settings(folder: Path, server: int, web: int, proxy: str | None) -> Path:
    urls = {kind: f"http://127.0.0.1:{server}/{kind}" for kind in ("missing", "page", "redirect")}
    sources = [
        {"name": f"{name} {kind}", "url": url, "options": given}
        for name, given in options(folder).items()
        for kind, url in urls.items()
    ]
    sources += [
        {
            "name": f"url {kind}",
            "url": f"http://u:{CANARY}-url@127.0.0.1:{port}/{kind}?token={CANARY}-query&{CANARY}-bare",
        }
        for kind, port in [("missing", server), ("page", server), ("redirect", server), ("refused", 9)]
    ]
    everything = {
        "worker": {"interval_seconds": 1, "jitter_seconds": 0, "log_level": "DEBUG"},
        "fetch": {"allow_private_networks": True, "per_host_delay_seconds": 0, "proxy": proxy},
        "web": {"listen": f"127.0.0.1:{web}"},
        "sources": sources,
    }
    file = folder / "digestd.yaml"
    file.write_text(yaml.safe_dump(everything), encoding="utf-8")
    return file


def get(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().read().decode()


@pytest.mark.slow
@pytest.mark.parametrize("proxy", [None, f"http://u:{CANARY}-global@127.0.0.1:9"])
@pytest.mark.parametrize("log_format", ["json", "console"])
def test_no_secret_is_said_or_kept(tmp_path: Path, proxy: str | None, log_format: str) -> None:
    environ = {
        "PLANTED": f"{CANARY}-environment",
        "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials"),
        "WORKER_LOG_FORMAT": log_format,
    }
    web = free_port()
    with reflecting() as server:
        file = settings(tmp_path, server, web, proxy)
        with Digestd(["-c", str(file)], tmp_path, environ) as daemon:
            daemon.wait_until(lambda: daemon.stderr.count("worker.fetch.complete") >= 22, "22 polls", 30)
            outputs = [get(web, "/health"), get(web, "/metrics")]
            commands = (
                ["check"],
                ["sources"],
                ["sources", "--json"],
                ["health"],
                ["digest"],
                ["articles", "--set-aside"],
            )
            for command in commands:
                done = run([*command, "-c", str(file), *(["--log-level", "DEBUG"] if command != ["health"] else [])],
                           tmp_path, **environ)  # fmt: skip
                assert done.stdout, (command, done.stderr)
                outputs += [done.stdout, done.stderr]
            daemon.send(signal.SIGTERM)
            assert daemon.end() == 0
            outputs += [daemon.stdout, daemon.stderr]
    assert "url refused" in outputs[0]
    for secret in SENT:
        assert any(secret in sent for sent in Reflecting.sent), f"{secret} was to be sent"
    for output in outputs:
        assert CANARY not in output, output[max(0, output.index(CANARY) - 300) :][:600]
    kept = b"".join(file.read_bytes() for file in (tmp_path / "state").iterdir())
    assert b'{"env": "PLANTED"}' in kept
    # The URL of a source is kept as the operator wrote it; nothing else is.
    for name in ("header", "environment", "file", "systemd", "cookie", "proxy", "key", "global", "location"):
        assert f"{CANARY}-{name}".encode() not in kept
