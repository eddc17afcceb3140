"""`digestd sources export`: sources as a list that others, and digestd, can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import trio
import typer

from digestd import kinds
from digestd.cli.importing import HEAD
from digestd.cli.loading import end_with_reader
from digestd.cli.new_file import write_new
from digestd.cli.showing import in_category
from digestd.cli.tables import looking_into, prepared
from digestd.config import Configuration, database_url
from digestd.feed.lists.exporting import Exported, exported, for_opml
from digestd.feed.lists.opml_writing import write_opml
from digestd.feed.text import strip_controls
from digestd.model import SourceSpec, SourceStatus
from digestd.store.checking import is_made
from digestd.yamlfile import write_items

Form: TypeAlias = Literal["opml", "yaml"]
_MOST_TOLD = 50


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: the form, the file (None for standard output), whether one that is there is overwritten, and
    the category (None for all)."""

    form: Form
    output: Path | None = None
    force: bool = False
    category: str | None = None


def form_of(wanted: str | None, output: Path | None) -> Form:
    """The form that is `wanted`, else the one that the name of `output` says. Raises typer.BadParameter for none."""
    if wanted is None:
        return "yaml" if output is not None and output.suffix.lower() in (".yaml", ".yml") else "opml"
    for form in get_args(Form):
        if wanted.lower() == form:
            known: Form = form
            return known
    raise typer.BadParameter(f"{wanted!r} is neither opml nor yaml", param_hint="--format")


def export(file: Path | None, level: str | None, request: Request) -> int:
    """Write the list, and say on stderr what is not in it; returns the exit status. Raises ListError and StoreError."""
    config = prepared(file, level)
    chosen = [spec for spec in _sources(config) if in_category(spec.category, request.category)]
    found = exported(chosen, kinds.registered(), kinds.schema_of)
    if request.form == "opml":
        found = for_opml(found)
        text = write_opml(found.entries)
    else:
        text = HEAD + write_items(found.entries, "sources")
    _tell(found, request)
    if request.output is not None:
        write_new(request.output, text, overwrite=request.force)
        print(f"wrote {request.output}: {len(found.entries):,} of {len(chosen):,} sources")
        return os.EX_OK
    end_with_reader()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()
    return os.EX_OK


def _sources(config: Configuration) -> list[SourceSpec]:
    """What `digestd sources` lists, and what stands in files that no daemon has read yet."""
    written = {spec.name: spec for spec in config.sources}
    kept: list[SourceStatus] = []
    if is_made(database_url(config.settings.database, os.environ)):
        kept = trio.run(_kept, config)
    in_force = {status.source.name: _in_force(status, written.get(status.source.name)) for status in kept}
    return [*(written | in_force).values()]


def _in_force(status: SourceStatus, written: SourceSpec | None) -> SourceSpec:
    """What the file says of a source now, but for what a command has said since of `enabled`."""
    if written is None:
        return status.source.spec
    return replace(written, enabled=status.source.spec.enabled) if status.overridden else written


async def _kept(config: Configuration) -> list[SourceStatus]:
    async with looking_into(config) as store:
        return await store.sources()


def _tell(found: Exported, request: Request) -> None:
    lines = [*_part("left out", found.left_out), *_part("note", found.remarks)]
    if any("its URL holds" in reason for _, reason in found.left_out):
        lines.append(
            "what holds secrets moves with `digestd db backup`, or by hand, with the secret as an option"
        )
    if request.form == "opml" and any("OPML" in reason for _, reason in found.left_out + found.remarks):
        lines.append("--format yaml holds what OPML has no word for")
    for line in lines:
        print(strip_controls(f"digestd: {line}"), file=sys.stderr)


def _part(heading: str, told: Sequence[tuple[str, str]]) -> Iterable[str]:
    yield from (f"{heading}: {name!r}: {reason}" for name, reason in told[:_MOST_TOLD])
    if len(told) > _MOST_TOLD:
        yield f"{heading}: and {len(told) - _MOST_TOLD:,} more"
