"""The list of sources in the settings file or in files of its own, validated one by one."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator

from digestd.config.access import Secret
from digestd.config.kind_options import SchemaOf, Settled, no_schema, secret_options, settled
from digestd.config.options import checked, sealed
from digestd.config.plain import needs_no_options, plain_spec
from digestd.config.settings import Interval, Seconds, Section
from digestd.config.urls import url_problem
from digestd.config.wording import problem_lines, shown_word
from digestd.errors import ConfigurationError
from digestd.model import SourceSpec
from digestd.yamlfile import read_yaml

_BY_REFERENCE = (
    "a secret on a command line is for everyone to read: give it as {env: VARIABLE}, or in a settings file"
)


class SourceEntry(Section):
    """One source as it stands in a file."""

    name: str = Field(min_length=1, max_length=200)
    kind: str = "feed"
    url: str | None = Field(default=None, min_length=1)
    enabled: bool = True
    category: str | None = None
    language: str | None = None
    interval_seconds: Interval | None = None
    jitter_seconds: Seconds | None = None
    options: dict[str, Any] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _printable(cls, name: str) -> str:
        if not name.isprintable() or name != name.strip():
            raise ValueError("must be printable, without blanks at its ends")
        return name

    @field_validator("options")
    @classmethod
    def _storable(cls, options: dict[str, Any]) -> dict[str, Any]:
        try:
            json.dumps(options, allow_nan=False)
        except (TypeError, ValueError):
            raise ValueError(
                "may hold text, finite numbers, true, false, lists and mappings (quote dates)"
            ) from None
        if options.get("content", "page") not in ("page", "feed"):
            raise ValueError(
                "content must be 'page' (fetch the article's page) or 'feed' (what the feed says is enough)"
            )
        checked(options)
        return options

    @field_validator("url")
    @classmethod
    def _askable(cls, url: str | None) -> str | None:
        reason = None if url is None else url_problem(url)
        if reason:
            raise ValueError(reason)
        return url


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a source stands, in words, and the folder that its relative paths are seen from."""

    shown: str
    folder: Path


class SourceList:
    """Gathers sources over several files, and every mistake in them. `kinds` are the names that a kind may have, and
    `schema_of` gives what their options have to be."""

    def __init__(self, kinds: Collection[str], schema_of: SchemaOf = no_schema) -> None:
        self._kinds = kinds
        # Asked once for each kind: the first time, that imports it.
        self._schema_of = cache(schema_of)
        self._needs_no_options = cache(lambda kind: needs_no_options(self._schema_of(kind)))
        self._places: dict[str, str] = {}
        self.files: list[Path] = []
        self.content: str | None = None
        self.specs: list[SourceSpec] = []
        self.literals: dict[str, Secret] = {}
        self.problems: list[str] = []

    def read_file(self, path: Path) -> None:
        """Add the sources in the file at `path`: a list, or a mapping whose only key is `sources`."""
        self.files.append(path)
        try:
            data = read_yaml(path)
        except ConfigurationError as error:
            self.problems += error.problems
            return
        if isinstance(data, dict) and set(data) == {"sources"}:
            data = data["sources"]
        self.add(data, str(path))

    def add(self, data: Any, file: str) -> None:
        """Add the sources in `data`, which stands in `file`."""
        if data is None:
            return
        if not isinstance(data, list):
            self.problems.append(f"{file}: sources: must be a list of sources, each with name and url")
            return
        folder = Path(file).parent
        for number, item in enumerate(data):
            place = f"{file}: sources[{number}]"
            if not self._add_plain(item, place):
                self.problems += self._add_one(item, place, folder)

    def take(self, item: Any, file: str) -> list[str]:
        """Add the source `item` alone, which stands in `file`; what is wrong with it is returned, by key, and is not
        among the `problems`."""
        label = item.get("name") if isinstance(item, dict) else None
        shown = f" ({shown_word(label)}): " if isinstance(label, str) and label.isprintable() else ": "
        return [problem.removeprefix(shown) for problem in self._add_one(item, "", Path(file).parent)]

    def _add_plain(self, item: Any, place: str) -> bool:
        """Add `item` if it is right beyond doubt; of 100,000 sources the other way takes two seconds."""
        spec = plain_spec(item)
        if spec is None or spec.name in self._places or spec.kind not in self._kinds:
            return False
        if not self._needs_no_options(spec.kind):
            return False
        self._places[spec.name] = place
        self.specs.append(spec)
        return True

    def _add_one(self, item: Any, place: str, folder: Path) -> Iterator[str]:
        label = item.get("name") if isinstance(item, dict) else None
        shown = f"{place} ({shown_word(label)})" if isinstance(label, str) and label.isprintable() else place
        try:
            entry = SourceEntry.model_validate(item, strict=True)
        except ValidationError as error:
            yield from problem_lines(error, shown, SourceEntry)
            return
        if entry.kind not in self._kinds:
            yield f"{shown}: kind: unknown kind {shown_word(entry.kind)!r}; {_known(entry.kind, self._kinds)}"
        elif entry.name in self._places:
            yield f"{shown}: name: used before at {self._places[entry.name]}; every source needs a name of its own"
        else:
            self._places[entry.name] = place
            yield from self._settle(entry, _Place(shown, folder))

    def _settle(self, entry: SourceEntry, place: _Place) -> Iterator[str]:
        """Add the source of `entry`, unless its kind has something against it."""
        schema = self._schema_of(entry.kind)
        if schema is not None:
            found = settled(schema, entry.kind, entry.options, entry.url, place.folder)
        elif entry.url is None:
            found = ["url: missing; every source needs one"]
        else:
            found = Settled(entry.options, entry.url)
        if isinstance(found, list):
            yield from (f"{place.shown}: {problem}" for problem in found)
            return
        options, literals = sealed(found.options, entry.name, place.folder, also=secret_options(schema))
        self.literals |= literals
        self.specs.append(SourceSpec(**{**entry.model_dump(), "url": found.url, "options": options}))


def _known(kind: str, kinds: Collection[str]) -> str:
    close = difflib.get_close_matches(kind, kinds, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known kinds: {', '.join(sorted(kinds))}"


def checked_source(
    data: Mapping[str, Any],
    kinds: Collection[str],
    schema_of: SchemaOf = no_schema,
    *,
    references_only: bool = False,
) -> SourceSpec:
    """The source that `data` describes, as an item of a file does; with `references_only` no secret may stand in it
    itself. Raises :class:`digestd.errors.ConfigurationError` with every mistake in it."""
    sources = SourceList(kinds, schema_of)
    sources.add([dict(data)], "the command")
    if references_only:
        places = (place.rpartition(": ")[2] for place in sources.literals)
        sources.problems += [f"options: {place}: {_BY_REFERENCE}" for place in places]
    if sources.problems:
        raise ConfigurationError(
            [problem.replace("the command: sources[0] ", "") for problem in sources.problems]
        )
    return sources.specs[0]
