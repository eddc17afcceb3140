"""The few settings that a health check needs, read without pydantic: importing that takes longer than to ask.

:mod:`digestd.config` finds its file, its variables and the form of `web.listen` by the same functions.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from digestd.errors import ConfigurationError

DEFAULT_FILES = (Path("conf/digestd.yaml"), Path("/etc/digestd/digestd.yaml"))
LISTEN = "127.0.0.1:8080"
"""The default of `web.listen`."""

_FALSE = frozenset({"0", "off", "f", "false", "n", "no"})


def find_file(option: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file: `option` (`-c`), else `$DIGESTD_CONFIG`, else the first of :data:`DEFAULT_FILES` there is."""
    if option is not None:
        return option
    if environ.get("DIGESTD_CONFIG"):
        return Path(environ["DIGESTD_CONFIG"])
    return next((path for path in DEFAULT_FILES if _is_there(path)), None)


def _is_there(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except PermissionError:
        # Something is there that we must not see: reading it says so, instead of running on the defaults.
        return True
    except OSError:
        return False


def given(name: str, environ: Mapping[str, str]) -> str | None:
    """What the environment says of the setting `name` (`SECTION_KEY`); None where it says nothing.

    A variable wins over its `_FILE` form, and that over a credential of systemd (a file `section_key` in
    `$CREDENTIALS_DIRECTORY`). Raises :class:`digestd.errors.ConfigurationError` when such a file cannot be read.
    """
    if name in environ:
        return environ[name]
    file_name = environ.get(f"{name}_FILE") or _credential(name, environ)
    if not file_name:
        return None
    try:
        return Path(file_name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        # The name may hold the secret itself. (Imported here alone: a health check has no other use for it.)
        from digestd.masking import mask_url

        shown = mask_url(file_name)
        raise ConfigurationError([f"environment: {name}_FILE: cannot read {shown}: {reason}"]) from error


def _credential(name: str, environ: Mapping[str, str]) -> str | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder or "/") / name.lower()
    return str(path) if folder and path.is_file() else None


def host_and_port(listen: str) -> str:
    """`listen`, where it has the form of `web.listen`; ValueError that says what to write where it has not."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be an address and a port, as in 127.0.0.1:8080 or [::1]:8080")
    return listen


def web_listen(file: Path | None) -> str | None:
    """`web.listen` as it is in force for a daemon that is started with `file` (`-c`) in our environment; None where it
    listens nowhere. Raises :class:`digestd.errors.ConfigurationError`."""
    section = _section(find_file(file, os.environ))
    enabled = given("WEB_ENABLED", os.environ)
    if str(section.get("enabled") if enabled is None else enabled).strip().lower() in _FALSE:
        return None
    listen = given("WEB_LISTEN", os.environ)
    try:
        return host_and_port(str(section.get("listen", LISTEN)) if listen is None else listen)
    except ValueError as error:
        raise ConfigurationError([f"the settings: web.listen: {error}"]) from None


def _section(file: Path | None) -> Mapping[str, object]:
    if file is None:
        return {}
    # Only where there is something to read.
    from digestd.yamlfile import read_yaml

    data = read_yaml(file)
    section = data.get("web") if isinstance(data, dict) else None
    return section if isinstance(section, dict) else {}
