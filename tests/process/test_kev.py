"""The kind `kev` in the daemon itself: its settings, our killable processes, and what is told."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from digestd.feed.revision import VERSIONS_LIMIT
from support.kept import Database
from support.kev_site import SITE, catalogue, vulnerability
from support.process import Digestd, run
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
    assert sorted(kept) == [("CVE-2021-44228", 0, "skipped"), ("CVE-2026-12345", 1, "skipped")]
    revised = run(["articles", "--revised", "--json", "-c", file], tmp_path)
    assert {article["title"]: article["revision"] for article in json.loads(revised.stdout)} == {
        f"{CVES[0]}: Example Gateway Command Injection Vulnerability": "due 2026-12-12 -> 2027-01-01",
        f"{CVES[1]}: removed from the KEV catalogue": "removed from the catalogue on 2026-11-21",
    }
    assert state == "degraded"
    assert error == f"shape: {base}{PATH} says 403: the mirror {copy} is read instead, which may be late"


_REVISIONS = "SELECT article_id, number, facts, changes FROM article_versions ORDER BY article_id, number"
_ARTICLES = "SELECT id, updates, facts FROM articles ORDER BY id"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_killed_while_it_records_it_keeps_one_version_for_each_change(
    tmp_path: Path, kind: str, request: pytest.FixtureRequest
) -> None:
    chance = random.Random(8)
    cves = [f"CVE-2026-{number}" for number in range(1000, 1300)]

    def cisa(_: Request, number: int) -> Answer:
        body = catalogue(
            [vulnerability(cve, dueDate=f"day {number}") for cve in cves],
            version=f"2026.11.22.{number}",
            released="",
        )
        return Answer(body=body, headers={"Content-Type": "application/json"})

    database = Database(tmp_path, request.getfixturevalue("postgres_url") if kind == "postgresql" else None)
    with open_publishers({"cisa": cisa}) as publishers:
        site = publishers["cisa"]
        file = write(tmp_path, f"{{base_url: '{site.url}'}}")
        environ = {**database.environ, "WORKER_INTERVAL_SECONDS": "1", "WORKER_JITTER_SECONDS": "0"}
        for _ in range(4):
            with Digestd(["-c", file], tmp_path, environ) as daemon:
                # One poll comes to its end each time: what never does is put off.
                asked = len(site.log)
                while len(site.log) < asked + 2:
                    time.sleep(0.01)
                time.sleep(chance.uniform(0.0, 0.5))
                daemon.send(signal.SIGKILL)
                daemon.process.wait(10)
            check_versions(database, len(cves))
        with Digestd(["-c", file], tmp_path, environ) as daemon:
            daemon.wait_for("worker.started")
            daemon.wait_until(
                lambda: database.query("SELECT 1 FROM article_versions LIMIT 1"), "a version", 40
            )
            daemon.send(signal.SIGTERM)
            assert daemon.end() == 0
        check_versions(database, len(cves))


def check_versions(database: Database, most: int) -> None:
    """Each article has one version for each of its updates, and these lead from one to the next."""
    versions: dict[int, list[tuple[int, str, object]]] = {}
    for article_id, number, facts, changes in database.query(_REVISIONS):
        said, told = (json.loads(one) if isinstance(one, str) else one for one in (facts, changes))
        versions.setdefault(article_id, []).append((number, said["due"], told["due"]))
    articles = database.query(_ARTICLES)
    assert len(articles) in (0, most)
    for article_id, updates, facts in articles:
        its = versions.get(article_id, [])
        numbers = list(range(1, updates + 1))
        if updates > VERSIONS_LIMIT:
            numbers = [1, *numbers[1 - VERSIONS_LIMIT :]]
        assert [number for number, _, _ in its] == numbers
        now = (json.loads(facts) if isinstance(facts, str) else facts)["due"]
        said = [(number, due) for number, due, _ in its] + [(updates + 1, now)]
        assert len({due for _, due in said}) == len(said)
        followed = zip(its, said[1:], strict=True)
        assert all(
            told == [due, after[1]] for (number, due, told), after in followed if after[0] == number + 1
        )
