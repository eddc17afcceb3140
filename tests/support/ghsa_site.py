"""GitHub's advisories as its REST API is documented: cursors in `Link` fields, 60 requests an hour (5,000 with a
token), the secondary limit, and what its errors say."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import trio

from digestd.model import Response
from support.api_reader import clock
from support.asking import GetsOnly

API = "https://api.github.com"
HOUR = 3_600.0


def advisory(number: int, updated: datetime, **changes: object) -> dict[str, Any]:
    """An advisory as the API has them."""
    key = f"GHSA-{number:04}-aaaa-bbbb"
    return {
        "ghsa_id": key,
        "cve_id": None,
        "html_url": f"https://github.com/advisories/{key}",
        "summary": f"Bug number {number}",
        "description": f"It is bug number {number}.",
        "type": "reviewed",
        "severity": "high",
        "references": [],
        "published_at": "2026-11-20T09:00:00Z",
        "updated_at": written(updated),
        "withdrawn_at": None,
        "vulnerabilities": [],
        "cvss_severities": None,
        "cwes": None,
        "epss": {"percentage": 0.1, "percentile": 0.2},
    } | changes


def written(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


@dataclass
class GhsaSite(GetsOnly):
    """Answers from `advisories`, by their ids, `most` at one time. `trouble` is called with the number of each request,
    and may raise or give an answer. `ahead` is how much its clock is before ours; `limit` how many requests an hour it
    takes without a token."""

    advisories: dict[str, dict[str, Any]] = field(default_factory=dict)
    most: int = 100
    limit: int = 60
    ahead: timedelta = timedelta(0)
    tokens: set[str] = field(default_factory=set)
    token: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    left_alone: list[float] = field(default_factory=list)
    trouble: Callable[[int], Response | None] = lambda number: None
    _used: int = 0
    _reset: float = 0.0

    @property
    def now(self) -> datetime:
        return clock() + self.ahead

    def publish(self, *, ago: float = 0, **changes: object) -> str:
        """A new advisory, changed so many seconds ago; returns its id."""
        one = advisory(len(self.advisories) + 1, self.now - timedelta(seconds=ago), **changes)
        self.advisories[one["ghsa_id"]] = one
        return str(one["ghsa_id"])

    def change(self, key: str, **changes: object) -> None:
        """Change an advisory now."""
        self.advisories[key] |= {"updated_at": written(self.now), **changes}

    def secret(self, option: str) -> str | None:
        assert option == "token"
        return self.token

    def leave_alone(self, url: str, seconds: float) -> None:
        assert url.startswith(API)
        self.left_alone.append(seconds)

    async def get(self, url: str, **_: object) -> Response:
        raise AssertionError(f"nobody gets {url}")

    async def ask(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> Response:
        await trio.sleep(1)
        headers = headers or {}
        assert headers["Accept"] == "application/vnd.github+json"
        assert headers["X-GitHub-Api-Version"] == "2022-11-28"
        asked = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        self.asked.append(asked)
        return self.trouble(len(self.asked)) or self._answer(url, asked, headers.get("Authorization"))

    def _answer(self, url: str, asked: Mapping[str, str], authorization: str | None) -> Response:
        fields = self._counted(5_000 if authorization else self.limit)
        if authorization is not None and authorization.removeprefix("Bearer ") not in self.tokens:
            return Response(url, 401, fields, said("Bad credentials"))
        if int(fields["x-ratelimit-used"]) > int(fields["x-ratelimit-limit"]):
            return Response(url, 403, fields, said("API rate limit exceeded for 203.0.113.5."))
        since = datetime.fromisoformat(asked["modified"].removeprefix(">="))
        assert (asked["sort"], asked["direction"]) == ("updated", "asc")
        wanted = {name: asked[name] for name in ("type", "severity") if name in asked}
        found = sorted(
            (
                one
                for one in self.advisories.values()
                if datetime.fromisoformat(one["updated_at"]) >= since
                and all(one[name] == value for name, value in wanted.items())
            ),
            key=place,
        )
        if "after" in asked:
            behind = cursor_of(asked["after"])
            if behind is None:
                return Response(url, 422, fields, said("Validation Failed"))
            found = [one for one in found if place(one) > behind]
        page = found[: min(int(asked["per_page"]), self.most)]
        if len(page) < len(found):
            cursor = urlsafe_b64encode(json.dumps(place(page[-1])).encode()).decode()
            following = f"{API}/advisories?{urlencode({**asked, 'after': cursor})}"
            fields["link"] = f'<{following}>; rel="next", <{API}/advisories?before=x>; rel="prev"'
        return Response(url, 200, fields, json.dumps(page).encode())

    def _counted(self, limit: int) -> dict[str, str]:
        now = self.now.timestamp()
        if now >= self._reset:
            self._used, self._reset = 0, now + HOUR
        self._used += 1
        return {
            "date": format_datetime(self.now, usegmt=True),
            "x-ratelimit-limit": str(limit),
            "x-ratelimit-used": str(self._used),
            "x-ratelimit-remaining": str(max(0, limit - self._used)),
            "x-ratelimit-reset": str(int(self._reset)),
        }


def place(one: Mapping[str, Any]) -> tuple[str, str]:
    """Where an advisory is in the list."""
    return str(one["updated_at"]), str(one["ghsa_id"])


def cursor_of(written: str) -> tuple[str, str] | None:
    try:
        updated, key = json.loads(urlsafe_b64decode(written))
    except ValueError:
        return None
    return str(updated), str(key)


def said(message: str) -> bytes:
    """The body of an error."""
    return json.dumps({"message": message, "documentation_url": "https://docs.github.com/rest"}).encode()
