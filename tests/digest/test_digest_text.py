"""Text on a grid of cells."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.digest.text import ELLIPSIS, cells, printable, shorten, wrap


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("  two\t words \r\n three\u2028four\u00a0five ", "two words three four five"),
        ("\x1b[31mred\x1b[0m \x07bell\x00\x9b2J", "[31mred[0m bell2J"),
        ("invoice\u202efdp.exe\u2066\u200f", "invoicefdp.exe"),
        ("half \ud83d pair", "half pair"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("क\u094d\u200dष 👩\u200d💻", "क\u094d\u200dष 👩\u200d💻"),
        ("\x00\x01", ""),
    ],
)
def test_only_what_prints_is_left(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_megabyte_is_cut() -> None:
    assert printable("a" * 1_000_000) == "a" * 10_000 + ELLIPSIS


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本語", 6), ("ｱｲｳ", 3), ("Ａ", 2), ("cafe\u0301", 4), ("🔒", 2), ("\u200d", 0), ("", 0)],
)
def test_cells(text: str, width: int) -> None:
    assert cells(text) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdef", 5, "abcd…"),
        ("abc def", 5, "abc…"),
        ("abc. def", 6, "abc…"),
        ("日本語", 6, "日本語"),
        ("日本語", 5, "日本…"),
        ("日本語", 4, "日…"),
    ],
)
def test_shorten(text: str, width: int, shown: str) -> None:
    assert shorten(text, width) == shown


@pytest.mark.parametrize(
    ("text", "width", "lines", "broken"),
    [
        ("", 10, 2, []),
        ("one two three", 7, 2, ["one two", "three"]),
        ("one two three", 6, 3, ["one", "two", "three"]),
        ("one two three four", 7, 2, ["one two", "three…"]),
        ("one two three four", 7, 1, ["one tw…"]),
        ("abcdefghij", 4, 3, ["abcd", "efgh", "ij"]),
        ("x abcdefghij", 4, 9, ["x", "abcd", "efgh", "ij"]),
        ("ab abcdefghij", 4, 2, ["ab", "abc…"]),
        ("脆弱性の情報", 5, 3, ["脆弱", "性の", "情報"]),
        ("CVE脆弱性x", 6, 3, ["CVE脆", "弱性x"]),
        ("x ab脆", 4, 3, ["x ab", "脆"]),
        ("cafe\u0301s au lait", 5, 3, ["cafe\u0301s", "au", "lait"]),
    ],
)
def test_wrap(text: str, width: int, lines: int, broken: list[str]) -> None:
    assert wrap(text, width, lines=lines) == broken


@given(st.text(max_size=200), st.integers(2, 30), st.integers(1, 5))
def test_lines_never_overflow(text: str, width: int, lines: int) -> None:
    broken = wrap(printable(text), width, lines=lines)
    assert len(broken) <= lines
    assert all(len(line) > 0 and cells(line) <= width for line in broken)


@given(st.text(alphabet="ab 日\u0301", max_size=60), st.integers(2, 12))
def test_nothing_is_lost_between_lines(text: str, width: int) -> None:
    broken = wrap(text, width, lines=10_000)
    assert "".join(broken).replace(" ", "") == text.replace(" ", "")


def test_marks_by_the_thousand_take_no_time() -> None:
    started = time.monotonic()
    assert len(wrap(printable("e" + "\u0301" * 1_000_000), 40, lines=2)) == 1
    assert time.monotonic() - started < 1
