"""`digestd demo`: the real pipeline over sample sources from a loopback server, into a temporary database."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import trio

from digestd import log
from digestd.cli.bar import Bar
from digestd.cli.loading import quiet_level
from digestd.cli.running import summary_text
from digestd.cli.showing import print_digest
from digestd.config import Configuration, DatabaseSettings, FetchSettings, Settings
from digestd.daemon.ending import expected_alone
from digestd.daemon.once import Selection, Summary, Watcher, once
from digestd.demo.server import serve
from digestd.demo.site import demo_sources
from digestd.ingest.poll import PollResult
from digestd.model import Article
from digestd.store.owner import current_owner
from digestd.store.sql import open_store

ARTICLES_PER_SOURCE = 3
WELCOME = """\
digestd demo: six sample sources on a loopback server, one of them broken, one malformed
(the links lead to that server, which ends with the demo)
"""


def demo(log_level: str | None) -> int:
    """Run the demonstration and return the exit status: 0 when articles were ingested."""
    log.set_up(quiet_level(log_level or "ERROR"), "auto")
    database = Path(tempfile.mkdtemp(prefix="digestd-demo-")) / "digestd.db"
    print(WELCOME, flush=True)
    summary, articles = trio.run(_ingest, database)
    print_digest(articles, ARTICLES_PER_SOURCE)
    print(f"\n{summary_text(summary)}")
    print(f"database           {database} (SQLite; remove its folder when you have seen enough)")
    return os.EX_OK if articles else 1


async def _ingest(database: Path) -> tuple[Summary, list[Article]]:
    url = f"sqlite:///{database}"
    with expected_alone():
        async with trio.open_nursery() as nursery:
            base_url: str = await nursery.start(serve)
            summary = await _polled(base_url, url)
            nursery.cancel_scope.cancel()
    async with open_store(url, owner=current_owner(), pool_size=1, connect_timeout_seconds=5) as store:
        return summary, await store.newest_articles(ARTICLES_PER_SOURCE)


async def _polled(base_url: str, database_url: str) -> Summary:
    settings = Settings(
        database=DatabaseSettings(url=database_url),
        # The samples stand on loopback, which the daemon does not reach unless it is told to.
        fetch=FetchSettings(allow_private_networks=True),
    )
    config = Configuration(None, settings, tuple(demo_sources(base_url)))
    selection = Selection(everything=True)
    if not sys.stderr.isatty():
        return await once(config, {}, selection, Told())
    with Bar() as bar:
        return await once(config, {}, selection, bar)


class Told(Watcher):
    """Progress as lines, where there is no terminal for a bar."""

    def polled(self, result: PollResult) -> None:
        """See :class:`digestd.daemon.once.Watcher`."""
        told = result.failure.message if result.failure else f"{result.articles_new} new articles"
        print(f"polled {result.name}: {told}", file=sys.stderr)
