"""A bare pipeline, for comparison: ten tasks, httpx2 on Trio with its own transport, feedparser where a document is
new, and rows into SQLite in one transaction a feed. No leases, no logs, no limits, nothing kept of the past but ETags.

Run as a program: `bare_pipeline.py FILE_OF_URLS DATABASE`. It prints the processor seconds it took after its start.
"""

from __future__ import annotations

import math
import sqlite3
import sys
import time
from pathlib import Path

import httpx2
import trio

_TABLES = """
CREATE TABLE IF NOT EXISTS feeds (url TEXT PRIMARY KEY, etag TEXT, polled_at REAL);
CREATE TABLE IF NOT EXISTS entries (url TEXT, guid TEXT, title TEXT, content TEXT, UNIQUE (url, guid));
"""


def main() -> None:
    """Poll every URL once."""
    urls = Path(sys.argv[1]).read_text().split()
    database = sqlite3.connect(sys.argv[2], isolation_level=None)
    database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; {_TABLES}")
    began = time.process_time()
    trio.run(_poll_all, urls, database)
    print(time.process_time() - began)


async def _poll_all(urls: list[str], database: sqlite3.Connection) -> None:
    send, receive = trio.open_memory_channel[str](math.inf)
    with send:
        for url in urls:
            send.send_nowait(url)
    async with httpx2.AsyncClient(trust_env=False) as client, trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(_poll_some, receive, client, database)


async def _poll_some(
    urls: trio.MemoryReceiveChannel[str], client: httpx2.AsyncClient, database: sqlite3.Connection
) -> None:
    async for url in urls:
        row = database.execute("SELECT etag FROM feeds WHERE url = ?", (url,)).fetchone()
        response = await client.get(url, headers={"If-None-Match": row[0]} if row and row[0] else {})
        database.execute("BEGIN IMMEDIATE")
        if response.status_code == 200:
            _keep(database, url, response.content)
        etag = response.headers.get("etag")
        database.execute("INSERT OR REPLACE INTO feeds VALUES (?, ?, ?)", (url, etag, time.time()))
        database.execute("COMMIT")


def _keep(database: sqlite3.Connection, url: str, body: bytes) -> None:
    import io

    import feedparser

    feed = feedparser.parse(io.BytesIO(body), sanitize_html=False, resolve_relative_uris=False)
    rows = [
        (
            url,
            one.get("id") or one.get("link"),
            one.get("title"),
            str(one.get("content") or one.get("summary")),
        )
        for one in feed.entries
    ]
    database.executemany("INSERT OR IGNORE INTO entries VALUES (?, ?, ?, ?)", rows)


if __name__ == "__main__":
    main()
