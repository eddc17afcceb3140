"""A kind of a third party, installed beside digestd: its options are checked, its sources are polled."""

from __future__ import annotations

import os
import sqlite3
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from digestd.kinds import registered
from support.process import run
from support.publishers import Answer, Request, open_publishers

# As a wheel is unpacked: building one needs a build backend, which is not here without a network.
PACKAGE = {
    "shelf/__init__.py": "",
    "shelf/kind.py": """
        from digestd.config.kind_options import BaseURL, KindOptions
        from digestd.config.options import SecretValue
        from digestd.kinds import Http, Tools, options_of
        from digestd.model import PollState, Source, Step
        from shelf.reader import read_books


        class ShelfOptions(KindOptions):
            shelves: list[str]
            base_url: BaseURL = "https://shelf.example"
            api_key: SecretValue | None = None

            def place(self, url: str | None) -> str:
                if url is not None:
                    raise ValueError("leave it out: shelves says where the source is")
                return f"{self.base_url}/shelves/{'+'.join(sorted(self.shelves))}"


        class ShelfKind:
            options = ShelfOptions

            def __init__(self, tools: Tools) -> None:
                self._tools = tools

            def spacing_seconds(self, source: Source) -> float:
                return 0.5

            async def step(self, source: Source, state: PollState, http: Http) -> Step:
                options_of(ShelfOptions, source)
                page = (state.cursor or {}).get("page", 0)
                answer = await http.ask(f"{source.url}?page={page}", headers={"X-Key": http.secret("api_key") or ""})
                document = await self._tools.read(read_books, answer.body, answer.url, source_url=source.url)
                following = document.facts["next"]
                return Step(
                    PollState(cursor={"page": following or 0}), (document,), more=following is not None
                )
        """,
    "shelf/reader.py": """
        import json

        from digestd.feed.api import api_entry
        from digestd.model import Document


        def read_books(body: bytes, url: str) -> Document:
            said = json.loads(body)
            entries = [api_entry(key=book, link=None, title=book) for book in said["books"]]
            return Document(url, "shelf", entries=tuple(entries), facts={"next": said["next"]})
        """,
    "shelf_kind-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: shelf-kind\nVersion: 1.0\n",
    "shelf_kind-1.0.dist-info/entry_points.txt": "[digestd.kinds]\nshelf = shelf.kind:ShelfKind\n",
}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    for name, text in PACKAGE.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    return folder


def write(folder: Path, options: str) -> str:
    file = folder / "digestd.yaml"
    file.write_text(
        "fetch: {allow_private_networks: true}\nweb: {enabled: false}\n"
        f"sources:\n  - {{name: books, kind: shelf, options: {options}}}\n"
    )
    return str(file)


def test_its_options_are_checked(tmp_path: Path, site: Path) -> None:
    file = write(tmp_path, "{shelfs: [a]}")
    done = run(["check", "-c", file], tmp_path, PYTHONPATH=str(site))
    assert done.returncode == os.EX_CONFIG
    assert (
        f"{file}: sources[0] (books): options: shelfs: unknown option; did you mean shelves?" in done.stderr
    )
    absent = run(["check", "-c", file], tmp_path)
    known = ", ".join(sorted(registered()))
    assert f"kind: unknown kind 'shelf'; known kinds: {known}\n" in absent.stderr
    file = write(tmp_path, "{shelves: [b, a]}")
    done = run(["check", "-c", file], tmp_path, PYTHONPATH=str(site))
    assert (done.returncode, done.stderr) == (0, "")
    assert "  books  shelf  https://shelf.example/shelves/a+b\n" in done.stdout


@pytest.mark.slow
def test_its_sources_are_polled(tmp_path: Path, site: Path) -> None:
    def serve(request: Request, number: int) -> Answer:
        assert request.headers["x-key"] == "hunter2"
        page = int(request.path.rpartition("=")[2])
        following = "null" if page == 2 else str(page + 1)
        return Answer(body=f'{{"books": ["book {page}"], "next": {following}}}'.encode())

    with open_publishers({"shelf": serve}) as publishers:
        shelf = publishers["shelf"]
        file = write(tmp_path, f"{{shelves: [a], base_url: '{shelf.url}', api_key: {{env: SHELF_KEY}}}}")
        done = run(["--once", "-c", file], tmp_path, PYTHONPATH=str(site), SHELF_KEY="hunter2")
        assert done.returncode == 0, done.stderr
        assert shelf.paths() == [f"/feed/shelves/a?page={page}" for page in range(3)]
        assert min(shelf.gaps) >= 0.45
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        guids = connection.execute("SELECT guid FROM articles ORDER BY id").fetchall()
        (options,) = connection.execute("SELECT options FROM sources").fetchone()
    assert guids == [("book 0",), ("book 1",), ("book 2",)]
    assert "hunter2" not in options
