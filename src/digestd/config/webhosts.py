"""The names that the web server answers by, as `web.hosts` lists them. Pure."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from pydantic import PlainSerializer, PlainValidator

from digestd.config.hosts import host_name
from digestd.config.wording import got_type

_FORM = "must be names: [digestd.internal.example, digestd] in a file, digestd.internal.example,digestd in a variable"


def _read(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [name for name in value.split(",") if name.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError(f"{_FORM}{got_type(value)}")
    return tuple(dict.fromkeys(host_name(name) for name in value))


def _written(value: tuple[str, ...]) -> str:
    return ", ".join(value) or "none"


WebHosts: TypeAlias = Annotated[tuple[str, ...], PlainValidator(_read), PlainSerializer(_written)]
"""Names in lower case, without scheme and port; as text, separated by commas."""
