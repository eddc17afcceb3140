"""URLs, links and guids fit to be shown: what may be a secret in them is replaced by `***`. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

# What follows the name of a parameter in a path, such as ;jsessionid=.
_PATH_PARAMETER = re.compile(r"(;[^/;=]*=)[^/;]*")

# What stands before the authority, the authority, the rest. Fits every text.
_LINK = re.compile(r"((?:[^/?#]*//)?)((?<=//)[^/?#]*|)(.*)", re.DOTALL)

_RANDOM = re.compile("[0-9A-Fa-f]{32,}")

# Words in the name of a query parameter that holds a secret.
_WORDS = re.compile(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]+")
_SECRET_WORDS = frozenset(
    {"apikey", "auth", "authkey", "authorization", "credential", "credentials", "hmac", "jwt", "key", "otp"}
    | {
        "pass",
        "passphrase",
        "passwd",
        "password",
        "pwd",
        "secret",
        "session",
        "sessionid",
        "sid",
        "sig",
        "signature",
    }
    | {"ticket", "token"}
)
_SECRET_ENDS = ("token", "secret", "password", "apikey", "accesskey", "signature", "sessid", "sessionid")


def mask_url(url: str) -> str:
    """Give `url` fit for a log, a message or a screen: user info and every query value replaced by `***`.

    Of what cannot be read as a URL (an unquoted `/` in a password ends the host early) only what follows the last `@`
    is shown, without a query.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return _masked_guess(url)
    if ":" in parts.netloc and "@" not in parts.netloc and "@" in parts.path:
        # user:12/34@host has a port and a path, and is meant as a password.
        return _masked_guess(url)
    _, at, host = parts.netloc.rpartition("@")
    query = "&".join(_mask_parameter(p) for p in parts.query.split("&")) if parts.query else ""
    # Not urlunsplit: it takes slashes away from sqlite:////path.
    start = url[: url.index("//") + 2] if "//" in url.partition("?")[0] and parts.scheme else ""
    return f"{start}{'***@' if at else ''}{_in_ascii(host)}{_path_masked(parts.path)}{'?' if query else ''}{query}"


def mask_link(url: str) -> str:
    """Give `url` fit for a reader who shall follow it: without user info, and with `***` for what a query or a path
    parameter holds under the name of a secret (token, key, signature, session …); all else as it is."""
    start, authority, rest = _LINK.fullmatch(url).groups()  # type: ignore[union-attr]
    bare, hash_sign, fragment = rest.partition("#")
    path, question, query = bare.partition("?")
    return (
        f"{start}{_in_ascii(authority.rpartition('@')[2])}{_path_masked(path)}{question}{_query_masked(query)}{hash_sign}"
        + (_query_masked(fragment))
    )


def secret_in(url: str) -> str | None:
    """What in `url` may be a secret, in words; None where :func:`mask_link` would show it whole.

    More than that is suspected: a password with an unquoted `/` in it, which looks like a port and a path, and 32
    hexadecimal digits in a query, as personal feeds have them (`feed=…&user=…` at Reddit).
    """
    authority, rest = _LINK.fullmatch(url).groups()[1:]  # type: ignore[union-attr]
    bare, _, fragment = rest.partition("#")
    path, _, query = bare.partition("?")
    if "@" in authority or (":" in authority and "@" in path):
        return "user info"
    if _PATH_PARAMETER.search(path):
        return "a parameter in its path"
    parameters = [*query.split("&"), *fragment.split("&")]
    names = [one.partition("=")[0] for one in parameters if one != _shown_of(one) or _is_random(one)]
    return f"the parameter {names[0][:40]}" if names else None


def _is_random(parameter: str) -> bool:
    return _RANDOM.fullmatch(parameter.partition("=")[2]) is not None


def mask_guid(guid: str | None) -> str | None:
    """Give `guid` fit for a reader: as :func:`mask_link` does where it is an address, else as it is."""
    return mask_link(guid) if guid and guid[:8].lower().startswith(("http://", "https://")) else guid


def _query_masked(query: str) -> str:
    return "&".join(map(_shown_of, query.split("&")))


def _shown_of(parameter: str) -> str:
    return _mask_parameter(parameter) if names_secret(parameter.partition("=")[0]) else parameter


def names_secret(name: str) -> bool:
    """Whether what is called so, a parameter or an option, holds a secret by its name."""
    plain = unquote(name)
    words = {word.lower() for word in _WORDS.findall(plain)}
    return not words.isdisjoint(_SECRET_WORDS) or plain.lower().endswith(_SECRET_ENDS)


def _in_ascii(host: str) -> str:
    """`host`, with its port if it has one, as it is sent (RFC 3490): letters of other alphabets look like ours."""
    if host.isascii():
        return host
    try:
        # No longer than a name can be: the codec's time grows with the square.
        return host[:300].encode("idna").decode("ascii") + host[300:].encode("ascii").decode("ascii")
    except UnicodeError:
        return host.encode("ascii", "backslashreplace").decode("ascii")


def _path_masked(path: str) -> str:
    return _PATH_PARAMETER.sub(r"\1***", path)


def _masked_guess(url: str) -> str:
    head, slashes, rest = url.partition("//")
    return head + slashes + ("***@" if "@" in rest else "") + rest.rpartition("@")[2].partition("?")[0]


def _mask_parameter(parameter: str) -> str:
    name, equals, value = parameter.partition("=")
    if not equals:
        return "***"
    return f"{name}=***" if value else parameter
