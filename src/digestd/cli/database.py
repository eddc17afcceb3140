"""`digestd db backup` and `digestd db restore`."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from digestd.cli.loading import load_configuration, warn
from digestd.config import Configuration, database_url
from digestd.store.backup import Backup, back_up
from digestd.store.backup import restore as restore_backup
from digestd.store.copying import Progress as Told


def backup(config_file: Path | None, file: Path) -> None:
    """Write the backup and say what is in it. Raises BackupError and StoreError; a signal leaves nothing behind."""
    config = _configuration(config_file)
    target = file / f"digestd-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db" if file.is_dir() else file
    with _cleaning_up_on_signals(), _bar() as told:
        made = back_up(
            database_url(config.settings.database, os.environ),
            target,
            connect_timeout_seconds=config.settings.database.connect_timeout_seconds,
            progress=told,
        )
    print(f"wrote {target}: {contents(made)}")


def restore(config_file: Path | None, file: Path) -> None:
    """Restore the backup and say what was in it. Raises BackupError and StoreError; a signal leaves nothing behind."""
    config = _configuration(config_file)
    with _cleaning_up_on_signals(), _bar() as told:
        restored = restore_backup(
            file,
            database_url(config.settings.database, os.environ),
            connect_timeout_seconds=config.settings.database.connect_timeout_seconds,
            progress=told,
        )
    print(f"restored {file}: {contents(restored)}")


def contents(backup: Backup) -> str:
    """What a backup holds, in words."""
    sources, articles = (f"{backup.rows.get(name, 0):,}" for name in ("sources", "articles"))
    return (
        f"{sources} sources, {articles} articles, {backup.size_bytes / 1e6:,.1f} MB, schema {backup.revision}"
    )


def _configuration(file: Path | None) -> Configuration:
    config = load_configuration(file)
    warn(config)
    return config


@contextlib.contextmanager
def _cleaning_up_on_signals() -> Iterator[None]:
    """Let a signal unwind what was begun, and end with 128 and its number: half a backup is no success."""

    def unwind(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = {number: signal.signal(number, unwind) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _bar() -> Iterator[Told]:
    """A progress bar on stderr where it is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    terminal = sys.stderr is not None and sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not terminal) as progress:
        task = progress.add_task("looking", total=None)

        def told(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield told
