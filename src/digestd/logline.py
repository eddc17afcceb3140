"""A log event as one line of JSON that every shipper takes whole. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from digestd.feed.text import strip_controls

LONGEST_LINE_BYTES = 16_000
"""With its line break. Container runtimes split lines at 16 KiB, journald at 48 KiB (`LineMax=`, journald.conf(5)), and
Loki refuses those over 256 KiB (`max_line_size`)."""

FIRST_KEYS = ("timestamp", "level", "event", "source", "poll_id")

_BUDGETS = (8_000, 4_000, 2_000, 1_000, 500, 250)
_DEEPEST = 8
_LONGEST_KEY = 100
_LONGEST_INTEGER_BITS = 256


def line_of(event: Mapping[str, object]) -> str:
    """`event` as RFC 8259 has it, whatever its values are: ASCII alone, no lone surrogate, no NaN, no control
    character, no line break, and shorter than :data:`LONGEST_LINE_BYTES`.

    Where that is too long, the longest values are cut, and say so in words: texts in their middle, lists and mappings
    at their end. What every line has (:data:`FIRST_KEYS`) stands first, so that raw lines can be read, too.
    """
    plain = {_key(key): _plain(value) for key, value in _leading(event).items()}
    line = _dumped(plain)
    for budget in _BUDGETS:
        if len(line) < LONGEST_LINE_BYTES:
            return line
        line = _dumped({key: _cut(value, budget) for key, value in plain.items()})
    if len(line) < LONGEST_LINE_BYTES:
        return line
    return _dumped(_cut(plain, LONGEST_LINE_BYTES - 1, _BUDGETS[-1]))


def _leading(event: Mapping[str, object]) -> dict[str, object]:
    return {**{key: event[key] for key in FIRST_KEYS if key in event}, **event}


def _dumped(value: object) -> str:
    return json.dumps(value, allow_nan=False)


def _plain(value: object, depth: int = 0) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        # Python itself refuses to write those of over 4,300 digits.
        bits = value.bit_length()
        return int(value) if bits <= _LONGEST_INTEGER_BITS else f"<an integer of {bits} bits>"
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        return {_key(key): _plain(item, depth + 1) for key, item in value.items()}
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    return strip_controls(text_of(value))


def _key(key: object) -> str:
    return strip_controls(text_of(key))[:_LONGEST_KEY]


def text_of(value: object) -> str:
    """`str(value)`, or words that there is none."""
    try:
        return str(value)
    # The border to what others made: a line that cannot be written must not stop who wrote it.
    except Exception as error:  # noqa: BLE001 - see above
        return f"<{type(value).__name__} without text: {type(error).__name__}>"


def _cut(value: object, budget: int, each: int | None = None) -> object:
    """`value`, which is plain, so that it takes at most `budget` bytes as JSON, and its parts at most `each`."""
    if len(_dumped(value)) <= budget:
        return value
    if isinstance(value, str):
        return _cut_text(value, budget)
    if isinstance(value, list):
        return _cut_list(value, budget)
    if isinstance(value, dict):
        return _cut_mapping(value, budget, budget // 2 if each is None else each)
    return value


def _cut_list(value: list[object], budget: int) -> list[object]:
    kept: list[object] = []
    room = budget - len(', "... and 1,000,000,000 more"') - 2
    for item in value:
        item = _cut(item, budget // 2)
        room -= len(_dumped(item)) + 2
        if room < 0:
            break
        kept.append(item)
    return [*kept, f"... and {len(value) - len(kept):,} more"]


def _cut_mapping(value: dict[str, object], budget: int, each: int) -> dict[str, object]:
    kept: dict[str, object] = {}
    room = budget - len(', "...": "and 1,000,000,000 more"') - 2
    for key, item in value.items():
        item = _cut(item, each)
        room -= len(_dumped({key: item}))
        if room < 0:
            break
        kept[key] = item
    return {**kept, "...": f"and {len(value) - len(kept):,} more"}


def _cut_text(text: str, budget: int) -> str:
    """The beginning and the end of `text`: of a traceback that is where it came from, and what it was."""
    remark = f" [... {len(text):,} characters, cut here ...] "
    half = (budget - len(remark) - 2) // 2
    return _taken(text, half) + remark + _taken(text[::-1], half)[::-1]


def _taken(text: str, budget: int) -> str:
    """As much of the beginning of `text` as takes at most `budget` bytes inside a string of JSON."""
    text = text[: max(budget, 0)]
    while (length := len(_dumped(text)) - 2) > budget:
        text = text[: min(len(text) - 1, len(text) * budget // length)]
    return text
