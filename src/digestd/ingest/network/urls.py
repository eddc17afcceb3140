"""URLs that may be asked for, and where a redirect leads. Pure.

No message repeats a URL without masking it, and none repeats one that could not be read at all: a slip in it
can make its password look like a host or a port.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address

import httpx2

from digestd.config.urls import MAX_URL_CHARACTERS, port_problem
from digestd.errors import BadURL, RedirectFailed
from digestd.masking import mask_url

REDIRECTS = frozenset({301, 302, 303, 307, 308})
"""The statuses that send a GET on to `Location` (RFC 9110, 15.4)."""

# These say nothing about who asks, and belong to the source as a whole.
_CARRIED = frozenset({"accept", "accept-language", "a-im", "if-none-match", "if-modified-since"})
_SHOWN_CHARACTERS = 300
_TOO_LONG = f"the URL has more than {MAX_URL_CHARACTERS} characters"
_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"(?=.{{1,254}}$){_LABEL}(\.{_LABEL})*\.?")


@dataclass(frozen=True, slots=True)
class Target:
    """What to ask for: `url` without user info and fragment; `authorization` is made of the user info."""

    url: httpx2.URL
    authorization: str | None


def target_of(text: str) -> Target:
    """Read a URL as the operator wrote it; user info becomes Basic authentication (RFC 7617).

    Raises :class:`~digestd.errors.BadURL`, saying what is wrong with scheme, host, port or length.
    """
    if len(text) > MAX_URL_CHARACTERS:
        raise BadURL(_TOO_LONG)
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError) as error:
        raise BadURL("the URL cannot be understood; check its host and port") from error
    if url.scheme not in ("http", "https"):
        scheme = f"not {url.scheme[:40]!r}" if url.scheme else "and the URL has no scheme"
        raise BadURL(f"only http and https can be fetched, {scheme}")
    check_authority(url)
    problem = port_problem(url.port) if url.port is not None else None
    if problem is not None:
        raise BadURL(problem)
    return Target(_bare(url), _authorization(url))


def check_authority(url: httpx2.URL) -> None:
    """Raise :class:`~digestd.errors.BadURL` unless `url` has a host and a port that can be connected to."""
    if not url.host:
        raise BadURL("the URL names no host")
    if not _is_host(url):
        raise BadURL("the host of the URL is no valid name or address")
    if url.port is not None and not 0 < url.port < 65536:
        raise BadURL(f"there is no port {url.port}")


def _bare(url: httpx2.URL) -> httpx2.URL:
    if not url.userinfo and not url.fragment:
        return url
    return url.copy_with(username=None, password=None, fragment=None)


def _is_host(url: httpx2.URL) -> bool:
    try:
        host = url.raw_host.decode("ascii")
        # With a colon it is an address. One with a zone, of any characters, means something on this machine alone.
        return not IPv6Address(host).scope_id if ":" in host else _NAME.fullmatch(host) is not None
    except ValueError:
        return False


def _authorization(url: httpx2.URL) -> str | None:
    if not url.userinfo:
        return None
    return "Basic " + b64encode(f"{url.username}:{url.password}".encode()).decode("ascii")


def same_origin(one: httpx2.URL, other: httpx2.URL) -> bool:
    """Whether both have the same scheme, host and port (RFC 6454, 4), so that credentials may go along."""
    # As they are sent: what a name decodes to is for people.
    return (one.scheme, one.raw_host, one.port) == (other.scheme, other.raw_host, other.port)


def redirected(url: httpx2.URL, location: str) -> httpx2.URL:
    """Where an answer of `url` with this `Location` leads (RFC 9110, 10.2.2). User info in it is not used.

    Raises :class:`~digestd.errors.RedirectFailed` when it leads nowhere, or from https to http.
    """
    if not location:
        raise RedirectFailed(f"{masked(url)} redirects without saying where to")
    try:
        # Before it is taken to pieces, which takes time.
        if len(location) > MAX_URL_CHARACTERS:
            raise BadURL(_TOO_LONG)
        onward = target_of(str(url.join(location))).url
    except (BadURL, httpx2.InvalidURL, ValueError) as error:
        reason = str(error) if isinstance(error, BadURL) else "the URL cannot be understood"
        raise RedirectFailed(f"{masked(url)} redirects to nowhere: {reason}") from error
    if url.scheme == "https" and onward.scheme == "http":
        raise RedirectFailed(
            f"{masked(url)} redirects to {masked(onward)}, and what comes without TLS can be changed on its "
            "way; if it is wanted, give the source that URL"
        )
    return onward


def carried(headers: Mapping[str, str]) -> dict[str, str]:
    """The part of `headers` (lower-case names) that may go to another origin: nothing that tells who asks."""
    return {name: value for name, value in headers.items() if name in _CARRIED}


def masked(url: httpx2.URL) -> str:
    """`url` for a message (see :func:`digestd.masking.mask_url`): its host in ASCII, and cut where it is very long."""
    text = mask_url(str(url))
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
