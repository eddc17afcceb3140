"""The kind `ghsa` in the daemon itself: its token, and pages that are named by `Link` fields."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from support.ghsa_site import advisory, said
from support.process import run
from support.publishers import Answer, Request, open_publishers

ADVISORIES = [advisory(number, datetime.now(UTC)) for number in range(150)]
TOKEN = "ghp_0123456789abcdef"


def github(request: Request, number: int) -> Answer:
    if request.headers.get("authorization") != f"Bearer {TOKEN}" or "user-agent" not in request.headers:
        return Answer(401, said("Bad credentials"))
    at = int(parse_qs(urlsplit(request.path).query).get("after", ["0"])[0])
    link = {"Link": f'<https://api.github.com/advisories?after={at + 100}>; rel="next"'} if at == 0 else {}
    return Answer(body=json.dumps(ADVISORIES[at : at + 100]).encode(), headers=link)


@pytest.mark.slow
def test_all_pages_are_read_with_the_token(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    with open_publishers({"github": github}) as publishers:
        site = publishers["github"]
        file.write_text(
            "fetch: {allow_private_networks: true}\nweb: {enabled: false}\n"
            f"sources:\n  - {{name: ghsa, kind: ghsa, options: {{token: {TOKEN}, base_url: '{site.url}'}}}}\n"
        )
        done = run(["--once", "-c", str(file)], tmp_path)
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        assert len(site.log) == 2
        assert min(site.gaps) >= 0.95
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        count = connection.execute("SELECT count(*), count(DISTINCT guid) FROM articles").fetchone()
    assert count == (150, 150)
