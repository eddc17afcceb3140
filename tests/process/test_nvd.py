"""The kind `nvd` in the daemon itself: its key, its budget, pages of CVEs through our killable processes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from support.nvd_site import answer, cve
from support.process import run
from support.publishers import Answer, Request, open_publishers

NOW = datetime.now(UTC)
CVES = [cve(number, NOW) for number in range(2_500)]
KEY = "00000000-1111-2222-3333-444444444444"


def nvd(request: Request, number: int) -> Answer:
    if request.headers.get("apikey") != KEY:
        return Answer(404, headers={"message": "Invalid apiKey."})
    asked = parse_qs(urlsplit(request.path).query)
    at, size = int(asked["startIndex"][0]), int(asked["resultsPerPage"][0])
    return Answer(body=answer(CVES[at : at + size], at, len(CVES), datetime.now(UTC)))


@pytest.mark.slow
def test_pages_are_read_at_the_budget_of_a_key(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    with open_publishers({"nvd": nvd}) as publishers:
        site = publishers["nvd"]

        def written(key: str) -> None:
            file.write_text(
                "fetch: {allow_private_networks: true}\nweb: {enabled: false}\n"
                f"sources:\n  - {{name: nvd, kind: nvd, options: {{key: '{key}', base_url: '{site.url}'}}}}\n"
            )

        written("wrong-and-secret")
        done = run(["--once", "-c", str(file)], tmp_path)
        assert (
            "(Invalid apiKey.): NVD does not take the key of its API; check the option key"
            in done.stdout + done.stderr
        )
        assert "wrong-and-secret" not in done.stdout + done.stderr
        written(KEY)
        done = run(["--once", "--all", "-c", str(file)], tmp_path)
        assert done.returncode == 0, done.stderr
        assert KEY not in done.stdout + done.stderr
        assert len(site.log) == 3
        assert site.gaps[-1] >= 0.55
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        count = connection.execute("SELECT count(*), count(DISTINCT guid) FROM articles").fetchone()
        (extraction,) = connection.execute(
            "SELECT extraction FROM articles WHERE guid = 'CVE-2026-00007'"
        ).fetchone()
    assert count == (2_500, 2_500)
    assert extraction == "skipped"
