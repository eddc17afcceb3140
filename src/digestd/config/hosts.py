"""What holds for single domains and hosts, as `fetch.hosts` names them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, ValidationError

from digestd.config.wording import got_type, problem_lines, shown_word

_FORM = "must be a mapping such as {example.org: {concurrency: 1, delay_seconds: 30}}"
_NAME_FORM = "write a domain or host as it stands in URLs, without scheme, port and path: example.org"
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(\.{_LABEL})*")
_SHOWN_CHARACTERS = 40


class HostSettings(BaseModel):
    """How one domain or host is asked; what is not set is as for all others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    concurrency: int | None = Field(default=None, ge=1)
    delay_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] | None = None


def _read(value: Any) -> dict[str, HostSettings]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError(f"{_FORM}, as JSON in a variable") from None
    if not isinstance(value, Mapping):
        raise ValueError(f"{_FORM}{got_type(value)}")
    read: dict[str, HostSettings] = {}
    for written, settings in value.items():
        name = host_name(written)
        if name in read:
            raise ValueError(f"{name} stands twice; keep one of them")
        read[name] = _settings(name, settings)
    return read


def host_name(written: Any) -> str:
    """The domain or host `written`, in lower case; an IPv6 address without brackets. ValueError where it is none."""
    shown = shown_word(str(written))[:_SHOWN_CHARACTERS]
    if not isinstance(written, str):
        raise ValueError(f"{shown} is no text; {_NAME_FORM}")
    name = written.strip().removesuffix(".").lower()
    if not name.isascii():
        raise ValueError(f"{shown!r} has letters of other alphabets; write its ASCII form (xn--…)")
    bare = name[1:-1] if name.startswith("[") and name.endswith("]") else name
    if not (_NAME.fullmatch(bare) or _is_address(bare)):
        raise ValueError(f"{shown!r} is no domain or host; {_NAME_FORM}")
    return bare


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _settings(name: str, value: Any) -> HostSettings:
    if isinstance(value, HostSettings):
        return value
    if not isinstance(value, Mapping):
        what = "concurrency and delay_seconds ({} for turns of its own alone)"
        raise ValueError(f"{name}: must be a mapping with {what}{got_type(value)}")
    try:
        return HostSettings.model_validate(value, strict=True)
    except ValidationError as error:
        raise ValueError("; ".join(problem_lines(error, name, HostSettings))) from None


def _written(value: Mapping[str, HostSettings]) -> str:
    return ", ".join(f"{name} ({_in_words(settings)})" for name, settings in value.items()) or "none"


def _in_words(settings: HostSettings) -> str:
    said = [f"{key} {value:g}" for key, value in settings.model_dump(exclude_none=True).items()]
    return ", ".join(said) or "turns of its own"


NamedHosts: TypeAlias = Annotated[
    Mapping[str, HostSettings],
    # A variable is read here, too, so that what is wrong with it is told in the same words.
    PlainValidator(_read),
    PlainSerializer(_written),
]
"""Domains and hosts by name, in lower case; from a variable as JSON."""
