"""A log event is one line that no shipper splits or refuses, whatever is in it."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digestd.logline import FIRST_KEYS, LONGEST_LINE_BYTES, line_of

_TEXTS = st.builds(
    lambda text, times: text * times, st.text(max_size=12), st.sampled_from([0, 1, 1, 3, 3_000])
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _TEXTS,
    lambda inner: (
        st.builds(lambda items, times: items * times, st.lists(inner, max_size=3), st.sampled_from([1, 1, 9]))
        | st.dictionaries(_TEXTS, inner, max_size=4)
    ),
    max_leaves=6,
)


def loaded(line: str) -> dict[str, object]:
    assert len(line) < LONGEST_LINE_BYTES
    assert line.isascii()
    assert "\n" not in line
    event = json.loads(line, parse_constant=lambda name: pytest.fail(name))
    assert isinstance(event, dict)
    return event


@given(
    st.dictionaries(st.sampled_from(["event", "source", "exception", "a", "b"]) | _TEXTS, _VALUES, max_size=8)
)
@example({str(number): "x" * number for number in range(3_000)})
@example({"event": "\U0001f600" * 9_000, "exception": "é\n" * 9_000})
@example({"numbers": [10**4_999, -(10**70)]})
def test_whatever_is_in_it_it_is_one_line_below_the_bound(event: dict[str, object]) -> None:
    loaded(line_of(event))


@given(_TEXTS)
def test_what_every_line_has_stays_whatever_else_there_is(rest: str) -> None:
    every = {key: f"a {key}" for key in FIRST_KEYS}
    event = {**{str(number): rest for number in range(40)}, **every}
    written = loaded(line_of(event))
    assert list(written)[: len(every)] == list(FIRST_KEYS)
    assert {key: written[key] for key in FIRST_KEYS} == every


def test_a_line_that_fits_is_not_cut() -> None:
    event = {"event": "e", "error": "x" * (LONGEST_LINE_BYTES - 1 - len('{"event": "e", "error": ""}'))}
    line = line_of(event)
    assert json.loads(line) == event
    assert len(line) == LONGEST_LINE_BYTES - 1


def test_one_character_more_is_cut_in_its_middle_and_says_so() -> None:
    event = {"event": "e", "error": "a" * 10_000 + "b" * 10_000}
    written = loaded(line_of(event))
    assert written["event"] == "e"
    before, remark, after = str(written["error"]).partition(" [... 20,000 characters, cut here ...] ")
    assert remark
    assert 3_900 < len(before) < 4_000
    assert (set(before), set(after), len(before)) == ({"a"}, {"b"}, len(after))


def test_of_a_long_list_the_beginning_is_told_and_how_much_is_left_out() -> None:
    names = [f"source {number}" for number in range(100_000)]
    written = loaded(line_of({"event": "worker.sources.synced", "removed": names, "added": 3}))
    removed = written["removed"]
    assert isinstance(removed, list)
    kept = removed[:-1]
    assert len(kept) > 400
    assert kept == names[: len(kept)]
    assert removed[-1] == f"... and {100_000 - len(kept):,} more"
    assert written["added"] == 3


def test_a_hundred_long_values_share_the_line() -> None:
    written = loaded(line_of({"event": "e", **{f"key {number}": "y" * 1_000 for number in range(100)}}))
    assert written["..."] == f"and {101 - (len(written) - 1)} more"
    assert len(written) > 40


def test_what_holds_itself_ends() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert loaded(line_of({"event": "e", "value": circle}))["event"] == "e"


def test_an_integer_that_nobody_writes_out() -> None:
    assert loaded(line_of({"value": 10**5_000})) == {"value": "<an integer of 16610 bits>"}
    assert loaded(line_of({"value": 2**255})) == {"value": 2**255}
