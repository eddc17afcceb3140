"""The kind `hackernews` in the daemon itself: its budget, our killable processes, pages of stories."""

from __future__ import annotations

import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from support.hackernews_site import hit
from support.process import run
from support.publishers import Answer, Request, open_publishers


@pytest.mark.slow
def test_it_is_asked_window_by_window_at_its_budget(tmp_path: Path) -> None:
    now = int(time.time())
    hits = [hit(number, now - 60 * number, url=None, story_text="<p>Asked</p>") for number in range(1_200)]

    def search(request: Request, number: int) -> Answer:
        filters = parse_qs(urlsplit(request.path).query)["numericFilters"][0].split(",")
        until = next((int(one.rpartition("<")[2]) for one in filters if "<" in one), now + 1)
        found = [one for one in hits if one["created_at_i"] < until]
        return Answer(body=json.dumps({"hits": found[:1_000], "nbHits": len(found)}).encode())

    file = tmp_path / "digestd.yaml"
    with open_publishers({"search": search}) as publishers:
        site = publishers["search"]
        file.write_text(
            "fetch: {allow_private_networks: true}\nweb: {enabled: false}\n"
            f"sources:\n  - {{name: hn, kind: hackernews, options: {{query: cve, base_url: '{site.url}'}}}}\n"
        )
        done = run(["--once", "-c", str(file)], tmp_path)
        assert done.returncode == 0, done.stderr
        assert len(site.log) == 2
        assert min(site.gaps) >= 0.95
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        count = connection.execute("SELECT count(*), count(DISTINCT guid) FROM articles").fetchone()
        (url, content, extraction) = connection.execute(
            "SELECT url, content, extraction FROM articles WHERE guid = '7'"
        ).fetchone()
    assert count == (1_200, 1_200)
    assert (url, content, extraction) == (
        "https://news.ycombinator.com/item?id=7",
        "<p>Asked</p>",
        "skipped",
    )
