"""YAML files, read safely, with mistakes told by file and line, and written. With `yamlevents`, the door to PyYAML."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from digestd.errors import ConfigurationError
from digestd.yamlevents import Unusual, read_events

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_SafeDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


# What libyaml takes at most: nothing is folded.
_ONE_LINE = 2**31 - 1


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


class _Dumper(_SafeDumper):  # type: ignore[misc]
    """The safe dumper, that writes out what stands twice: anchors are hard to read, and lists are refused with them."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


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


def read_value(text: str) -> Any:
    """The YAML (or JSON) value that `text` is, as plain Python data. Raises ValueError, with a sentence that repeats
    nothing of it."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - made of the safe loader
    except (yaml.YAMLError, RecursionError):
        raise ValueError("is no YAML value; put it into quotes of its own") from None


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


def read_items(text: str, key: str) -> list[tuple[int, Any]]:
    """The items of the list that `text` is, or of the one under its only key `key`, each with its line.

    For text that a stranger may have written: anchors and aliases, by which a few lines stand for any amount of data,
    are refused; libyaml itself bounds the depth. Raises ValueError, with a sentence, for whatever is no such list.
    """
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if isinstance(root, yaml.MappingNode) and [name.value for name, _ in root.value] == [key]:
            root = root.value[0][1]
        if not isinstance(root, yaml.SequenceNode):
            raise ValueError(f"must be a list of {key}, or a mapping whose only key is `{key}`")
        _refuse_aliases(root)
        return [(node.start_mark.line + 1, loader.construct_document(node)) for node in root.value]
    except yaml.MarkedYAMLError as error:
        place = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        twice = f"{error.problem!r} stands twice; keep one of them"
        raise ValueError(
            f"{place}{twice if isinstance(error, _StandsTwice) else f'not YAML: {error.problem}'}"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"not YAML: {error}") from None
    finally:
        loader.dispose()


def write_items(items: Sequence[Mapping[str, Any]], key: str) -> str:
    """`items` as YAML under the one key `key`, as :func:`read_items` and :func:`read_yaml` read it; keys stay in their
    order."""
    if not items:
        return f"{key}: []\n"
    text = yaml.dump(list(items), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ONE_LINE)
    indented = "".join(f"  {line}" for line in text.splitlines(keepends=True))
    return f"{key}:\n{indented}"


def _refuse_aliases(root: yaml.Node) -> None:
    seen: set[int] = set()
    for node in _nodes(root):
        if id(node) in seen:
            raise ValueError(
                f"line {node.start_mark.line + 1}: an anchor and its aliases, which lists may not have; write it out"
            )
        seen.add(id(node))


def _nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
