"""pydantic's errors in the operator's words: place, key, what is wrong, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

# No longer, and without what marks a URL: in a wrong place, that may be one with a password in it.
_PLAIN = re.compile(r"[\w .,+-]{0,40}")
_NAMES = re.compile(r"[\w .,+-]{1,64}")


def problem_lines(
    error: ValidationError, place: str, model: type[BaseModel], prefix: str = ""
) -> Iterator[str]:
    """One line per mistake in `error`, each beginning with `place` and the key (after `prefix`)."""
    for detail in error.errors(include_url=False):
        key = prefix + ".".join(shown_key(str(part)) for part in detail["loc"])
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
        return f"must be a mapping with name and url{got_type(detail['input'])}"
    if kind == "dict_type":
        return f"must be a mapping of keys{got_type(detail['input'])}"
    message = detail["msg"].removeprefix("Input ")
    return f"{message}{_got(detail['input'])}"


def _got(value: Any) -> str:
    if isinstance(value, bool):
        word = str(value).lower()
        return f", not {word} (YAML reads yes, no, on and off as true and false: quote it if it is a word)"
    if isinstance(value, int | float):
        return f", not the number {value}"
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return f", not {value!r}"
    return got_type(value)


def got_type(value: Any) -> str:
    """What stands there instead, without a word of it: an address may stand where a mapping should."""
    if isinstance(value, str):
        return ", not text"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ", not a number"
    return ", not nothing" if value is None else f", not a {type(value).__name__}"


def shown_word(word: str) -> str:
    """`word`, or `***` for what may be an address: `url:postgresql://…`, written without a blank, is a key."""
    return "***" if "//" in word or "@" in word else word


def shown_key(key: str) -> str:
    """`key`, or its name and `***` where there is more in it: `token:secret`, without a blank behind the colon, is a
    key."""
    if _NAMES.fullmatch(key):
        return key
    name, colon, _ = key.partition(":")
    return f"{name}:***" if colon and _NAMES.fullmatch(name) else "***"


def unknown_key(key: str, model: type[BaseModel]) -> str:
    """What to say of a key that `model` does not have."""
    if key.partition(":")[0] in model.model_fields:
        return "a blank is missing behind the colon"
    close = difflib.get_close_matches(key, model.model_fields, n=1)
    if close:
        return f"unknown key; did you mean {close[0]}?"
    return f"unknown key; known keys: {', '.join(model.model_fields)}"
