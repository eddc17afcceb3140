"""`digestd sources list|import|export`, as an operator runs them."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from support.process import environment, run

OPML = """<?xml version="1.0" encoding="UTF-8"?>
<opml version="2.0"><body>
<outline text="CERT"><outline text="Asia">
<outline text="One" type="rss" xmlUrl="https://one.example/feed" language="en"/>
<outline text="Two" type="rss" xmlUrl="https://u:s3cret@two.example/feed?token=s3cret"/>
</outline></outline>
<outline text="From the file" type="rss" xmlUrl="https://other.example/feed"/>
<outline text="Three" type="rss" xmlUrl="https://file.example/feed"/>
<outline text="Bad" type="rss" xmlUrl="file:///etc/passwd"/>
<outline text="List" type="include" url="https://o.example/more.opml"/>
</body></opml>
"""
REFUSED = "refused: line 9 'Bad': url: must start with http:// or https://\n"
PASSED = (
    "passed over: line 10 'List': is another list (type include), which is not fetched: "
    "https://o.example/more.opml\n"
)
SOON = "; a running daemon follows within seconds"


class Shell:
    """A directory with settings and a list in it, and commands run there."""

    def __init__(self, folder: Path, database: str | None = None) -> None:
        self.folder = folder
        self._environ = {"STATE_DIRECTORY": str(folder)} | ({"DATABASE_URL": database} if database else {})
        (folder / "conf").mkdir()
        (folder / "conf" / "digestd.yaml").write_text(
            "sources:\n  - {name: From the file, url: 'https://file.example/feed'}\n"
        )
        (folder / "feeds.opml").write_text(OPML)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return run(["sources", *arguments], self.folder, **self._environ)

    def says(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert "s3cret" not in done.stdout
        return done.stdout

    def refuses(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.stdout == ""
        return f"{done.returncode} {done.stderr}"

    def listed(self) -> dict[str, Any]:
        return {source["name"]: source for source in json.loads(self.says("list", "--json"))}

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "digestd", "sources", *arguments]
        environ = environment(self.folder, self._environ)
        return subprocess.Popen(command, cwd=self.folder, env=environ, stdout=subprocess.DEVNULL)


@pytest.fixture(params=["sqlite", "postgresql"])
def shell(tmp_path: Path, request: pytest.FixtureRequest) -> Shell:
    database = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    return Shell(tmp_path, database)


@pytest.mark.slow
def test_a_list_is_imported_once_and_exported(shell: Shell) -> None:
    new = "new: line 4 'One': https://one.example/feed\nnew: line 5 'Two': https://***@two.example/feed?token=***\n"
    renamed = "new: line 7 'From the file (other.example)': https://other.example/feed\n"
    known = "known: line 8 'Three': there already as 'From the file'\n"
    told = REFUSED + PASSED + known
    counts = "1 there already, 1 refused, 1 passed over"
    assert (
        shell.says("import", "feeds.opml", "--dry-run")
        == f"{new}{renamed}{told}would add 3 sources, {counts}\n"
    )
    assert shell.says("import", "feeds.opml") == f"{told}added 3 sources, {counts}{SOON}\n"
    listed = shell.listed()
    assert {name: (one["category"], one["origin"]) for name, one in listed.items()} == {
        "One": ("CERT/Asia", "cli"),
        "Two": ("CERT/Asia", "cli"),
        "From the file (other.example)": (None, "cli"),
    }
    again = shell.says("import", "feeds.opml", "--disabled")
    assert again.splitlines()[-1] == "added 0 disabled sources, 4 there already, 1 refused, 1 passed over"
    assert shell.listed() == listed
    done = shell.run("export")
    assert done.returncode == 0
    assert done.stderr == (
        "digestd: left out: 'Two': its URL holds user info\n"
        "digestd: what holds secrets moves with `digestd db backup`, or by hand, with the secret as an option\n"
    )
    assert "s3cret" not in done.stdout
    assert [line.strip() for line in done.stdout.splitlines() if "outline" in line] == [
        '<outline type="rss" text="From the file" title="From the file" xmlUrl="https://file.example/feed"/>',
        '<outline type="rss" text="From the file (other.example)" title="From the file (other.example)" '
        'xmlUrl="https://other.example/feed"/>',
        '<outline text="CERT">',
        '<outline text="Asia">',
        '<outline type="rss" text="One" title="One" xmlUrl="https://one.example/feed" language="en"/>',
        "</outline>",
        "</outline>",
    ]


@pytest.mark.slow
def test_what_is_exported_and_what_is_written_to_a_file_is_a_file_of_sources(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    kev = "- {name: KEV, kind: kev, category: CERT, options: {mirror_url: null}}\n"
    (tmp_path / "mine.yaml").write_text(kev)
    assert shell.says("import", "mine.yaml") == f"added 1 source, 0 there already, 0 refused{SOON}\n"
    told = shell.says("import", "feeds.opml", "--to", "new.yaml", "--disabled").splitlines()
    assert f"{told[0]}\n" == REFUSED
    assert told[1] == ("refused: line 5 'Two': its URL holds user info, which is not written into files")
    assert told[-1] == "wrote 2 disabled sources to new.yaml, 1 there already, 2 refused, 1 passed over"
    assert "One" not in shell.listed()
    (tmp_path / "conf" / "digestd.yaml").write_text("sources_files: [../new.yaml]\n")
    assert "sources: 2, 0 enabled" in run(["check"], tmp_path, STATE_DIRECTORY=str(tmp_path)).stdout
    # What no daemon has read yet is exported all the same.
    assert shell.says("export", "--output", "all.yaml") == "wrote all.yaml: 3 of 3 sources\n"
    assert shell.says("export", "--format", "YAML", "--category", "CERT") == (
        "# Sources of digestd: name this file in sources_files, or put what it holds into one that is named there.\n"
        "sources:\n"
        "  - name: KEV\n    kind: kev\n    category: CERT\n    options:\n      mirror_url: null\n"
        "  - name: One\n    url: https://one.example/feed\n    enabled: false\n    category: CERT/Asia\n"
        "    language: en\n"
    )
    (tmp_path / "conf" / "digestd.yaml").write_text("sources_files: [../all.yaml]\n")
    assert "sources: 3, 1 enabled" in run(["check"], tmp_path, STATE_DIRECTORY=str(tmp_path)).stdout
    assert shell.says("import", "all.yaml").endswith("added 0 sources, 3 there already, 0 refused\n")


@pytest.mark.slow
def test_files_are_new_whole_and_only_overwritten_when_asked(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "there").write_text("mine")
    assert shell.refuses("import", "feeds.opml", "--to", "there") == (
        "1 digestd: there is there already and is not overwritten\n"
    )
    assert (
        shell.refuses("export", "-o", "there") == "1 digestd: there is there already and is not overwritten\n"
    )
    assert (tmp_path / "there").read_text() == "mine"
    (tmp_path / "there").chmod(0o640)
    assert shell.says("export", "-o", "there", "--force") == "wrote there: 1 of 1 sources\n"
    assert (tmp_path / "there").read_text().startswith("<?xml")
    assert (tmp_path / "there").stat().st_mode & 0o777 == 0o640
    assert shell.refuses("export", "-o", "no/where") == (
        "1 digestd: no/where cannot be written: No such file or directory\n"
    )
    # No command that only looks makes a database.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["conf", "feeds.opml", "there"]


@pytest.mark.slow
def test_what_is_no_list_is_refused_with_its_reason(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    (tmp_path / "page.html").write_text("<html><body>Log in</body></html>")
    (tmp_path / "cut.opml").write_text(OPML[:400])
    (tmp_path / "bytes").write_bytes(b"\xff\x00\x80" * 10)
    (tmp_path / "text").write_text("hello")
    (tmp_path / "bad.opml").write_text(
        '<opml><outline text="x\x1b[31m" xmlUrl="ftp://u:s3cret@a.example/"/></opml>'
    )
    must = "must be a list of sources, or a mapping whose only key is `sources`"
    for file, reason in {
        "page.html": "page.html: it is no OPML: it begins with <html>",
        "cut.opml": "cut.opml: line 8: no well-formed XML: unclosed token",
        "bytes": "bytes: it is neither XML nor UTF-8 text",
        "text": f"text: no OPML, and {must}",
        "nowhere": "there is no file nowhere",
        "conf": "conf cannot be read: Is a directory",
        "-": f"standard input: no OPML, and {must}",
    }.items():
        assert shell.refuses("import", file) == f"1 digestd: {reason}\n"
    done = shell.run("import", "bad.opml")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "refused: line 1 'x[31m': url: must start with http:// or https://\n"
        "added 0 sources, 0 there already, 1 refused\n"
    )


@pytest.mark.slow
def test_json_tells_all_of_it(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    told = json.loads(shell.says("import", "feeds.opml", "--json"))
    assert told["dry_run"] is False
    assert told["added"][1] == {
        "line": 5,
        "name": "Two",
        "kind": "feed",
        "url": "https://***@two.example/feed?token=***",
        "category": "CERT/Asia",
    }
    assert {key: len(value) for key, value in told.items() if key != "dry_run"} == {
        "added": 3,
        "there_already": 1,
        "refused": 1,
        "passed_over": 1,
    }
    assert told["there_already"] == [
        {"line": 8, "name": "Three", "reason": "there already as 'From the file'"}
    ]


@pytest.mark.slow
def test_a_list_of_sources_is_narrowed_down(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    shell.says("import", "feeds.opml")
    run(["sources", "disable", "Two"], tmp_path, STATE_DIRECTORY=str(tmp_path))
    later = "2999-01-01 00:00:00.000000+00:00"
    soon = time.strftime("%Y-%m-%dT%H:%M:%S.000000+00:00", time.gmtime(time.time() + 3_600))
    with closing(sqlite3.connect(tmp_path / "digestd.db")) as connection, connection:
        connection.execute(
            "UPDATE sources SET state = 'gone', last_fetched_at = ? WHERE name = 'One'", (later,)
        )
        row = ("key", "other.example:443", soon, soon)
        connection.execute(
            "INSERT INTO hosts (host_key, host, next_start_at, paused_until) VALUES (?, ?, ?, ?)", row
        )

    def names(*arguments: str) -> list[str]:
        return [one["name"] for one in json.loads(shell.says("list", "--json", *arguments))]

    other = "From the file (other.example)"
    assert names() == [other, "One", "Two"]
    assert names("--category", "CERT") == names("--category", "CERT/Asia") == ["One", "Two"]
    assert names("--category", "CERT/As") == names("--kind", "page") == names("--failing") == []
    assert names("--state", "gone") == ["One"]
    assert names("--state", "disabled") == ["Two"]
    assert names("--state", "active", "--limit", "1", "--kind", "feed") == [other]
    assert shell.says("list", "--limit", "1").endswith("1 sources, 0 failing\n2 more: --limit\n")
    (line,) = [one for one in shell.says("list").splitlines() if other in one]
    assert "active, host paused" in line
    assert "its host wants to be left alone for another " in line
    health = {name: (one["health"], one["health_reason"]) for name, one in shell.listed().items()}
    assert health["One"] == ("gone", "its server says so (410)")
    assert health["Two"] == ("disabled", "where it is configured")
    assert health[other][0] == "paused"
    assert health[other][1] in {
        f"its host wants to be left alone for another {minutes} min" for minutes in range(50, 61)
    }
    assert "health        gone: its server says so (410)\n" in shell.says("show", "One")
    assert shell.refuses("list", "--state", "odd").startswith("2 ")


@pytest.mark.slow
def test_an_import_that_is_killed_is_made_by_the_next_one(shell: Shell) -> None:
    feeds = "".join(
        f'<outline text="Feed {number % 700}" xmlUrl="https://h{number % 90}.example/{number}"/>\n'
        for number in range(2_000)
    )
    (shell.folder / "many.opml").write_text(f"<opml><body>{feeds}</body></opml>")
    shell.says("import", "feeds.opml")
    before = len(shell.listed())
    began = time.monotonic()
    dry = shell.says("import", "many.opml", "--dry-run").splitlines()[-1]
    whole = time.monotonic() - began
    assert dry.startswith("would add 2,000 sources")
    seen = set()
    # Late and ever later: reading, checking, writing, just before and after the commit.
    for share in (0.5, 0.8, 0.9, 1.0, 1.1, 1.2):
        process = shell.start("import", "many.opml")
        try:
            process.wait(whole * share)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
        found = len(shell.listed()) - before
        seen.add(found)
        if found:
            break
    assert seen <= {0, 2_000}
    assert shell.run("import", "many.opml").returncode == 0
    listed = shell.listed()
    assert len(listed) == before + 2_000
    assert len({one["url"] for one in listed.values()}) == len(listed)
    assert (
        shell.says("import", "many.opml").splitlines()[-1]
        == "added 0 sources, 2,000 there already, 0 refused"
    )


@pytest.mark.slow
def test_a_signal_ends_an_import_without_success(tmp_path: Path) -> None:
    shell = Shell(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    process = shell.start("import", "pipe")
    with pipe.open("wb"):
        # It reads by now, and waits for what never comes.
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 128 + signal.SIGTERM
    assert not (tmp_path / "digestd.db").exists()
