"""Files and environment become frozen settings; every mistake is found at once and named by file, key and remedy."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from platformdirs import user_state_path
from pydantic import ValidationError

from digestd.config import environment
from digestd.config.environment import Environment
from digestd.config.kind_options import SchemaOf, no_schema
from digestd.config.secrets import Secrets
from digestd.config.settings import (
    DatabaseSettings,
    ExtractSettings,
    FetchSettings,
    RetentionSettings,
    Section,
    Settings,
    WebSettings,
    WorkerSettings,
)
from digestd.config.sources import SourceList, checked_source
from digestd.config.wording import got_type, problem_lines, reason, shown_key, unknown_key
from digestd.errors import ConfigurationError
from digestd.masking import mask_url
from digestd.model import SourceSpec
from digestd.plainsettings import find_file
from digestd.yamlfile import read_yaml

__all__ = [
    "Configuration",
    "DatabaseSettings",
    "ExtractSettings",
    "FetchSettings",
    "RetentionSettings",
    "Secrets",
    "Settings",
    "WebSettings",
    "WorkerSettings",
    "checked_source",
    "content_of",
    "database_url",
    "find_file",
    "load",
]


_SPEC_FIELDS = tuple(one.name for one in fields(SourceSpec))
_WRITTEN_AT_ONCE = 1_000
"""Of 100,000 sources the text as a whole would take 40 MB."""


@dataclass(frozen=True)
class Configuration:
    """All that is in force: the file it came from (None: the defaults), settings, sources, warnings, which keys the
    environment set (`SECTION_KEY` names), the files that the sources stand in with what :func:`content_of` said of them
    before they were read (None: nobody asked), and where their secrets are found."""

    file: Path | None
    settings: Settings
    sources: tuple[SourceSpec, ...]
    warnings: tuple[str, ...] = ()
    from_environment: frozenset[str] = frozenset()
    source_files: tuple[Path, ...] = ()
    source_content: str | None = None
    secrets: Secrets = field(default=Secrets({}, {}), repr=False, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """The sha256 (hex) of the sources, equal in every process that was given the same ones."""
        written = sorted(self.sources, key=lambda spec: spec.name)
        digest = sha256(b"[")
        for start in range(0, len(written), _WRITTEN_AT_ONCE):
            some = [_written(spec) for spec in written[start : start + _WRITTEN_AT_ONCE]]
            text = json.dumps(some, sort_keys=True, default=str)
            digest.update(f"{', ' if start else ''}{text[1:-1]}".encode())
        digest.update(b"]")
        return digest.hexdigest()


def _written(spec: SourceSpec) -> dict[str, Any]:
    # Not by `asdict`, which copies each value, and takes ten times as long.
    return {name: getattr(spec, name) for name in _SPEC_FIELDS}


def content_of(files: Iterable[Path]) -> str:
    """The sha256 (hex) of what stands in `files`, by which a change is noticed; files that cannot be read count as
    empty. Blocks."""
    digest = sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:
            content = b""
        digest.update(b"%d:" % len(content) + content)
    return digest.hexdigest()


def load(
    option: Path | None,
    environ: Mapping[str, str],
    kinds: Collection[str],
    schema_of: SchemaOf = no_schema,
) -> Configuration:
    """Read the settings file (see :func:`find_file`), the environment and the files of sources.

    `kinds` are the names a source's kind may have, and `schema_of` gives what the options of each of them have to be;
    it is asked for those alone that are used. Raises :class:`digestd.errors.ConfigurationError` with every
    mistake found; nothing is in force then.
    """
    file = find_file(option, environ)
    data = read_yaml(file) if file else None
    shown = str(file or "the defaults")
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigurationError([f"{shown}: must be a mapping of sections, such as `worker:`"])
    problems = list(_section_problems(data, shown))
    env = environment.read(environ)
    problems += env.problems
    sources = SourceList(kinds, schema_of)
    _read_sources(sources, data, file, environ)
    problems += sources.problems
    settings = None if problems else _merge(data, env, problems)
    if settings is None:
        raise ConfigurationError(problems)
    used = frozenset(f"{s}_{k}".upper() for s, keys in env.values.items() for k in keys)
    secrets = Secrets(sources.literals, environ)
    warnings = (*env.warnings, *_missing_secrets(sources.specs, secrets))
    files = tuple(sources.files)
    return Configuration(
        file, settings, tuple(sources.specs), warnings, used, files, sources.content, secrets
    )


def _missing_secrets(specs: Iterable[SourceSpec], secrets: Secrets) -> Iterator[str]:
    """What keeps single sources from being polled is no reason to refuse all others."""
    for spec in specs:
        try:
            access = secrets.access_of(spec) if spec.enabled else None
        except ConfigurationError as error:
            yield from error.problems
        else:
            if (
                access is not None
                and (access.headers or access.secrets)
                and not spec.url.startswith("https:")
            ):
                yield f"source {spec.name!r}: its secrets are sent without TLS, for everyone on the way to read"


def database_url(settings: DatabaseSettings, environ: Mapping[str, str]) -> str:
    """The database to use: as set, else SQLite in the state directory (`$STATE_DIRECTORY`, which systemd sets, else
    the platform's user state directory)."""
    if settings.url:
        return settings.url
    # systemd separates several directories by colons (systemd.exec(5)); the first is ours.
    given = environ.get("STATE_DIRECTORY", "").partition(":")[0]
    directory = Path(given) if given else user_state_path("digestd", appauthor=False)
    return f"sqlite:///{directory / 'digestd.db'}"


def _section_problems(data: Mapping[Any, Any], shown: str) -> list[str]:
    problems = []
    models = environment.sections()
    for section, values in data.items():
        if section in {"sources", "sources_files"}:
            continue
        if section not in models:
            names = [*models, "sources", "sources_files"]
            problems.append(
                f"{shown}: {shown_key(str(section))}: unknown section; known sections: {', '.join(names)}"
            )
        elif values is not None:
            problems += _strict_problems(models[section], values, shown, section)
    return problems


def _strict_problems(model: type[Section], values: Any, shown: str, section: str) -> list[str]:
    if not isinstance(values, dict):
        return [f"{shown}: {section}: must be a mapping of keys{got_type(values)}"]
    if any(not isinstance(key, str) for key in values):
        return [
            f"{shown}: {section}: {unknown_key(str(key), model)}"
            for key in values
            if not isinstance(key, str)
        ]
    try:
        # Strict: in a file, YAML has types of its own, and "ten" or true for a number is a mistake.
        model.model_validate(values, strict=True)
    except ValidationError as error:
        return list(problem_lines(error, shown, model, f"{section}."))
    return []


def _merge(data: Mapping[str, Any], env: Environment, problems: list[str]) -> Settings | None:
    """The file's values under the environment's. The file's are known to be right: what fails is a variable."""
    merged: dict[str, Any] = {
        section: {**(data.get(section) or {}), **env.values.get(section, {})}
        for section in environment.sections()
    }
    try:
        return Settings(**merged)
    except ValidationError as error:
        models = environment.sections()
        for detail in error.errors(include_url=False):
            section, key = str(detail["loc"][0]), str(detail["loc"][1])
            name = f"{section}_{key}".upper()
            problems.append(f"environment: {name}: {reason(detail, models[section])}")
        return None


def _read_sources(
    sources: SourceList, data: Mapping[Any, Any], file: Path | None, environ: Mapping[str, str]
) -> None:
    listed: Any = data.get("sources")
    files: Any = data.get("sources_files")
    if isinstance(listed, dict) and set(listed) == {"sources_files"}:
        listed, files = None, listed["sources_files"]
    sources.add(listed, str(file))
    folder = file.parent if file else Path()
    if environ.get("SOURCES_FILES"):
        listing = environ["SOURCES_FILES"]
        folder, files = Path(), [listing] if "://" in listing else listing.split(":")
    if isinstance(files, str):
        files = [files]
    if files is None:
        return
    if not isinstance(files, list) or not all(isinstance(name, str) and name for name in files):
        sources.problems.append(f"{file}: sources_files: must be a list of file names, relative to this file")
        return
    sources.problems += [
        f"sources_files: {mask_url(name)}: must be a file, not a URL" for name in files if "://" in name
    ]
    paths = [folder / name for name in files if "://" not in name]
    # Before they are read: what changes meanwhile is then found to be another content than this.
    sources.content = content_of(paths)
    for path in paths:
        sources.read_file(path)
