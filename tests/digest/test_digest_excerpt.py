from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from digestd.digest.excerpt import excerpt, heading


def test_marks_and_the_title_are_left_out() -> None:
    text = "# A flaw in Foo!\n\n## Summary\n\n- one\n- two\n\n> said\n\n```\ncode - here\n```\n\n|---|---|\n| a | b |"
    assert excerpt(text, "A flaw in foo") == "Summary one two said code - here | a | b |"


def test_a_text_that_is_its_title_is_nothing_new() -> None:
    assert excerpt("# A flaw\n\nA flaw", "A flaw") == ""
    assert excerpt("A flaw in Foo was found.", "A flaw") == "A flaw in Foo was found."


def test_a_hyphen_within_a_text_stays() -> None:
    assert excerpt("well-known - and * starred # numbers", "x") == "well-known - and * starred # numbers"


@given(st.text(), st.text(max_size=20))
def test_whatever_it_is_it_is_one_line_and_no_longer(text: str, title: str) -> None:
    line = excerpt(text * 100, title)
    assert "\n" not in line
    assert len(line) <= 10_000


def test_an_untitled_article_is_called_by_its_first_line() -> None:
    assert heading("\n---\n## A flaw in Foo\n\nIt was found.") == "A flaw in Foo"
    assert heading("") == ""
