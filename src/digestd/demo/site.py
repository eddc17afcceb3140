"""The sample site: what stands at which path, with dates that make it look fresh.

Everything is read from the files in `samples/`, which hold three kinds of placeholder: `{{base_url}}`, and
`{{rfc822:90}}` and `{{rfc3339:90}}` for the moment 90 minutes before now. Article pages are kept as
fragments; their frame is `samples/page.html`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import format_datetime
from importlib.resources import files
from importlib.resources.abc import Traversable

from digestd.model import SourceSpec

# Answers 500, as servers do.
_BROKEN_PATH = "/brasslock/psirt.rss"

_FRAME = "page.html"
_CONTENT_TYPES = {
    "rss": "application/rss+xml; charset=utf-8",
    "atom": "application/atom+xml; charset=utf-8",
    "rdf": "application/rdf+xml; charset=utf-8",
    "json": "application/feed+json",
    "html": "text/html; charset=utf-8",
}
_MOMENT = re.compile(r"\{\{(rfc822|rfc3339):(\d+)\}\}")
_HEADING = re.compile(r"<h1>(.*?)</h1>")


_SOURCES = (
    ("Harbour Linux Security Notices", "/harbour-linux/notices.rss", "vendor-advisory"),
    ("Ternwick Labs Research", "/ternwick-labs/research.atom", "research-blog"),
    ("Northmoor CERT: exploited vulnerabilities", "/northmoor-cert/exploited.rdf", "cert"),
    ("Breach Ledger", "/breach-ledger/feed.json", "news"),
    ("Gull Street Diary (malformed on purpose)", "/gull-street/diary.rss", "research-blog"),
    ("Brasslock PSIRT (answers 500 on purpose)", _BROKEN_PATH, "vendor-advisory"),
)


@dataclass(frozen=True, slots=True)
class Resource:
    """What the server answers at one path."""

    body: bytes
    content_type: str
    status: int = 200

    @property
    def etag(self) -> str:
        """A strong validator (RFC 9110, 8.8.3): equal bytes have equal ones."""
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'


def demo_sources(base_url: str) -> list[SourceSpec]:
    """The six sample sources as they would be configured, served at `base_url` (without a final slash)."""
    return [
        SourceSpec(name=name, kind="feed", url=base_url + path, category=category, language="en")
        for name, path, category in _SOURCES
    ]


def sample_site(base_url: str, now: datetime) -> Mapping[str, Resource]:
    """Read the samples as a site at `base_url`, dated back from `now` (aware): path to resource.

    Feeds and pages link to each other absolutely.
    """
    root = files("digestd.demo") / "samples"
    frame = (root / _FRAME).read_text(encoding="utf-8")
    site = {_BROKEN_PATH: Resource(b"Out of order.\n", "text/plain; charset=utf-8", status=500)}
    for path, file in _files(root, ""):
        text = file.read_text(encoding="utf-8")
        address = path.removesuffix("index.html")
        if path.endswith(".html"):
            text = _framed(text, frame, base_url + address)
        body = _filled(text, base_url, now).encode()
        site[address] = Resource(body, _CONTENT_TYPES[path.rpartition(".")[2]])
    return site


def _files(folder: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    """Every file below `folder` but the frame, with its path from the root of the site."""
    for child in folder.iterdir():
        below = f"{path}/{child.name}"
        if child.is_dir():
            yield from _files(child, below)
        elif child.name != _FRAME:
            yield below, child


def _framed(article: str, frame: str, url: str) -> str:
    heading = _HEADING.search(article)
    assert heading is not None, f"the sample page {url} has no <h1>"
    values = {"title": heading[1], "url": url, "home": url.rpartition("/")[0] + "/", "article": article}
    for name, value in values.items():
        frame = frame.replace(f"{{{{{name}}}}}", value)
    return frame


def _filled(text: str, base_url: str, now: datetime) -> str:
    def moment(match: re.Match[str]) -> str:
        when = now - timedelta(minutes=int(match[2]))
        return format_datetime(when) if match[1] == "rfc822" else when.isoformat(timespec="seconds")

    return _MOMENT.sub(moment, text).replace("{{base_url}}", base_url)
