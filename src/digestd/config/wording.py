"""pydantic's errors in the operator's words: place, key, what is wrong, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails


def problem_lines(
    error: ValidationError, place: str, model: type[BaseModel], prefix: str = ""
) -> Iterator[str]:
    """One line per mistake in `error`, each beginning with `place` and the key (after `prefix`)."""
    for detail in error.errors(include_url=False):
        key = prefix + ".".join(str(part) for part in detail["loc"])
        yield f"{place}: {key}: {reason(detail, model)}" if key else f"{place}: {reason(detail, model)}"


def reason(detail: ErrorDetails, model: type[BaseModel]) -> str:
    """What is wrong with one value of `model`, and what to write instead."""
    kind = detail["type"]
    if kind == "extra_forbidden":
        return unknown_key(str(detail["loc"][-1]), model)
    if kind == "missing":
        return "missing; every source needs one"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind in {"model_type", "model_attributes_type"}:
        return f"must be a mapping with name and url{_got(detail['input'])}"
    message = detail["msg"].removeprefix("Input ")
    return f"{message}{_got(detail['input'])}"


def _got(value: Any) -> str:
    if isinstance(value, bool):
        word = str(value).lower()
        return f", not {word} (YAML reads yes, no, on and off as true and false: quote it if it is a word)"
    if isinstance(value, int | float):
        return f", not the number {value}"
    if isinstance(value, str):
        return f", not {value[:60]!r}"
    return ", not nothing" if value is None else f", not a {type(value).__name__}"


def unknown_key(key: str, model: type[BaseModel]) -> str:
    """What to say of a key that `model` does not have."""
    close = difflib.get_close_matches(key, model.model_fields, n=1)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; known keys: {', '.join(model.model_fields)}"
