"""Real signals to a real process: it ends with 0 and without a traceback, whenever they come."""

from __future__ import annotations

import os
import random
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path

import pytest

from support.farm import Farm
from support.process import Digestd, write_settings


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_ends_the_daemon_gracefully(
    tmp_path: Path, farm: Farm, number: signal.Signals
) -> None:
    for name in ("a", "b", "broken"):
        farm.grow(name, 3)
    file = write_settings(tmp_path, farm.sources())
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        daemon.wait_for("worker.fetch.complete", 3)
        daemon.send(number)
        assert daemon.end() == 0
        assert daemon.stdout == ""
        assert "Traceback" not in daemon.stderr
        stopping = daemon.events("worker.stopping")
        assert [(line["message"], line["signal"]) for line in stopping] == [
            ("shutting down gracefully", number.name)
        ]
        assert len(daemon.events("worker.stopped")) == 1
        totals = daemon.events("worker.metrics")[-1]
        assert totals["articles_new"] == 6
        assert totals["errors"] >= 1
        assert totals["worker.fetch.sources"] == totals["sources_checked"]


@pytest.mark.slow
def test_every_line_on_stderr_is_json_with_timestamp_level_and_event(tmp_path: Path, farm: Farm) -> None:
    farm.grow("a")
    file = write_settings(tmp_path, farm.sources(), worker={"log_level": "DEBUG"})
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        complete = daemon.wait_for("worker.fetch.complete", 2)
        daemon.send(signal.SIGTERM)
        daemon.end()
        lines = daemon.stderr.splitlines()
        assert len(lines) == sum(len(daemon.events(event)) for event in _events(daemon)), (
            "every line is an event of ours"
        )
        started = daemon.events("worker.started")[0]
        assert (started["sources"], started["level"]) == (1, "info")
        assert complete[0]["source"] == "a"
        assert len(complete[0]["poll_id"]) == 12
        assert complete[0]["poll_id"] != complete[1]["poll_id"]
        assert complete[0]["timestamp"].endswith("Z")
        assert [(line["outcome"], line["articles_new"], line["level"]) for line in complete[:2]] == [
            ("fetched", 1, "info"),
            ("unchanged", 0, "debug"),
        ]


def _events(daemon: Digestd) -> set[str]:
    import json

    return {json.loads(line)["event"] for line in daemon.stderr.splitlines()}


@pytest.mark.slow
def test_what_is_in_flight_may_end_within_the_grace_period(tmp_path: Path, farm: Farm) -> None:
    farm.slow_seconds = 1.0
    farm.grow("slow", 5)
    file = write_settings(tmp_path, farm.sources(), worker={"log_level": "DEBUG"})
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        daemon.wait_until(lambda: farm.requests["slow"], "request in flight")
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert daemon.events("worker.metrics")[-1]["articles_new"] == 5


@pytest.mark.slow
def test_what_does_not_end_within_it_is_cut_off(tmp_path: Path, farm: Farm) -> None:
    farm.grow("hang")
    file = write_settings(tmp_path, farm.sources(), worker={"shutdown_grace_seconds": 0.5})
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        daemon.wait_until(lambda: farm.requests["hang"], "request in flight")
        began = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert 0.4 < time.monotonic() - began < 3
        assert len(daemon.events("worker.cut_off")) == 1
        assert "Traceback" not in daemon.stderr


@pytest.mark.slow
def test_the_second_signal_cancels_at_once_and_ends_with_0(tmp_path: Path, farm: Farm) -> None:
    farm.grow("hang")
    file = write_settings(tmp_path, farm.sources(), worker={"shutdown_grace_seconds": 50})
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        daemon.wait_until(lambda: farm.requests["hang"], "request in flight")
        daemon.send(signal.SIGTERM)
        daemon.wait_for("worker.stopping")
        time.sleep(0.2)
        assert daemon.process.poll() is None
        began = time.monotonic()
        daemon.send(signal.SIGINT)
        assert daemon.end() == 0
        assert time.monotonic() - began < 3
        assert "Traceback" not in daemon.stderr


@pytest.mark.slow
def test_the_third_signal_ends_the_process_at_once_with_its_number(tmp_path: Path, farm: Farm) -> None:
    # Too much to be read without a process of its own.
    farm.grow("a", 500)
    file = write_settings(tmp_path, farm.sources())
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        daemon.wait_for("worker.fetch.complete")
        parsers = [
            pid
            for pid in _session_members(daemon.process.pid)
            if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert parsers
        try:
            for pid in parsers:
                os.kill(pid, signal.SIGSTOP)  # an end that takes two seconds, whatever is cancelled
            for count in (1, 2):
                daemon.send(signal.SIGTERM)
                daemon.wait_for("worker.stopping", count)
            daemon.send(signal.SIGINT)
            assert daemon.end() == 128 + signal.SIGINT
            assert "Traceback" not in daemon.stderr
        finally:
            for pid in parsers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
def test_a_signal_at_any_moment_of_start_up_ends_with_0_and_without_a_traceback(
    tmp_path: Path, farm: Farm
) -> None:
    for number in range(20):
        farm.grow(f"feed{number}", 20)
    file = write_settings(tmp_path, farm.sources())
    chance = random.Random(7)
    for attempt in range(30):
        number = chance.choice([signal.SIGTERM, signal.SIGINT])
        # The interpreter itself takes some 30 ms to reach our first statement: before, nobody can answer.
        delay = 0.12 + 1.5 * chance.random()
        with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
            time.sleep(delay)
            daemon.send(number)
            status = daemon.end()
            assert (status, "Traceback" in daemon.stderr) == (0, False), (
                f"attempt {attempt}, {delay} s:\n{daemon.stderr}"
            )


@pytest.mark.slow
def test_no_process_is_left_behind_by_sigkill(tmp_path: Path, farm: Farm) -> None:
    farm.grow("a", 3)
    file = write_settings(tmp_path, farm.sources())
    with Digestd(["-c", str(file)], tmp_path, {}) as daemon:
        daemon.wait_for("worker.fetch.complete")
        session = daemon.process.pid
        assert _session_members(session), "the parser's worker is there"
        daemon.send(signal.SIGKILL)
        daemon.end()
        deadline = time.monotonic() + 10
        while left := _session_members(session):
            assert time.monotonic() < deadline, f"left behind: {left}"
            time.sleep(0.05)


def _session_members(session: int) -> list[int]:
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            members.append(int(stat.parent.name))
    return members


@pytest.mark.slow
def test_a_signal_while_the_database_is_waited_for_ends_with_0(tmp_path: Path, farm: Farm) -> None:
    farm.grow("a")
    file = write_settings(tmp_path, farm.sources())
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://digestd@127.0.0.1:{silent.getsockname()[1]}/digestd"
        with Digestd(["-c", str(file)], tmp_path, {"DATABASE_URL": url}) as daemon:
            silent.settimeout(20)
            connection, _ = silent.accept()
            with connection:
                daemon.send(signal.SIGTERM)
                assert daemon.end(15) == 0
            assert "Traceback" not in daemon.stderr


@pytest.mark.slow
def test_ctrl_c_reaches_the_whole_group_and_is_nobody_s_failure(tmp_path: Path, farm: Farm) -> None:
    for number in range(30):
        farm.grow(f"feed{number}", 60)
    chance = random.Random(3)
    for attempt in range(12):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        file = write_settings(folder, farm.sources())
        with Digestd(["--once", "-c", str(file)], folder, {}) as digestd:
            time.sleep(0.5 + 0.6 * chance.random())
            with suppress(ProcessLookupError):
                os.killpg(digestd.process.pid, signal.SIGINT)
            assert digestd.end() == 0
            assert "Traceback" not in digestd.stderr
            assert '"outcome": "failed"' not in digestd.stderr
