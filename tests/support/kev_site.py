"""CISA's site and its mirror, with one catalogue: validators, 403 for some, an older catalogue at the mirror."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import trio

from digestd.errors import HTTPStatus
from digestd.model import Response
from support.asking import GetsOnly
from support.polling import EPOCH

SITE = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
MIRROR = "https://raw.githubusercontent.com/cisagov/kev-data/develop/known_exploited_vulnerabilities.json"

JSON = {"content-type": "application/json"}


def vulnerability(cve: str, **changes: object) -> dict[str, object]:
    """An entry as the catalogue has them, trailing blanks included."""
    return {
        "cveID": cve,
        "vendorProject": "Example ",
        "product": "Gateway",
        "vulnerabilityName": "Example Gateway Command Injection Vulnerability",
        "dateAdded": "2026-11-21",
        "shortDescription": "Example Gateway contains <a> command injection vulnerability.",
        "requiredAction": "Apply mitigations per vendor instructions.",
        "dueDate": "2026-12-12",
        "knownRansomwareCampaignUse": "Unknown",
        "notes": f"https://example.com/psirt/11 ; https://nvd.nist.gov/vuln/detail/{cve}",
        "cwes": ["CWE-77"],
    } | changes


def catalogue(
    entries: list[Any],
    *,
    version: str = "2026.11.21",
    released: str = "2026-11-21T15:00:12.4521Z",
    **other: object,
) -> bytes:
    """A catalogue with `entries`."""
    said = {"title": "CISA Catalog of Known Exploited Vulnerabilities", "catalogVersion": version}
    said |= {"dateReleased": released, "count": len(entries), "vulnerabilities": entries, **other}  # type: ignore[dict-item]
    return json.dumps(said).encode()


@dataclass
class KevSite(GetsOnly):
    """Serves `served`, the mirror what was served `late` releases before. `status` is what CISA's own site says, and
    `mirror_status` what the mirror says; `trouble` is called with the number of each request, and may raise."""

    entries: dict[str, dict[str, object]] = field(default_factory=dict)
    status: int = 200
    mirror_status: int = 200
    late: int = 0
    asked: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    served: list[bytes] = field(default_factory=list)
    trouble: Callable[[int], None] = lambda number: None
    mark: str = ""

    def release(self, *cves: str, **changes: object) -> None:
        """Put `cves` into the catalogue with these `changes`, and give it out under the next version."""
        self.entries |= {cve: vulnerability(cve, **changes) for cve in cves}
        self.publish()

    def remove(self, *cves: str) -> None:
        """Take `cves` out of the catalogue, and give it out under the next version."""
        for cve in cves:
            self.entries.pop(cve, None)
        self.publish()

    def publish(self) -> None:
        number = len(self.served)
        moment = EPOCH - timedelta(days=400) + timedelta(hours=7 * number)
        version, released = f"{moment:%Y.%m.%d}.{number}", moment.isoformat()
        self.served.append(catalogue(list(self.entries.values()), version=version, released=released))

    async def get(
        self,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        only: frozenset[str] | None = None,
        cut_at: int | None = None,
    ) -> Response:
        await trio.lowlevel.checkpoint()
        headers = headers or {}
        self.asked.append((url, headers))
        self.trouble(len(self.asked))
        is_mirror = url == MIRROR
        assert is_mirror or url == SITE
        status = self.mirror_status if is_mirror else self.status
        if status >= 400:
            raise HTTPStatus(f"the server answered {status}", status=status)
        body = self.served[max(0, len(self.served) - 1 - (self.late if is_mirror else 0))]
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if headers.get("If-None-Match") == etag:
            return Response(url, 304, {"etag": etag}, b"")
        return Response(url, status, {**JSON, "etag": etag}, body)
