"""Log lines: always ours, always one line, never steering a terminal."""

from __future__ import annotations

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from datetime import datetime, tzinfo

import pytest
import structlog
from hypothesis import example, given
from hypothesis import strategies as st

from digestd import log
from digestd.logline import LONGEST_LINE_BYTES


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


def test_timestamps_sort_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    class Noon(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Noon:
            return cls(2026, 11, 29, 12, tzinfo=tz)

    stream = io.StringIO()
    log.set_up("INFO", "json", stream)
    monkeypatch.setattr(log, "datetime", Noon)
    log.get_logger().info("worker.started")
    logging.getLogger("some.library").warning("look out")
    assert {line["timestamp"] for line in lines(stream)} == {"2026-11-29T12:00:00.000000Z"}


def test_a_traceback_that_is_too_long_keeps_its_first_lines_and_its_last() -> None:
    stream = io.StringIO()
    log.set_up("INFO", "json", stream)
    try:
        raise ValueError("x" * 300_000 + " the end")
    except ValueError:
        log.get_logger().exception("broken", source="a")
    assert len(stream.getvalue()) <= LONGEST_LINE_BYTES
    (line,) = lines(stream)
    assert str(line["exception"]).startswith("Traceback (most recent call last):\n")
    assert "characters, cut here" in str(line["exception"])
    assert str(line["exception"]).endswith(" the end")
    assert line["source"] == "a"


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


def test_what_a_pool_says_of_connections_that_broke_is_no_news() -> None:
    stream = io.StringIO()
    log.set_up("DEBUG", "auto", stream)
    logging.getLogger("sqlalchemy.pool.impl.QueuePool").error("Exception during reset", exc_info=OSError())
    assert stream.getvalue() == ""


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


class Unspeakable:
    """What cannot be told in text."""

    def __str__(self) -> str:
        raise ZeroDivisionError


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.builds(Unspeakable),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.tuples(st.text()), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.text(), _VALUES, st.text())
@example("e", [float("nan"), {"x": float("-inf")}], "")
@example("e\n", {"a\x1b": ["\x9b", "\u202e\ud800\x7f"]}, "\x1b[2J\r\n{}")
def test_whatever_is_logged_is_one_line_of_valid_json(event: str, value: object, message: str) -> None:
    stream = io.StringIO()
    log.set_up("INFO", "json", stream)
    try:
        raise ValueError(message)
    except ValueError:
        log.get_logger().exception(event, value=value)
    written = stream.getvalue()
    assert written.isascii()
    assert written.endswith("}\n")
    assert len(written.splitlines()) == 1
    loaded = json.loads(written, parse_constant=lambda name: pytest.fail(name))
    shown = json.dumps(loaded, ensure_ascii=False)
    shown.encode("utf-8")
    # A tab or a line break is escaped once more here; whatever else is left of them is not ours.
    assert not re.search(r"\\u00|[\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


_HOSTILE = st.text(alphabet="a\n\r\x0b\x1b\x9b\x85\u2028\u202e\u2066\ud800[31m]", max_size=30)


@given(_HOSTILE, _HOSTILE)
def test_on_a_terminal_only_our_lines_begin_at_the_left(value: str, message: str) -> None:
    stream = io.StringIO()
    log.set_up("INFO", "console", stream)
    try:
        raise ValueError(message)
    except ValueError:
        log.get_logger().exception(value, error=value, other=[value])
    logging.getLogger("some.library").warning(value)
    written = stream.getvalue()
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202a-\u202e\u2066-\u2069\ud800]", written)
    for line in written.split("\n"):
        assert re.match(r"20\d\d-|    |Traceback |$", line), line


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
