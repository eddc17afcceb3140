"""`digestd db backup` and `digestd db restore`."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from digestd.cli.loading import load_configuration, warn
from digestd.cli.long_work import bar, cleaning_up_on_signals
from digestd.config import Configuration, database_url
from digestd.store.backup import Backup, back_up
from digestd.store.backup import restore as restore_backup


def backup(config_file: Path | None, file: Path) -> None:
    """Write the backup and say what is in it. Raises BackupError and StoreError; a signal leaves nothing behind."""
    config = _configuration(config_file)
    target = file / f"digestd-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.db" if file.is_dir() else file
    with cleaning_up_on_signals(), bar() as told:
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
    with cleaning_up_on_signals(), bar() as told:
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
