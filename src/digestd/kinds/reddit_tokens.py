"""The tokens of applications at Reddit: kept in memory alone, and got anew when they are refused or over.

Source: https://github.com/reddit-archive/reddit/wiki/OAuth2, "Application Only OAuth".
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from digestd import __version__
from digestd.config.options import unfit
from digestd.errors import DocumentError
from digestd.feed.encoding import read_as
from digestd.feed.json_values import load, text_of

_LONGEST_ANSWER = 65_536
_LONGEST_TOKEN = 8_192
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=1)
_EARLY = timedelta(minutes=1)
# Of applications whose sources were removed, tokens need not be kept for long.
_MOST = 100


@dataclass(frozen=True, slots=True)
class Keys:
    """What an application at `base` is known by; `username` is whose it is."""

    base: str
    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    username: str | None = None

    @property
    def url(self) -> str:
        """Where its tokens are given."""
        return f"{self.base}/api/v1/access_token"

    @property
    def fields(self) -> dict[str, str]:
        """The header fields of its requests: Reddit wants a name of this form, and never a browser's."""
        named = (
            {"User-Agent": f"linux:digestd:{__version__} (by /u/{self.username})"} if self.username else {}
        )
        return {"Accept": "application/json", **named}

    @property
    def token_fields(self) -> dict[str, str]:
        """The header fields by which a token is asked for (RFC 7617)."""
        both = f"{self.client_id}:{self.client_secret}".encode()
        return {**self.fields, "Authorization": f"Basic {base64.b64encode(both).decode('ascii')}"}


@dataclass(frozen=True, slots=True)
class Token:
    """A token, until when it is good, and whether it was ever taken."""

    value: str = field(repr=False)
    until: datetime
    has_worked: bool = False


class Tokens:
    """The tokens at hand, by whose they are."""

    def __init__(self) -> None:
        self._tokens: dict[Keys, Token] = {}

    def at_hand(self, keys: Keys, now: datetime) -> Token | None:
        """The token of `keys`, None where one has to be asked for. One that was never used is used first, whatever
        time it was given, so that nobody is asked for tokens without end."""
        token = self._tokens.get(keys)
        return None if token is None or (token.has_worked and now >= token.until) else token

    def keep(self, keys: Keys, body: bytes, now: datetime) -> bool:
        """Keep the token in `body`, the answer to a request for one; False where there is none. Never raises."""
        if len(body) > _LONGEST_ANSWER:
            return False
        try:
            said = load(read_as(body, ["utf-8"]))
        except DocumentError:
            return False
        value, seconds = text_of(said, "access_token"), said.get("expires_in")
        if not 0 < len(value) <= _LONGEST_TOKEN or unfit(value):
            return False
        given = timedelta(seconds=min(max(seconds, 0), 86_400)) if isinstance(seconds, int) else _LONGEST
        if len(self._tokens) >= _MOST:
            self._tokens.clear()
        self._tokens[keys] = Token(value, now + max(given - _EARLY, _SHORTEST))
        return True

    def worked(self, keys: Keys, token: Token) -> None:
        """Remember that `token` was taken."""
        if not token.has_worked and self._tokens.get(keys) == token:
            self._tokens[keys] = replace(token, has_worked=True)

    def drop(self, keys: Keys, token: Token) -> bool:
        """Forget `token`, which was refused; True where another one may help, as it was taken before, or another one
        is at hand already."""
        current = self._tokens.get(keys)
        if current is not None and current.value != token.value:
            return True
        self._tokens.pop(keys, None)
        return token.has_worked or (current is not None and current.has_worked)
