"""What a server is asked with, whatever it has answered and whenever."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.asking import (
    FULL_AFTER,
    after_304,
    after_delta,
    after_document,
    asked_as,
    meaning_in,
    question,
)
from digestd.model import PollState

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HERE, THERE = asked_as("https://one.example/", "", "1"), asked_as("https://one.example/", "abcd", "1")

fields = st.text(st.characters(min_codepoint=0x21, max_codepoint=0xFF), min_size=1, max_size=3_000)
validators = st.fixed_dictionaries({}, optional={"etag": fields, "last-modified": fields})
answers = st.lists(
    st.tuples(
        st.sampled_from(["document", "unchanged", "delta", "failed", "cut off"]),
        validators,
        st.timedeltas(timedelta(seconds=1), timedelta(hours=30)),
    ),
    max_size=30,
)


@given(answers)
def test_validators_go_back_as_they_came_and_are_left_out_once_a_day_at_most(
    every: list[tuple[str, dict[str, str], timedelta]],
) -> None:
    state, now = PollState(), NOW
    held: dict[str, str] = {}
    full_at: datetime | None = None
    for kind, said, pause in every:
        now += pause
        asked = question(state, HERE, now)
        if held and not asked.is_conditional:
            assert full_at is not None
            assert now - full_at >= FULL_AFTER
        elif held:
            sent = {"If-None-Match": held.get("etag"), "If-Modified-Since": held.get("last-modified")}
            assert {name: asked.headers.get(name) for name in sent} == sent
            assert ("A-IM" in asked.headers) is ("etag" in held)
        else:
            assert asked.headers == {}
        if not asked.is_conditional and held:
            full_at = now
        state = asked.state
        if kind == "document" or (kind in {"unchanged", "delta"} and not asked.is_conditional):
            state, held, full_at = after_document(state, said, "hash", None, HERE, now), said, now
        elif kind == "unchanged":
            state = after_304(state, said)
            held = held | said if "etag" in held else held
        elif kind == "delta":
            state, held = after_delta(state, said), said


@given(answers, st.sampled_from([THERE, asked_as("https://two.example/", "", "1")]))
def test_what_was_got_by_asking_otherwise_is_forgotten(
    every: list[tuple[str, dict[str, str], timedelta]], other: str
) -> None:
    for _, said, _ in every:
        state = after_document(PollState(cursor={"x": 1}), said, "hash", "meaning", HERE, NOW)
        asked = question(state, other, NOW)
        assert (asked.state, asked.headers) == (PollState(), {})


@pytest.mark.parametrize("damaged", [None, 7, "yesterday", "2026-11-23", ["2026"]])
def test_of_a_damaged_moment_nothing_is_known_to_be_a_day_old(damaged: object) -> None:
    state = PollState('"1"', cursor={"asked": HERE, "full_at": damaged})
    asked = question(state, HERE, NOW)
    assert asked.headers["If-None-Match"] == '"1"'
    assert (asked.state.cursor or {})["full_at"] == NOW.isoformat()


def test_another_parser_or_other_fields_ask_otherwise() -> None:
    ways = {asked_as(*way) for way in [("u", "", "1"), ("v", "", "1"), ("u", "a", "1"), ("u", "", "2")]}
    assert len(ways) == 4


def test_what_a_document_meant_is_known_where_it_was_told() -> None:
    told = after_document(PollState(), {}, "hash", "meaning", HERE, NOW)
    assert [meaning_in(state) for state in (told, PollState(), PollState(cursor={"meaning": 1}))] == [
        "meaning",
        None,
        None,
    ]
