"""A real daemon and `digestd health`, as an operator and a container's health check use them."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import digestd
from support.farm import Farm
from support.postgres import PostgresServer
from support.process import Digestd, environment, free_port, run, write_settings


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


@pytest.mark.slow
def test_health_tells_of_polls_and_of_every_failure(tmp_path: Path, farm: Farm) -> None:
    for name in ("a", "b", "broken"):
        farm.grow(name, 3)
    port = free_port()
    file = write_settings(tmp_path, farm.sources(), web={"listen": f"127.0.0.1:{port}"})
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        assert daemon.wait_for("web.listening")[0]["addresses"] == [f"http://127.0.0.1:{port}"]
        daemon.wait_for("worker.fetch.complete", 3)
        status, body = get(port, "/health")
        document = json.loads(body)
        assert (status, document["status"], document["version"]) == (200, "ok", digestd.__version__)
        assert document["sources"] == {"enabled": 3, "running": 3, "failing": 1}
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", document["last_fetch"])
        assert document["totals"]["articles_new"] == 6
        assert [failing["name"] for failing in document["failing"]] == ["broken"]
        assert "\ndigestd_articles_new_total 6.0\n" in get(port, "/metrics")[1]

        asked = run(["health", "-c", str(file)], tmp_path)
        assert (asked.returncode, asked.stderr) == (0, "")
        first, second = asked.stdout.splitlines()
        assert re.fullmatch(
            rf"ok \(digestd {re.escape(digestd.__version__)}, up \d+ s, sources: 3 running, 1 failing; "
            r"last fetch: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00\)",
            first,
        )
        assert second.startswith("  broken: http_status: the server answered 500")

        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert "Traceback" not in daemon.stderr
        assert all(line.startswith('{"') for line in daemon.stderr.splitlines()), "every line is ours"


@pytest.mark.slow
def test_what_failed_before_a_restart_is_told_at_once(tmp_path: Path, farm: Farm) -> None:
    farm.grow("broken")
    port = free_port()
    file = write_settings(tmp_path, farm.sources(), web={"listen": f"127.0.0.1:{port}"})
    run(["--once", "-c", str(file)], tmp_path)
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        daemon.wait_for("worker.started")
        document = json.loads(get(port, "/health")[1])
        assert (document["totals"]["sources_checked"], document["sources"]["failing"]) == (0, 1)


def test_when_nobody_answers_health_says_so_and_exits_1(tmp_path: Path) -> None:
    port = free_port()
    file = write_settings(tmp_path, {}, web={"listen": f"0.0.0.0:{port}"})
    asked = run(["-c", str(file), "health"], tmp_path)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr == (
        f"digestd: no answer from http://127.0.0.1:{port}/health: Connection refused; "
        "does digestd run, with this web.listen?\n"
    )


@pytest.mark.slow
def test_a_daemon_that_hangs_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        asked = run(["health"], tmp_path, WEB_LISTEN=f"127.0.0.1:{port}")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr == f"digestd: nothing came from http://127.0.0.1:{port}/health within 5 s\n"


def answering(server: socket.socket, answer: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
        b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status": "up"}',
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    ],
)
def test_another_server_is_not_taken_for_digestd(tmp_path: Path, answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        thread = threading.Thread(target=answering, args=(other, answer))
        thread.start()
        asked = run(["health"], tmp_path, WEB_LISTEN=f"127.0.0.1:{port}")
        thread.join(10)
    assert (asked.returncode, asked.stdout) == (1, "")
    assert asked.stderr == f"digestd: what answers at http://127.0.0.1:{port}/health is not digestd\n"


def test_with_wrong_settings_it_exits_1_too(tmp_path: Path) -> None:
    absent = run(["health", "-c", "absent.yaml"], tmp_path)
    assert absent.returncode == 1
    assert (
        absent.stderr
        == "digestd: absent.yaml: there is no such file (`digestd init` writes a commented one)\n"
    )
    wrong = run(["health"], tmp_path, WEB_LISTEN="8080")
    assert wrong.returncode == 1
    assert wrong.stderr == (
        "digestd: the settings: web.listen: must be an address and a port, as in 127.0.0.1:8080 or [::1]:8080\n"
    )
    disabled = run(["health"], tmp_path, WEB_ENABLED="false")
    assert (disabled.returncode, disabled.stderr) == (
        1,
        "digestd: web.enabled is false: the daemon answers nobody\n",
    )


HEAVY = {
    "alembic",
    "anyio",
    "asyncio",
    "digestd.cli",
    "digestd.config",
    "digestd.model",
    "httpx2",
    "hypercorn",
    "prometheus_client",
    "psycopg",
    "pydantic",
    "pydantic_core",
    "rich",
    "sqlalchemy",
    "starlette",
    "structlog",
    "trio",
    "typer",
}


@pytest.mark.parametrize("arguments", [[], ["-c", "digestd.yaml"]], ids=["no file", "a file"])
def test_it_imports_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    write_settings(tmp_path, {}, web={"listen": f"127.0.0.1:{free_port()}"})
    code = (
        "import sys, runpy\n"
        f"sys.argv = ['digestd', 'health', *{arguments!r}]\n"
        "try: runpy.run_module('digestd', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 1\n"
        f"print(sorted({HEAVY | {'yaml'}!r} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
        env=environment(tmp_path, {} if arguments else {"WEB_LISTEN": f"127.0.0.1:{free_port()}"}),
    )
    assert done.stdout == ("['yaml']\n" if arguments else "[]\n")
    assert "no answer from http://127.0.0.1:" in done.stderr


def test_an_address_in_use_ends_the_start_with_69_before_anything_is_polled(
    tmp_path: Path, farm: Farm
) -> None:
    farm.grow("a")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        file = write_settings(tmp_path, farm.sources(), web={"listen": f"127.0.0.1:{port}"})
        done = run(["-c", str(file)], tmp_path)
    assert done.returncode == 69
    assert done.stderr.splitlines()[-1] == (
        f"digestd: web.listen: cannot listen on 127.0.0.1:{port}: Address already in use; "
        "name another address there, or set web.enabled to false"
    )
    assert "Traceback" not in done.stderr
    assert not farm.requests


def test_once_listens_nowhere_whatever_the_settings_say(tmp_path: Path, farm: Farm) -> None:
    farm.grow("a")
    with socket.create_server(("127.0.0.1", 0)) as other:
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        file = write_settings(tmp_path, farm.sources(), web={"enabled": True, "listen": listen})
        done = run(["--once", "-c", str(file)], tmp_path)
    assert done.returncode == 0
    assert "web.listening" not in done.stderr


def test_without_the_web_its_libraries_are_not_even_imported(tmp_path: Path, farm: Farm) -> None:
    farm.grow("a")
    file = write_settings(tmp_path, farm.sources(), web={"enabled": False})
    with Digestd(["-c", str(file)], tmp_path, {"PYTHONPROFILEIMPORTTIME": "1"}) as daemon:
        daemon.wait_for("worker.started")
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert "| digestd.daemon" in re.sub(r" +", " ", daemon.stderr)
        for library in ("starlette", "hypercorn", "prometheus_client"):
            assert library not in daemon.stderr


@pytest.mark.slow
def test_a_database_outage_is_told_and_is_no_reason_to_restart(
    tmp_path: Path, farm: Farm, own_postgres_server: PostgresServer
) -> None:
    farm.grow("a", 3)
    url = own_postgres_server.create_database("digestd")
    port = free_port()
    file = write_settings(tmp_path, farm.sources(), web={"listen": f"127.0.0.1:{port}"})
    with Digestd(["-c", str(file)], tmp_path, {"DATABASE_URL": url}) as daemon:
        daemon.wait_for("worker.fetch.complete")
        own_postgres_server.stop("immediate")
        daemon.wait_for("worker.store.unavailable")
        status, body = get(port, "/health")
        document = json.loads(body)
        assert (status, document["status"], document["store"]) == (200, "ok", "unavailable")
        assert document["notes"] == ["the database is unavailable: polls wait, nothing is lost"]
        status, body = get(port, "/ready")
        assert (status, json.loads(body)["status"]) == (503, "not ready")
        assert "cannot be used just now: " in json.loads(body)["reason"]
        asked = run(["health", "-c", str(file)], tmp_path)
        assert asked.returncode == 0
        assert asked.stdout.splitlines()[1] == "  the database is unavailable: polls wait, nothing is lost"
        own_postgres_server.start()
        daemon.wait_for("worker.store.recovered", seconds=60)
        assert json.loads(get(port, "/health")[1])["store"] == "ok"
        daemon.wait_until(lambda: get(port, "/ready")[0] == 200, "ready")
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
