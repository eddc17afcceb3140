"""A real digestd reads X over HTTP: its token, its articles, and a budget that no crash and no replica gets round."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from support.kept import Database
from support.process import Digestd, run
from support.publishers import Answer, Request, open_publishers
from support.x_site import TOKEN, XSite


def serve(site: XSite, request: Request) -> Answer:
    status, fields, body = site.answer(
        request.path.removeprefix("/feed"), request.headers.get("authorization")
    )
    return Answer(status, body, fields)


def now() -> datetime:
    return datetime.now(UTC)


def settings(folder: Path, base: str, *options: str) -> Path:
    """A file with a source for each of `options`."""
    file = folder / "digestd.yaml"
    rest = f"base_url: '{base}', bearer_token: {{env: X_TOKEN}}"
    file.write_text(
        "fetch: {allow_private_networks: true, hosts: {127.0.0.1: {delay_seconds: 0.05}}}\nweb: {enabled: false}\n"
        "worker: {interval_seconds: 1, jitter_seconds: 0}\nsources:\n"
        + "".join(
            f"  - {{name: source{number}, kind: x, options: {{{given}, {rest}}}}}\n"
            for number, given in enumerate(options)
        )
    )
    return file


def query(folder: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "state" / "digestd.db")) as connection:
        return connection.execute(statement).fetchall()


def most_sold(site: XSite) -> int:
    return max(count for (_, what), count in site.sold.items() if what == "posts")


@pytest.mark.slow
def test_timelines_and_searches_are_read_and_their_token_is_not_told(tmp_path: Path) -> None:
    site = XSite(now)
    for number in range(130, 0, -1):
        site.post(ago=600 + number)
    with open_publishers({"x": lambda request, _: serve(site, request)}) as publishers:
        base = publishers["x"].url
        file = settings(tmp_path, base, "user: examplecert, first: 20", "query: CVE, first: 130")
        done = run(["--once", "-c", str(file)], tmp_path)
        assert done.returncode == os.EX_OK, done.stdout + done.stderr
        assert site.asked == []
        listed = run(["sources", "-c", str(file)], tmp_path)
        assert "there is no bearer_token, so nothing is asked" in " ".join(listed.stdout.split())
        assert "the variable X_TOKEN is not set" in " ".join(listed.stdout.split())
        done = run(["--once", "--all", "-c", str(file)], tmp_path, X_TOKEN=TOKEN)
        assert done.returncode == os.EX_OK, done.stdout + done.stderr
        assert sorted(path for path, _ in site.asked) == sorted(
            [
                "/2/users/by/username/examplecert",
                f"/2/users/{site.users['examplecert']['id']}/tweets",
                *["/2/tweets/search/recent"] * 2,
            ]
        )
    assert query(tmp_path, "SELECT extraction, count(*) FROM articles GROUP BY 1") == [("skipped", 150)]
    # 150 posts and a user.
    assert query(tmp_path, "SELECT reads, micros FROM budgets") == [(150, 760_000)]
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        written = "\n".join(connection.iterdump())
    assert TOKEN not in written + done.stdout + done.stderr + listed.stdout


@pytest.mark.slow
def test_a_process_that_is_killed_with_a_request_under_way_has_paid_for_it(tmp_path: Path) -> None:
    site = XSite(now)
    for number in range(400, 0, -1):
        site.post(ago=600 + number)
    killing: list[Callable[[], None]] = []

    def manner(request: Request, _: int) -> Answer:
        answer = serve(site, request)
        if killing:
            # X has sold the page; nobody is there any more to take it.
            killing.pop()()
        return answer

    with open_publishers({"x": manner}) as publishers:
        file = settings(tmp_path, publishers["x"].url, "query: CVE, first: 400, daily_posts: 250")
        for _ in range(2):
            with Digestd(["-c", str(file)], tmp_path, {"X_TOKEN": TOKEN}) as daemon:
                killing.append(daemon.process.kill)
                assert daemon.end() == -signal.SIGKILL
        done = run(["--once", "--all", "-c", str(file)], tmp_path, X_TOKEN=TOKEN)
        listed = run(["sources", "-c", str(file)], tmp_path)
    assert most_sold(site) == 250
    assert query(tmp_path, "SELECT count(*) FROM articles") == [(50,)], done.stderr
    assert query(tmp_path, "SELECT reads FROM budgets") == [(250,)]
    assert "the daily budget (250 posts) does not suffice for another request" in " ".join(
        listed.stdout.split()
    )
    assert query(tmp_path, "SELECT consecutive_failures FROM sources") == [(0,)]


@pytest.mark.slow
def test_replicas_share_the_budget_of_a_token(tmp_path: Path, postgres_url: str) -> None:
    site = XSite(now)
    for number in range(900, 0, -1):
        site.post(ago=600 + number)
    database = Database(tmp_path, postgres_url)
    with open_publishers({"x": lambda request, _: serve(site, request)}) as publishers:
        options = [f"query: CVE-{number}, first: 300, daily_posts: 1000" for number in range(8)]
        file = settings(tmp_path, publishers["x"].url, *options)
        environ = {**database.environ, "X_TOKEN": TOKEN}
        with (
            Digestd(["-c", str(file)], tmp_path, environ) as first,
            Digestd(["-c", str(file)], tmp_path, environ) as second,
        ):
            first.wait_for("worker.fetch.deferred", seconds=40)
            second.wait_for("worker.fetch.deferred", seconds=40)
            first.wait_until(
                lambda: (
                    not database.query(
                        "SELECT 1 FROM sources WHERE last_error NOT LIKE 'paused%' OR last_error IS NULL"
                    )
                ),
                "every source put off",
                40,
            )
            for daemon in (first, second):
                daemon.send(signal.SIGTERM)
                assert daemon.end() == 0
                assert "Traceback" not in daemon.stderr
    assert database.query("SELECT reads FROM budgets") == [(most_sold(site),)]
    assert 990 < most_sold(site) <= 1_000


def test_a_trial_is_kept_to_the_budget_of_a_day_and_stores_nothing(tmp_path: Path) -> None:
    site = XSite(now)
    for number in range(40, 0, -1):
        site.post(ago=600 + number)
    with open_publishers({"x": lambda request, _: serve(site, request)}) as publishers:
        file = settings(tmp_path, publishers["x"].url, "user: examplecert, first: 20, daily_posts: 20")
        silent = run(["sources", "test", "source0", "-c", str(file)], tmp_path)
        assert (silent.returncode, site.asked) == (os.EX_OK, [])
        assert "there is no bearer_token, so nothing is asked" in " ".join(silent.stdout.split())
        done = run(["sources", "test", "source0", "-c", str(file)], tmp_path, X_TOKEN=TOKEN)
    assert done.returncode == os.EX_OK, done.stdout + done.stderr
    assert "20 would be kept" in done.stdout
    assert most_sold(site) == 20
    assert not (tmp_path / "state" / "digestd.db").exists()
