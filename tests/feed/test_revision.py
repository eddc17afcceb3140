"""What a revision changed, in data and in words, and which earlier versions stay."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.html import clean
from digestd.feed.revision import (
    LONGEST_TEXT,
    TEXT_VERSIONS_LIMIT,
    VERSIONS_LIMIT,
    changed_facts,
    cut,
    is_of_facts,
    is_text_only,
    sound_facts,
    superfluous,
    told,
)

ADVISORY: dict[str, Any] = {"severity": "MEDIUM", "score": 5.0, "cvss": "3.1", "fixed": ["npm a 1.0"]}


@pytest.mark.parametrize(
    ("after", "changes", "words"),
    [
        (ADVISORY, {}, "edited"),
        (
            {**ADVISORY, "severity": "CRITICAL", "score": 9.8},
            {"severity": ["MEDIUM", "CRITICAL"], "score": [5.0, 9.8]},
            "severity MEDIUM -> CRITICAL, score 5.0 -> 9.8",
        ),
        (
            {**ADVISORY, "fixed": ["npm a 1.0", "npm b 2", "npm c 3", "npm d 4", "npm e 5"]},
            {"fixed": [["npm a 1.0"], ["npm a 1.0", "npm b 2", "npm c 3", "npm d 4", "npm e 5"]]},
            "fix available: npm b 2, npm c 3, npm d 4 and 1 more",
        ),
        (
            {**ADVISORY, "fixed": ["npm a 1.1"]},
            {"fixed": [["npm a 1.0"], ["npm a 1.1"]]},
            "fix available: npm a 1.1",
        ),
        (
            {name: value for name, value in ADVISORY.items() if name != "fixed"},
            {"fixed": [["npm a 1.0"], None]},
            "fix withdrawn: npm a 1.0",
        ),
        (
            {**ADVISORY, "withdrawn": "2026-11-22", "cvss": "4.0", "own_thing": True, "zoo": ["x"]},
            {
                "withdrawn": [None, "2026-11-22"],
                "cvss": ["3.1", "4.0"],
                "own_thing": [None, True],
                "zoo": [None, ["x"]],
            },
            "withdrawn on 2026-11-22, CVSS 3.1 -> 4.0, own thing none -> True, zoo",
        ),
        (
            {"exploited": "2026-11-21", "status": "Analyzed", **ADVISORY},
            {"exploited": [None, "2026-11-21"], "status": [None, "Analyzed"]},
            "known to be exploited since 2026-11-21, status none -> Analyzed",
        ),
        # Of what a catalogue lists no more nothing else is known.
        (
            {"removed": "2026-11-23"},
            {"removed": [None, "2026-11-23"]},
            "removed from the catalogue on 2026-11-23",
        ),
    ],
)
def test_what_changed_is_told(after: dict[str, Any], changes: dict[str, Any], words: str) -> None:
    assert changed_facts(ADVISORY, after) == changes
    assert list(changed_facts(ADVISORY, after)) == list(changes)
    assert told(changes) == words


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"removed": "2026-11-23"}, ADVISORY, "listed in the catalogue again"),
        ({"withdrawn": "x"}, {}, "withdrawn no longer"),
        ({"exploited": "x"}, {}, "no longer known to be exploited"),
        ({"ransomware": "Unknown"}, {"ransomware": "Known"}, "use in ransomware campaigns Unknown -> Known"),
        ({"due": "2026-12-12"}, {"due": "2027-01-01"}, "due 2026-12-12 -> 2027-01-01"),
        (None, {"removed": "2026-11-23"}, "removed from the catalogue on 2026-11-23"),
        ({}, {"severity": "HIGH", "fixed": ["a 1"]}, "severity none -> HIGH, fix available: a 1"),
        # What was not known cannot be told to have changed, and what is no advisory has no facts.
        (None, ADVISORY, "edited"),
        (ADVISORY, None, "edited"),
        (None, None, "edited"),
    ],
)
def test_the_ways_back_and_what_was_not_known(
    before: dict[str, Any] | None, after: dict[str, Any] | None, words: str
) -> None:
    assert told(changed_facts(before, after)) == words


def test_words_are_told_where_no_facts_changed() -> None:
    changes: dict[str, Any] = {"title": ["a", "b"], "url": ["a", "b"], "summary": [1, 2], "content": [3, 4]}
    assert told(changes) == "edited: title, link, text"
    assert told(changes | {"severity": ["LOW", "HIGH"]}) == "severity LOW -> HIGH"
    assert (is_text_only(changes), is_of_facts(changes)) == (False, False)
    assert (is_text_only({"content": [3, 4]}), is_text_only({})) == (True, True)
    assert (is_text_only({"due": ["a", "b"]}), is_of_facts({"due": ["a", "b"]})) == (False, True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["severity", "fixed", "removed", "withdrawn", "title", "content", "x"]) | st.text(
    max_size=8
)
FACTS = st.none() | st.dictionaries(NAMES, JSON, max_size=8)


@given(FACTS)
def test_facts_become_what_can_be_kept_and_stay_so(facts: dict[str, Any] | None) -> None:
    sound = sound_facts(facts)
    assert sound_facts(sound) == sound
    assert (sound is None) == (facts is None)
    written = json.dumps(sound, allow_nan=False)
    assert json.loads(written) == sound
    assert "\\u0000" not in written
    assert not {"title", "content"} & (sound or {}).keys()


def unordered(value: Any) -> Any:
    return sorted(value) if isinstance(value, list) else value


def test_another_order_is_no_change() -> None:
    assert changed_facts({"fixed": ["a", "b"]}, {"fixed": ["b", "a"]}) == {}


def test_facts_are_bounded() -> None:
    facts = {f"fact_{number}": ["é" * 10_000] * 10 + [f"{n}" for n in range(10_000)] for number in range(100)}
    sound = sound_facts(facts)
    assert sound is not None
    assert list(sound) == [f"fact_{number}" for number in range(20)]
    assert sound["fact_0"] == ["é" * 200, *(f"{n}" for n in range(40))]
    assert sound_facts(
        {"a": "  x \n y\0\ud800", "b": "", "c": [], "d": 10**16, "e": None, "A": 1, "a-b": 1}
    ) == {"a": "x y\ufffd"}


@given(before=FACTS, after=FACTS)
def test_changes_lead_from_the_one_to_the_other(
    before: dict[str, Any] | None, after: dict[str, Any] | None
) -> None:
    old, new = sound_facts(before), sound_facts(after)
    changes = changed_facts(old, new)
    assert all((old or {}).get(name) == pair[0] for name, pair in changes.items())
    assert all((new or {}).get(name) == pair[1] for name, pair in changes.items())
    assert all(was != now for was, now in changes.values())
    assert bool(changes) <= (old != new)
    if old is not None and new is not None and "removed" not in {*old, *new}:
        assert {name: pair[1] for name, pair in changes.items()}.items() <= (dict.fromkeys(old) | new).items()
        assert changes.keys() == {
            name for name in {*old, *new} if unordered(old.get(name)) != unordered(new.get(name))
        }
    assert "\n" not in told(changes)


@given(st.dictionaries(NAMES, JSON))
def test_no_json_trips_the_words(changes: dict[str, Any]) -> None:
    assert told(changes)
    assert told({name: [pair, None] for name, pair in changes.items()})


@given(st.lists(st.booleans(), max_size=60))
def test_however_it_is_revised_few_versions_stay(history: list[bool]) -> None:
    """`history` says of each update whether it changed the text alone."""
    kept: list[tuple[int, bool]] = []
    for number, text_only in enumerate(history, 1):
        kept.append((number, text_only))
        gone = superfluous(kept)
        assert set(gone) <= {one for one, _ in kept[1:-1]}
        kept = [one for one in kept if one[0] not in gone]
        assert len(kept) <= VERSIONS_LIMIT
        # The first and the last one may be among them, and stay.
        assert sum(one for _, one in kept) <= TEXT_VERSIONS_LIMIT
    if history:
        assert (kept[0][0], kept[-1][0]) == (1, len(history))
    others = [number for number, text_only in enumerate(history, 1) if not text_only]
    shown = [number for number, text_only in kept if not text_only]
    # What changed more goes only where there is too much of it, and the oldest first.
    if len(others) <= VERSIONS_LIMIT - TEXT_VERSIONS_LIMIT:
        assert shown == others
    assert all(later in shown for now, later in pairwise(others) if now in shown and now != 1)


@pytest.mark.parametrize(
    ("html", "kept"),
    [
        (None, None),
        ("<p>" + "x" * (LONGEST_TEXT - 3), "<p>" + "x" * (LONGEST_TEXT - 3)),
        ("<p>" + "x" * LONGEST_TEXT, "<p>" + "x" * (LONGEST_TEXT - 3) + "…"),
        ("x" * (LONGEST_TEXT - 3) + '<a href="https://a.example/">', "x" * (LONGEST_TEXT - 3) + "…"),
    ],
)
def test_a_cut_leaves_no_half_of_a_tag(html: str | None, kept: str | None) -> None:
    assert cut(html) == kept


@given(st.text(alphabet='<>ab/"= &;', max_size=30))
def test_what_is_cut_says_no_more_than_before(html: str) -> None:
    padding = "x" * (LONGEST_TEXT - 15)
    kept = cut(padding + clean(html, "https://a.example/"))
    assert kept is not None
    assert len(kept) <= LONGEST_TEXT + 1
    assert kept.rfind("<") <= kept.rfind(">")
