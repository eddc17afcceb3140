"""The way to a server where a source has one of its own: its proxy, whom it trusts, and as whom it shows itself."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from digestd.config.access import Access, Secret
from digestd.errors import TLSFailed
from digestd.ingest.network.urls import same_origin


@dataclass(frozen=True, slots=True)
class Way:
    """How connections are made. Those made in one way are never used for requests that go another."""

    proxy: Secret | None = None
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    client_key_password: Secret | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that the TLS of this way is made of."""
        return tuple(path for path in (self.ca_file, self.client_certificate, self.client_key) if path)

    def abroad(self) -> Way | None:
        """The way to other origins: over the same proxy, and with nothing that was meant for the first one."""
        return Way(proxy=self.proxy) if self.proxy is not None else None

    def version(self) -> tuple[int, ...]:
        """When the files were changed, in nanoseconds: certificates are renewed under a running daemon.

        Raises :class:`~digestd.errors.TLSFailed` for a file that cannot be looked at.
        """
        try:
            return tuple(path.stat().st_mtime_ns for path in self.files)
        except OSError as error:
            raise _unusable(error) from error

    def ssl_context(self) -> ssl.SSLContext:
        """Read the files. Blocks. What is made verifies servers, their names too, whatever the files hold.

        Raises :class:`~digestd.errors.TLSFailed`, naming the option and never the password.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise TLSFailed(f"ca_file cannot be used: {_said(error)}") from error
        if self.client_certificate is None:
            return context
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            password = self.client_key_password.reveal() if self.client_key_password else ""
            context.load_cert_chain(self.client_certificate, self.client_key, password=lambda: password)
        except (OSError, ValueError) as error:
            raise TLSFailed(
                f"client_certificate, client_key and client_key_password cannot be used: {_said(error)}"
            ) from error
        return context


@dataclass(frozen=True, slots=True)
class Own:
    """What belongs to the origin of `url`: header fields, and a way to get there; and the `secrets` that the kind of a
    source asks for, which it sends itself."""

    url: httpx2.URL | None = None
    headers: Mapping[str, Secret] = field(default_factory=dict)
    way: Way | None = None
    secrets: Mapping[str, Secret] = field(default_factory=dict)

    def headers_for(self, url: httpx2.URL) -> dict[str, str]:
        """The fields that may go to `url`, by lower-case name."""
        if self.url is None or not same_origin(self.url, url):
            return {}
        return {name: secret.reveal() for name, secret in self.headers.items()}

    def mark(self) -> str:
        """Four digits that change with the fields and with the client certificate's file, in all but one of 65,536
        cases; empty where there are none.

        More of a digest, kept in the database, would let somebody who reads it try passwords.
        """
        fields = sorted((name, secret.reveal()) for name, secret in self.headers.items())
        if self.way is not None and self.way.client_certificate is not None:
            # No name of a field has a space.
            fields.append(("client certificate", str(self.way.client_certificate)))
        return _digits(fields)

    def authorization_mark(self) -> str:
        """As many digits that change with the field Authorization alone."""
        found = self.headers.get("authorization")
        return _digits([] if found is None else [("authorization", found.reveal())])

    def way_to(self, url: httpx2.URL) -> Way | None:
        """The way to `url`; None for the usual one."""
        if self.way is None or self.url is None or same_origin(self.url, url):
            return self.way
        return self.way.abroad()


def way_of(access: Access) -> Way | None:
    """The way that `access` asks for; None where it is everybody's."""
    way = Way(
        access.proxy,
        access.ca_file,
        access.client_certificate,
        access.client_key,
        access.client_key_password,
    )
    return None if way == Way() else way


def _digits(fields: list[tuple[str, str]]) -> str:
    if not fields:
        return ""
    return hashlib.sha256(repr(fields).encode("utf-8", "surrogatepass")).hexdigest()[:4]


def _unusable(error: OSError) -> TLSFailed:
    return TLSFailed(f"{error.filename} cannot be read: {_said(error)}")


def _said(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason.replace("_", " ").lower() if error.reason else "it is no PEM file"
    strerror = getattr(error, "strerror", None)
    return str(strerror).lower() if strerror else "it is no PEM file"
