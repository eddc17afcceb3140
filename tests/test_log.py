"""Log lines: always ours, always one line, never steering a terminal."""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from digestd import log


@pytest.fixture(autouse=True)
def configured_again() -> Iterator[None]:
    """Leave logging as it was."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    logging.root.handlers[:], logging.root.level = handlers, level


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_lines_begin_with_time_level_and_event() -> None:
    stream = io.StringIO()
    log.set_up("INFO", "json", stream)
    with log.bound(source="a", poll_id="1"):
        log.get_logger().info("worker.fetch.complete", outcome="fetched")
    log.get_logger().debug("hidden")
    (line,) = lines(stream)
    assert list(line) == ["timestamp", "level", "event", "source", "poll_id", "outcome"]
    assert str(line["timestamp"]).endswith("Z")


def test_libraries_log_the_same_way_and_only_from_warning_up() -> None:
    stream = io.StringIO()
    log.set_up("INFO", "auto", stream)
    logging.getLogger("some.library").info("chatter")
    logging.getLogger("some.library").warning("look out %s", "below")
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    first, second = lines(stream)
    assert (first["event"], first["logger"], first["message"]) == (
        "library.log",
        "some.library",
        "look out below",
    )
    assert second["logger"] == "py.warnings"


def test_a_line_cannot_be_forged_or_steer_the_terminal() -> None:
    hostile = 'x\n{"event": "forged"}\x1b[2J\x9b31m\u202e'
    for style in ("json", "console"):
        stream = io.StringIO()
        log.set_up("INFO", style, stream)
        log.get_logger().info("event", error=hostile)
        text = stream.getvalue()
        assert "\x1b[2J" not in text
        assert "\x9b" not in text
        assert "\u202e" not in text
    log.set_up("INFO", "json", stream := io.StringIO())
    log.get_logger().info("event", error=hostile)
    assert len(stream.getvalue().splitlines()) == 1


def test_a_traceback_shows_no_local_variables() -> None:
    stream = io.StringIO()
    log.set_up("INFO", "json", stream)
    password = "".join(["hunter", "2"])
    try:
        raise ValueError(len(password))
    except ValueError:
        log.get_logger().exception("broken")
    assert "hunter2" not in stream.getvalue()
    assert "ValueError: 7" in stream.getvalue()


def test_losing_stderr_does_not_stop_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    log.set_up("INFO", "json")
    monkeypatch.setattr("sys.stderr", closed)
    log.get_logger().info("written")
    assert "written" in closed.getvalue()
    closed.close()
    log.get_logger().info("lost")
