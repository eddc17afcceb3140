"""A real digestd reads subreddits over HTTP: by their feed and with keys, one of them private, and its secrets kept."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from support.process import run
from support.publishers import Answer, Request, open_publishers
from support.reddit_site import CLIENT, SECRET, Site


def serve(site: Site, request: Request) -> Answer:
    form = None if request.posted is None else dict(parse_qsl(request.posted.decode()))
    status, fields, body = site.answer(f"{site.base}{request.path}", request.headers, form)
    return Answer(status, body, fields)


@pytest.mark.slow
def test_subreddits_are_read_by_their_feed_and_with_keys(tmp_path: Path) -> None:
    site = Site(limits=False, refused={"hidden": "private"})
    site.post("netsec", is_self=True)
    site.post("cve", text="<p>Text</p>")
    with open_publishers({"site": lambda request, _: serve(site, request)}) as publishers:
        publisher = publishers["site"]
        site.base = site.oauth = publisher.url.removesuffix("/feed")
        file = tmp_path / "digestd.yaml"
        options = f"base_url: '{site.base}', oauth_url: '{site.base}'"
        keys = "client_id: {env: REDDIT_ID}, client_secret: {env: REDDIT_SECRET}, username: me"
        file.write_text(
            "fetch: {allow_private_networks: true, hosts: {127.0.0.1: {delay_seconds: 0.5}}}\nweb: {enabled: false}\n"
            "sources:\n"
            f"  - {{name: feed, kind: reddit, options: {{subreddits: [netsec, cve], {options}}}}}\n"
            f"  - {{name: keys, kind: reddit, options: {{subreddits: [netsec, cve, hidden], {options}, {keys}}}}}\n"
        )
        said = {"REDDIT_ID": CLIENT, "REDDIT_SECRET": SECRET}
        done = run(["check", "-c", str(file)], tmp_path, **said)
        assert done.returncode == os.EX_OK, done.stderr
        assert f"{site.base}/r/cve+hidden+netsec\n" in done.stdout
        done = run(["--once", "-c", str(file)], tmp_path, **said)
        assert done.returncode == os.EX_OK, done.stderr
        assert len(publisher.log) == 7
        assert min(publisher.gaps) >= 0.45
    with closing(sqlite3.connect(tmp_path / "state" / "digestd.db")) as connection:
        articles = connection.execute(
            "SELECT sources.name, guid, extraction FROM articles JOIN sources ON source_id = sources.id"
        ).fetchall()
        written = "\n".join(connection.iterdump())
    assert sorted(articles) == [
        (name, guid, "skipped") for name in ("feed", "keys") for guid in ("t3_1abc001", "t3_1abc002")
    ]
    assert "left out: r/hidden is private; remove what is gone for good from the source" in written
    for secret in (SECRET, CLIENT, *site.tokens):
        assert secret not in written + done.stdout + done.stderr
