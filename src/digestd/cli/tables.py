"""What the commands that look into the database share: opening it, tables, moments."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from digestd import log
from digestd.cli.loading import load_configuration, quiet_level, warn
from digestd.config import Configuration, database_url
from digestd.errors import StoreUnavailable
from digestd.feed.text import strip_controls
from digestd.model import SourceStatus
from digestd.store import Store
from digestd.store.looking import Look, look
from digestd.store.owner import current_owner
from digestd.store.sql import open_store


def prepared(file: Path | None, level: str | None) -> Configuration:
    """The configuration of a command that prints, with logging set up for it."""
    config = load_configuration(file)
    warn(config)
    log.set_up(quiet_level(level), config.settings.worker.log_format)
    return config


def looking_into(config: Configuration, *, create_file: bool = False) -> AbstractAsyncContextManager[Store]:
    """The store, for a command that looks or changes little: see :func:`digestd.store.sql.open_store`."""
    database = config.settings.database
    return open_store(
        database_url(database, os.environ),
        owner=current_owner(),
        pool_size=1,
        create_file=create_file,
        connect_timeout_seconds=database.connect_timeout_seconds,
    )


def looking(config: Configuration) -> AbstractContextManager[Look]:
    """The database, for a command that changes nothing of it: see :func:`digestd.store.looking.look`."""
    database = config.settings.database
    return look(database_url(database, os.environ), database.connect_timeout_seconds)


async def kept_sources(config: Configuration) -> list[SourceStatus]:
    """The sources in the database, none where there is no database yet."""
    try:
        async with looking_into(config) as store:
            return await store.sources()
    except StoreUnavailable:
        return []


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Print `rows` under `headings`, those named in `right` aligned to the right; all of it fit for a terminal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right" if heading in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(escape(strip_controls(cell)) for cell in row))
    # A pipe has no width of its own: there, nothing is folded.
    console = Console(width=None if sys.stdout.isatty() else 240)
    with console.capture() as rendered:
        console.print(table)
    print(rendered.get(), end="")


def stamp(moment: datetime | None) -> str | None:
    """`moment` in RFC 3339."""
    return moment.isoformat() if moment else None
