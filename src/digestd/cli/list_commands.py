"""`digestd sources list|import|export`, as the command line has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from digestd.cli.options import AsCsv, AsJson, Config, Level, chosen_format, either

app = typer.Typer(rich_markup_mode=None)

_States = Literal["active", "degraded", "gone", "duplicate", "disabled"]
Category = Annotated[
    str | None, typer.Option(metavar="WORD", help="Only those of this category, or below it (WORD/…).")
]


@app.command("list")
def list_sources(
    context: typer.Context,
    config: Config = None,
    log_level: Level = None,
    failing: Annotated[bool, typer.Option("--failing", help="Only sources whose last poll failed.")] = False,
    degraded: Annotated[
        bool, typer.Option("--degraded", help="Only those in this state. With --failing: what is either.")
    ] = False,
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only those of this kind.")] = None,
    category: Category = None,
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help=f"Only those in it: {', '.join(get_args(_States))}.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N sources.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List sources as `digestd sources` does, all of them or some.

    --json has `health` as well: in a word and with its reason, how each of them does.

    \b
    Examples:
      digestd sources list --kind page
      digestd sources list --category CERT --failing
      digestd sources list --state gone --json
    """
    from digestd.cli import showing

    if state is not None and state not in get_args(_States):
        raise typer.BadParameter(f"{state!r} is none of {', '.join(get_args(_States))}", param_hint="--state")
    form = chosen_format(as_json=as_json, as_csv=as_csv)
    chosen = showing.Choice(failing, degraded, kind, category, state, limit)
    showing.sources(*either(context, config, log_level), form, chosen)


@app.command("import")
def import_sources(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="OPML, or our YAML; - for standard input.")],
    config: Config = None,
    log_level: Level = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write YAML for sources_files, and nothing into the database."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    disabled: Annotated[bool, typer.Option("--disabled", help="Add what is new without polling it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add the sources of a list that are not known yet: all of them, or, if it is interrupted, none.

    Of OPML the feeds are taken, and the names of the folders that they stand in become their category (A/B). A source
    whose kind and URL are known is left as it is, so that a second import changes nothing; one whose name is taken gets
    its host behind it. What is wrong is told by line and name, and costs the others nothing: exits 1 only where nothing
    but that was found.

    \b
    Examples:
      digestd sources import feeds.opml --dry-run
      digestd sources import feeds.opml
      digestd sources import - --to /etc/digestd/imported.yaml < feeds.opml
    """
    from digestd.cli import importing

    request = importing.Request(file, to, dry_run, disabled, as_json)
    raise typer.Exit(importing.import_list(*either(context, config, log_level), request))


@app.command("export")
def export_sources(
    context: typer.Context,
    config: Config = None,
    log_level: Level = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format", metavar="FORMAT", help="opml or yaml; told by the name of --output, else opml."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A new file, instead of stdout.")
    ] = None,
    category: Category = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it is there.")] = False,
) -> None:
    """Write sources as a list: feeds as OPML 2.0 for any reader, or everything as YAML for digestd.

    Categories become folders. Secrets are never in it: a source whose URL holds one is left out, and told on stderr, as
    is what OPML has no word for. YAML names where secrets are, and `digestd check` reads it as a file of sources.

    \b
    Examples:
      digestd sources export > feeds.opml
      digestd sources export --category CERT --output certs.opml
      digestd sources export --output sources.yaml
    """
    from digestd.cli import exporting

    request = exporting.Request(exporting.form_of(form, output), output, force, category)
    raise typer.Exit(exporting.export(*either(context, config, log_level), request))
