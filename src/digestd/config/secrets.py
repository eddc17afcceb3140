"""Where secrets are found when they are needed: in the settings, the environment, files, or systemd's credentials."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from digestd.config.access import Access, Secret
from digestd.config.options import SECRET, AccessOptions, Reference, unfit
from digestd.errors import ConfigurationError
from digestd.model import SourceSpec

_LARGEST_BYTES = 65_536
_PROXIES = frozenset({"http", "https", "socks5", "socks5h"})


class Secrets:
    """Knows the secrets that stand in the settings (`literals`, by place), and the environment."""

    def __init__(self, literals: Mapping[str, Secret], environ: Mapping[str, str]) -> None:
        self._literals = literals
        self._environ = environ

    def wanted_by(self, spec: SourceSpec) -> bool:
        """Whether the options of `spec` ask for any."""
        if not spec.options:
            return False
        return not AccessOptions.model_fields.keys().isdisjoint(spec.options) or bool(_asked_for(spec))

    def access_of(self, spec: SourceSpec) -> Access:
        """With what the source `spec` is asked. What files hold is read anew, so that it can be changed under a running
        daemon. Blocks if there is any. Raises :class:`digestd.errors.ConfigurationError` for a secret that is not
        there, in a sentence that repeats none.
        """
        if not self.wanted_by(spec):
            return Access(hidden=_of_url(spec.url))
        return _Reading(self, spec).access()

    def find(self, reference: Reference) -> Secret:
        """The secret at `reference`. Raises ValueError, with a sentence, where there is none."""
        ((way, place),) = reference.items()
        if way == "env":
            if not (value := self._environ.get(place)):
                raise ValueError(f"the variable {place} is not set")
        elif way == "setting":
            if (literal := self._literals.get(place)) is None:
                raise ValueError("it stands in a settings file that this process has not read")
            return literal
        else:
            value = _content(Path(place) if way == "file" else self.credential(place))
        return Secret(value)

    def credential(self, name: str) -> Path:
        """The file of the systemd credential `name` (systemd.exec(5), CREDENTIALS_DIRECTORY). Raises ValueError."""
        folder = self._environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise ValueError(f"there are no credentials of systemd (LoadCredential={name}:PATH)")
        return Path(folder) / name


class _Reading:
    """Reads the options of one source, and remembers which secrets it came by."""

    def __init__(self, secrets: Secrets, spec: SourceSpec) -> None:
        self._secrets = secrets
        self._spec = spec
        self._hidden = list(_of_url(spec.url))

    def access(self) -> Access:
        options = self._spec.options
        headers = self._headers(options)
        proxy = self._secret("proxy", options.get("proxy"))
        if proxy is not None and proxy.reveal().partition("://")[0] not in _PROXIES:
            raise self._wrong("proxy", "must start with http://, https:// or socks5://")
        return Access(
            headers=headers,
            proxy=proxy,
            ca_file=self._file("ca_file"),
            client_certificate=self._file("client_certificate"),
            client_key=self._file("client_key"),
            client_key_password=self._secret("client_key_password", options.get("client_key_password")),
            secrets={
                name: self._found(name, reference) for name, reference in _asked_for(self._spec).items()
            },
            hidden=tuple(self._hidden),
        )

    def _headers(self, options: Mapping[str, Any]) -> dict[str, Secret]:
        headers = {
            name.lower(): self._sent(f"headers.{name}", reference)
            for name, reference in (options.get("headers") or {}).items()
        }
        if (token := self._secret("bearer_token", options.get("bearer_token"))) is not None:
            headers["authorization"] = self._fit("bearer_token", "Bearer " + token.reveal())
        if basic := options.get("basic_auth"):
            password = self._sent("basic_auth.password", basic["password"])
            pair = f"{basic['username']}:{password.reveal()}".encode()
            headers["authorization"] = self._fit("basic_auth", "Basic " + b64encode(pair).decode())
        cookies = [
            f"{name}={self._sent(f'cookies.{name}', reference).reveal()}"
            for name, reference in (options.get("cookies") or {}).items()
        ]
        if cookies:
            headers["cookie"] = self._fit("cookies", "; ".join(cookies))
        return headers

    def _sent(self, place: str, reference: Reference) -> Secret:
        return self._fit(place, self._found(place, reference).reveal())

    def _fit(self, place: str, value: str) -> Secret:
        if problem := unfit(value):
            raise self._wrong(place, problem)
        self._hidden.append(Secret(value.partition(" ")[2] if place == "basic_auth" else value))
        return Secret(value)

    def _secret(self, place: str, reference: Reference | None) -> Secret | None:
        return None if reference is None else self._found(place, reference)

    def _found(self, place: str, reference: Reference) -> Secret:
        try:
            found = self._secrets.find(reference)
        except ValueError as error:
            raise self._wrong(place, str(error)) from None
        self._hidden.append(found)
        return found

    def _file(self, place: str) -> Path | None:
        value = self._spec.options.get(place)
        if value is None:
            return None
        try:
            path = Path(value) if isinstance(value, str) else self._secrets.credential(value["credential"])
        except ValueError as error:
            raise self._wrong(place, str(error)) from None
        try:
            found = path.is_file()
        except OSError as error:
            raise self._wrong(place, f"{path} cannot be looked at: {error.strerror}") from None
        if not found:
            raise self._wrong(place, f"there is no file {path}")
        return path

    def _wrong(self, place: str, problem: str) -> ConfigurationError:
        return ConfigurationError([f"source {self._spec.name!r}: options: {place}: {problem}"])


def _asked_for(spec: SourceSpec) -> dict[str, Reference]:
    """The secrets that the kind of `spec` asks for, by option."""
    return {
        name: value[SECRET]
        for name, value in spec.options.items()
        if isinstance(value, dict) and value.keys() == {SECRET} and isinstance(value[SECRET], dict)
    }


def _of_url(url: str) -> tuple[Secret, ...]:
    """The secrets that stand in `url` itself: its password, as written, decoded, and as it is sent."""
    if "@" not in url:
        return ()
    parts = urlsplit(url)
    if not parts.password:
        return ()
    user, password = unquote(parts.username or ""), unquote(parts.password)
    pair = b64encode(f"{user}:{password}".encode()).decode()
    return Secret(parts.password), Secret(password), Secret(pair)


def _content(path: Path) -> str:
    """What stands in the file at `path`, without the line break at its end. Raises ValueError, with a sentence."""
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise ValueError(f"{path} has more than {_LARGEST_BYTES:,} bytes, and is no secret")
        text = content.decode("utf-8").strip()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no UTF-8 text") from None
    if not text:
        raise ValueError(f"{path} is empty")
    return text
