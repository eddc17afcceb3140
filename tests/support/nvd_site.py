"""NVD's CVE API 2.0 as it is documented: windows of 120 days at most, totals that change while one reads, five requests
in 30 seconds (fifty with a key), and its errors: 403 without a body, 404 with a field `message`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trio

from digestd.model import Response
from support.api_reader import clock
from support.asking import GetsOnly

API = "https://services.nvd.nist.gov"
WINDOW_SECONDS = 30.0


def cve(number: int, modified: datetime, **changes: object) -> dict[str, Any]:
    """A CVE as the API has them, below `cve`."""
    return {
        "id": f"CVE-2026-{number:05}",
        "sourceIdentifier": "psirt@example.com",
        "published": "2026-11-20T10:15:00.000",
        "lastModified": written(modified),
        "vulnStatus": "Awaiting Analysis",
        "descriptions": [{"lang": "en", "value": f"Bug number {number}."}],
        "metrics": {},
        "references": [],
    } | changes


def written(moment: datetime) -> str:
    """As NVD writes: without an offset."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds")


@dataclass
class NvdSite(GetsOnly):
    """Answers from `cves`, by their ids in the order of the list, or in that of their changes. `trouble` is called with
    the number of each request, and may raise or give an answer. `ahead` is how much its clock is before ours;
    `apart` how many seconds requests are."""

    cves: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_change: bool = False
    keys: set[str] = field(default_factory=set)
    key: str | None = None
    apart: float = 6.0
    ahead: timedelta = timedelta(0)
    most: int = 2_000
    asked: list[dict[str, str]] = field(default_factory=list)
    left_alone: list[float] = field(default_factory=list)
    trouble: Callable[[int], Response | None] = lambda number: None
    _times: list[float] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return clock() + self.ahead

    def publish(self, *, ago: float = 0, **changes: object) -> str:
        """A new CVE, changed so many seconds ago; returns its id."""
        one = cve(len(self.cves) + 1, self.now - timedelta(seconds=ago), **changes)
        self.cves[one["id"]] = one
        return str(one["id"])

    def change(self, key: str, **changes: object) -> None:
        """Change a CVE now."""
        self.cves[key] |= {"lastModified": written(self.now), **changes}

    def secret(self, option: str) -> str | None:
        assert option == "key"
        return self.key

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
        await trio.sleep(self.apart)
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{API}/rest/json/cves/2.0"
        assert form is None
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append(asked)
        return self.trouble(len(self.asked)) or self._answer(url, asked, (headers or {}).get("apiKey"))

    def _answer(self, url: str, asked: Mapping[str, str], key: str | None) -> Response:
        now = trio.current_time()
        self._times = [when for when in self._times if when > now - WINDOW_SECONDS]
        if len(self._times) >= (5 if key is None else 50):
            return Response(url, 403, {}, b"")
        self._times.append(now)
        if key is not None and key not in self.keys:
            return _refused(url, "Invalid apiKey.")
        begin, end = (_moment(asked[name]) for name in ("lastModStartDate", "lastModEndDate"))
        size, at = int(asked["resultsPerPage"]), int(asked["startIndex"])
        if begin > end or end - begin > timedelta(days=120):
            return _refused(url, "Invalid date range: it may be 120 days long at most.")
        if not 1 <= size <= 2_000 or at < 0:
            return _refused(url, "Invalid resultsPerPage or startIndex parameter.")
        found = [one for one in self.cves.values() if begin <= _moment(one["lastModified"]) <= end]
        if self.by_change:
            found.sort(key=lambda one: str(one["lastModified"]))
        page = found[at : at + min(size, self.most)]
        return Response(
            url, 200, {"content-type": "application/json"}, answer(page, at, len(found), self.now)
        )


def answer(page: list[Any], at: int, total: int, now: datetime) -> bytes:
    """The body of an answer that has the CVEs of `page`."""
    said = {
        "resultsPerPage": len(page),
        "startIndex": at,
        "totalResults": total,
        "format": "NVD_CVE",
        "version": "2.0",
        "timestamp": written(now),
        "vulnerabilities": [{"cve": one} for one in page],
    }
    return json.dumps(said).encode()


def _refused(url: str, message: str) -> Response:
    return Response(url, 404, {"message": message}, b"")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
