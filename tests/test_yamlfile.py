"""Lists in YAML: read within bounds and with their lines, and written so that they are read again."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.yamlfile import read_items, write_items


@pytest.mark.parametrize("head", ["", "sources:\n", "\ufeffsources:\n", "---\nsources:\n"])
def test_items_come_with_their_lines(head: str) -> None:
    text = f"{head}- a: 1\n  b: [x, {{c: 2}}]\n\n- 3\n"
    first = 1 + head.count("\n")
    assert read_items(text, "sources") == [(first, {"a": 1, "b": ["x", {"c": 2}]}), (first + 3, 3)]


LAUGHS = "- &a [x]\n" + "".join(
    f"- &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "must be a list of sources, or a mapping whose only key is `sources`"),
        ("just text", "must be a list of sources, or a mapping whose only key is `sources`"),
        ("sources: {a: 1}", "must be a list of sources, or a mapping whose only key is `sources`"),
        ("sources: []\nworker: {}\n", "must be a list of sources, or a mapping whose only key is `sources`"),
        ("- a: 1\n  a: 2\n", "line 2: 'a' stands twice; keep one of them"),
        ("- [a\n", "line 2: not YAML: did not find expected ',' or ']'"),
        ("- !!python/object:os.system x\n", "line 1: not YAML: could not determine a constructor for the tag "
         "'tag:yaml.org,2002:python/object:os.system'"),
        ("- &a {b: 1}\n- *a\n", "line 1: an anchor and its aliases, which lists may not have; write it out"),
        (LAUGHS, "line 1: an anchor and its aliases, which lists may not have; write it out"),
        ("- &a [*a]\n", "line 1: an anchor and its aliases, which lists may not have; write it out"),
        ("[" * 100_000, "line 1: not YAML: exceeded maximum nesting depth"),
        ("- a\n---\n- b\n", "line 2: not YAML: but found another document"),
    ],
)  # fmt: skip
def test_what_is_no_list_is_refused_soon(text: str, reason: str) -> None:
    began = time.monotonic()
    with pytest.raises(ValueError) as caught:
        read_items(text, "sources")
    assert str(caught.value) == reason
    assert time.monotonic() - began < 5


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
values = st.recursive(
    scalars,
    lambda some: st.lists(some, max_size=3) | st.dictionaries(st.text(), some, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.text(), values, max_size=4), max_size=4))
def test_what_is_written_is_read_again(items: list[dict[str, Any]]) -> None:
    assert [data for _, data in read_items(write_items(items, "sources"), "sources")] == items


def test_what_stands_twice_is_written_twice() -> None:
    shared = {"env": "A"}
    assert write_items([{"x": shared, "y": shared}], "sources") == (
        "sources:\n  - x:\n      env: A\n    y:\n      env: A\n"
    )
