"""Which URLs belong to one host, and which to one publisher's servers. The door to tldextract.

A host is what can be away. A key is who is to be spared: the servers of one registrable domain count as one, since
those who run them do, too.
"""

from __future__ import annotations

from collections.abc import Container
from functools import cache, lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx2

if TYPE_CHECKING:
    from tldextract import TLDExtract

_DEFAULT_PORTS = {"http": 80, "https": 443}
# RFC 1035, 2.3.4. What is longer is no name, and must not fill the caches.
_NAME_CHARACTERS = 253
_REMEMBERED = 4_096
# The beginnings of URLs, which may be long.
_LATELY = 1_024


def host_of(url: str) -> str:
    """The host of `url` as `host:port`: in lower case, in its ASCII form, without a dot at its end.

    Text that is no URL counts for itself. For what a host does by itself, as being away; see :func:`key_of` for turns.
    """
    parts = _host_and_port(url)
    return url if parts is None else f"{parts[0]}:{parts[1]}"


def key_of(url: str, named: Container[str] = ()) -> str:
    """The key by which `url` takes turns: its registrable domain, whatever the scheme and port.

    A public host that is `named` has a key of its own, its name. Names outside the public suffix list (`localhost`,
    single labels, `.local`, `.internal`) and addresses count as `host:port`, text that is no URL for itself.
    """
    parts = _host_and_port(url)
    if parts is None:
        return url
    host, port = parts
    domain = _registrable(host) if len(host) <= _NAME_CHARACTERS else ""
    if not domain:
        return f"{host}:{port}"
    return host if host in named else domain


def prepare() -> None:
    """Read the public suffix list now: 0.1 s and 14 MB, once in a process, which the event loop must not pay amid
    polls. Blocks."""
    _suffixes()


def _host_and_port(url: str) -> tuple[str, int] | None:
    return _read(_beginning(url))


def _beginning(url: str) -> str:
    """`url` as far as it names a host: what all URLs of a host have in common (RFC 3986, 3.2)."""
    for scheme in ("https://", "http://"):
        if url.startswith(scheme):
            end = url.find("/", len(scheme))
            return url if end < 0 else url[:end]
    return url


@lru_cache(_LATELY)
def _read(url: str) -> tuple[str, int] | None:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    host = host.rstrip(".")
    if not host.isascii() and len(host) <= _NAME_CHARACTERS:
        host = _ascii(host)
    return host, port or _DEFAULT_PORTS.get(parts.scheme, 0)


@lru_cache(_REMEMBERED)
def _ascii(host: str) -> str:
    """`host` as the door to HTTP writes it: a source and the answer to it must come to one key."""
    try:
        return httpx2.URL(f"http://{host}/").raw_host.decode("ascii")
    except (httpx2.InvalidURL, ValueError):
        return host


@lru_cache(_REMEMBERED)
def _registrable(host: str) -> str:
    return _suffixes()(host).top_domain_under_public_suffix


@cache
def _suffixes() -> TLDExtract:
    # Not with the module: most commands ask nobody, and tldextract brings a whole HTTP client, which is never used.
    from tldextract import TLDExtract

    # The list's private part tells whose cookies are whose. Politeness asks whose servers they are: the users of
    # github.io or blogspot.com share them, and a host that answers one of them with 429 means all.
    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=False)
