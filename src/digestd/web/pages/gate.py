"""Who may see the pages: on loopback everybody, unless a token is set; beyond it whoever knows the token.

A browser that gave the token once has a cookie from then on. It holds a moment and what only who knows the token can
make of it (HMAC, RFC 2104): so nothing is to be remembered here, and every process with the same token takes it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Literal

from digestd.config.access import Secret
from digestd.web.address import Address

COOKIE = "digestd_session"
SESSION_SECONDS = 7 * 86_400

_SESSION = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})")


class Gate:
    """Asks for `token` if there is one; without, the pages are shown where `address` is loopback, and nowhere else.

    `now` is the time in seconds since 1970.
    """

    def __init__(self, address: Address, token: Secret | None, now: Callable[[], float]) -> None:
        self._token = token
        self._shut = token is None and not address.is_loopback
        self._now = now

    @property
    def access(self) -> Literal["open", "token", "shut"]:
        """Whether the pages are shown to everybody who gets here, to who has the token, or to nobody."""
        if self._token is not None:
            return "token"
        return "shut" if self._shut else "open"

    def admits(self, authorization: str | None, cookies: Mapping[str, str]) -> bool:
        """Whether a request with this field `Authorization` (RFC 6750) and these cookies may see the pages."""
        if self._token is None:
            return not self._shut
        scheme, _, given = (authorization or "").partition(" ")
        return (scheme.lower() == "bearer" and self.is_token(given.strip())) or self._is_session(
            cookies.get(COOKIE, "")
        )

    def is_token(self, text: str) -> bool:
        """Whether `text` is the token. Takes the same time however much of it is right."""
        if self._token is None:
            return False
        return hmac.compare_digest(text.encode(errors="replace"), self._token.reveal().encode())

    def session(self, *, secure: bool) -> str:
        """The value of `Set-Cookie` for who gave the token; `secure` where the browser came over TLS."""
        until = str(int(self._now()) + SESSION_SECONDS)
        return _cookie(f"{until}.{self._sign(until)}", SESSION_SECONDS, secure=secure)

    def farewell(self, *, secure: bool) -> str:
        """The value of `Set-Cookie` that ends a session in its browser."""
        return _cookie("", 0, secure=secure)

    def _is_session(self, value: str) -> bool:
        match = _SESSION.fullmatch(value)
        if match is None or int(match[1]) <= self._now():
            return False
        return hmac.compare_digest(match[2], self._sign(match[1]))

    def _sign(self, until: str) -> str:
        assert self._token is not None
        key = self._token.reveal().encode()
        return hmac.new(key, f"digestd session until {until}".encode(), hashlib.sha256).hexdigest()


def _cookie(value: str, seconds: int, *, secure: bool) -> str:
    # Lax: a link in a mail or a chat shall lead here. Nothing can be changed here, and no page frames us.
    tail = "; Secure" if secure else ""
    return f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{tail}"
