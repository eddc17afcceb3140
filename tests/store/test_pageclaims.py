from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.store.pageclaims import Candidate, in_turn, same_text, unreadable, when_due

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
CANDIDATES = st.lists(
    st.builds(Candidate, st.integers(1, 4), st.integers(0, 5), st.integers(1, 1000)),
    unique_by=lambda one: one.article_id,
)


@given(CANDIDATES)
def test_turns_go_round_and_newest_first(candidates: list[Candidate]) -> None:
    order = in_turn(candidates)
    assert sorted(order) == sorted(candidates)
    given_before: Counter[int] = Counter()
    rounds: dict[int, list[tuple[int, int]]] = defaultdict(list)
    numbers = []
    for one in order:
        numbers.append(given_before[one.source_id])
        rounds[given_before[one.source_id]].append((one.published, one.article_id))
        given_before[one.source_id] += 1
    assert numbers == sorted(numbers)
    for found in rounds.values():
        assert found == sorted(found, reverse=True)
    for source_id in given_before:
        its = [(one.published, one.article_id) for one in order if one.source_id == source_id]
        assert its == sorted(its, reverse=True)


@pytest.mark.parametrize(
    ("owner", "unfinished"), [(None, 0), (None, 9), (None, 99), ("somebody", 1), ("somebody", 2)]
)
def test_what_nobody_suspects_is_ready(owner: str | None, unfinished: int) -> None:
    assert when_due(owner, unfinished, NOW) == {"next_extraction_at": None, "extraction_owner": None}


@pytest.mark.parametrize(("unfinished", "seconds"), [(3, 30), (4, 60), (9, 1920)])
def test_a_suspect_is_put_off(unfinished: int, seconds: int) -> None:
    assert when_due("somebody", unfinished, NOW) == {
        "next_extraction_at": NOW + timedelta(seconds=seconds),
        "extraction_owner": None,
        "extraction_error": f"{unfinished} attempts in a row never ended: its page may be crashing digestd",
    }


@pytest.mark.parametrize("unfinished", [10, 11, 100_000])
def test_at_last_it_is_failed(unfinished: int) -> None:
    assert when_due("somebody", unfinished, NOW) == {
        "next_extraction_at": None,
        "extraction_owner": None,
        "extraction": "failed",
        "extraction_error": f"{unfinished} attempts in a row never ended: its page may be crashing digestd",
    }


def test_pages_may_say_the_same_twice() -> None:
    assert same_text(2) is None
    assert same_text(3) == {
        "extraction": "failed",
        "text": None,
        "extraction_error": "3 pages of this source give the same text: a login wall, or what shows without scripts",
    }


def test_the_reason_of_a_damaged_row_is_bounded_and_storable() -> None:
    error = unreadable("\0" * 1000)["extraction_error"]
    assert error.startswith("its row in the table articles cannot be read or claimed: \ufffd")
    assert len(error) == 500
