"""`digestd sources` and its commands, as the command line has them."""

from __future__ import annotations

from typing import Annotated

import typer

from digestd.cli.options import HELP_NAMES, AsCsv, AsJson, Config, Level, chosen_format, either

app = typer.Typer(rich_markup_mode=None, context_settings=HELP_NAMES)

Name = Annotated[str, typer.Argument(metavar="NAME", help="As `digestd sources` lists it.")]

Kind = Annotated[
    str | None,
    typer.Option(metavar="KIND", help="How it is read; found out where it is left out.", show_default=False),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="KEY=VALUE",
        help="An option of its kind, VALUE as in YAML (repeatable).",
        show_default=False,
    ),
]


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
      digestd sources test https://psirt.example.com/
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
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="[NAME] URL",
            help="Where it is, and before that how it is called: unique; left out, as the source calls itself.",
        ),
    ],
    config: Config = None,
    log_level: Level = None,
    kind: Kind = None,
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
    option: Options = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be added, and add nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a source that stands in no file.

    URL is that of a feed, of a page, of a sitemap; or @name@instance, r/subreddit, name.bsky.social, ./directory, nvd,
    kev, ghsa, hackernews. It is asked what it is: a page leads to the feed that it advertises, or is read as a list of
    articles. With --kind nothing is asked. A URL with a NAME that cannot be reached just now is added as a feed.

    \b
    Examples:
      digestd sources add https://psirt.example.com/
      digestd sources add "Example PSIRT" https://psirt.example.com/feed.xml --interval-seconds 900
      digestd sources add @briankrebs@infosec.exchange --dry-run
      digestd sources add r/netsec+blueteamsec
      digestd sources add "NVD" nvd --kind nvd --option 'key={env: NVD_API_KEY}'
    """
    from digestd.cli import adding

    entry = {
        "category": category,
        "language": language,
        "interval_seconds": interval_seconds,
        "jitter_seconds": jitter_seconds,
    }
    request = adding.read_request(places, kind, option or (), entry, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(adding.add(*either(context, config, log_level), request))


@app.command("test")
def try_once(
    context: typer.Context,
    place: Annotated[
        str,
        typer.Argument(
            metavar="URL-or-NAME", help="A source as `digestd sources` lists it, or what `add` takes."
        ),
    ],
    config: Config = None,
    log_level: Level = None,
    kind: Kind = None,
    option: Options = None,
    steps: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Of a poll at most N requests or pages.")
    ] = 3,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Show at most N entries.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Poll a source once, store nothing, and show what would be kept.

    It is asked as if for the first time, without validators. Exits 0 where the poll succeeds, and 1 where it fails.

    \b
    Examples:
      digestd sources test "Fortinet PSIRT"
      digestd sources test https://psirt.example.com/ --limit 5
      digestd sources test https://lab.example.com/research/ --kind page --option 'links=h2 a'
      digestd sources test r/netsec --json
    """
    from digestd.cli import trying

    request = trying.Request(place, kind, tuple(option or ()), steps, limit, as_json)
    raise typer.Exit(trying.try_once(*either(context, config, log_level), request))


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
