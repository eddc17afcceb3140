"""The settings of a command: file, environment and options together."""

from __future__ import annotations

import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

from digestd import config, kinds
from digestd.config import Configuration
from digestd.errors import ConfigurationError
from digestd.feed.text import strip_controls


def load_configuration(file: Path | None) -> Configuration:
    """See :func:`digestd.config.load`; for the environment of this process and the kinds installed beside it."""
    installed = kinds.registered()
    return config.load(file, os.environ, installed, partial(kinds.schema_of, points=installed))


def resolve_level(configuration: Configuration, option: str | None) -> str:
    """The log level in force: `--log-level`, else the setting. Raises ConfigurationError for no level."""
    if option is None:
        return configuration.settings.worker.log_level
    return named_level(option)


def named_level(option: str) -> str:
    """`option` as a level's name. Raises ConfigurationError when it is none."""
    level = option.upper()
    if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ConfigurationError(
            [f"--log-level: {option!r} is no level; use DEBUG, INFO, WARNING, ERROR or CRITICAL"]
        )
    return level


def warn(configuration: Configuration) -> None:
    """Print what looks like a slip, for commands that do not log."""
    for warning in configuration.warnings:
        print(strip_controls(f"digestd: warning: {warning}"), file=sys.stderr)


def end_with_reader() -> None:
    """From here on, end like any Unix filter when nobody reads stdout any more (`digestd sources | head`).

    For commands that have closed the store and only print. Python's own way is a BrokenPipeError.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)


def quiet_level(option: str | None) -> str:
    """The level of commands whose result is on stdout: only warnings, unless asked for more."""
    return named_level(option) if option else logging.getLevelName(logging.WARNING)
