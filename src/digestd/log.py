"""structlog set-up: one line per event on stderr, as JSON or for a terminal. The door to structlog and logging.

Keys bound in this project: `source` and `poll_id` within a poll. Every line has `timestamp` (RFC 3339, UTC), `level`
and `event`, a dotted name such as `worker.fetch.complete`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import sys
from collections.abc import Iterator, Mapping
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

from digestd.feed.text import strip_controls

_FIRST = ("timestamp", "level", "event", "source", "poll_id")


class _Stderr:
    """stderr as it is at each write (a progress bar may stand in for it); losing it must not stop the daemon."""

    def write(self, text: str) -> int:
        # None where the process was started with stderr closed.
        with contextlib.suppress(OSError, ValueError, AttributeError):
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()


def get_logger() -> FilteringBoundLogger:
    """The logger of every I/O room."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


@contextlib.contextmanager
def bound(**keys: Any) -> Iterator[None]:
    """Bind `keys` to every line logged inside, in this task and the tasks it starts."""
    with structlog.contextvars.bound_contextvars(**keys):
        yield


def set_up(level: str, style: str, stream: TextIO | None = None) -> None:
    """Configure logging for the whole process.

    `level` is a name such as INFO; `style` is `json`, `console`, or `auto` (console on a terminal). Standard library
    logging goes the same way, from WARNING up, so that every line on stderr is ours.
    """
    terminal = (stream or sys.stderr) is not None and (stream or sys.stderr).isatty()
    console = style == "console" or (style == "auto" and terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[Processor] = _console(colors=terminal) if console else _json()
    target: Any = stream or _Stderr()
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _name_of_library],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(
        handlers=[handler], level=max(logging.WARNING, logging.getLevelNamesMapping()[level]), force=True
    )
    logging.captureWarnings(capture=True)


def _json() -> list[Processor]:
    # dict_tracebacks would put local variables, and so secrets, into the log: the plain traceback as text instead.
    return [structlog.processors.format_exc_info, _leading, _one_line_of_json]


def _console(*, colors: bool) -> list[Processor]:
    # The traceback is made before the controls go: the message of an exception may quote a server.
    return [
        structlog.processors.format_exc_info,
        _without_controls,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    ]


def _one_line_of_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    """RFC 8259, whatever the values are: ASCII alone, no lone surrogate, no NaN, no control character."""
    return json.dumps(_plain(event), allow_nan=False)


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping):
        return {strip_controls(_text(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return strip_controls(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    # The border to what others made: a line that cannot be written must not stop who wrote it.
    except Exception as error:  # noqa: BLE001 - see above
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def _leading(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What every line has stands first, so that raw lines can be read, too."""
    return {**{key: event[key] for key in _FIRST if key in event}, **event}


def _without_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What servers send must not steer the terminal, nor begin a line where a line of ours would begin."""
    return {key: _indented(_text(value)) for key, value in event.items()}


def _indented(text: str) -> str:
    return strip_controls(text).replace("\n", "\n    ")


def _name_of_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    return {**event, "event": "library.log", "logger": record.name, "message": event["event"]}
