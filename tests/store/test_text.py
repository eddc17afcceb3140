from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.store.text import storable


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (None, None),
        ("", ""),
        ("plain", "plain"),
        ("Ünïcödé 😀", "Ünïcödé 😀"),
        ("a\0b", "a\ufffdb"),
        ("é\0", "é\ufffd"),
        ("a\ud800b", "a\ufffdb"),
        ("\udc00\ud800", "\ufffd\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\ufeffkept", "\ufeffkept"),
        ("\0\udcff" * 2, "\ufffd" * 4),
    ],
)
def test_what_no_database_keeps_is_replaced(text: str | None, kept: str | None) -> None:
    assert storable(text) == kept


@given(st.text(st.characters(codec=None)))
def test_the_result_is_text_every_database_takes_and_stays_as_it_is(text: str) -> None:
    kept = storable(text)
    assert "\0" not in kept
    assert kept.encode().decode() == kept
    assert storable(kept) == kept


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_good_text_is_not_touched(text: str) -> None:
    assert storable(text) == text
