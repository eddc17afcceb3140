"""The options of a source that say with what it is asked: their form, and how they are kept without their secrets."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationError, ValidationInfo, model_validator

from digestd.config.access import Secret
from digestd.config.settings import Section
from digestd.config.wording import reason, shown_key

Reference: TypeAlias = Mapping[str, str]
"""Where a secret is: `{env: NAME}`, `{file: PATH}`, `{credential: NAME}`, or `{setting: PLACE}` for one that stands in
the settings themselves."""

_WAYS = ("env", "file", "credential")
_FORM = "must be text, {env: VARIABLE}, {file: PATH} or {credential: NAME}"

# RFC 9110, 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
# What HTTP itself and digestd's own work need: these fields (RFC 9110 and 9112) and why no source has a say in them.
_REFUSALS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("the URL names the host", ("host",)),
    (
        "a request for a document has no body",
        ("content-encoding", "content-length", "expect", "trailer", "transfer-encoding"),
    ),
    (
        "digestd looks after its connections itself",
        ("connection", "http2-settings", "keep-alive", "proxy-connection", "te", "upgrade"),
    ),
    ("the credentials of a proxy go into the option proxy", ("proxy-authorization",)),
    ("digestd asks for the codings that it can undo", ("accept-encoding",)),
    ("digestd needs the whole document", ("a-im", "if-range", "range")),
    (
        "digestd itself asks whether the document changed",
        ("if-match", "if-modified-since", "if-none-match", "if-unmodified-since"),
    ),
)
_REFUSED = {name: reason for reason, names in _REFUSALS for name in names}


class Marked:
    """Says of an option what it holds: a `secret`, or the `path` of a file."""

    __slots__ = ("what",)

    def __init__(self, what: Literal["secret", "path"]) -> None:
        self.what = what


SECRET = "secret"  # noqa: S105 - a word
"""The key under which a secret that a kind asks for is kept by its reference."""
KEPT = "kept"
"""The context in which options are read as they are kept: their secrets are references by then."""


def _secret(value: Any, info: ValidationInfo) -> Any:
    if info.context == KEPT:
        return value
    if isinstance(value, dict):
        return _reference(value)
    # Never with the value: it is the secret.
    if not isinstance(value, str) or not value:
        raise ValueError(f"{_FORM} (quote a number)")
    if problem := unfit(value):
        raise ValueError(problem)
    return value


def _path(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"credential"}:
        return _reference(value)
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError("must be the path of a file, or {credential: NAME}")
    return value


def _reference(value: dict[Any, Any]) -> dict[Any, Any]:
    way = next(iter(value), None)
    if len(value) != 1 or way not in _WAYS or not isinstance(value[way], str) or not value[way]:
        raise ValueError(_FORM)
    if way == "credential" and (value[way] in {".", ".."} or "/" in value[way]):
        raise ValueError("credential: must be a name without slashes, as LoadCredential= gives it")
    return value


def unfit(value: str) -> str | None:
    """Why `value` cannot be sent in a header field (RFC 9110, 5.5), without quoting it; None if it can."""
    if not value.isprintable() or value != value.strip():
        return "must be one line, without control characters, and without blanks at its ends"
    return (
        None if all(ord(character) < 256 for character in value) else "has characters that HTTP cannot carry"
    )


SecretValue = Annotated[Any, BeforeValidator(_secret), Marked("secret")]
PathValue = Annotated[Any, BeforeValidator(_path)]


class BasicAuth(Section):
    """Credentials of RFC 7617."""

    username: str = Field(min_length=1)
    password: SecretValue


class AccessOptions(Section):
    """The options that are ours, whatever the kind of the source."""

    headers: dict[str, SecretValue] = Field(default_factory=dict)
    basic_auth: BasicAuth | None = None
    bearer_token: SecretValue = None
    cookies: dict[str, SecretValue] = Field(default_factory=dict)
    proxy: SecretValue = None
    ca_file: PathValue = None
    client_certificate: PathValue = None
    client_key: PathValue = None
    client_key_password: SecretValue = None

    @model_validator(mode="after")
    def _agrees(self) -> AccessOptions:
        names = [name.lower() for name in self.headers]
        for option, given in (("headers", self.headers), ("cookies", self.cookies)):
            for number, name in enumerate(given, 1):
                # Not told: `{X-Key: secret}` without its blank is a name.
                if not _TOKEN.fullmatch(name):
                    raise ValueError(
                        f"{option}: the {number}. name is none: a name is of letters, digits and hyphens, and what it "
                        "stands for comes after a colon and a blank"
                    )
        if refused := [name for name in self.headers if name.lower() in _REFUSED]:
            raise ValueError("; ".join(f"headers.{name}: {_REFUSED[name.lower()]}" for name in refused))
        if (self.basic_auth is not None) + (self.bearer_token is not None) + names.count("authorization") > 1:
            raise ValueError("one of basic_auth, bearer_token and the header Authorization is enough")
        if self.cookies and "cookie" in names:
            raise ValueError("cookies or the header Cookie, not both")
        if len(set(names)) != len(names):
            raise ValueError("headers: one stands there twice, in capitals and without")
        if self.client_certificate is None and (self.client_key or self.client_key_password):
            raise ValueError("client_key and client_key_password go with client_certificate")
        return self


class RhythmOptions(Section):
    """The options that say how often a source is polled, whatever its kind."""

    adaptive: bool | None = None
    hints: bool = True
    longest_hint_seconds: float | None = Field(default=None, ge=0, le=7 * 86_400, allow_inf_nan=False)


class ReadingOptions(RhythmOptions):
    """Those, and the one that says how a feed is read."""

    paging: bool = True


_SECTIONS = (AccessOptions, ReadingOptions)
_NAMES = [name for section in _SECTIONS for name in section.model_fields]

COMMON_OPTIONS = ("content", *AccessOptions.model_fields, *RhythmOptions.model_fields)
"""The options that every kind of source has."""


def checked(options: Mapping[str, Any]) -> None:
    """Raise ValueError, with a sentence that repeats no value, for `options` that are wrong in what is ours of them.

    Others are the matter of the source's kind, but a slip in a name must not make a secret look like one of these.
    """
    for name, value in options.items():
        if value is None and ":" in name:
            raise ValueError(f"{shown_key(name)}: a blank is missing behind the colon")
        close = difflib.get_close_matches(name, _NAMES, n=1, cutoff=0.85)
        if close and close != [name]:
            raise ValueError(f"{shown_key(name)}: unknown option; did you mean {close[0]}?")
    for section in _SECTIONS:
        ours = {name: value for name, value in options.items() if name in section.model_fields}
        try:
            section.model_validate(ours, strict=True)
        except ValidationError as error:
            raise ValueError("; ".join(_wordings(error))) from None


def _wordings(error: ValidationError) -> list[str]:
    wordings = []
    for detail in error.errors(include_url=False):
        place = ".".join(shown_key(str(part)) if " " not in str(part) else "***" for part in detail["loc"])
        # pydantic's own words quote values: only those of ours do not.
        is_ours = detail["type"] in {"value_error", "extra_forbidden"}
        said = reason(detail, BasicAuth) if is_ours else "is missing or of the wrong type"
        wordings.append(f"{place}: {said}" if place else said)
    return wordings


def sealed(
    options: Mapping[str, Any], name: str, folder: Path, also: Collection[str] = ()
) -> tuple[dict[str, Any], dict[str, Secret]]:
    """The `options` of the source `name` as they may be kept, and the secrets that stood in them, by the place that
    `{setting: PLACE}` names instead. Paths become absolute, seen from `folder`. The options `also` are secrets that its
    kind asks for, and are kept as `{secret: REFERENCE}`, so that they are known for such without the kind."""
    found: dict[str, Secret] = {}

    def seal(value: Any, place: str) -> Any:
        if isinstance(value, str):
            found[f"{name}: {place}"] = Secret(value)
            return {"setting": f"{name}: {place}"}
        return {"file": str((folder / value["file"]).absolute())} if "file" in value else value

    kept = dict(options)
    for option in {"bearer_token", "proxy", "client_key_password"} & options.keys():
        kept[option] = options[option] and seal(options[option], option)
    for option in {"headers", "cookies"} & options.keys():
        kept[option] = {key: seal(value, f"{option}.{key}") for key, value in (options[option] or {}).items()}
    for option in {"ca_file", "client_certificate", "client_key"} & options.keys():
        if isinstance(options[option], str):
            kept[option] = str((folder / options[option]).absolute())
    if basic := options.get("basic_auth"):
        kept["basic_auth"] = basic | {"password": seal(basic["password"], "basic_auth.password")}
    for option in set(also) & options.keys():
        kept[option] = options[option] and {SECRET: seal(options[option], option)}
    return kept, found
