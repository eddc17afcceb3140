"""A real digestd reads a profile of Bluesky over HTTP."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.bluesky_site import Profile
from support.process import run
from support.publishers import Answer, Request, open_publishers


@pytest.mark.slow
def test_a_profile_is_read_and_one_that_is_hidden_is_told(tmp_path: Path) -> None:
    profile, hidden = Profile(), Profile("hidden.example", "did:plc:hidden", hidden=True)
    for text in ("A hole in <FooVPN>\nand more", "Fixed"):
        profile.post(text)

    def serve(request: Request, number: int) -> Answer:
        status, fields, body = (hidden if "hidden" in request.path else profile).answer(request.path)
        return Answer(status, body, fields)

    with open_publishers({"site": serve}) as publishers:
        site = publishers["site"]
        file = tmp_path / "digestd.yaml"
        file.write_text(
            "fetch: {allow_private_networks: true}\nweb: {enabled: false}\nsources:\n"
            f"  - {{name: someone, kind: bluesky, options: {{account: someone.bsky.social, base_url: '{site.url}'}}}}\n"
            f"  - {{name: hidden, kind: bluesky, options: {{account: hidden.example, base_url: '{site.url}'}}}}\n"
        )
        done = run(["--once", "-c", str(file)], tmp_path)
        # One host, two seconds apart.
        assert len(site.gaps) == 1
        assert min(site.gaps) >= 1.9
    assert done.returncode == os.EX_OK, done.stderr
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        articles = connection.execute(
            "SELECT title, content, extraction FROM articles ORDER BY id"
        ).fetchall()
        (error,) = connection.execute("SELECT last_error FROM sources WHERE name = 'hidden'").fetchone()
    assert articles == [
        ("A hole in <FooVPN>", "A hole in &lt;FooVPN&gt;<br>and more", "skipped"),
        ("Fixed", "Fixed", "skipped"),
    ]
    assert error.startswith(
        "http_status: the server answered 403: the account shows its posts to those alone who"
    )
