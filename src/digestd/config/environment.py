"""Settings from the environment: `SECTION_KEY`, or `SECTION_KEY_FILE` naming a file that holds the value, or a
credential of systemd called `section_key`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from digestd.config.settings import Section, Settings
from digestd.errors import ConfigurationError
from digestd.plainsettings import given


@dataclass(frozen=True, slots=True)
class Environment:
    """What the environment says: values by section and key, what is wrong with it, and what looks like a slip."""

    values: Mapping[str, Mapping[str, Any]]
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def sections() -> dict[str, type[Section]]:
    """The section models by name."""
    found = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: model for name, model in found.items() if isinstance(model, type)}


def variable_names() -> dict[str, tuple[str, str]]:
    """Every variable that is read, with the section and key it sets."""
    return {
        f"{section}_{key}".upper(): (section, key)
        for section, model in sections().items()
        for key in model.model_fields
    }


def read(environ: Mapping[str, str]) -> Environment:
    """The settings in `environ`.

    Names that are no key are dropped before validation, since other programs set such names too (Kubernetes sets
    `DATABASE_PORT` for a service called "database"); one that is nearly a key earns a warning. Which of several forms
    prevails says :func:`digestd.plainsettings.given`. A file that cannot be read is a problem.
    """
    names = variable_names()
    values: dict[str, dict[str, str]] = {}
    problems: list[str] = []
    for name, (section, key) in names.items():
        try:
            value = given(name, environ)
        except ConfigurationError as error:
            problems += error.problems
        else:
            if value is not None:
                values.setdefault(section, {})[key] = value
    return Environment(values, tuple(problems), _near_misses(environ, names))


def _near_misses(environ: Mapping[str, str], names: Mapping[str, tuple[str, str]]) -> tuple[str, ...]:
    warnings = []
    prefixes = tuple(f"{section}_".upper() for section in sections())
    for name in sorted(environ):
        bare = name.removesuffix("_FILE")
        if not name.startswith(prefixes) or bare in names:
            continue
        close = difflib.get_close_matches(bare, names, n=1, cutoff=0.85)
        if close:
            warnings.append(f"environment: {name} is not a setting and is ignored; did you mean {close[0]}?")
    return tuple(warnings)
