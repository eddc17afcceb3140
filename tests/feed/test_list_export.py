"""What a list holds: everything that a file of sources holds but secrets, and it is read again as the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd import config, kinds
from digestd.config.sources import SourceList
from digestd.feed.lists.exporting import Exported, exported, for_opml
from digestd.feed.lists.opml import printable
from digestd.model import SourceSpec
from digestd.yamlfile import read_items, write_items

KINDS = kinds.registered()
LIST = """sources:
  - name: everything
    url: https://a.example/feed?format=rss
    enabled: false
    category: CERT
    language: de
    interval_seconds: 900.5
    jitter_seconds: 0
    options:
      content: feed
      headers: {X-One: {env: ONE}, X-Two: {file: /run/two}}
      basic_auth: {username: me, password: {credential: three}}
      ca_file: /etc/ca.pem
  - {name: KEV, kind: kev}
  - {name: in, kind: file, options: {path: /srv/inbox, pattern: "*.xml"}}
  - {name: NVD, kind: nvd, interval_seconds: 7200, options: {key: {env: NVD_API_KEY}, days: 3}}
  - {name: R, kind: reddit, options: {subreddits: [netsec, blueteamsec]}}
  - {name: R2, kind: reddit, url: "https://www.reddit.com/r/netsec"}
  - {name: M, kind: mastodon, url: "https://infosec.exchange/@briankrebs"}
  - {name: M2, kind: mastodon, options: {tag: cve, base_url: "https://m.example", access_token: {env: M}}}
  - {name: S, kind: sitemap, url: "https://s.example/robots.txt", options: {match: ["/blog/"]}}
"""


def read(text: str) -> list[SourceSpec]:
    sources = SourceList(KINDS, kinds.schema_of)
    sources.add([data for _, data in read_items(text, "sources")], "/x/list.yaml")
    assert sources.problems == []
    return sources.specs


def export(*specs: SourceSpec) -> Exported:
    return exported(specs, KINDS, kinds.schema_of)


def feed(name: str, url: str, **more: Any) -> SourceSpec:
    return SourceSpec(name, "feed", url, **more)


def test_every_kind_and_key_comes_back_as_it_was() -> None:
    specs = read(LIST)
    found = export(*specs)
    assert (found.left_out, found.remarks) == ([], [])
    text = write_items(found.entries, "sources")
    assert sorted(read(text), key=lambda spec: spec.name) == sorted(specs, key=lambda spec: spec.name)
    assert export(*reversed(specs)) == found


def test_check_reads_it_as_a_file_of_sources(tmp_path: Path) -> None:
    file = tmp_path / "sources.yaml"
    file.write_text(write_items(export(*read(LIST)).entries, "sources"))
    (tmp_path / "digestd.yaml").write_text("sources_files: [sources.yaml]\n")
    loaded = config.load(tmp_path / "digestd.yaml", {}, KINDS, kinds.schema_of)
    assert {spec.name: spec for spec in loaded.sources} == {spec.name: spec for spec in read(LIST)}


def test_it_is_written_as_a_person_would() -> None:
    made = [
        feed("b: yes", "https://b.example/", interval_seconds=900.0, enabled=False),
        feed("no", "https://a.example/?ü"),
    ]
    assert write_items(export(*made).entries, "sources") == (
        "sources:\n"
        "  - name: 'b: yes'\n"
        "    url: https://b.example/\n"
        "    enabled: false\n"
        "    interval_seconds: 900\n"
        "  - name: 'no'\n"
        "    url: https://a.example/?ü\n"
    )
    assert write_items([], "sources") == "sources: []\n"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://u:s3cret@a.example/", "user info"),
        ("https://s3cret@a.example/", "user info"),
        ("https://u:1/s3cret@a.example/", "user info"),
        ("https://a.example/feed?format=rss&api_key=s3cret", "the parameter api_key"),
        ("https://a.example/feed#token=s3cret", "the parameter token"),
        ("https://a.example/feed;jsessionid=s3cret", "a parameter in its path"),
    ],
)
def test_a_url_that_holds_a_secret_is_left_out_and_told_without_it(url: str, secret: str) -> None:
    found = export(feed("a", url), feed("b", "https://b.example/?channel_id=UCx&format=rss"))
    assert [entry["url"] for entry in found.entries] == ["https://b.example/?channel_id=UCx&format=rss"]
    assert found.left_out == [("a", f"its URL holds {secret}")]
    assert "s3cret" not in str(found)


def test_a_secret_in_an_option_is_left_out_too() -> None:
    options = {"mirrors": ["https://u:s3cret@a.example/"]}
    shelf = SourceSpec("a", "shelf", "https://a.example/", options=options)
    token = SourceSpec("b", "shelf", "https://a.example/", options={"deep": {"apiToken": "s3cret"}})
    plain = SourceSpec(
        "c", "shelf", "https://a.example/", options={"row": 3, "headers": {"X-Key": {"env": "K"}}}
    )
    found = exported([shelf, token, plain], {"shelf": None}, lambda kind: None)
    assert [entry["name"] for entry in found.entries] == ["c"]
    assert found.left_out == [
        ("a", "its option mirrors holds user info"),
        ("b", "its option apiToken may be a secret"),
    ]


def test_a_secret_that_stands_in_the_settings_becomes_a_variable_of_its_own() -> None:
    options = {
        "bearer_token": {"setting": "A b: bearer_token"},
        "headers": {"X-Key": {"setting": "A b: headers.X-Key"}},
    }
    made = [
        feed("A b", "https://a.example/", options=options),
        feed("a B", "https://b.example/", options={"bearer_token": {"setting": "a B: bearer_token"}}),
        SourceSpec(
            "NVD",
            "nvd",
            "https://services.nvd.nist.gov/rest/json/cves/2.0",
            options={"key": {"secret": {"setting": "NVD: key"}}},
        ),
    ]
    found = export(*made)
    assert [entry["options"] for entry in found.entries] == [
        {
            "bearer_token": {"env": "DIGESTD_A_B_BEARER_TOKEN"},
            "headers": {"X-Key": {"env": "DIGESTD_A_B_HEADERS_X_KEY"}},
        },
        {"key": {"env": "DIGESTD_NVD_KEY"}},
        {"bearer_token": {"env": "DIGESTD_A_B_BEARER_TOKEN_2"}},
    ]
    told = "stands as text in a settings file; the list asks the variable"
    assert found.remarks == [
        ("A b", f"options: bearer_token: {told} DIGESTD_A_B_BEARER_TOKEN for it"),
        ("A b", f"options: headers.X-Key: {told} DIGESTD_A_B_HEADERS_X_KEY for it"),
        ("NVD", f"options: key: {told} DIGESTD_NVD_KEY for it"),
        ("a B", f"options: bearer_token: {told} DIGESTD_A_B_BEARER_TOKEN_2 for it"),
    ]


def test_what_would_not_be_read_again_is_left_out() -> None:
    found = export(
        SourceSpec("a", "gone", "https://a.example/"),
        feed("b", "https://b.example/", options={"pagin": True}),
        feed("c", "https://c.example/"),
    )
    assert [entry["name"] for entry in found.entries] == ["c"]
    assert [name for name, _ in found.left_out] == ["a", "b"]
    assert found.left_out[0][1].startswith("kind: unknown kind 'gone'; known kinds: ")
    assert "did you mean paging?" in found.left_out[1][1]


def test_opml_has_feeds_that_are_polled() -> None:
    found = export(
        feed("a", "https://a.example/", category="x", interval_seconds=60, options={"paging": False}),
        feed("b", "https://b.example/", enabled=False),
        SourceSpec("c", "page", "https://c.example/"),
        feed("d", "https://d.example/?token=x"),
    )
    kept = for_opml(found)
    assert [entry["name"] for entry in kept.entries] == ["a"]
    assert kept.left_out == [
        ("d", "its URL holds the parameter token"),
        ("b", "OPML cannot say that it is disabled"),
        ("c", "OPML knows feeds alone, not the kind 'page'"),
    ]
    assert kept.remarks == [("a", "OPML has no word for its interval_seconds and options")]


texts = st.text(max_size=40)
names = st.text(min_size=1, max_size=80).map(lambda text: printable(text, 200)).filter(bool)
references = st.sampled_from([{"env": "A"}, {"file": "/run/a b"}, {"credential": "c"}])
options = st.fixed_dictionaries(
    {},
    optional={
        "content": st.sampled_from(["feed", "page"]),
        "paging": st.booleans(),
        "hints": st.booleans(),
        "longest_hint_seconds": st.floats(0, 1000),
        "headers": st.dictionaries(st.sampled_from(["X-A", "X-B"]), references, max_size=2),
        "bearer_token": references,
    },
)
specs = st.builds(
    SourceSpec,
    name=names,
    kind=st.just("feed"),
    url=st.text(alphabet="abc?=&%+'\"#:é-", max_size=20).map("https://x.example/{}".format),
    enabled=st.booleans(),
    category=st.none() | texts,
    language=st.none() | texts,
    interval_seconds=st.none() | st.floats(1, 86_400),
    jitter_seconds=st.none() | st.floats(0, 86_400),
    options=options,
)


@settings(deadline=None)
@given(st.lists(specs, max_size=6, unique_by=lambda spec: spec.name))
def test_whatever_is_exported_is_imported_as_the_same(some: list[SourceSpec]) -> None:
    found = export(*some)
    assert found.left_out == []
    by_name = {spec.name: spec for spec in some}
    text = write_items(found.entries, "sources")
    assert {spec.name: spec for spec in read(text)} == by_name
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sources.yaml"
        file.write_text(text, encoding="utf-8", newline="\n")
        sources = SourceList(KINDS, kinds.schema_of)
        sources.read_file(file)
    assert (sources.problems, {spec.name: spec for spec in sources.specs}) == ([], by_name)
