"""A server of feeds for loopback, in a process of its own, so that what it takes is not counted.

It prints its ports as one line of JSON and serves until its standard input ends. Of each path it answers::

    /feed/N     a feed with an ETag; 304 to who has it
    /bare/N     a feed without validators, always the same
    /large/N    a feed of five megabytes whose entries change with each request
    /page/…     an article's page of two megabytes
    /file/NAME  a file of the folder that was given, with an ETag
    /served     how many requests were answered, and how many of them with 304, as JSON
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import sys
from itertools import count
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import documents

LARGE_FEED_BYTES = 5_000_000
PAGE_BYTES = 2_000_000


class Site:
    """What is served, and how often it was."""

    def __init__(self, folder: Path | None, entries: int, entry_bytes: int) -> None:
        self.origin = ""
        self.answered = self.unmodified = 0
        self._files = {path.name: path.read_bytes() for path in folder.iterdir()} if folder else {}
        self._tags = {name: _tag(body) for name, body in self._files.items()}
        self._entries = entries
        self._entry_bytes = entry_bytes
        self._editions = count()

    def answer(self, path: str, known: str) -> bytes:
        """The whole answer to a GET of `path` by one who has the entity tag `known`."""
        _, kind, rest = path.split("/", 2) if path.count("/") > 1 else ("", path.strip("/"), "")
        if kind == "served":
            return _response(json.dumps([self.answered, self.unmodified]).encode(), "application/json")
        self.answered += 1
        if kind == "file" and rest in self._files:
            return self._conditional(self._files[rest], self._tags[rest], known)
        if kind == "page":
            return _response(documents.page(PAGE_BYTES), "text/html; charset=utf-8")
        if not rest.isdigit():
            return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
        if kind == "large":
            entries = LARGE_FEED_BYTES // 10_000
            body = documents.feed.__wrapped__(int(rest), entries, 9_000, self.origin, next(self._editions))
            return _response(body, "application/rss+xml")
        return self._feed(int(rest), f'"feed-{rest}"' if kind == "feed" else "", known)

    def _feed(self, number: int, tag: str, known: str) -> bytes:
        if tag and tag == known:
            return self._unmodified(tag)
        body = documents.feed(number, self._entries, self._entry_bytes, self.origin)
        return self._conditional(body, tag, known) if tag else _response(body, "application/rss+xml")

    def _conditional(self, body: bytes, tag: str, known: str) -> bytes:
        return self._unmodified(tag) if tag == known else _response(body, "application/xml", tag)

    def _unmodified(self, tag: str) -> bytes:
        self.unmodified += 1
        return f"HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n\r\n".encode()


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:16]}"'


def _response(body: bytes, media_type: str, tag: str = "") -> bytes:
    etag = f"ETag: {tag}\r\n" if tag else ""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\n{etag}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    """One connection: requests without bodies, one after the other."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        while b"\r\n\r\n" in self._received:
            head, _, self._received = self._received.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
            known = fields.get("if-none-match", "")
            self._transport.write(self._site.answer(first.split(" ")[1], known))


async def serve(site: Site, hosts: int) -> None:
    """Serve `site` on so many ports, each a host of its own to who asks, until standard input ends."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: _Connection(site), "127.0.0.1", 0, backlog=1_024)
        for _ in range(hosts)
    ]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    site.origin = f"http://127.0.0.1:{ports[0]}"
    print(json.dumps(ports), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serve as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=16)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--entries", type=int, default=20)
    parser.add_argument("--entry-bytes", type=int, default=3_000)
    given = parser.parse_args()
    asyncio.run(serve(Site(given.folder, given.entries, given.entry_bytes), given.hosts))


if __name__ == "__main__":
    main()
