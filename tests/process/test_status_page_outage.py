"""The status page of a real daemon whose PostgreSQL stops, hangs, and comes back."""

from __future__ import annotations

import http.client
import os
import signal
import time
from pathlib import Path

import pytest

from support.farm import Farm
from support.postgres import PostgresServer
from support.process import Digestd, free_port, write_settings

pytestmark = pytest.mark.slow


def look(port: int) -> tuple[int, str, float]:
    """Status and page, and the seconds it took."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    connection.request("GET", "/")
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), time.monotonic() - began


def look_until(port: int, status: int, seconds: float) -> str:
    """Look until the page has this status; none may take long meanwhile."""
    deadline = time.monotonic() + seconds
    while True:
        found, page, took = look(port)
        assert took < 6
        assert "Traceback" not in page
        if found == status:
            return page
        assert time.monotonic() < deadline
        time.sleep(0.3)


def test_it_says_so_in_words_and_comes_back(
    tmp_path: Path, farm: Farm, own_postgres_server: PostgresServer
) -> None:
    server, port = own_postgres_server, free_port()
    farm.grow("fen", 3)
    settings = write_settings(
        tmp_path,
        farm.sources(),
        database={"url": server.create_database("digestd")},
        web={"listen": f"127.0.0.1:{port}"},
    )
    with Digestd(["-c", str(settings)], tmp_path, {}) as daemon:
        daemon.wait_for("worker.fetch.complete")
        assert ">fen<" in look_until(port, 200, 20)
        server.stop()
        page = look_until(port, 503, 30)
        assert "This page cannot be read from the database just now" in page
        assert "sources to be polled" in page
        server.start()
        assert ">fen<" in look_until(port, 200, 60)
        server.hang()
        page = look_until(port, 503, 90)
        server.go_on()
        assert "the database has given no answer for 3 s" in page or "cannot be used" in page
        assert ">fen<" in look_until(port, 200, 60)
        daemon.send(signal.SIGTERM)
        assert daemon.end() == os.EX_OK
