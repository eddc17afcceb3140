"""URLs that no poll could ask for are mistakes in the settings, named by file and source, and never quoted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.config import checked_source, load
from digestd.config.urls import MAX_URL_CHARACTERS, port_problem, url_problem
from digestd.errors import ConfigurationError

LONGEST = "https://a.example/" + "x" * (MAX_URL_CHARACTERS - 18)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://a.example:25/feed", "port 25 is for mail, and nothing is fetched from it"),
        ("https://a.example:6379/", "port 6379 is for databases, and nothing is fetched from it"),
        ("http://user:secret@[2001:db8::1]:22", "port 22 is for shells and desktops, and nothing is fetched from it"),
        ("http://a.example:0025/", "port 25 is for mail, and nothing is fetched from it"),
        ("http://a.example:0/", "port 0 cannot be asked"),
        (LONGEST + "x", "has more than 8192 characters"),
        ("x" * 1_000_000, "has more than 8192 characters"),
    ],
)  # fmt: skip
def test_a_source_that_every_poll_would_refuse_is_refused_at_once(
    tmp_path: Path, url: str, problem: str
) -> None:
    assert url_problem(url) == problem
    file = tmp_path / "sources.yaml"
    file.write_text(f"sources: [{{name: a, url: '{url}'}}]")
    with pytest.raises(ConfigurationError) as caught:
        load(file, {}, {"feed"})
    assert caught.value.problems == (f"{file}: sources[0] (a): url: {problem}",)
    with pytest.raises(ConfigurationError) as caught:
        checked_source({"name": "a", "url": url}, {"feed"})
    assert caught.value.problems == (f"(a): url: {problem}",)


@pytest.mark.parametrize(
    "url",
    [LONGEST, "http://a.example:8080/25", "https://a.example", "http://a.example:/", "http://[::1]:49152/"],
)
def test_others_may_be_polled(url: str) -> None:
    assert url_problem(url) is None
    assert checked_source({"name": "a", "url": url}, {"feed"}).url == url


@given(st.integers(0, 70_000))
def test_every_port_is_judged(port: int) -> None:
    problem = url_problem(f"http://a.example:{port}/")
    if 0 < port < 65536:
        assert problem == port_problem(port)
    else:
        assert problem is not None
