"""What is told a command as a place, as options, and as a name."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from digestd.cli.places import LONGEST_NAME, as_kind, given_options, maker, name_of, sources_meant, unused
from digestd.errors import ConfigurationError
from digestd.feed.recognising import Candidate
from digestd.model import SourceSpec

SPEC = SourceSpec("x", "feed", "https://lab.example/feed")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("text", "text"),
        ("2", 2),
        ("2.5", 2.5),
        ("true", True),
        ("[a, b]", ["a", "b"]),
        ('["a=b", 1]', ["a=b", 1]),
        ("{env: X}", {"env": "X"}),
        ('{"env": "X"}', {"env": "X"}),
        ("", None),
        ("a=b", "a=b"),
    ],
)
def test_an_option_is_a_value_of_yaml(written: str, value: object) -> None:
    assert given_options([f"key={written}"]) == {"key": value}


@pytest.mark.parametrize(
    "written",
    ["key", "=secret", " =x", "key={a", "key=[", "key=*x", "key={a: 1, a: 2}", "key=a: b: c"],
)
def test_what_is_no_option_is_refused_without_its_value(written: str) -> None:
    with pytest.raises(typer.BadParameter) as caught:
        given_options([written])
    value = written.partition("=")[2]
    assert not value or value not in str(caught.value)


def test_a_file_of_that_name_goes_before_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert sources_meant("feeds.example")[0].url == "https://feeds.example"
    (tmp_path / "feeds.example").touch()
    assert sources_meant("feeds.example") == [
        Candidate("file", "saved feeds", options={"path": "./feeds.example"})
    ]
    # A form that is sure of itself is not asked whether there is such a file.
    (tmp_path / "nvd").touch()
    assert sources_meant("nvd")[0].kind == "nvd"
    (tmp_path / "inbox").mkdir()
    assert sources_meant(" inbox ")[0].options == {"path": "./inbox"}


def test_a_kind_that_is_said_finds_its_own_meaning() -> None:
    assert as_kind("r/netsec", "reddit").options == {"subreddits": ["netsec"]}
    assert as_kind("infosec.exchange/@someone", "mastodon").url == "https://infosec.exchange/@someone"
    # A URL is kept as it is written, and what is nothing is for the check of the URL.
    assert as_kind("https://lab.example/ ", "page") == Candidate("page", "", "https://lab.example/ ")
    assert as_kind("some words", "feed") == Candidate("feed", "", "some words")
    assert as_kind("ftp://lab.example", "feed").url == "ftp://lab.example"


@given(st.text(max_size=300))
def test_a_name_is_printable_and_bounded(title: str) -> None:
    name = name_of(title, SPEC)
    assert name
    assert len(name) <= LONGEST_NAME
    assert name.isprintable()
    assert name == name.strip()
    assert unused(name, {name, f"{name} (2)"}) == f"{name} (3)"


def test_without_a_title_the_place_names_a_source() -> None:
    assert name_of("\u200b \x1b", SPEC) == "lab.example"
    assert name_of(None, SourceSpec("x", "file", "file:///srv/inbox/")) == "inbox"
    assert name_of(None, SourceSpec("x", "file", "file:///")) == "file"


def test_secrets_are_taken_by_reference_alone() -> None:
    at_lab = Candidate("feed", "", "https://lab.example/feed")
    reference = {"bearer_token": {"env": "TOKEN"}}
    assert maker({"name": "Lab"}, reference)(at_lab).options == reference
    for options, place in (
        ({"bearer_token": "hunter2-token"}, "bearer_token"),
        ({"headers": {"X-Key": "hunter2-token"}}, "headers.X-Key"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            maker({"name": "Lab"}, options)(at_lab)
        assert caught.value.problems == (
            f"options: {place}: a secret on a command line is for everyone to read: give it as {{env: VARIABLE}}, "
            "or in a settings file",
        )
    nvd = Candidate("nvd", "", None)
    with pytest.raises(ConfigurationError):
        maker({"name": "NVD"}, {"key": "hunter2-token"})(nvd)
