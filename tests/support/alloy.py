"""The language of Grafana Alloy's configuration, and the components that ours uses, as its documentation of v1.18.0 has
them: no Alloy can be had where the tests run.

The syntax is that of https://grafana.com/docs/alloy/v1.18/get-started/configuration-syntax/, without operators and
function calls, which ours does without; the tables are those of the reference pages of the components.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

VERSION = "v1.18.0"


class Mistake(Exception):
    """What is wrong with a configuration, in words."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The value that another component exports, or a constant of the language."""

    parts: tuple[str, ...]


Value: TypeAlias = "str | bool | int | float | Reference | list[Value] | dict[str, Value] | None"


@dataclass(slots=True)
class Block:
    """`name "label" { … }`."""

    name: str
    label: str | None
    attributes: dict[str, Value] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    def of(self, name: str) -> Iterator[Block]:
        """The blocks named `name` in here, at any depth, in order."""
        for block in self.blocks:
            if block.name == name:
                yield block
            yield from block.of(name)


_TOKENS = re.compile(
    r"""(?P<blank>(?:[ \t\r]|//[^\n]*|/\*.*?\*/)+)
    |(?P<line>\n)
    |(?P<number>-?[0-9]+(?:\.[0-9]+)?)
    |(?P<raw>`[^`]*`)
    |(?P<text>"(?:[^"\\\n]|\\.)*")
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<mark>[{}\[\](),.=])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}


def parse(text: str) -> list[Block]:
    """The blocks of a file. Raises :class:`Mistake` for whatever is not the language."""
    reader = _Reader(list(_tokens(text)))
    blocks, attributes = reader.body(until=None)
    if attributes:
        raise Mistake(f"attributes outside of any block: {sorted(attributes)}")
    return blocks


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKENS.match(text, at)
        if found is None:
            raise Mistake(f"line {text.count(chr(10), 0, at) + 1}: unexpected {text[at]!r}")
        at = found.end()
        if found.lastgroup != "blank":
            yield str(found.lastgroup), found[0]


class _Reader:
    """Recursive descent over tokens; a line break ends a statement, and stands in lists and maps after a comma only."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._at = 0

    def body(self, until: str | None) -> tuple[list[Block], dict[str, Value]]:
        blocks: list[Block] = []
        attributes: dict[str, Value] = {}
        while True:
            self._skip_lines()
            if self._peek()[1] == (until or ""):
                return blocks, attributes
            name = self._dotted()
            if self._peek()[1] == "=":
                self._take()
                if "." in name or name in attributes:
                    raise Mistake(f"the attribute {name} is no name, or stands there twice")
                attributes[name] = self._value()
            else:
                blocks.append(self._block(name))
            if self._peek() not in (("line", "\n"), ("", "")) and self._peek()[1] != until:
                raise Mistake(f"{self._peek()[1]!r} after {name} on one line")

    def _block(self, name: str) -> Block:
        label = None
        if self._peek()[0] == "text":
            label = _text(self._take()[1])
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", label):
                raise Mistake(f"the label {label!r} of {name} is no identifier")
        self._expect("{")
        blocks, attributes = self.body(until="}")
        self._expect("}")
        return Block(name, label, attributes, blocks)

    def _dotted(self) -> str:
        parts = [self._expect_kind("name")]
        while self._peek()[1] == ".":
            self._take()
            parts.append(self._expect_kind("name"))
        return ".".join(parts)

    def _value(self) -> Value:
        kind, text = self._take()
        if kind == "text":
            return _text(text)
        if kind == "raw":
            return text[1:-1]
        if kind == "number":
            return float(text) if "." in text else int(text)
        if text == "[":
            return [self._value() for _ in self._items("]")]
        if text == "{":
            return dict(self._pair() for _ in self._items("}"))
        if kind != "name":
            raise Mistake(f"{text!r} where a value belongs")
        if text in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text]
        parts = [text]
        while self._peek()[1] == ".":
            self._take()
            parts.append(self._expect_kind("name"))
        return Reference(tuple(parts))

    def _pair(self) -> tuple[str, Value]:
        kind, text = self._take()
        if kind not in ("name", "text"):
            raise Mistake(f"{text!r} where a key belongs")
        self._expect("=")
        return (_text(text) if kind == "text" else text), self._value()

    def _items(self, end: str) -> Iterator[None]:
        self._skip_lines()
        while self._peek()[1] != end:
            yield
            if self._peek()[1] != ",":
                break
            self._take()
            self._skip_lines()
        self._expect(end)

    def _skip_lines(self) -> None:
        while self._peek()[0] == "line":
            self._take()

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _take(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _expect(self, mark: str) -> None:
        if (text := self._take()[1]) != mark:
            raise Mistake(f"{text!r} where {mark!r} belongs")

    def _expect_kind(self, kind: str) -> str:
        found, text = self._take()
        if found != kind:
            raise Mistake(f"{text!r} where a {kind} belongs")
        return text


def _text(quoted: str) -> str:
    def unescaped(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise Mistake(f"the escape {found[0]} in {quoted}")
        return _ESCAPES[found[1]]

    return re.sub(r"\\(.)", unescaped, quoted[1:-1])


Check: TypeAlias = Callable[[Value], bool]


def _is_string(value: Value) -> bool:
    return isinstance(value, str)


def _one_of(*words: str) -> Check:
    return lambda value: value in words


def _is_duration(value: Value) -> bool:
    return isinstance(value, str) and re.fullmatch(r"([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+", value) is not None


def _is_strings(value: Value) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_map(value: Value) -> bool:
    return isinstance(value, dict) and all(
        isinstance(each, str) or each == Reference(("constants", "hostname")) for each in value.values()
    )


def _is_count(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_flag(value: Value) -> bool:
    return isinstance(value, bool)


def _is_url(value: Value) -> bool:
    return isinstance(value, str) and re.fullmatch(r"https?://[^\s/]+/\S*", value) is not None


def _is_socket(value: Value) -> bool:
    return isinstance(value, str) and re.fullmatch(r"unix:///\S+|https?://\S+", value) is not None


def _is_pattern(value: Value) -> bool:
    return isinstance(value, str) and re.compile(value) is not None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a block takes: its arguments, those of them that are `required`, the blocks inside, and, of a component,
    what it exports and whose exports its arguments take."""

    arguments: Mapping[str, Check] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    blocks: Mapping[str, Shape] = field(default_factory=dict)
    exports: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)


_STAGES: dict[str, Shape] = {
    "stage.static_labels": Shape({"values": _is_map}, frozenset({"values"})),
    "stage.json": Shape(
        {"expressions": _is_map, "regex": _is_pattern, "drop_malformed": _is_flag, "source": _is_string}
    ),
    "stage.timestamp": Shape(
        {
            "source": _is_string,
            "format": _is_string,
            "action_on_failure": _one_of("fudge", "skip"),
            "action_on_duplicate_timestamp": _one_of("fudge", "keep"),
            "fallback_formats": _is_strings,
            "location": _is_string,
        },
        frozenset({"source", "format"}),
    ),
    "stage.labels": Shape({"values": _is_map, "source_type": _one_of("extracted", "structured_metadata")}),
    "stage.label_drop": Shape({"values": _is_strings}),
    "stage.structured_metadata": Shape({"values": _is_map, "regex": _is_pattern}),
}
_MATCH = Shape(
    {
        "selector": _is_string,
        "action": _one_of("keep", "drop"),
        "drop_counter_reason": _is_string,
        "pipeline_name": _is_string,
    },
    frozenset({"selector"}),
    _STAGES,
)
_RULE = Shape(
    {
        "action": _one_of(
            "replace", "keep", "drop", "labeldrop", "labelkeep", "labelmap", "lowercase", "uppercase"
        ),
        "regex": _is_pattern,
        "replacement": _is_string,
        "separator": _is_string,
        "source_labels": _is_strings,
        "target_label": _is_string,
    }
)
_ENDPOINT = Shape(
    {
        "url": _is_url,
        "batch_size": _is_string,
        "batch_wait": _is_duration,
        "bearer_token_file": _is_string,
        "max_backoff_period": _is_duration,
        "max_backoff_retries": _is_count,
        "min_backoff_period": _is_duration,
        "remote_timeout": _is_duration,
        "retry_on_http_429": _is_flag,
        "tenant_id": _is_string,
    },
    frozenset({"url"}),
)

COMPONENTS: dict[str, Shape] = {
    "loki.process": Shape(
        required=frozenset({"forward_to"}),
        blocks={**_STAGES, "stage.match": _MATCH},
        exports={"receiver": "LogsReceiver"},
        takes={"forward_to": "list(LogsReceiver)"},
    ),
    "loki.write": Shape(
        {"external_labels": _is_map, "max_streams": _is_count},
        blocks={"endpoint": _ENDPOINT},
        exports={"receiver": "LogsReceiver"},
    ),
    "loki.source.journal": Shape(
        {
            "format_as_json": _is_flag,
            "labels": _is_map,
            "matches": lambda value: (
                isinstance(value, str)
                and all(re.fullmatch(r"[A-Z0-9_]+=[^=]+", each) for each in value.split())
            ),
            "max_age": _is_duration,
            "path": _is_string,
        },
        frozenset({"forward_to"}),
        takes={"forward_to": "list(LogsReceiver)", "relabel_rules": "RelabelRules"},
    ),
    "loki.source.docker": Shape(
        {"host": _is_socket, "labels": _is_map, "refresh_interval": _is_duration},
        frozenset({"forward_to", "host", "labels", "targets"}),
        takes={"forward_to": "list(LogsReceiver)", "targets": "list(map(string))"},
    ),
    "loki.source.kubernetes": Shape(
        required=frozenset({"forward_to", "targets"}),
        takes={"forward_to": "list(LogsReceiver)", "targets": "list(map(string))"},
    ),
    "discovery.docker": Shape(
        {"host": _is_socket, "refresh_interval": _is_duration},
        frozenset({"host"}),
        {"filter": Shape({"name": _is_string, "values": _is_strings}, frozenset({"name", "values"}))},
        exports={"targets": "list(map(string))"},
    ),
    "discovery.kubernetes": Shape(
        {"role": _one_of("node", "pod", "service", "endpoints", "endpointslice", "ingress")},
        frozenset({"role"}),
        {
            "namespaces": Shape({"names": _is_strings, "own_namespace": _is_flag}),
            "selectors": Shape(
                {"role": _is_string, "label": _is_string, "field": _is_string}, frozenset({"role"})
            ),
        },
        exports={"targets": "list(map(string))"},
    ),
    "discovery.relabel": Shape(
        required=frozenset({"targets"}),
        blocks={"rule": _RULE},
        exports={"output": "list(map(string))", "rules": "RelabelRules"},
        takes={"targets": "list(map(string))"},
    ),
}
