"""structlog set-up: one line per event on stderr, as JSON or for a terminal. The door to structlog and logging.

Keys bound in this project: `source` and `poll_id` within a poll. Every line has `timestamp` (RFC 3339, UTC, always six
decimals, so that lines sort as text), `level` and `event`, a dotted name such as `worker.fetch.complete`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from digestd.feed.text import strip_controls
from digestd.logline import line_of, text_of
from digestd.repeats import Repeats, root_of, traceback_id

# structlog imports Rich where it is installed, for tracebacks of a sort that we do not show: 0.03 s and 4 MB of every
# start. To import what is None in `sys.modules` fails (Python's reference, 5.3.1), so that structlog does without.
_hidden = sys.modules.setdefault("rich", None) is None  # type: ignore[arg-type]
try:
    import structlog
    from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger
finally:
    if _hidden:
        del sys.modules["rich"]


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


# What shows no line of the level DEBUG, once :func:`set_up` was told so.
_quiet: type | None = None


def get_logger() -> FilteringBoundLogger:
    """The logger of every I/O room."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def tells_debug() -> bool:
    """Whether lines of the level DEBUG are shown: what they say need not be put together otherwise."""
    return structlog.get_config()["wrapper_class"] is not _quiet


@contextlib.contextmanager
def bound(**keys: Any) -> Iterator[None]:
    """Bind `keys` to every line logged inside, in this task and the tasks it starts."""
    tokens = structlog.contextvars.bind_contextvars(**keys)
    try:
        yield
    finally:
        structlog.contextvars.reset_contextvars(**tokens)


def set_up(level: str, style: str, stream: TextIO | None = None) -> None:
    """Configure logging for the whole process.

    `level` is a name such as INFO; `style` is `json`, `console`, or `auto` (console on a terminal). Standard library
    logging goes the same way, from WARNING up, so that every line on stderr is ours.
    """
    global _quiet
    least = logging.getLevelNamesMapping()[level]
    filtering = structlog.make_filtering_bound_logger(least)
    _quiet = filtering if least > logging.DEBUG else None
    terminal = (stream or sys.stderr) is not None and (stream or sys.stderr).isatty()
    console = style == "console" or (style == "auto" and terminal)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _timestamp,
    ]
    final: list[Processor] = _console(colors=terminal) if console else _json()
    target: Any = stream or _Stderr()
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=filtering,
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
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, least), force=True)
    logging.captureWarnings(capture=True)
    # With tracebacks it tells of connections that broke while they were given back: the call that they broke in has
    # told of the outage, and the pool has thrown them away.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


def _json() -> list[Processor]:
    # dict_tracebacks would put local variables, and so secrets, into the log: the plain traceback as text instead.
    return [structlog.processors.format_exc_info, _one_line_of_json]


def _console(*, colors: bool) -> list[Processor]:
    # The traceback is made before the controls go: the message of an exception may quote a server.
    return [
        structlog.processors.format_exc_info,
        _without_controls,
        structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback),
    ]


def _one_line_of_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return line_of(event)


def _timestamp(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    now = datetime.now(UTC).replace(tzinfo=None)
    return {**event, "timestamp": f"{now.isoformat(timespec='microseconds')}Z"}


def _without_controls(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """What servers send must not steer the terminal, nor begin a line where a line of ours would begin."""
    return {key: _indented(text_of(value)) for key, value in event.items()}


def _indented(text: str) -> str:
    return strip_controls(text).replace("\n", "\n    ")


def _name_of_library(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: logging.LogRecord = event["_record"]
    return {**event, "event": "library.log", "logger": record.name, "message": event["event"]}


class Crashes:
    """Bugs as the log tells them: each traceback once, and what crashes again and again ever more seldom.

    One for all who share a log: of a bug that befalls a thousand sources there is one traceback, whose `traceback_id`
    stands on every line about it.
    """

    def __init__(self) -> None:
        self._repeats = Repeats()

    def tell(
        self, event: str, error: BaseException, *, subject: Hashable, now: float, **keys: object
    ) -> None:
        """Log `event` with `keys` unless the same `error` of `subject` was told a moment ago; `now` is in seconds of a
        clock that only goes forward."""
        trouble = traceback_id(error)
        telling = self._repeats.happened(subject, trouble, now)
        if telling is None:
            return
        root = root_of(error)
        keys |= {"error": f"{type(root).__name__}: {text_of(root)[:500]}", "traceback_id": trouble}
        if telling.times > 1:
            keys |= {
                "times": telling.times,
                "untold": telling.untold,
                "within_seconds": round(telling.seconds),
            }
        if telling.in_full:
            keys["exc_info"] = error
        get_logger().error(event, **keys)

    def over(self, event: str, *, subject: Hashable, now: float, **keys: object) -> None:
        """Log that what `event` told of `subject` is over, if it told anything since the last time."""
        telling = self._repeats.over(subject, now)
        if telling is not None:
            seconds = round(telling.seconds)
            get_logger().warning(f"{event}.over", **keys, times=telling.times, within_seconds=seconds)
