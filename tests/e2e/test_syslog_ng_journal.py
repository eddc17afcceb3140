"""conf/syslog-ng on Debian 13 as docs/operations.md installs it: from the journal of a real systemd to Loki."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from digestd.logline import line_of
from support import debian, machine
from support.handbook import shell_block
from support.loki import read_push

pytestmark = pytest.mark.e2e

PACKAGES = ["systemd", "systemd-sysv", "dbus", "python3", "syslog-ng-core", "syslog-ng-mod-http"]

# The machine has no network but its own loopback: the endpoint runs inside, and keeps what comes.
ENDPOINT = """
import http.server, json, sys
class Push(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments): pass
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/root/pushed", "a") as kept:
            print(json.dumps([dict(self.headers), body.hex()]), file=kept, flush=True)
        self.send_response(204)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", 3100), Push).serve_forever()
"""
UNIT = "[Service]\nExecStart=/bin/sh -c 'cat /root/lines >&2'\nRemainAfterExit=yes\n"


def lines(first: int, count: int) -> list[str]:
    """Lines as digestd writes them, up to the longest."""
    return [
        line_of(
            {
                "timestamp": f"2026-11-29T12:00:00.{number:06}Z",
                "level": ("info", "warning", "error")[number % 3],
                "event": "worker.fetch.complete",
                "source": f"source {number}",
                "error": "é'\"\\\n" * (number * 30),
            }
        )
        for number in range(first, first + count)
    ]


def test_what_the_unit_prints_arrives_and_what_it_printed_meanwhile(
    needs: Callable[..., None], tmp_path: Path
) -> None:
    needs("mmdebstrap", *machine.TOOLS)
    if (reason := machine.missing()) is not None:
        pytest.skip(reason)
    root = debian.unpacked(debian.debian_root(PACKAGES), tmp_path / "root")
    (root / "etc/systemd/system/digestd.service").write_text(UNIT)
    (root / "etc/systemd/system/endpoint.service").write_text(
        "[Service]\nExecStart=python3 /root/endpoint.py\n"
    )
    (root / "root/endpoint.py").write_text(ENDPOINT)
    first, second = lines(0, 100), [*lines(100, 100), "digestd: plain words"]

    def pushed() -> list[tuple[str, str, int]]:
        kept = root / "root/pushed"
        requests = [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []
        return [
            (each.line, each.level, each.nanoseconds)
            for headers, body in requests
            for each in read_push(headers, bytes.fromhex(body))
        ]

    def arrived(wanted: list[str]) -> bool:
        return {line for line, _, _ in pushed()}.issuperset(wanted)

    # mmdebstrap has installed the packages before.
    told = shell_block("Logs to Loki", "syslog-ng --syntax-only")
    told = told.replace("apt-get install -y --no-install-recommends", "dpkg-query --show")
    with machine.booted(root, {"/root/digestd": debian.PROJECT}, log=tmp_path / "console") as debian13:
        debian13.run("systemctl start endpoint")
        debian13.run(f"set -e; cd /root/digestd\n{told.replace('/LOKI/', '/127.0.0.1/')}")
        (root / "root/lines").write_text("".join(f"{line}\n" for line in first))
        debian13.run("systemctl start digestd")
        debian13.wait_until(lambda: arrived(first), "first lines")
        debian13.run("systemctl stop syslog-ng digestd")
        (root / "root/lines").write_text("".join(f"{line}\n" for line in second))
        debian13.run("systemctl start digestd && systemctl start syslog-ng")
        debian13.wait_until(lambda: arrived(second), "second lines")
    ours = Counter(line for line, _, _ in pushed() if line in {*first, *second})
    assert set(ours.values()) == {1}
    assert list(ours) == [*first, *second], "in the order of the journal"
    for line, level, nanoseconds in pushed():
        if line.startswith("{"):
            assert level == json.loads(line)["level"]
            assert f"{nanoseconds % 1_000_000_000:09}" == json.loads(line)["timestamp"][20:26] + "000"
    others = {line for line, _, _ in pushed()} - set(ours)
    assert all(line.startswith(("Start", "Stop", "digestd.service: ")) for line in others), others
