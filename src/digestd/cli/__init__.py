"""argv becomes one command; the only room that prints and exits.

Heavy imports stand inside the commands: `digestd --help` must not pay for a database.
"""

from __future__ import annotations

import io
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from digestd import __version__
from digestd.errors import ConfigurationError, DigestdError, StartError, StoreError

if TYPE_CHECKING:
    from digestd.model import Extraction
    from digestd.store import ArticleQuery

_CONFIG = typer.Option(
    "-c",
    "--config",
    metavar="FILE",
    help="Settings file [env: DIGESTD_CONFIG].",
    show_default=False,
    # Whether it can be read is told like every other mistake in it, with exit status 78.
    readable=False,
)
_LEVEL = typer.Option(
    "--log-level", metavar="LEVEL", help="DEBUG, INFO, WARNING, ERROR or CRITICAL.", show_default=False
)
Config = Annotated[Path | None, _CONFIG]
Level = Annotated[str | None, _LEVEL]

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
  digestd articles --failed             articles whose page could not be read, and why

\b
Exit status: 0 done, or stopped by a signal; 1 a bug; 2 wrong usage;
69 no database, or no web.listen, at start; 75 --once and every due source failed;
78 the configuration is wrong or a package is missing.
"""

app = typer.Typer(
    add_completion=False,
    no_args_is_help=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def run() -> None:
    """Run the command in `sys.argv` and exit: expected failures become one message on stderr and their status."""
    # What feeds say is shown as well as the terminal's encoding allows.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
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
    print("\n".join([f"digestd: {message}", *(f"  {line}" for line in lines)]), file=sys.stderr)
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
    from digestd.cli import running

    if once:
        raise typer.Exit(running.once(config, log_level, tuple(source or ()), every, limit))
    running.serve(config, log_level)


def _either(context: typer.Context, config: Path | None, level: str | None) -> tuple[Path | None, str | None]:
    """Options stand before the command or after it; after wins."""
    before: tuple[Path | None, str | None] = context.obj or (None, None)
    return config or before[0], level or before[1]


@app.command()
def demo(context: typer.Context, log_level: Level = None) -> None:
    """Ingest six sample sources from loopback into a temporary database and print the digest. No network needed."""
    from digestd.cli import demonstration

    raise typer.Exit(demonstration.demo(_either(context, None, log_level)[1]))


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

    setup.check(*_either(context, config, log_level))


@app.command()
def sources(
    context: typer.Context,
    config: Config = None,
    log_level: Level = None,
    failing: Annotated[bool, typer.Option("--failing", help="Only sources with an error.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a table.")] = False,
) -> None:
    """List every source with its state, its last success, when and why it is polled next, and its last error.

    Example: digestd sources --failing
    """
    from digestd.cli import showing

    showing.sources(*_either(context, config, log_level), failing=failing, as_json=as_json)


@app.command("health")
def ask_health(context: typer.Context, config: Config = None) -> None:
    """Ask the running daemon how it does: one line, and every failing source with its cause. Exits 0 or 1.

    Example: digestd health -c /etc/digestd/digestd.yaml
    """
    from digestd.cli import health

    raise typer.Exit(health.health(_either(context, config, None)[0]))


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

    showing.digest(*_either(context, config, log_level), per_source=per_source, days=days)


_articles = typer.Typer(rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]})
app.add_typer(_articles, name="articles")

Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only of this source.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Pending = Annotated[bool, typer.Option("--pending", help="Only those whose page is waited for.")]
Failed = Annotated[bool, typer.Option("--failed", help="Only those whose page could not be read.")]
Skipped = Annotated[bool, typer.Option("--skipped", help="Only those whose page is not to be read.")]
Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Only first seen since: an age (90min, 6h, 2d, 1w) or a date."),
]


@_articles.callback(invoke_without_command=True)
def articles(
    context: typer.Context,
    config: Config = None,
    log_level: Level = None,
    source: Source = None,
    since: Since = None,
    pending: Pending = False,
    failed: Failed = False,
    skipped: Skipped = False,
    set_aside: Annotated[
        bool, typer.Option("--set-aside", help="Instead: entries that could not become articles, and why.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most N.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List articles, those first seen last first, with what became of their pages.

    \b
    Examples:
      digestd articles --source "CISA KEV" --since 2d
      digestd articles --failed --json
      digestd articles show 4711
      digestd articles retry --failed --source "CISA KEV"
    """
    file, level = _either(context, config, log_level)
    if context.invoked_subcommand is not None:
        context.obj = (file, level)
        return
    from digestd.cli import articles as command

    if set_aside:
        command.set_aside(file, level, limit, as_json=as_json)
        return
    query = _article_query(source, since, pending=pending, failed=failed, skipped=skipped, limit=limit)
    command.listing(file, level, query, as_json=as_json)


@_articles.command("show")
def show_article(
    context: typer.Context,
    article_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="As `digestd articles` lists it.")],
    config: Config = None,
    log_level: Level = None,
    as_json: AsJson = False,
) -> None:
    """Show one article: where it comes from, what became of its page, its whole text.

    Example: digestd articles show 4711
    """
    from digestd.cli import articles as command

    raise typer.Exit(command.show(*_either(context, config, log_level), article_id, as_json=as_json))


@_articles.command("retry")
def retry_articles(
    context: typer.Context,
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="These articles.")] = None,
    config: Config = None,
    log_level: Level = None,
    source: Source = None,
    since: Since = None,
    pending: Pending = False,
    failed: Failed = False,
    skipped: Skipped = False,
) -> None:
    """Let pages be fetched again at once that failed, were skipped or wait for their next attempt.

    \b
    Examples:
      digestd articles retry 4711 4712
      digestd articles retry --failed --since 1d
    """
    if not (ids or source or since or pending or failed or skipped):
        raise typer.BadParameter(
            "name articles by ID, or choose them: --failed, --skipped, --pending, --source, --since"
        )
    from dataclasses import replace

    from digestd.cli import articles as command

    query = _article_query(source, since, pending=pending, failed=failed, skipped=skipped, limit=None)
    command.retry(*_either(context, config, log_level), replace(query, ids=tuple(ids) if ids else None))


def _article_query(
    source: str | None, since: str | None, *, pending: bool, failed: bool, skipped: bool, limit: int | None
) -> ArticleQuery:
    from digestd.cli.articles import since_of
    from digestd.store import ArticleQuery

    if pending + failed + skipped > 1:
        raise typer.BadParameter("--pending, --failed and --skipped exclude each other")
    try:
        moment = since_of(since, datetime.now(UTC)) if since else None
    except ValueError as error:
        raise typer.BadParameter(f"--since: {error}") from None
    extraction: Extraction | None = (
        "pending" if pending else "failed" if failed else "skipped" if skipped else None
    )
    return ArticleQuery(source=source, since=moment, extraction=extraction, limit=limit)
