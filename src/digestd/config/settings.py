"""The settings of digestd: every key and default once, with its unit."""

from __future__ import annotations

import os
import re
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

from digestd import __version__
from digestd.config.hosts import NamedHosts
from digestd.config.networks import AllowedNetworks
from digestd.config.webhosts import WebHosts
from digestd.plainsettings import LISTEN, host_and_port

LONGEST_SECONDS = 86_400 * 366
Seconds = Annotated[float, Field(ge=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, le=LONGEST_SECONDS, allow_inf_nan=False)]
Interval = Annotated[float, Field(ge=1, le=LONGEST_SECONDS, allow_inf_nan=False)]


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


class Section(BaseModel):
    """One section of the file: frozen, and no key but its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class WorkerSettings(Section):
    """How often, how many at once, how loud, and how long the last polls may take at the end."""

    interval_seconds: Interval = 300
    jitter_seconds: Seconds = 60
    max_sources: int = Field(default=10, ge=1, le=10_000)
    log_level: Annotated[
        Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
    ] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"
    shutdown_grace_seconds: Seconds = 8
    poll_timeout_seconds: PositiveSeconds = 60
    adaptive: bool = False
    adaptive_min_seconds: Interval = 300
    adaptive_max_seconds: Interval = 21_600

    @field_validator("adaptive_max_seconds")
    @classmethod
    def _not_below_the_least(cls, seconds: float, info: ValidationInfo) -> float:
        if seconds < info.data.get("adaptive_min_seconds", 0):
            raise ValueError("must not be less than adaptive_min_seconds")
        return seconds


class DatabaseSettings(Section):
    """Where articles are kept. Without `url`, SQLite in the state directory."""

    url: str | None = Field(default=None, repr=False)
    pool_size: int = Field(default=4, ge=1, le=1000)
    connect_timeout_seconds: PositiveSeconds = 5

    @field_validator("url")
    @classmethod
    def _known_scheme(cls, url: str | None) -> str | None:
        scheme, separator, rest = (url or "sqlite:///x").partition("://")
        known = scheme in {"sqlite", "postgres", "postgresql", "postgresql+psycopg"}
        # sqlite://x/y, a slash too few, would name a host.
        if not separator or not known or (scheme == "sqlite" and not rest.startswith("/")):
            raise ValueError(
                "must start with sqlite:/// (and the path of a file) or postgresql:// (and host/database)"
            )
        return url


class FetchSettings(Section):
    """How servers are asked, and what is taken from them."""

    user_agent: str = Field(default=f"digestd/{__version__} (security feed reader)", min_length=1)
    timeout_seconds: PositiveSeconds = 30
    max_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024)
    max_redirects: int = Field(default=5, ge=0, le=50)
    allow_private_networks: AllowedNetworks = False
    per_host_concurrency: int = Field(default=2, ge=1)
    per_host_delay_seconds: Seconds = 1
    hosts: NamedHosts = Field(default_factory=dict)
    proxy: str | None = Field(default=None, repr=False)

    @field_validator("user_agent")
    @classmethod
    def _one_header_line(cls, value: str) -> str:
        if not value.isascii() or not value.isprintable():
            raise ValueError("must be one line of printable ASCII, since it is sent as an HTTP header")
        return value

    @field_validator("proxy")
    @classmethod
    def _known_proxy(cls, value: str | None) -> str | None:
        if value is not None and value.partition("://")[0] not in {"http", "https", "socks5", "socks5h"}:
            raise ValueError("must start with http://, https:// or socks5://")
        return value


class ExtractSettings(Section):
    """How article pages are fetched and read."""

    enabled: bool = True
    timeout_seconds: PositiveSeconds = 20
    # Two read a hundred pages a second; each further one may take 160 MiB.
    processes: int = Field(default_factory=lambda: min(2, os.cpu_count() or 1), ge=1)
    max_pages: int = Field(default=10, ge=1)


class RetentionSettings(Section):
    """What is deleted of articles that have left their source's document; unset: nothing."""

    days: float | None = Field(default=None, ge=1, le=36_600, allow_inf_nan=False)
    max_per_source: int | None = Field(default=None, ge=1, le=100_000_000)


SHORTEST_TOKEN = 16
"""Characters: what takes ages to guess, one wrong one a second."""


class WebSettings(Section):
    """Where health, metrics and the status page are shown, and by which names. `enabled` unset means: in the daemon,
    and not with `--once`. `token` is what the status page asks for; beyond loopback it is not shown without one."""

    enabled: bool | None = None
    listen: str = LISTEN
    hosts: WebHosts = ()
    token: str | None = Field(default=None, repr=False)

    @field_validator("listen")
    @classmethod
    def _host_and_port(cls, value: str) -> str:
        return host_and_port(value)

    @field_validator("token", mode="before")
    @classmethod
    def _long_enough(cls, value: object) -> object:
        # Never with the value: it is a secret.
        wrong = not isinstance(value, str) or not re.fullmatch(rf"[!-~]{{{SHORTEST_TOKEN},200}}", value)
        if value is not None and wrong:
            raise ValueError(
                f"must be text of {SHORTEST_TOKEN} to 200 letters, digits and signs of ASCII without blanks, in "
                "quotation marks if it looks like a number; `openssl rand -hex 32` makes one"
            )
        return value


class Settings(BaseModel):
    """Every section. Build it with :func:`digestd.config.load`, which names the file or variable of each mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    worker: WorkerSettings = WorkerSettings()
    database: DatabaseSettings = DatabaseSettings()
    fetch: FetchSettings = FetchSettings()
    extract: ExtractSettings = Field(default_factory=ExtractSettings)
    retention: RetentionSettings = RetentionSettings()
    web: WebSettings = WebSettings()
