"""What the commands that are told a place make of it: the sources it may mean, and the options given beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import typer

from digestd import kinds
from digestd.config import checked_source
from digestd.feed.recognising import Candidate, candidates
from digestd.feed.text import line_of, strip_controls
from digestd.ingest.discovery import Make
from digestd.masking import mask_url
from digestd.model import SourceSpec
from digestd.yamlfile import read_value

LONGEST_NAME = 100


def given_options(written: Sequence[str]) -> dict[str, Any]:
    """The options that `--option KEY=VALUE` gave. Raises typer.BadParameter, which repeats no value."""
    options: dict[str, Any] = {}
    for one in written:
        name, equals, value = one.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter("--option: write it as KEY=VALUE, the value as in YAML")
        if name.strip() in options:
            raise typer.BadParameter(f"--option: {name.strip()[:40]!r} is given twice")
        try:
            options[name.strip()] = read_value(value)
        except ValueError as error:
            raise typer.BadParameter(f"--option: {name.strip()[:40]!r}: its value {error}") from None
    return options


def sources_meant(written: str) -> list[Candidate]:
    """The sources that `written` may mean: those of third parties' kinds first. A file of that name goes before a host.

    Raises ValueError, with a sentence.
    """
    foreign = kinds.recognised(written.strip()) if written.strip().isprintable() else []
    try:
        found = list(candidates(written))
    except ValueError:
        if not foreign and not _is_there(written):
            raise
        found = []
    if (not found or found[0].open) and _is_there(written):
        found = list(candidates(f"./{written.strip()}"))
    return [*foreign, *found]


def as_kind(written: str, kind: str) -> Candidate:
    """The source of `kind` that is meant by `written`, of which nothing is to be found out."""
    if not written.lower().startswith(("http://", "https://")):
        try:
            return next(
                (one for one in sources_meant(written) if one.kind == kind), Candidate(kind, "", written)
            )
        except ValueError:
            pass
    return Candidate(kind, "", written)


def maker(entry: Mapping[str, Any], options: Mapping[str, Any]) -> Make:
    """Makes sources of candidates, with what `entry` says of any source, and `options` beside those of a candidate."""

    def make(candidate: Candidate) -> SourceSpec:
        told = {"kind": candidate.kind, "url": candidate.url, "options": {**candidate.options, **options}}
        known = {name: value for name, value in {**entry, **told}.items() if value is not None}
        return checked_source(known, kinds.registered(), kinds.schema_of, references_only=True)

    return make


def shown_place(written: str) -> str:
    """`written`, fit to be shown."""
    text = strip_controls(line_of(written, 300))
    return mask_url(text) if "://" in text else text


def name_of(title: str | None, spec: SourceSpec) -> str:
    """What a source is called that nobody named: after its own `title`, else after its host or path."""
    plain = strip_controls(line_of(title or "", LONGEST_NAME))
    plain = "".join(character for character in plain if character.isprintable()).strip()
    parts = urlsplit(spec.url)
    return plain or (parts.hostname or parts.path.rstrip("/").rpartition("/")[2] or spec.kind)[:LONGEST_NAME]


def unused(name: str, used: set[str]) -> str:
    """`name`, with a number behind it where it is `used` already."""
    number, found = 1, name
    while found in used:
        number += 1
        found = f"{name} ({number})"
    return found


def _is_there(written: str) -> bool:
    text = written.strip()
    try:
        return bool(text) and "://" not in text and not text.startswith(("/", "@")) and Path(text).exists()
    except (OSError, ValueError):
        return False
