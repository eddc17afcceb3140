"""`digestd sources add`, with what it finds out: what it says, and what is in the database afterwards."""

from __future__ import annotations

import json
import os
import sqlite3
import textwrap
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from process.test_foreign_kind import PACKAGE
from support.process import free_port, run, write_settings
from support.publishers import Answer, Manner, Request, open_publishers

pytestmark = pytest.mark.slow

SOON = "a running daemon follows within seconds"


def rss(title: str, count: int = 2) -> bytes:
    items = "".join(
        f"<item><guid>{title} {number}</guid><title>A {number}</title></item>" for number in range(count)
    )
    return f"<rss version='2.0'><channel><title>{title}</title>{items}</channel></rss>".encode()


def advertising(*links: tuple[str, str]) -> bytes:
    head = "".join(f"<link rel=alternate type=application/rss+xml href='{u}' title='{t}'>" for u, t in links)
    return f"<html><head><title>A lab</title>{head}</head><body>Hello</body></html>".encode()


def serving(documents: dict[str, bytes]) -> Manner:
    def manner(request: Request, number: int) -> Answer:
        body = documents.get(request.path)
        if body is None:
            return Answer(404)
        kind = "text/html" if body[:5] == b"<html" else "application/rss+xml"
        return Answer(body=body, headers={"Content-Type": kind})

    return manner


class Shell:
    """A directory with settings in it, commands run there, and the sources in the database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = str(write_settings(folder, {}))

    def add(self, *arguments: str, **environ: str) -> CompletedProcess[str]:
        return run(["sources", "add", *arguments, "-c", self.file], self.folder, **environ)

    def rows(self) -> list[tuple[str, str, str, dict[str, Any]]]:
        """The sources: name, kind, URL and options."""
        path = self.folder / "state" / "digestd.db"
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as connection:
            found = connection.execute("SELECT name, kind, url, options FROM sources ORDER BY id").fetchall()
        return [(name, kind, url, json.loads(options)) for name, kind, url, options in found]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_page_becomes_the_feed_that_it_advertises_under_its_own_name(shell: Shell) -> None:
    links = (("/comments", "Comments on the lab"), ("/posts", "Posts"), ("/older", "Older"))
    documents = {
        "/": advertising(*links),
        "/comments": rss("Comments"),
        "/posts": rss("The lab \u202e\n it is", 3),
        "/older": rss("Older"),
    }
    with open_publishers({"lab": serving(documents)}) as publishers:
        url = publishers["lab"].url.removesuffix("/feed")
        done = shell.add(f"{url}/")
        assert (done.returncode, done.stderr) == (os.EX_OK, "")
        assert done.stdout == (
            f"found: a feed (RSS 2.0) 'The lab it is', 3 entries, advertised by the page {url}/\n"
            f"  {url}/posts\n"
            "there are others; to have one of them: digestd sources add NAME URL --kind feed\n"
            f"  {url}/older  a feed (RSS 2.0) 'Older', 2 entries\n"
            f"  {url}/comments  a feed (RSS 2.0) 'Comments', 2 entries\n"
            f"added 'The lab it is'; {SOON}\n"
        )
        assert shell.rows() == [("The lab it is", "feed", f"{url}/posts", {})]
        # It is one already, whatever page leads to it.
        done = shell.add(f"{url}/posts")
        assert done.returncode == 1
        assert done.stderr == (
            "digestd: it is a source already: 'The lab it is'; give it a name to add it once more\n"
        )
        documents["/posts2"] = rss("The lab it is")
        done = shell.add(f"{url}/posts2", "--dry-run")
        assert done.stdout.endswith("would add 'The lab it is (2)'; nothing was added (--dry-run)\n")
        assert len(shell.rows()) == 1
        # With a name it is added once more, and the name may stand behind.
        done = shell.add(f"{url}/posts", "Once more", "--interval-seconds", "900")
        assert (done.returncode, done.stderr) == (os.EX_OK, "")
        assert shell.rows()[1][0] == "Once more"


def test_with_a_kind_nothing_is_asked(shell: Shell) -> None:
    with open_publishers({"lab": serving({})}) as publishers:
        lab = publishers["lab"]
        done = shell.add(
            "Lab", lab.url, "--kind", "page", "--option", "links=h2 a", "--option", 'match=["/a/"]'
        )
        assert (done.returncode, done.stdout, done.stderr) == (os.EX_OK, f"added 'Lab'; {SOON}\n", "")
        assert lab.log == []
        assert shell.rows() == [("Lab", "page", lab.url, {"links": "h2 a", "match": ["/a/"]})]
    # The kind tells what is meant, and a name is made of it.
    done = shell.add("r/netsec", "--kind", "reddit")
    assert done.stdout == f"added 'www.reddit.com'; {SOON}\n"
    assert shell.rows()[1][1:] == ("reddit", "https://www.reddit.com/r/netsec", {"subreddits": ["netsec"]})


def test_a_name_and_a_place_that_cannot_be_reached_are_a_feed(shell: Shell) -> None:
    url = f"http://127.0.0.1:{free_port()}/feed"
    done = shell.add("Later", url)
    assert (done.returncode, done.stdout, done.stderr) == (os.EX_OK, f"added 'Later'; {SOON}\n", "")
    done = shell.add("Mastodon", f"{url}/@someone")
    assert (done.returncode, done.stdout) == (os.EX_OK, f"added 'Mastodon'; {SOON}\n")
    done = shell.add("Reddit", "r/netsec", "--option", f"base_url={url}")
    assert (done.returncode, done.stdout) == (os.EX_OK, f"added 'Reddit'; {SOON}\n")
    assert [row[1:3] for row in shell.rows()] == [
        ("feed", url),
        ("feed", f"{url}/@someone"),
        ("reddit", f"{url}/r/netsec"),
    ]
    # Nobody said how it is called, nor that it is one.
    done = shell.add(url)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"digestd: no source was found at {url}; tried:\n  {url}: connect: ")
    assert done.stderr.endswith(
        "  Check the address in a browser, or give that of the feed. To add it all the same, say what it is:\n"
        "  digestd sources add NAME URL --kind feed   (or page, sitemap, …: docs/sources.md)\n"
    )
    assert len(shell.rows()) == 3


def test_a_name_and_what_is_no_source_are_refused(shell: Shell) -> None:
    page = b"<html><head><title>Nothing</title></head><body>No links at all</body></html>"
    with open_publishers({"lab": serving({"/page": page})}) as publishers:
        url = publishers["lab"].url.removesuffix("/feed")
        for path in ("/page", "/missing"):
            done = shell.add("Nothing", f"{url}{path}")
            assert (done.returncode, done.stdout) == (1, "")
            assert f"no source was found at {url}{path}; tried:\n  {url}{path}: " in done.stderr
    assert shell.rows() == []


def test_a_directory_of_saved_feeds_is_found(shell: Shell) -> None:
    inbox = shell.folder / "inbox"
    inbox.mkdir()
    (inbox / "one.xml").write_bytes(rss("Saved"))
    done = shell.add("inbox", "--option", "settle_seconds=0.1")
    assert (done.returncode, done.stderr) == (os.EX_OK, "")
    assert done.stdout == (
        f"found: saved feeds (kind file) 'Saved', 2 entries\n  {inbox.as_uri()}\nadded 'Saved'; {SOON}\n"
    )
    ((_, kind, url, options),) = shell.rows()
    assert (kind, url) == ("file", inbox.as_uri())
    assert options == {"path": str(inbox), "settle_seconds": 0.1}


def test_secrets_are_taken_by_reference_alone(shell: Shell) -> None:
    def manner(request: Request, number: int) -> Answer:
        if request.headers.get("authorization") != "Bearer hunter2-token":
            return Answer(401)
        return Answer(body=rss("Secret feed"), headers={"Content-Type": "application/rss+xml"})

    with open_publishers({"lab": manner}) as publishers:
        url = publishers["lab"].url
        for kind in ([], ["--kind", "feed"]):
            done = shell.add(url, *kind, "--option", "bearer_token=hunter2-token")
            assert done.returncode == os.EX_CONFIG
            assert (
                "bearer_token: a secret on a command line is for everyone to read: give it as {env: VARIABLE}, "
                "or in a settings file" in done.stderr
            )
            assert "hunter2" not in done.stderr + done.stdout
        assert publishers["lab"].log == []
        option = ["--option", "bearer_token={env: LAB_TOKEN}"]
        done = shell.add(url, *option, LAB_TOKEN="hunter2-token")
        assert (done.returncode, done.stderr) == (os.EX_OK, "")
        assert "hunter2" not in done.stdout
    ((name, _, _, options),) = shell.rows()
    assert (name, options) == ("Secret feed", {"bearer_token": {"env": "LAB_TOKEN"}})


def test_what_is_found_is_told_in_json(shell: Shell) -> None:
    with open_publishers({"lab": serving({"/feed": rss("Lab")})}) as publishers:
        url = publishers["lab"].url
        done = shell.add("Mine", f"{url}?token=hunter2", "--json")
        assert json.loads(done.stdout)["error"] is not None
        done = shell.add("Mine", url, "--json")
        assert done.returncode == os.EX_OK
        record = json.loads(done.stdout)
        done = shell.add("Mine", url, "--json")
        assert done.returncode == 1
        assert (
            json.loads(done.stdout)["error"] == "there is a source 'Mine' already; `digestd sources` lists it"
        )
    assert record == {
        "added": True,
        "error": None,
        "name": "Mine",
        "kind": "feed",
        "url": url,
        "found": {
            "kind": "feed",
            "url": url,
            "title": "Lab",
            "format": "rss20",
            "entries_total": 2,
            "what": "a feed",
            "via": None,
            "newest_at": None,
        },
        "others": [],
        "not_asked": [],
        "tried": [],
    }


def test_mistakes_in_a_command_are_told(shell: Shell) -> None:
    url = "https://lab.example/feed"
    for arguments, words in (
        (["some words"], "'some words' is no place that is known"),
        (["a", "b", "c"], "one place, or a name and a place"),
        ([url, "--option", "hunter2"], "--option: write it as KEY=VALUE, the value as in YAML"),
        ([url, "--option", "a={hunter2"], "--option: 'a': its value is no YAML value"),
        ([url, "--option", "a=1", "--option", "a=2"], "--option: 'a' is given twice"),
    ):
        done = shell.add(*arguments)
        assert done.returncode == 2
        assert words in " ".join(done.stderr.split()), done.stderr
        assert "hunter2" not in done.stderr
    done = shell.add(url, "--option", "pagng=false")
    assert done.returncode == os.EX_CONFIG
    assert "options: pagng: unknown option; did you mean paging?" in done.stderr
    done = shell.add("@someone")
    assert done.returncode == 1
    assert "the account someone on X: " in done.stderr
    assert shell.add("Someone", "@someone").returncode == 1


def test_a_kind_of_a_third_party_recognises_its_places(shell: Shell) -> None:
    site = shell.folder / "site"
    hook = """
class Recognising:
    options = ShelfOptions

    @staticmethod
    def recognise(written):
        if written == "boom":
            raise RuntimeError("a bug")
        if written.startswith("shelf:"):
            return {"options": {"shelves": [written[6:]]}, "what": "a shelf"}
        return None

    def __new__(cls, tools):
        return ShelfKind(tools)
"""
    for name, text in PACKAGE.items():
        file = site / name
        file.parent.mkdir(parents=True, exist_ok=True)
        code = textwrap.dedent(text) + (hook if name == "shelf/kind.py" else "")
        file.write_text(code.replace("shelf.kind:ShelfKind", "shelf.kind:Recognising"))

    def manner(request: Request, number: int) -> Answer:
        return Answer(body=b'{"books": ["one", "two"], "next": null}')

    with open_publishers({"shelf": manner}) as publishers:
        base = publishers["shelf"].url
        done = shell.add("shelf:a", "--option", f"base_url={base}", PYTHONPATH=str(site))
        assert (done.returncode, done.stderr) == (os.EX_OK, "")
        assert done.stdout.startswith(
            f"found: a shelf (kind shelf), 2 entries\n  {base}/shelves/a\nadded 'a shelf'; "
        )
    assert shell.rows()[0][:3] == ("a shelf", "shelf", f"{base}/shelves/a")
    done = shell.add("boom", PYTHONPATH=str(site))
    assert done.returncode == 2
    assert '"effect": "it recognises nothing"' in done.stderr
