"""With what a source is asked, once its secrets are known: they go to those who connect, and are shown to nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

_SHORTEST_REDACTED = 6


class Secret:
    """A text that nobody shows by mistake: `str`, `repr` and formatting give `***`, and it cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself, for the one who sends it."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "***"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be pickled")


@dataclass(frozen=True, slots=True)
class Access:
    """With what a source is asked beyond its URL: header fields by lower-case name (credentials and cookies among
    them), a proxy of its own, and what its TLS needs. All of it belongs to the source's own origin.

    `ca_file` holds the authorities to trust instead of the system's. `client_certificate` and `client_key` are what we
    show of ourselves; the key may stand in the file of the certificate. `secrets` are those that the source's kind asks
    for, by the name of their option. `hidden` are all secrets in it.
    """

    headers: Mapping[str, Secret] = field(default_factory=dict)
    proxy: Secret | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    client_key_password: Secret | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    hidden: tuple[Secret, ...] = ()

    def redacted(self, text: str) -> str:
        """`text` with `***` for every secret of six characters and more: a server may send back what it was sent."""
        values = {secret.reveal() for secret in self.hidden if len(secret.reveal()) >= _SHORTEST_REDACTED}
        for value in sorted(values, key=len, reverse=True):
            text = text.replace(value, "***").replace(quote(value, safe=""), "***")
        return text
