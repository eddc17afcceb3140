"""A real digestd reads an instance of Mastodon over HTTP: its budget, its token, its articles."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.mastodon_instance import Instance
from support.process import run
from support.publishers import Answer, Request, open_publishers


def serve(instance: Instance, request: Request) -> Answer:
    status, fields, body = instance.answer(request.path, request.headers)
    return Answer(status, body, fields)


def kept(folder: Path) -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(folder / "state" / "digestd.db")) as connection:
        return connection.execute("SELECT title, url, extraction FROM articles ORDER BY id").fetchall()


@pytest.mark.slow
def test_accounts_and_tags_of_an_instance_are_read(tmp_path: Path) -> None:
    instance = Instance(token="hunter2")
    for _ in range(3):
        instance.post()
    with open_publishers({"instance": lambda request, _: serve(instance, request)}) as publishers:
        publisher = publishers["instance"]
        instance.base = publisher.url
        file = tmp_path / "digestd.yaml"
        options = f"base_url: '{publisher.url}', access_token: {{env: INSTANCE_TOKEN}}"
        file.write_text(
            "fetch: {allow_private_networks: true}\nweb: {enabled: false}\nsources:\n"
            f"  - {{name: someone, kind: mastodon, options: {{account: someone, {options}}}}}\n"
            f"  - {{name: tag, kind: mastodon, options: {{tag: CVE, {options}}}}}\n"
        )
        done = run(["check", "-c", str(file)], tmp_path, INSTANCE_TOKEN="hunter2")
        assert done.returncode == os.EX_OK, done.stderr
        assert f"{publisher.url}/tags/cve\n" in done.stdout
        done = run(["--once", "-c", str(file)], tmp_path, INSTANCE_TOKEN="hunter2")
        assert done.returncode == os.EX_OK, done.stderr
        assert len(kept(tmp_path)) == 6
        # One host, one request a second, whoever asks.
        assert len(publisher.gaps) == 2
        assert min(publisher.gaps) >= 0.95
        for _ in range(50):
            instance.post()
        done = run(["--once", "--source", "someone", "-c", str(file)], tmp_path, INSTANCE_TOKEN="hunter2")
        assert done.returncode == os.EX_OK, done.stderr
        assert "hunter2" not in done.stderr + done.stdout
    rows = kept(tmp_path)
    titles = [title for title, url, _ in rows]
    assert titles[6:] == [f"Post {status['id']}" for status in instance.statuses[3:]]
    # The page is made by scripts: nothing is fetched there.
    assert all(extraction == "skipped" for _, _, extraction in rows)
