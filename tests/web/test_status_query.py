"""What is asked for in an address, and addresses that ask for something else."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.store.overview import SourceQuery
from digestd.web.pages.query import LONGEST_SEARCH, SORTS, STANDINGS, Asked, address, asked

WORD = st.text(min_size=1, max_size=50)
QUERIES = st.builds(
    SourceQuery,
    search=st.text(max_size=120).map(lambda text: asked({"q": text}).query.search),
    standing=st.sampled_from([None, *STANDINGS]),
    category=st.none() | WORD.filter(lambda text: text.isprintable()),
    kind=st.none() | WORD.filter(lambda text: text.isprintable()),
    failing=st.booleans(),
    sort=st.sampled_from(SORTS),
    descending=st.booleans(),
)


def parameters(path: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(path).query, keep_blank_values=True))


def test_nothing_asks_for_all_with_what_is_wrong_first() -> None:
    assert asked({}) == Asked(SourceQuery(sort="trouble"), 1)
    assert address(Asked()) == "/"
    assert not asked({}).filtered


def test_everything_can_be_asked_for() -> None:
    path = "/?q=fen+&state=gone&category=a%26b&kind=feed&failing=1&sort=last_new&order=down&page=3"
    wanted = SourceQuery("fen", "gone", "a&b", "feed", failing=True, sort="last_new", descending=True)
    assert asked(parameters(path)) == Asked(wanted, 3)
    assert asked(parameters(path)).filtered


@given(QUERIES, st.integers(1, 999_999))
def test_an_address_asks_for_what_it_was_made_of(query: SourceQuery, page: int) -> None:
    made = address(Asked(query, page))
    assert made.isascii()
    assert asked(parameters(made)) == Asked(query, page)


@given(
    st.dictionaries(
        st.sampled_from(["q", "state", "category", "kind", "failing", "sort", "order", "page"]), st.text()
    )
)
def test_whatever_is_asked_is_answered(given_parameters: dict[str, str]) -> None:
    wanted = asked(given_parameters)
    assert 1 <= wanted.page < 1_000_000
    assert len(wanted.query.search) <= LONGEST_SEARCH
    assert address(wanted).startswith("/")


@pytest.mark.parametrize(
    "parameter",
    [
        {"page": "0"},
        {"page": "-1"},
        {"page": "9" * 5_000},
        {"page": "²"},
        {"state": "removed"},
        {"sort": "id"},
        {"failing": "yes"},
        {"order": "up"},
        {"category": ""},
        {"kind": "k" * 201},
        {"q": " \u202e\x00 "},
    ],
)
def test_what_cannot_be_meant_asks_for_nothing(parameter: dict[str, str]) -> None:
    assert asked(parameter) == Asked()


def test_a_heading_sorts_and_then_turns_the_order() -> None:
    wanted: Any = asked({"q": "fen", "page": "4"})
    first = wanted.sorted_by("name")
    assert first == "/?q=fen&sort=name"
    second = asked(parameters(first)).sorted_by("name")
    assert second == "/?q=fen&sort=name&order=down"
    assert asked(parameters(second)).sorted_by("name") == first
    assert asked(parameters(second)).sorted_by("trouble") == "/?q=fen"
    assert wanted.at(5) == "/?q=fen&page=5"
