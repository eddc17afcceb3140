"""The options of one kind of source. Each kind has a schema of its own, which is handed in: no kind is known here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeAlias, TypeVar, cast, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from digestd.config.options import COMMON_OPTIONS, KEPT, Marked
from digestd.config.settings import Section
from digestd.config.urls import url_problem
from digestd.config.wording import reason, shown_key

SchemaOf: TypeAlias = Callable[[str], type[BaseModel] | None]
"""The schema of the options of the kind called so; None where it has none, and its options are its own matter."""

Model = TypeVar("Model", bound=BaseModel)

_FILE = "file:///"


class KindOptions(Section):
    """The options of one kind, beside those that every source has; to be inherited from.

    A kind that can tell from them where a source is has a method `place(self, url: str | None) -> str`: the http, https
    or file URL that stands for the source and tells it from others of the kind, however its options are written. `url`
    is what the operator wrote, None for nothing; the method raises ValueError, with a sentence, for one that says
    something else. A kind without the method needs a URL, and is asked there.
    """


class Settled(NamedTuple):
    """What a kind's schema makes of the options of a source: as they are to be kept but for their secrets, and the URL
    that stands for it."""

    options: Mapping[str, Any]
    url: str


def _base(value: str) -> str:
    if problem := url_problem(value):
        raise ValueError(problem)
    parts = urlsplit(value)
    if "@" in parts.netloc:
        raise ValueError("must not hold credentials; give them by options of their own")
    if parts.query or parts.fragment:
        raise ValueError("must be the beginning of a URL, without a query")
    return value.rstrip("/")


BaseURL = Annotated[str, AfterValidator(_base)]
"""Where an API is, without a slash at its end: its own place by default, or that of a mirror or a test server."""


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    return value


Pattern = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_pattern)]
"""A regular expression (that of Python), which is looked for anywhere in a text."""


def _plain_path(value: Any) -> Any:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be a path")
    return value


LocalPath = Annotated[str, BeforeValidator(_plain_path), Marked("path")]
"""A path on this machine; a relative one is seen from the folder of the settings file, and kept absolute."""


def no_schema(kind: str) -> None:
    """For who knows of no kind more than its name."""


def settled(
    schema: type[BaseModel], kind: str, options: Mapping[str, Any], url: str | None, folder: Path
) -> Settled | list[str]:
    """Check the `options` of a source of `kind`, relative paths seen from `folder`, and tell where the source is.

    Returns what is settled, or one sentence for each mistake, beginning with the key it concerns.
    """
    if unknown := list(_unknown(schema, kind, options)):
        return unknown
    absolute = {**options, **_absolute(schema, options, folder)}
    try:
        model = schema.model_validate(_own(schema, absolute), strict=True)
    except ValidationError as error:
        return list(_sentences(error, schema, kind))
    try:
        place = _place(model, kind, url)
    except ValueError as error:
        return [f"url: {error}"]
    return Settled(absolute, place)


def secret_options(schema: type[BaseModel] | None) -> frozenset[str]:
    """Which options of `schema` hold secrets."""
    return frozenset() if schema is None else _marked(schema, "secret")


def kept_options(schema: type[Model], kind: str, options: Mapping[str, Any]) -> Model:
    """The `options` of a source as its `kind` reads them, from how they are kept; secrets are references there. Raises
    ValueError, with a sentence, for what the kind does not take."""
    try:
        # JSON gave them back: a tuple is a list there, and a whole number may be one for a float.
        return schema.model_validate(_own(schema, options), context=KEPT)
    except ValidationError as error:
        raise ValueError("; ".join(_sentences(error, schema, kind))) from None


def _own(schema: type[BaseModel], options: Mapping[str, Any]) -> dict[str, Any]:
    known = schema.model_fields
    return {name: value for name, value in options.items() if name in known or name not in COMMON_OPTIONS}


def _unknown(schema: type[BaseModel], kind: str, options: Mapping[str, Any]) -> Iterator[str]:
    known = [*schema.model_fields, *COMMON_OPTIONS]
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            names = ", ".join(schema.model_fields) or "none"
            hint = f"did you mean {close[0]}?" if close else f"those of the kind {kind!r}: {names}"
            yield f"options: {shown_key(name)}: unknown option; {hint}"


def _absolute(schema: type[BaseModel], options: Mapping[str, Any], folder: Path) -> dict[str, str]:
    paths = _marked(schema, "path") & options.keys()
    return {name: str((folder / options[name]).absolute()) for name in paths if _is_path(options[name])}


def _is_path(value: Any) -> bool:
    return isinstance(value, str) and value != "" and "\0" not in value


@cache
def _marked(schema: type[BaseModel], what: str) -> frozenset[str]:
    return frozenset(
        name
        for name, field in schema.model_fields.items()
        if any(isinstance(mark, Marked) and mark.what == what for mark in _marks(field))
    )


def _marks(field: FieldInfo) -> Iterator[object]:
    """The marks of `field`, and those of what it may be: `SecretValue | None` is a secret, too."""
    yield from field.metadata
    for choice in get_args(field.annotation):
        yield from getattr(choice, "__metadata__", ())


def _sentences(error: ValidationError, schema: type[BaseModel], kind: str) -> Iterator[str]:
    for detail in error.errors(include_url=False):
        place = ".".join(["options", *(shown_key(str(part)) for part in detail["loc"])])
        yield f"{place}: {_said(detail, schema, kind)}"


def _said(detail: ErrorDetails, schema: type[BaseModel], kind: str) -> str:
    if detail["type"] == "missing":
        return f"missing; the kind {kind!r} needs it"
    if detail["type"] in {"too_short", "string_too_short"} and not detail["input"]:
        return "must not be empty"
    return reason(detail, schema)


def _place(model: BaseModel, kind: str, url: str | None) -> str:
    tell = cast("Callable[[str | None], str] | None", getattr(model, "place", None))
    if tell is None:
        if url is None:
            raise ValueError(f"missing; every source of the kind {kind!r} needs one")
        return url
    place = tell(url)
    problem = None if place.startswith(_FILE) else url_problem(place)
    if problem is not None:
        raise ValueError(f"the options lead to a URL that cannot be asked: {problem}")
    return place
