"""Sources that are seen to be right at a glance are those that the way that explains has nothing against."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from hashlib import sha256
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from digestd.config import Configuration
from digestd.config import sources as module
from digestd.config.kind_options import KindOptions
from digestd.config.plain import is_plain_url, plain_spec
from digestd.config.sources import SourceList
from digestd.config.urls import url_problem
from digestd.model import SourceSpec


class Free(KindOptions):
    """Nothing has to be given."""

    depth: int = 1


class Needing(KindOptions):
    """Something has."""

    depth: int


class Placed(KindOptions):
    """The options tell where the source is."""

    def place(self, url: str | None) -> str:
        if url is not None and "example" not in url:
            raise ValueError("is no place of ours")
        return "https://placed.example/"


SCHEMAS: dict[str, type[BaseModel] | None] = {"feed": Free, "need": Needing, "placed": Placed, "bare": None}


def gathered(items: list[Any]) -> tuple[list[SourceSpec], str, dict[str, Any], list[str]]:
    """What comes of `items` as a list of sources; specs as text, too: 1 is not 1.0 there, nor True."""
    sources = SourceList(SCHEMAS, SCHEMAS.__getitem__)
    sources.add(items, "conf/sources.yaml")
    return sources.specs, str([asdict(spec) for spec in sources.specs]), sources.literals, sources.problems


texts = st.one_of(
    st.sampled_from(["", "a", "a b", " a", "a\n", "a\u200b", "ä", "\ud800", "x" * 200, "x" * 201, "\0"]),
    st.text(),
)
ports = st.one_of(
    st.sampled_from(["", ":", ":0", ":00", ":25", ":80", ":8080", ":65535", ":65536", ":99999"])
)
urls = st.one_of(
    st.builds(
        "{}{}{}{}".format,
        st.sampled_from(["http://", "https://", "HTTP://", "http:/", "ftp://", "", " http://", "http:///"]),
        st.sampled_from(
            ["a.example", "A.Example", "a@b.example", "127.0.0.1", "[::1]", "ä.example", ".", "a b", "", "_x"]
        ),
        ports,
        st.sampled_from(
            ["", "/", "/feed?x=1#y", "?x", "#y", "/ä", "/a b", "/\t", "/" + "x" * 8200, "\\", "/@:25"]
        ),
    ),
    st.sampled_from([None, 1, "", "https://user:pass@a.example/"]),
    st.text(),
)
numbers = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from([0, 1, 0.5, 86_400 * 366, 86_400 * 366 + 1]),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "name": texts,
    "url": urls,
    "kind": st.sampled_from([*SCHEMAS, "none", None, 1]),
    "enabled": st.one_of(st.booleans(), st.none(), st.just(1)),
    "category": st.one_of(st.none(), texts, st.just(1)),
    "language": st.one_of(st.none(), texts),
    "interval_seconds": numbers,
    "jitter_seconds": numbers,
    "options": st.sampled_from([{}, None, {"depth": 2}, {"bearer_token": "secret"}, {"dept": 1}]),
    "nmae": st.just("a"),
}


@st.composite
def items(draw: st.DrawFn) -> Any:
    """A source with few peculiarities, so that each of them decides about it; or something else."""
    if draw(st.integers(0, 19)) == 0:
        return draw(
            st.sampled_from([None, "a", 1, [], {1: 2}, {}, {"name": "a"}, {"url": "https://a.example/"}])
        )
    item = {"name": draw(st.sampled_from("abcdef")), "url": "https://a.example/feed"}
    for key in draw(st.lists(st.sampled_from([*VALUES]), max_size=2)):
        item[key] = draw(VALUES[key])
    return item


@settings(max_examples=2_000, deadline=None)
@given(st.lists(items(), max_size=4))
def test_a_list_is_the_same_whichever_way_each_of_its_sources_goes(items: list[Any]) -> None:
    found = gathered(items)
    with patch.object(module, "plain_spec", lambda item: None):
        assert gathered(items) == found


@settings(max_examples=5_000, deadline=None)
@given(urls.filter(lambda url: isinstance(url, str)))
def test_nothing_is_wrong_with_a_plain_url(url: str) -> None:
    assert not is_plain_url(url) or url_problem(url) is None


@pytest.mark.parametrize(
    "item",
    [
        {"name": "a", "url": "https://a.example/feed?x=1"},
        {"name": "ä b", "url": "http://127.0.0.1:8080/feed/1"},
        {"name": "a", "url": "https://a.example", "enabled": False, "category": "é", "interval_seconds": 60},
    ],
)
def test_what_lists_are_made_of_is_plain(item: dict[str, Any]) -> None:
    assert plain_spec(item) is not None
    assert gathered([item])[0] == [plain_spec(item)]


@pytest.mark.parametrize("seconds", [True, math.nan, math.inf, 0.5, 86_400 * 367])
def test_a_number_that_is_none_or_too_large_is_explained(seconds: float) -> None:
    item = {"name": "a", "url": "https://a.example/", "interval_seconds": seconds}
    assert plain_spec(item) is None
    assert len(gathered([item])[3]) == 1


specs = st.builds(
    SourceSpec,
    name=st.text(),
    kind=st.sampled_from(["feed", "page"]),
    url=st.text(),
    category=st.one_of(st.none(), st.text()),
    interval_seconds=st.one_of(st.none(), st.floats(1, 100)),
    options=st.dictionaries(
        st.text(), st.one_of(st.integers(), st.lists(st.text()), st.dictionaries(st.text(), st.none()))
    ),
)


@given(st.lists(specs, max_size=5, unique_by=lambda spec: spec.name), st.integers(1, 3))
def test_the_fingerprint_of_a_list_is_what_it_always_was(specs: list[SourceSpec], at_once: int) -> None:
    """Another one for the same list would look like another list to the processes of before."""
    written = [asdict(spec) for spec in sorted(specs, key=lambda spec: spec.name)]
    expected = sha256(json.dumps(written, sort_keys=True, default=str).encode()).hexdigest()
    with patch("digestd.config._WRITTEN_AT_ONCE", at_once):
        assert Configuration(None, None, tuple(specs)).fingerprint == expected  # type: ignore[arg-type]
