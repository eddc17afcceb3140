"""Real processes on one queue of extraction: together, killed, robbed of their workers, stopped. No page is lost."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.kept import Database, Kept
from support.newsroom import Newsroom, Story, open_newsroom
from support.process import Digestd, run, write_settings

KILLS = 10
"""How often the daemon is killed while the queue is full."""


@pytest.fixture
def newsroom() -> Iterator[Newsroom]:
    """A newsroom of its own for one test."""
    with open_newsroom() as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgres"])
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Database:
    """A database that does not exist yet, on each of the two stores."""
    return Database(
        tmp_path, request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    )


def settings_for(newsroom: Newsroom, folder: Path) -> Path:
    """Settings under which each feed is polled once, and its pages are not put off because their host is crowded."""
    return write_settings(
        folder, newsroom.sources(), worker={"interval_seconds": 300}, fetch={"per_host_concurrency": 10}
    )


def filled_queue(newsroom: Newsroom, database: Database, feeds: int, each: int) -> tuple[Path, list[Story]]:
    """Settings, and the stories that are all in the queue, their pages not asked for yet."""
    stories = [story for number in range(feeds) for story in newsroom.publish(f"feed{number}", each)]
    file = settings_for(newsroom, database.folder)
    polled = run(["--once", "-c", str(file)], database.folder, EXTRACT_ENABLED="false", **database.environ)
    assert (polled.returncode, newsroom.asked_for(stories).total()) == (0, 0)
    retried = run(["articles", "retry", "--skipped", "-c", str(file)], database.folder, **database.environ)
    assert retried.stdout.startswith(f"{len(stories)} articles are due again;")
    return file, stories


def expect_done(database: Database, stories: list[Story]) -> None:
    """Every one of `stories` is done with its own text, and nothing else is there."""
    articles = database.by_guid()
    assert {article.extraction for article in articles.values()} == {"done"}
    assert {guid: article.text for guid, article in articles.items()} == {
        story.guid: story.text for story in stories
    }
    assert [
        article for article in articles.values() if article.owner or article.unfinished or article.next_at
    ] == []


def pages_read(summary: str) -> int:
    """The number of pages that the summary of `--once` tells."""
    found = re.search(r"^pages read +(\d+)$", summary, re.MULTILINE)
    assert found is not None, summary
    return int(found[1])


@pytest.mark.slow
def test_two_processes_on_one_queue_fetch_every_page_once(newsroom: Newsroom, database: Database) -> None:
    file, stories = filled_queue(newsroom, database, feeds=6, each=25)
    newsroom.page_seconds = 0.05
    arguments = ["--once", "-c", str(file)]
    with (
        Digestd(arguments, database.folder, database.environ) as one,
        Digestd(arguments, database.folder, database.environ) as other,
    ):
        for process in (one, other):
            assert process.end(30) == 0
            assert "Traceback" not in process.stderr
        read = [pages_read(one.stdout), pages_read(other.stdout)]
    assert all(read)
    assert sum(read) == len(stories)
    assert set(newsroom.asked_for(stories).values()) == {1}
    expect_done(database, stories)
    assert {article.attempts for article in database.articles()} == {1}


@pytest.mark.slow
def test_sigkill_while_the_queue_is_full_loses_no_page_and_mixes_up_none(
    newsroom: Newsroom, database: Database
) -> None:
    file, stories = filled_queue(newsroom, database, feeds=8, each=25)
    newsroom.page_seconds = 0.4
    chance = random.Random(23)
    for _ in range(KILLS):
        asked = newsroom.asked_for(stories).total()
        with Digestd(["-c", str(file)], database.folder, database.environ) as daemon:
            daemon.wait_until(lambda: newsroom.asked_for(stories).total() > asked, "a page in flight")  # noqa: B023
            time.sleep(0.5 * chance.random())
            daemon.send(signal.SIGKILL)
            daemon.end()
    left = [article for article in database.articles() if article.extraction == "pending"]
    assert left, "the queue was never empty"
    newsroom.page_seconds = 0.0
    arguments = ["-c", str(file)]
    # Articles that three processes died over are suspected, and wait for longer than `--once` does.
    run(["articles", "retry", "--pending", *arguments], database.folder, **database.environ)
    last = run(["--once", *arguments], database.folder, **database.environ)
    assert (last.returncode, "Traceback" in last.stderr) == (0, False)
    expect_done(database, stories)
    attempts = [article.attempts for article in database.articles()]
    assert max(attempts) > 1, "some were tried again"
    assert newsroom.asked_for(stories).total() < len(stories) + 20 * KILLS, "and no more than were in hand"


@pytest.mark.slow
def test_workers_killed_at_work_cost_their_pages_one_attempt(newsroom: Newsroom, tmp_path: Path) -> None:
    database = Database(tmp_path)
    file, stories = filled_queue(newsroom, database, feeds=4, each=20)
    newsroom.page_seconds = 0.1
    with Digestd(["-c", str(file)], tmp_path, {"EXTRACT_PROCESSES": "2"}) as daemon:
        for _ in range(3):
            daemon.wait_until(lambda: len(workers_of(daemon)) == 2, "two workers")
            victims = workers_of(daemon)
            for pid in victims:
                os.kill(pid, signal.SIGSTOP)
            # Until every slot has a page that waits for them, and each of them has one in hand.
            time.sleep(0.5)
            for pid in victims:
                os.kill(pid, signal.SIGKILL)
        daemon.wait_until(lambda: all(ended(article) for article in database.articles()), "an end of all", 30)
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert "Traceback" not in daemon.stderr
    failed = [article for article in database.articles() if article.extraction != "done"]
    assert 3 <= len(failed) <= 6
    reason = "parser: its parser died while reading it (out of memory or time, or killed from outside)"
    assert {(one.extraction, one.failures, one.error) for one in failed} == {("pending", 1, reason)}
    retried = run(["articles", "retry", "--pending", "-c", str(file)], tmp_path)
    assert retried.stdout.startswith(f"{len(failed)} articles are due again;")
    assert run(["--once", "-c", str(file)], tmp_path).returncode == 0
    expect_done(database, stories)


def workers_of(daemon: Digestd) -> list[int]:
    """The processes that read pages for `daemon`, as long as there is no feed to parse."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            command = (stat.parent / "cmdline").read_bytes()
            if int(parent) == daemon.process.pid and state != "Z" and b"spawn_main" in command:
                children.append(int(stat.parent.name))
    return children


def ended(article: Kept) -> bool:
    return article.extraction == "done" or article.failures > 0


@pytest.mark.slow
@pytest.mark.parametrize(("page_seconds", "grace_seconds"), [(0.4, 8.0), (5.0, 0.5)])
def test_sigterm_with_a_full_queue_leaves_no_lease_behind(
    newsroom: Newsroom, tmp_path: Path, page_seconds: float, grace_seconds: float
) -> None:
    database = Database(tmp_path)
    file, stories = filled_queue(newsroom, database, feeds=4, each=12)
    newsroom.page_seconds = page_seconds
    with Digestd(
        ["-c", str(file)], tmp_path, {"WORKER_SHUTDOWN_GRACE_SECONDS": str(grace_seconds)}
    ) as daemon:
        daemon.wait_until(lambda: newsroom.asked_for(stories).total() >= 10, "pages in flight")
        assert leases(database)
        began = time.monotonic()
        daemon.send(signal.SIGTERM)
        assert daemon.end() == 0
        assert time.monotonic() - began < grace_seconds + 3
        assert "Traceback" not in daemon.stderr
        cut_off = bool(daemon.events("worker.cut_off"))
    assert leases(database) == []
    in_time = page_seconds < grace_seconds
    assert cut_off is not in_time
    articles = database.articles()
    assert any(article.extraction == "done" for article in articles) is in_time, "what was in hand was read"
    assert {(one.extraction, one.failures, one.unfinished) for one in articles} <= {
        ("done", 0, 0),
        ("pending", 0, 0),
    }
    newsroom.page_seconds = 0.0
    last = run(["--once", "-c", str(file)], tmp_path)
    assert pages_read(last.stdout) == sum(article.extraction == "pending" for article in articles)
    expect_done(database, stories)


def leases(database: Database) -> list[Kept]:
    return [article for article in database.articles() if article.owner is not None]


@pytest.mark.slow
def test_feeds_that_crowd_one_host_all_come_to_their_turn(newsroom: Newsroom, tmp_path: Path) -> None:
    database = Database(tmp_path)
    stories = [story for number in range(30) for story in newsroom.publish(f"feed{number}", 4)]
    newsroom.page_seconds = 0.05
    file = write_settings(tmp_path, newsroom.sources(), worker={"interval_seconds": 300})
    done = run(["--once", "-c", str(file)], tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    expect_done(database, stories)
    assert set(newsroom.asked_for(stories).values()) == {1}
