"""What a list holds of sources: no secret, and nothing that would not be read again. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from digestd.config.kind_options import SchemaOf, settled
from digestd.config.options import SECRET
from digestd.config.sources import SourceList
from digestd.masking import names_secret, secret_in
from digestd.model import SourceSpec

_NOT_OF_VARIABLES = re.compile(r"[^A-Z0-9]+")
_LONGEST_VARIABLE = 120
_WRITTEN_BY_OPML = frozenset({"name", "url", "category", "language"})


@dataclass(slots=True)
class Exported:
    """What a list holds: the `entries` of a settings file by name; the names of sources that are left out, and why; and
    what is said of single sources that are in it."""

    entries: list[Mapping[str, Any]] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[tuple[str, str]] = field(default_factory=list)


def exported(specs: Sequence[SourceSpec], kinds: Collection[str], schema_of: SchemaOf) -> Exported:
    """The sources `specs`, as they are kept, as entries that :mod:`digestd.config` reads as the same sources.

    Secrets become references: those that are kept as one stay as they are, and one that stands as text in a settings
    file, which nobody can ask for here, becomes a variable that has yet to be set. A source is left out whose URL or
    options hold a secret themselves, or that would not be read again.
    """
    ask = cache(schema_of)
    writing = _Writing()
    for spec in sorted(specs, key=lambda spec: spec.name):
        schema = ask(spec.kind) if spec.kind in kinds else None
        problem = _secret_of(spec, schema)
        entry = {} if problem else writing.entry(spec, schema)
        problem = problem or "; ".join(SourceList(kinds, ask).take(entry, ""))
        if problem:
            writing.found.left_out.append((spec.name, problem))
        else:
            writing.found.entries.append(entry)
    return writing.found


def for_opml(found: Exported) -> Exported:
    """What of `found` OPML can say: feeds that are polled, without their options."""
    kept = Exported(left_out=list(found.left_out))
    for entry in found.entries:
        if (kind := entry.get("kind", "feed")) != "feed":
            kept.left_out.append((entry["name"], f"OPML knows feeds alone, not the kind {kind!r}"))
        elif entry.get("enabled") is False:
            kept.left_out.append((entry["name"], "OPML cannot say that it is disabled"))
        else:
            kept.entries.append(entry)
            if unsaid := [key for key in entry if key not in _WRITTEN_BY_OPML]:
                kept.remarks.append((entry["name"], f"OPML has no word for its {' and '.join(unsaid)}"))
    return kept


def _secret_of(spec: SourceSpec, schema: type[BaseModel] | None) -> str | None:
    """Why `spec` cannot be told without a secret of its own; None if it can."""
    if secret := secret_in(spec.url):
        return f"its URL holds {secret}"
    for name, value in _options_in(spec.options):
        if "//" in value and (secret := secret_in(value)):
            return f"its option {name} holds {secret}"
        # Of a kind that declares no options nobody can say what they are.
        if schema is None and names_secret(name):
            return f"its option {name} may be a secret"
    return None


def _options_in(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in the options `value`, with the name that it has."""
    if isinstance(value, Mapping):
        if not _is_reference(value):
            for key, part in value.items():
                yield from _options_in(part, str(key))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _options_in(part, name)
    elif isinstance(value, str):
        yield name, value


def _is_reference(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and value.keys() <= {"env", "file", "credential", "setting"}


class _Writing:
    """Makes entries, and names the variables that they ask for."""

    def __init__(self) -> None:
        self.found = Exported()
        self._variables: dict[str, str] = {}

    def entry(self, spec: SourceSpec, schema: type[BaseModel] | None) -> dict[str, Any]:
        options = {name: self._unsealed(value, spec, name) for name, value in spec.options.items()}
        entry = {
            "name": spec.name,
            "kind": None if spec.kind == "feed" else spec.kind,
            "url": None if _is_told_by_options(spec, schema, options) else spec.url,
            "enabled": None if spec.enabled else False,
            "category": spec.category,
            "language": spec.language,
            "interval_seconds": _short(spec.interval_seconds),
            "jitter_seconds": _short(spec.jitter_seconds),
            "options": options or None,
        }
        return {key: value for key, value in entry.items() if value is not None}

    def _unsealed(self, value: Any, spec: SourceSpec, place: str) -> Any:
        if not isinstance(value, Mapping):
            return value
        if value.keys() == {SECRET}:
            return self._unsealed(value[SECRET], spec, place)
        if value.keys() == {"setting"}:
            return {"env": self._variable(spec, place)}
        return {key: self._unsealed(part, spec, f"{place}.{key}") for key, part in value.items()}

    def _variable(self, spec: SourceSpec, place: str) -> str:
        """A variable for the secret at `place` of the options of `spec`, which nothing else is asked from."""
        words = _NOT_OF_VARIABLES.sub("_", f"{spec.name} {place}".upper())[:_LONGEST_VARIABLE].strip("_")
        # Behind a section's name, WEB_TOKEN would be a setting of ours.
        stem = name = f"DIGESTD_{words}"
        number = 1
        while self._variables.setdefault(name, f"{spec.name}: {place}") != f"{spec.name}: {place}":
            number += 1
            name = f"{stem}_{number}"
        told = (
            f"options: {place}: stands as text in a settings file; the list asks the variable {name} for it"
        )
        self.found.remarks.append((spec.name, told))
        return name


def _is_told_by_options(spec: SourceSpec, schema: type[BaseModel] | None, options: Mapping[str, Any]) -> bool:
    if schema is None or getattr(schema, "place", None) is None:
        return False
    found = settled(schema, spec.kind, options, None, Path())
    return not isinstance(found, list) and found.url == spec.url


def _short(seconds: float | None) -> float | None:
    """`seconds` as a person writes them."""
    return int(seconds) if seconds is not None and seconds == int(seconds) else seconds
