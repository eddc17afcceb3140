"""The kind `kev` in the daemon itself: its settings, our killable processes, and what is told."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.kev_site import SITE, catalogue, vulnerability
from support.process import run
from support.publishers import Answer, Request, open_publishers

CVES = ["CVE-2026-12345", "CVE-2021-44228"]
PATH = SITE.removeprefix("https://www.cisa.gov")


def write(folder: Path, options: str) -> str:
    file = folder / "digestd.yaml"
    file.write_text(
        "fetch: {allow_private_networks: true}\nweb: {enabled: false}\n"
        f"sources:\n  - {{name: exploited, kind: kev, options: {options}}}\n"
    )
    return str(file)


def test_its_options_are_checked(tmp_path: Path) -> None:
    file = write(tmp_path, "{}")
    done = run(["check", "-c", file], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"  exploited  kev  {SITE}\n" in done.stdout
    done = run(["check", "-c", write(tmp_path, "{base_uri: x}")], tmp_path)
    assert done.returncode == os.EX_CONFIG
    assert (
        f"{file}: sources[0] (exploited): options: base_uri: unknown option; did you mean base_url?"
        in done.stderr
    )


@pytest.mark.slow
def test_the_mirror_s_catalogue_is_read_and_told(tmp_path: Path) -> None:
    bodies = [
        catalogue([vulnerability(cve) for cve in CVES]),
        catalogue([vulnerability(CVES[0], dueDate="2027-01-01")], version="2026.11.22"),
    ]

    def mirror(request: Request, number: int) -> Answer:
        assert "authorization" not in request.headers
        return Answer(body=bodies[number], headers={"Content-Type": "application/json"})

    def refuse(request: Request, number: int) -> Answer:
        assert request.headers["authorization"] == "Bearer hunter2"
        return Answer(403, b"Access Denied")

    with open_publishers({"cisa": refuse, "mirror": mirror}) as publishers:
        base, copy = publishers["cisa"].url, publishers["mirror"].url
        options = f"{{base_url: '{base}', mirror_url: '{copy}', bearer_token: {{env: TOKEN}}}}"
        file = write(tmp_path, options)
        for _ in bodies:
            done = run(["--once", "--all", "-c", file], tmp_path, TOKEN="hunter2")
            assert done.returncode == 0, done.stderr
        assert publishers["cisa"].paths() == [f"/feed{PATH}"] * 2
        assert publishers["mirror"].paths() == ["/feed"] * 2
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        kept = connection.execute(
            "SELECT guid, content LIKE '%2027-01-01%', extraction FROM articles"
        ).fetchall()
        ((state, error),) = connection.execute("SELECT state, last_error FROM sources").fetchall()
    assert sorted(kept) == [
        ("CVE-2021-44228", 0, "skipped"),
        ("CVE-2021-44228 removed 2026.11.22", 0, "skipped"),
        ("CVE-2026-12345", 1, "skipped"),
    ]
    assert state == "degraded"
    assert error == f"shape: {base}{PATH} says 403: the mirror {copy} is read instead, which may be late"
