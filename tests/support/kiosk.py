"""A newsroom as a program of its own, for machines and containers: it needs Python alone, and is told by files.

`python3 -m support.kiosk FOLDER PORT`. The file FOLDER/NAME.feed holds how many stories the feed /NAME has and, after a
blank, how many seconds it takes to answer; If-None-Match is heeded. FOLDER/requests gets two lines for each request:
when it comes (path, "asked", If-None-Match) and when it was answered (path, status, If-None-Match).
"""

from __future__ import annotations

import hashlib
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from support.newsroom import Newsroom, open_newsroom, respond

LARGE = "large"
"""A feed by this name is too large to be read without a process of its own."""


class Kiosk(Newsroom):
    """A newsroom that serves what the files in `folder` say."""

    def __init__(self, url: str, folder: Path) -> None:
        super().__init__(url)
        self._folder = folder
        self._published: dict[str, int] = {}

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one GET."""
        file = self._folder / f"{request.path.strip('/').replace('/', '-')}.feed"
        self._note(request, "asked")
        status = self._feed(request, file) if file.exists() else self._page(request)
        self._note(request, str(status))

    def _note(self, request: BaseHTTPRequestHandler, what: str) -> None:
        with (self._folder / "requests").open("a") as log:
            log.write(f"{request.path} {what} {request.headers.get('If-None-Match', '-')}\n")

    def _page(self, request: BaseHTTPRequestHandler) -> int:
        super().answer(request)
        return 200

    def _feed(self, request: BaseHTTPRequestHandler, file: Path) -> int:
        name = file.stem
        count, _, seconds = file.read_text().strip().partition(" ")
        time.sleep(float(seconds or 0))
        if int(count) < self._published.get(name, 0):
            # Another test begins.
            self.forget(name)
            self._published[name] = 0
        self.publish(name, int(count) - self._published.get(name, 0))
        self._published[name] = int(count)
        tag = '"' + hashlib.sha256(f"{name} {count}".encode()).hexdigest()[:16] + '"'
        status = 304 if request.headers.get("If-None-Match") == tag else 200
        body = b"" if status == 304 else self.document(name)
        if body and name == LARGE:
            body += b" " * 70_000
        respond(body, {"Content-Type": "application/rss+xml", "ETag": tag}, status)(request)
        return status


if __name__ == "__main__":
    with open_newsroom(int(sys.argv[2]), lambda url: Kiosk(url, Path(sys.argv[1]))):
        threading.Event().wait()
