"""`digestd articles` and its commands, as the command line has them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from digestd.cli.options import HELP_NAMES, AsCsv, AsJson, Config, Level, chosen_format, either

if TYPE_CHECKING:
    from digestd.model import Extraction
    from digestd.store import ArticleQuery

app = typer.Typer(rich_markup_mode=None, context_settings=HELP_NAMES)

Source = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only of this source.")]
Pending = Annotated[bool, typer.Option("--pending", help="Only those whose page is waited for.")]
Failed = Annotated[bool, typer.Option("--failed", help="Only those whose page could not be read.")]
Skipped = Annotated[bool, typer.Option("--skipped", help="Only those whose page is not to be read.")]
Since = Annotated[
    str | None,
    typer.Option(metavar="WHEN", help="Only first seen since: an age (90min, 6h, 2d, 1w) or a date."),
]


@app.callback(invoke_without_command=True)
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
    revised: Annotated[
        bool,
        typer.Option(
            "--revised", help="Only those that were updated, the last one first; --since is of that."
        ),
    ] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="At most N.")] = 50,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List articles, those first seen last first, with what became of their pages.

    \b
    Examples:
      digestd articles --source "Fortinet PSIRT" --since 2d
      digestd articles --failed --json
      digestd articles --revised --since 1d
      digestd articles --since 1w --limit 10000 --csv > articles.csv
      digestd articles show 4711
      digestd articles retry --failed --source "Fortinet PSIRT"
      digestd articles delete 4711
    """
    file, level = either(context, config, log_level)
    if context.invoked_subcommand is not None:
        context.obj = (file, level)
        return
    from dataclasses import replace

    from digestd.cli import articles as command

    form = chosen_format(as_json=as_json, as_csv=as_csv)
    if set_aside:
        command.set_aside(file, level, limit, form)
        return
    query = _article_query(source, since, pending=pending, failed=failed, skipped=skipped, limit=limit)
    command.listing(file, level, replace(query, revised=revised), form)


@app.command("show")
def show_article(
    context: typer.Context,
    article_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="As `digestd articles` lists it.")],
    config: Config = None,
    log_level: Level = None,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Instead: what it said before update N.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show one article: where it comes from, what became of its page, what was revised, its whole text.

    \b
    Examples:
      digestd articles show 4711
      digestd articles show 4711 --version 1
    """
    from digestd.cli import articles as command

    file, level = either(context, config, log_level)
    raise typer.Exit(command.show(file, level, article_id, version=version, as_json=as_json))


@app.command("retry")
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
    command.retry(*either(context, config, log_level), replace(query, ids=tuple(ids) if ids else None))


@app.command("delete")
def delete_articles(
    context: typer.Context,
    ids: Annotated[
        list[int],
        typer.Argument(metavar="ID...", min=1, max=2**63 - 1, help="As `digestd articles` lists them."),
    ],
    config: Config = None,
    log_level: Level = None,
) -> None:
    """Delete articles, without asking; they do not come back, even while their source still serves them.

    Example: digestd articles delete 4711 4712
    """
    from digestd.cli import articles as command

    raise typer.Exit(command.delete(*either(context, config, log_level), tuple(ids)))


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
