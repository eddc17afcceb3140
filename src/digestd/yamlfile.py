"""YAML files, read safely, with mistakes told by file and line. With `yamlevents`, the door to PyYAML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from digestd.errors import ConfigurationError
from digestd.yamlevents import Unusual, read_events

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StandsTwice(yaml.MarkedYAMLError):
    """`problem` is a key that stands twice in one mapping."""


class _Loader(_Safe):  # type: ignore[misc]
    """The safe loader, in C where libyaml is there, to which a key that stands twice is a mistake (YAML 1.2, 3.2.1.3);
    PyYAML lets the last one win without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag != "tag:yaml.org,2002:merge" and isinstance(key.value, str):
                if key.value in seen:
                    raise _StandsTwice(None, None, key.value[:100], key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


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
        return read_events(text)
    # Whatever is wrong, or unusual, is for the loader to say or to read.
    except (Unusual, yaml.YAMLError, ValueError):
        pass
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - made of the safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        twice = f"{error.problem!r} stands twice; keep one of them"
        problem = (
            f"{path}: {place}{twice if isinstance(error, _StandsTwice) else f'not YAML: {error.problem}'}"
        )
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        problem = f"{path}: not YAML: {error}"
    raise ConfigurationError([problem])
