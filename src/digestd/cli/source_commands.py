"""`digestd sources` and its commands, as the command line has them."""

from __future__ import annotations

from typing import Annotated

import typer

from digestd.cli.options import HELP_NAMES, AsCsv, AsJson, Config, Level, chosen_format, either

app = typer.Typer(rich_markup_mode=None, context_settings=HELP_NAMES)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `digestd sources` lists it.")]


@app.callback(invoke_without_command=True)
def sources(
    context: typer.Context,
    config: Config = None,
    log_level: Level = None,
    failing: Annotated[
        bool,
        typer.Option("--failing", help="Only sources whose last poll failed, as health and metrics count."),
    ] = False,
    degraded: Annotated[
        bool, typer.Option("--degraded", help="Only those in this state. With --failing: what is either.")
    ] = False,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List every source with its state, its last success, when and why it is polled next, and its last error.

    A source is failing when its last poll failed, or when it may be what crashes digestd. It is degraded when it
    fails for the third time in a row, or when what it answers does not look as it should: some of it may be read and
    kept, without a failure.

    What the commands below change, a running daemon follows within seconds, and so does every other one on the same
    database. Sources of a settings file are changed there; of these, `disable` and `enable` override the file.

    \b
    Examples:
      digestd sources --failing
      digestd sources show "Fortinet PSIRT"
      digestd sources --csv > sources.csv
      digestd sources add "Example PSIRT" https://psirt.example.com/feed.xml
      digestd sources poll "Fortinet PSIRT"
    """
    file, level = either(context, config, log_level)
    if context.invoked_subcommand is not None:
        context.obj = (file, level)
        return
    from digestd.cli import showing

    form = chosen_format(as_json=as_json, as_csv=as_csv)
    showing.sources(file, level, form, showing.Choice(failing, degraded))


@app.command("show")
def show(
    context: typer.Context,
    name: Name,
    config: Config = None,
    log_level: Level = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most N polls.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Show one source: its state, when and why it is polled next, and the polls of the last week that failed or brought
    entries.

    Example: digestd sources show "Fortinet PSIRT"
    """
    from digestd.cli import source_details

    file, level = either(context, config, log_level)
    raise typer.Exit(source_details.show(file, level, name, limit=limit, as_json=as_json))


@app.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Shown everywhere, unique.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where it is.")],
    config: Config = None,
    log_level: Level = None,
    kind: Annotated[str, typer.Option(metavar="KIND", help="How it is read.")] = "feed",
    category: Annotated[str | None, typer.Option(metavar="WORD", help="A word of yours to sort by.")] = None,
    language: Annotated[
        str | None, typer.Option(metavar="TAG", help="Of its articles: en, de, pt-BR.")
    ] = None,
    interval_seconds: Annotated[
        float | None, typer.Option(min=1, metavar="N", help="How often it is polled.")
    ] = None,
    jitter_seconds: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Plus up to so much.")
    ] = None,
) -> None:
    """Add a source that stands in no file.

    \b
    Example:
      digestd sources add "Example PSIRT" https://psirt.example.com/feed.xml --interval-seconds 900
    """
    from digestd.cli import sourcing

    entry = {
        "name": name,
        "url": url,
        "kind": kind,
        "category": category,
        "language": language,
        "interval_seconds": interval_seconds,
        "jitter_seconds": jitter_seconds,
    }
    raise typer.Exit(sourcing.add(*either(context, config, log_level), entry))


@app.command("enable")
def enable(context: typer.Context, name: Name, config: Config = None, log_level: Level = None) -> None:
    """Poll a source again that was disabled.

    Example: digestd sources enable "Fortinet PSIRT"
    """
    from digestd.cli import sourcing

    raise typer.Exit(sourcing.set_enabled(*either(context, config, log_level), name, enabled=True))


@app.command("disable")
def disable(context: typer.Context, name: Name, config: Config = None, log_level: Level = None) -> None:
    """Poll a source no more, until it is enabled again; its articles stay.

    Example: digestd sources disable "Fortinet PSIRT"
    """
    from digestd.cli import sourcing

    raise typer.Exit(sourcing.set_enabled(*either(context, config, log_level), name, enabled=False))


@app.command("remove")
def remove(context: typer.Context, name: Name, config: Config = None, log_level: Level = None) -> None:
    """Remove a source that was added by `add`; its articles stay.

    Example: digestd sources remove "Example PSIRT"
    """
    from digestd.cli import sourcing

    raise typer.Exit(sourcing.remove(*either(context, config, log_level), name))


@app.command("poll")
def poll(context: typer.Context, name: Name, config: Config = None, log_level: Level = None) -> None:
    """Let a source be polled now instead of when it is due.

    Example: digestd sources poll "Fortinet PSIRT"
    """
    from digestd.cli import sourcing

    raise typer.Exit(sourcing.poll(*either(context, config, log_level), name))
