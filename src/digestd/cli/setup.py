"""`digestd init` and `digestd check`."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Any

from digestd.cli.loading import end_with_reader, load_configuration, resolve_level, warn
from digestd.config import Configuration, database_url
from digestd.errors import ConfigurationError
from digestd.masking import mask_url
from digestd.store.checking import check_store

TEMPLATES = ("digestd.yaml", "sources.yaml")


def init(directory: Path) -> None:
    """Write the templates into `directory`, which is created. Raises ConfigurationError, and writes nothing, where one
    of the files is there already or cannot be written."""
    try:
        present = [directory / name for name in TEMPLATES if (directory / name).exists()]
        if present:
            raise ConfigurationError([f"{path}: is there already and is not overwritten" for path in present])
        directory.mkdir(parents=True, exist_ok=True)
        for name in TEMPLATES:
            text = (resources.files("digestd") / "templates" / name).read_text(encoding="utf-8")
            (directory / name).write_text(text, encoding="utf-8")
            print(f"wrote {directory / name}")
    except OSError as error:
        raise ConfigurationError([f"{directory}: cannot be written: {error.strerror}"]) from error
    print(f"next: digestd check -c {directory / TEMPLATES[0]}")


def check(file: Path | None, level: str | None) -> None:
    """Print what is in force. Raises ConfigurationError or StoreError for what is not right; changes nothing."""
    config = load_configuration(file)
    resolve_level(config, level)
    warn(config)
    url = database_url(config.settings.database, os.environ)
    end_with_reader()
    print("\n".join(in_force(config, url)))
    state = check_store(url, connect_timeout_seconds=config.settings.database.connect_timeout_seconds)
    print(f"database: {state}")


def in_force(config: Configuration, url: str) -> list[str]:
    """Every setting with its value and where it comes from, then the sources by kind; URLs masked."""
    lines = [f"settings: {config.file or 'defaults (no file found)'}"]
    for section, values in config.settings.model_dump().items():
        lines.append(f"{section}:")
        for key, value in values.items():
            origin = "  (environment)" if f"{section}_{key}".upper() in config.from_environment else ""
            lines.append(f"  {key}: {_shown(section, key, value, url)}{origin}")
    enabled = sum(spec.enabled for spec in config.sources)
    lines.append(f"sources: {len(config.sources)}, {enabled} enabled")
    width = max((len(spec.name) for spec in config.sources), default=0)
    lines += [
        f"  {spec.name:{width}}  {spec.kind}  {mask_url(spec.url)}{'' if spec.enabled else '  (disabled)'}"
        for spec in config.sources
    ]
    return lines


def _shown(section: str, key: str, value: Any, url: str) -> str:
    if (section, key) == ("database", "url"):
        return mask_url(url)
    if key == "proxy" and value:
        return mask_url(value)
    if (section, key) == ("web", "enabled") and value is None:
        return "true in the daemon, false with --once"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).lower() if isinstance(value, bool) else str(value)
