"""Which articles a digest tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.digest.select import Item, newest_by_source

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def item(source: str, title: str, hours_ago: float) -> Item:
    return Item(source, title, None, NOON - timedelta(hours=hours_ago))


def test_sources_and_items_come_newest_first() -> None:
    items = [item("B", "old", 9), item("A", "older", 5), item("A", "newer", 3), item("B", "new", 1)]
    sections = newest_by_source(items, limit_per_source=5)
    assert [(section.source, [each.title for each in section.items]) for section in sections] == [
        ("B", ["new", "old"]),
        ("A", ["newer", "older"]),
    ]


def test_a_section_keeps_the_newest() -> None:
    (section,) = newest_by_source([item("A", str(age), age) for age in range(9)], limit_per_source=3)
    assert [each.title for each in section.items] == ["0", "1", "2"]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_source_always_shows_something(limit: int) -> None:
    (section,) = newest_by_source([item("A", "only", 1)], limit_per_source=limit)
    assert len(section.items) == 1


def test_nothing_gives_nothing() -> None:
    assert newest_by_source([], limit_per_source=3) == []


_ITEMS = st.builds(item, st.sampled_from("AB"), st.sampled_from("xyz"), st.integers(0, 2))


@given(st.lists(_ITEMS, max_size=8).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_order_of_arrival_does_not_matter(pair: tuple[list[Item], list[Item]]) -> None:
    first, second = pair
    assert newest_by_source(first, limit_per_source=2) == newest_by_source(second, limit_per_source=2)
