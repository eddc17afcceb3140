"""YAML files, read safely, with mistakes told by file and line. The door to PyYAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from digestd.errors import ConfigurationError

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> Any:
    """The content of the YAML file at `path` as plain Python data; an empty file is None.

    Raises :class:`digestd.errors.ConfigurationError` naming the file when it cannot be read or is not YAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        problem = "there is no such file (`digestd init` writes a commented one)"
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:
        problem = "no file can have this name"
    else:
        return _parse(path, text)
    raise ConfigurationError([f"{path}: {problem}"])


def _parse(path: Path, text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - the safe loader, in C where libyaml is there
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        problem = f"{path}: {place}not YAML: {error.problem}"
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = f"{path}: not YAML: {error}"
    raise ConfigurationError([problem])
