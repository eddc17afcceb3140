"""Networks in CIDR form, as `fetch.allow_private_networks` names them. Pure."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, TypeAlias

from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from digestd.config.wording import shown_word

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]

_FORM = (
    "must be true, false, or networks: [10.20.0.0/16, 'fd00:1::/64'] in a file, "
    "10.20.0.0/16,fd00:1::/64 in a variable"
)
_YES_OR_NO = TypeAdapter(bool)
_SHOWN_CHARACTERS = 40


def _read(value: Any) -> bool | Networks:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return _YES_OR_NO.validate_python(value)
        except ValidationError:
            value = value.split(",")
    if not isinstance(value, list | tuple):
        raise ValueError(_FORM)
    return tuple(_network(item) for item in value) or False


def _network(item: Any) -> IPv4Network | IPv6Network:
    if not isinstance(item, str | IPv4Network | IPv6Network):
        raise ValueError(_FORM)
    text = str(item).strip()
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        meant = None
    # A zone (fe80::%eth0/64) means something on one machine alone.
    if meant is None or "%" in text:
        raise ValueError(f"{shown_word(text)[:_SHOWN_CHARACTERS]!r} is no network; {_FORM}")
    try:
        return ip_network(text)
    except ValueError:
        raise ValueError(f"{text} is an address inside a network; write {meant}") from None


def _written(value: bool | Networks) -> bool | str:
    return value if isinstance(value, bool) else ", ".join(map(str, value))


AllowedNetworks: TypeAlias = Annotated[
    bool | Networks,
    # From the environment it comes as it stands there: no JSON is asked of anybody.
    PlainValidator(_read),
    PlainSerializer(_written),
]
"""All of them, none, or these: `true`, `false`, or a list; as text, separated by commas."""
