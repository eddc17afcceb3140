"""The options that every command takes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

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
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
AsCsv = Annotated[
    bool, typer.Option("--csv", help="CSV for spreadsheets instead: the fields of --json, formulas defused.")
]

Format: TypeAlias = Literal["text", "json", "csv"]

HELP_NAMES = {"help_option_names": ["-h", "--help"]}


def either(context: typer.Context, config: Path | None, level: str | None) -> tuple[Path | None, str | None]:
    """Options stand before the command or after it; after wins."""
    before: tuple[Path | None, str | None] = context.obj or (None, None)
    return config or before[0], level or before[1]


def chosen_format(*, as_json: bool, as_csv: bool) -> Format:
    """What `--json` and `--csv` ask for. Raises typer.BadParameter where both are given."""
    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    return "json" if as_json else "csv" if as_csv else "text"
