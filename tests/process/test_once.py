"""`--once` as an operator runs it: summary, exit status, growth, and errors in words."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from digestd.daemon import packages
from support.farm import Farm
from support.process import run, write_settings
from support.publishers import Answer, Request, open_publishers


def kept(folder: Path) -> list[tuple[str, str]]:
    """Every article in the store: source name and guid."""
    with closing(sqlite3.connect(folder / "state" / "digestd.db")) as connection:
        rows = connection.execute(
            "SELECT s.name, a.guid FROM articles a JOIN sources s ON s.id = a.source_id"
        )
        return sorted(rows.fetchall())


def summary(text: str) -> dict[str, str]:
    """The summary's lines as words and what stands behind them."""
    pairs = (line.rsplit(None, 1) for line in text.splitlines() if ": " not in line)
    return {pair[0].strip(): pair[1] for pair in pairs if len(pair) == 2}


@pytest.mark.slow
def test_again_and_again_after_they_grew_nothing_is_lost_and_nothing_doubled(
    tmp_path: Path, farm: Farm
) -> None:
    for number in range(40):
        farm.grow(f"feed{number}", 1 + number)
    file = write_settings(tmp_path, farm.sources())
    for grown in (820, 0, 40):
        if grown == 40:
            for number in range(40):
                farm.grow(f"feed{number}")
        done = run(["--once", "--all", "-c", str(file)], tmp_path)
        assert (done.returncode, done.stderr) == (0, _only_info(done.stderr))
        assert f"articles new       {grown}\n" in done.stdout
        assert kept(tmp_path) == sorted(farm.guids())
    assert all(count == 1 for count in farm.unmodified.values()), "the second round was answered by 304"
    assert "unchanged  40" in run(["--once", "--all", "-c", str(file)], tmp_path).stdout


def _only_info(text: str) -> str:
    assert "Traceback" not in text
    assert '"level": "error"' not in text
    return text


@pytest.mark.slow
def test_the_summary_tells_what_failed_and_why(tmp_path: Path, farm: Farm) -> None:
    farm.grow("good", 2)
    farm.grow("broken")
    sources = farm.sources() | {"nowhere": "http://127.0.0.1:9/feed", "absent": f"{farm.url}/absent"}
    file = write_settings(tmp_path, sources)
    done = run(["--once", "-c", str(file)], tmp_path)
    assert done.returncode == 0
    assert (
        "sources checked    4 of 4\n        fetched    1\n        unchanged  0\n        failed     3\n"
        in done.stdout
    )
    assert "nowhere: connect: " in done.stdout
    assert "absent: http_status: the server answered 404" in done.stdout
    assert "broken: http_status: the server answered 500" in done.stdout
    assert "articles new       2\n" in done.stdout


@pytest.mark.slow
def test_only_what_is_due_is_polled_unless_named(tmp_path: Path, farm: Farm) -> None:
    for name in ("a", "b", "c"):
        farm.grow(name)
    file = write_settings(tmp_path, farm.sources(), worker={"interval_seconds": 300})
    assert "sources checked    2 of 2\n" in run(["--once", "--limit", "2", "-c", str(file)], tmp_path).stdout
    assert "sources checked    1 of 1\n" in run(["--once", "-c", str(file)], tmp_path).stdout
    none = run(["--once", "-c", str(file)], tmp_path)
    assert none.returncode == 0
    assert "no source was due; --all polls every source now\n" in none.stdout
    assert "sources checked    1 of 1\n" in run(["--once", "--source", "b", "-c", str(file)], tmp_path).stdout
    assert farm.requests == {"a": 1, "b": 2, "c": 1}
    unknown = run(["--once", "--source", "d", "-c", str(file)], tmp_path)
    assert unknown.returncode == 2
    assert unknown.stderr == "digestd: no source is called 'd'; `digestd check` lists them\n"


def test_when_every_source_failed_the_exit_status_is_75(tmp_path: Path, farm: Farm) -> None:
    farm.grow("broken")
    file = write_settings(tmp_path, farm.sources())
    assert run(["--once", "-c", str(file)], tmp_path).returncode == 75


@pytest.mark.slow
def test_private_addresses_are_refused_unless_allowed(tmp_path: Path, farm: Farm) -> None:
    farm.grow("a")
    file = write_settings(tmp_path, farm.sources(), fetch={"allow_private_networks": False})
    done = run(["--once", "-c", str(file)], tmp_path)
    assert done.returncode == 75
    assert "a: address: " in done.stdout
    assert "fetch.allow_private_networks" in done.stdout
    assert farm.requests == {}
    allowed = run(["--once", "--all", "-c", str(file)], tmp_path, FETCH_ALLOW_PRIVATE_NETWORKS="true")
    assert allowed.returncode == 0


@pytest.mark.slow
def test_wrong_settings_change_nothing_and_exit_with_78(tmp_path: Path) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text("worker: {max_sorces: 3}\nsources: [{name: a, url: example.com}]\n")
    for arguments in (
        ["-c", str(file)],
        ["--once", "-c", str(file)],
        ["check", "-c", str(file)],
        ["-c", str(file), "check"],
    ):
        done = run(arguments, tmp_path)
        assert done.returncode == 78
        assert done.stderr == (
            "digestd: the configuration is wrong:\n"
            f"  {file}: worker.max_sorces: unknown key; did you mean max_sources?\n"
            f"  {file}: sources[0] (a): url: must start with http:// or https://\n"
        )
    assert not (tmp_path / "state").exists()


@pytest.mark.slow
def test_no_database_at_start_exits_with_69(tmp_path: Path, farm: Farm) -> None:
    farm.grow("a")
    file = write_settings(tmp_path, farm.sources())
    url = "postgresql://digestd:secret@127.0.0.1:9/digestd"
    for arguments in (["-c", str(file)], ["--once", "-c", str(file)], ["check", "-c", str(file)]):
        done = run(arguments, tmp_path, DATABASE_URL=url)
        assert done.returncode == 69, done.stderr
        message = done.stderr.splitlines()[-1]
        assert message.startswith("digestd: the database postgresql")
        assert "secret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_wrong_usage_exits_with_2(tmp_path: Path) -> None:
    for arguments in (
        ["--limit", "3"],
        ["--once", "--limit", "0"],
        ["nonsense"],
        ["--once", "--all", "--source", "a"],
    ):
        assert run(arguments, tmp_path).returncode == 2


HIDING = """
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *where: None if name == {name!r} else find(name, *where)
"""


@pytest.mark.parametrize("package", ["sqlalchemy", *packages.LATE])
@pytest.mark.parametrize("arguments", [[], ["--once"]], ids=["daemon", "once"])
def test_a_missing_package_exits_with_78_and_names_it(
    tmp_path: Path, package: str, arguments: list[str]
) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text(HIDING.format(name=package))
    file = write_settings(tmp_path, {"a": "https://example.com/feed"})
    done = run([*arguments, "-c", str(file)], tmp_path, PYTHONPATH=str(hidden))
    assert done.returncode == 78
    assert done.stderr == (
        f"digestd: the package {package!r} is missing; install digestd again with pip, in the environment it runs in\n"
    )


def test_a_run_with_nothing_to_do_imports_nothing_that_only_polls_need(tmp_path: Path) -> None:
    file = write_settings(tmp_path, {})
    # The first run makes the database, by Alembic.
    run(["--once", "-c", str(file)], tmp_path)
    done = run(["--once", "-c", str(file)], tmp_path, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
    assert "sqlalchemy" in imported
    late = {
        "digestd.daemon.pipeline",
        "digestd.daemon.serve",
        "rich.console",
        "sqlalchemy.dialects.postgresql",
    }
    late |= {"alembic", "http.client", "psycopg", "requests", "starlette", *packages.LATE}
    assert sorted(imported & late) == []


def feed_or_page(request: Request, number: int) -> Answer:
    """A feed of one entry, and its page."""
    if not request.path.endswith("/page"):
        item = (
            f"<item><guid>1</guid><title>One</title><link>http://{request.headers['host']}/page</link></item>"
        )
        return Answer(200, f"<rss version='2.0'><channel><title>t</title>{item}</channel></rss>".encode())
    text = "<p>" + "A flaw lets strangers run commands of theirs on the machine. " * 20 + "</p>"
    page = (
        f"<html><head><title>One</title></head><body><article><h1>One</h1>{text * 3}</article></body></html>"
    )
    return Answer(200, page.encode(), {"Content-Type": "text/html"})


def test_a_page_that_waits_is_read_though_no_source_is_due(tmp_path: Path) -> None:
    with open_publishers({"one": feed_or_page}) as publishers:
        file = write_settings(tmp_path, {"one": publishers["one"].url}, worker={"interval_seconds": 3600})
        done = run(["--once", "-c", str(file)], tmp_path)
        assert "pages read         1" in done.stdout, done.stdout + done.stderr
        done = run(["--once", "-c", str(file)], tmp_path)
        assert "pages read         0" in done.stdout
        with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection, connection:
            connection.execute("UPDATE articles SET extraction = 'pending', next_extraction_at = NULL")
        done = run(["--once", "-c", str(file)], tmp_path)
        assert "no source was due" in done.stdout
        assert "pages read         1" in done.stdout


def shrinking(request: Request, number: int) -> Answer:
    """A feed of three entries, which has one from its second answer on."""
    items = "".join(f"<item><guid>{n}</guid><title>{n}</title></item>" for n in range(1 if number else 3))
    return Answer(200, f"<rss version='2.0'><channel><title>t</title>{items}</channel></rss>".encode())


@pytest.mark.slow
def test_who_runs_nothing_but_once_has_retention_too(tmp_path: Path) -> None:
    with open_publishers({"one": shrinking}) as publishers:
        file = write_settings(
            tmp_path, {"one": publishers["one"].url}, retention={"days": 1}, extract={"enabled": False}
        )
        for arguments, left in (("--all", 3), ("--all", 3), ("--source=one", 3), ("--all", 1)):
            done = run(["--once", arguments, "-c", str(file)], tmp_path)
            assert done.returncode == 0
            assert len(kept(tmp_path)) == left
            # Years pass.
            with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection, connection:
                connection.execute("UPDATE articles SET left_at = '2020' || substr(left_at, 5)")
    assert "worker.retention.complete" in done.stderr
