"""`digestd db` and its commands, as the command line has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from digestd.cli.options import HELP_NAMES, Config, either

app = typer.Typer(
    rich_markup_mode=None,
    context_settings=HELP_NAMES,
    help="Back the database up, and restore it. For an upgrade, too, and for moving from SQLite to PostgreSQL.",
)


@app.command()
def backup(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The file to write, or a directory to write one into.")
    ],
    config: Config = None,
) -> None:
    """Write the whole database, as it is at one moment, into one new file.

    The file is an SQLite database, whatever database digestd uses, readable by its owner alone. It appears when it is
    whole, and nothing is overwritten. The daemon goes on meanwhile. In a directory it is called by the time (UTC):
    digestd-20261129T031500Z.db.

    \b
    Examples:
      digestd db backup digestd.backup -c /etc/digestd/digestd.yaml
      digestd db backup /var/backups/digestd
    """
    from digestd.cli import database

    database.backup(either(context, config, None)[0], file)


@app.command()
def restore(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `digestd db backup` wrote.")],
    config: Config = None,
) -> None:
    """Fill an empty database with what a backup holds, all or nothing.

    Stop digestd first. The database that the settings name must be empty: no SQLite file, or a PostgreSQL database
    without articles and sources. It may be of the other kind than the one that was backed up.

    Example: DATABASE_URL=postgresql://digestd@localhost/digestd digestd db restore digestd.backup
    """
    from digestd.cli import database

    database.restore(either(context, config, None)[0], file)
