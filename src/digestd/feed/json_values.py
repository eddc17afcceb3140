"""JSON from outside, with wrong types read as missing values."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

from digestd.errors import NotAFeed, ParserFailed

Object: TypeAlias = dict[str, Any]

# The lowest that Python's limit on the digits of an integer can be set to (sys.int_info), so never above it.
_MOST_DIGITS = 640


def load(text: str) -> Object:
    """Read `text` as JSON; what is no object at the top counts as an empty one, a very long integer is a string.

    Raises :class:`~digestd.errors.NotAFeed` for text that is no JSON, and
    :class:`~digestd.errors.ParserFailed` for JSON nested too deeply.
    """
    loaded = _loaded(text)
    return loaded if isinstance(loaded, dict) else {}


def load_list(text: str) -> list[Any] | None:
    """Read `text` as :func:`load` does where a list stands at the top; None where something else does."""
    loaded = _loaded(text)
    return loaded if isinstance(loaded, list) else None


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError as error:
        raise ParserFailed("the JSON is nested too deeply to be read") from error
    except ValueError as error:
        raise NotAFeed(f"JSON that cannot be read came instead of a feed: {error}") from error


def _integer(written: str) -> int | str:
    return int(written) if len(written) <= _MOST_DIGITS else written


def text_of(holder: Object, name: str) -> str:
    """The member called `name` as text, numbers too; "" where it is missing or of another type."""
    value = holder.get(name)
    if isinstance(value, str):
        return value
    if not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    # A whole number is written without fraction: other writers of JSON make 7.0 of a 7.
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def object_of(holder: Object, name: str) -> Object:
    """The member called `name` if it is an object, else an empty one."""
    value = holder.get(name)
    return value if isinstance(value, dict) else {}


def objects_of(holder: Object, name: str) -> list[Object]:
    """The objects in the list called `name`; none where it is missing or of another type."""
    value = holder.get(name)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
