"""argv becomes one command; the only room that prints and exits.

Heavy imports stand inside the commands: `digestd --help` must not pay for a database.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from digestd import __version__
from digestd.cli import article_commands, database_commands, list_commands, source_commands
from digestd.cli.options import HELP_NAMES, Config, Level, either
from digestd.errors import ConfigurationError, DigestdError, StartError, StoreError
from digestd.feed.text import strip_controls

_HELP = """Polls security feeds, keeps every article once, and tells you what is new.

Without a command it runs as a daemon until SIGTERM or SIGINT; with --once it
polls every source that is due, prints a summary and ends.

\b
Examples:
  digestd demo                          see it work: no network, no settings
  digestd init conf                     write commented settings
  digestd check -c conf/digestd.yaml    validate them
  digestd --once -c conf/digestd.yaml   one round over everything that is due
  digestd -c /etc/digestd/digestd.yaml  the daemon
  digestd sources                       every source, its state, its last error
  digestd sources import feeds.opml     add the feeds of another reader
  digestd articles --failed             articles whose page could not be read, and why
  digestd db backup digestd.backup      the whole database in one file, while the daemon runs

\b
Exit status: 0 done, or stopped by a signal; 1 a bug, no such source or
article, or a daemon that is not well; 2 wrong usage;
69 no database, or no web.listen, at start; 75 --once and every due source failed;
78 the configuration is wrong or a package is missing.
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=HELP_NAMES,
)
source_commands.app.add_typer(list_commands.app)
app.add_typer(source_commands.app, name="sources")
app.add_typer(article_commands.app, name="articles")
app.add_typer(database_commands.app, name="db")


def run() -> None:
    """Run the command in `sys.argv` and exit: expected failures become one message on stderr and their status."""
    try:
        app()
    except ConfigurationError as error:
        _fail("the configuration is wrong:", error.problems, os.EX_CONFIG)
    except (StartError, StoreError) as error:
        _fail(str(error), (), os.EX_UNAVAILABLE)
    except DigestdError as error:
        _fail(str(error), (), 1)
    finally:
        # The interpreter's own end would put the default actions back: a late signal must not change the status.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


def _fail(message: str, lines: tuple[str, ...], status: int) -> None:
    # A message may quote a settings file, which somebody else may have written.
    told = "\n".join([f"digestd: {message}", *(f"  {line}" for line in lines)])
    print(strip_controls(told), file=sys.stderr)
    sys.exit(status)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"digestd {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True, help=_HELP)
def main(
    context: typer.Context,
    config: Config = None,
    log_level: Level = None,
    once: Annotated[
        bool, typer.Option("--once", help="Poll what is due one time, print a summary, end.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="With --once: at most N sources.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="With --once: this source, due or not (repeatable)."),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="With --once: every source, due or not.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    context.obj = (config, log_level)
    if context.invoked_subcommand is not None:
        if once or limit is not None or source or every:
            raise typer.BadParameter("--once, --limit, --source and --all go without a command")
        return
    if not once and (limit is not None or source or every):
        raise typer.BadParameter("--limit, --source and --all go with --once")
    if source and every:
        raise typer.BadParameter("--source and --all exclude each other")
    # All that is imported now stays: looking through it for garbage again and again is a tenth of the start. The daemon
    # and --once collect again once they stand (digestd.daemon.collecting).
    gc.disable()
    from digestd.cli import running

    if once:
        raise typer.Exit(running.once(config, log_level, tuple(source or ()), every, limit))
    running.serve(config, log_level)


@app.command()
def demo(context: typer.Context, log_level: Level = None) -> None:
    """Ingest six sample sources from loopback into a temporary database and print the digest. No network needed.

    Example: digestd demo
    """
    from digestd.cli import demonstration

    raise typer.Exit(demonstration.demo(either(context, None, log_level)[1]))


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to write the two files.")] = Path(
        "conf"
    ),
) -> None:
    """Write a commented digestd.yaml and sources.yaml into DIR (default: conf). Never overwrites.

    Example: digestd init /etc/digestd
    """
    from digestd.cli import setup

    setup.init(directory)


@app.command()
def check(context: typer.Context, config: Config = None, log_level: Level = None) -> None:
    """Validate settings, sources and the database, and print what is in force, secrets masked.

    Example: digestd check -c /etc/digestd/digestd.yaml
    """
    from digestd.cli import setup

    setup.check(*either(context, config, log_level))


@app.command("health")
def ask_health(context: typer.Context, config: Config = None) -> None:
    """Ask the running daemon how it does: one line, then up to fifty failing sources with their causes. Exits 0 or 1.

    Example: digestd health -c /etc/digestd/digestd.yaml
    """
    from digestd import healthcheck

    raise typer.Exit(healthcheck.health(either(context, config, None)[0]))


@app.command()
def digest(
    context: typer.Context,
    config: Config = None,
    log_level: Level = None,
    per_source: Annotated[int, typer.Option(min=1, help="How many articles of each source.")] = 3,
    days: Annotated[float, typer.Option(min=0.01, help="Only what was published in so many days.")] = 7,
) -> None:
    """Print the newest articles by source: title, date, link and two lines of text.

    Example: digestd digest --days 1 --per-source 10
    """
    from digestd.cli import showing

    showing.digest(*either(context, config, log_level), per_source=per_source, days=days)
