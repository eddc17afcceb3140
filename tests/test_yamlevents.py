"""YAML read from events is what the loader reads; and what it does not read is the loader's."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import ConfigurationError
from digestd.yamlevents import Unusual, read_events
from digestd.yamlfile import _Loader, read_yaml

# Everything that a scalar can be taken for, and what it can be confused with.
SCALARS = st.sampled_from(
    [
        "text",
        "yes",
        "No",
        "~",
        "null",
        "",
        "12",
        "-3",
        "0x1f",
        "0b1",
        "017",
        "1_000",
        "60:30",
        "1.5",
        ".inf",
        "-.INF",
        ".nan",
        "1e3",
        "1.0e+3",
        "2026-11-29",
        "2026-11-29 10:00:00",
        "<<",
        "=",
        "'12'",
        '"yes"',
        "a b",
        "http://x.example/a?b=c&d=e",
        "'it''s'",
        '"\\u00e4\\n"',
        "!!str 12",
        "!other x",
        "&anchor x",
        "*anchor",
        "|\n  block\n",
        "@bad",
        "a: b: c",
        "[1, 2",
        "{a: 1}",
        "[x, [y]]",
        "\t",
        "0o17",
        "on",
    ]
)
LINES = st.lists(
    st.one_of(
        st.builds("{}: {}".format, st.sampled_from(["a", "b", "c", "1", "yes", "<<", "'a'"]), SCALARS),
        st.builds("- {}".format, SCALARS),
        st.builds("  {}: {}".format, st.sampled_from(["a", "b", "d"]), SCALARS),
        st.builds("  - {}".format, SCALARS),
        st.just("list:"),
        st.just("- a: 1"),
        st.just("# a comment"),
        st.just("---"),
        st.just("..."),
    ),
    max_size=8,
).map("\n".join)


def loaded(text: str) -> str:
    """What the loader makes of `text`, or that it refuses it."""
    try:
        return repr(yaml.load(text, Loader=_Loader))
    except (yaml.YAMLError, ValueError) as error:
        return f"refused: {type(error).__name__}"


@given(text=st.one_of(LINES, st.text(alphabet="ab:- \n'\"[]{},#&*!|>%@~<=?1.", max_size=40)))
def test_what_is_read_is_what_the_loader_reads(text: str) -> None:
    try:
        found = repr(read_events(text))
    except (Unusual, yaml.YAMLError, ValueError):
        return
    assert found == loaded(text)


DATA = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(), inner, max_size=4)),
    max_leaves=12,
)


@given(data=DATA)
def test_plain_data_needs_no_loader(data: object) -> None:
    text = yaml.safe_dump(data, allow_unicode=True)
    try:
        # Not `data` itself: the writer changes some line breaks.
        assert repr(read_events(text)) == loaded(text)
    except Unusual:
        # The same object in two places is written with an anchor.
        assert "&" in text


def test_a_list_of_sources_needs_no_loader() -> None:
    text = "sources:\n" + "".join(
        f"  - name: s{n}\n    url: http://x.example/{n}\n    enabled: yes\n" for n in range(3)
    )
    assert read_events(text) == {
        "sources": [{"name": f"s{n}", "url": f"http://x.example/{n}", "enabled": True} for n in range(3)]
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3, column 1: 'a' stands twice; keep one of them"),
        ("a: [1, 2\n", "line 2, column 1: not YAML: did not find expected ',' or ']'"),
        ("x:\n  - y: 1\n    y: 2\n", "line 3, column 5: 'y' stands twice; keep one of them"),
    ],
)
def test_mistakes_are_told_with_their_places(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "digestd.yaml"
    file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_yaml(file)
    assert raised.value.problems == (f"{file}: {problem}",)


@pytest.mark.parametrize(
    "text",
    [
        "a: &x 1\nb: *x",
        "<<: {a: 1}",
        "!!str a",
        "a: 2026-11-29",
        "1: a",
        "a: 1\na: 2",
        "---\na\n---\nb",
        "[" * 40 + "]" * 40,
        "? [a]\n: b",
    ],
)
def test_what_is_unusual_is_left_to_the_loader(text: str) -> None:
    with pytest.raises(Unusual):
        read_events(text)
