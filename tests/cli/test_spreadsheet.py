"""CSV as a spreadsheet reads it: whatever stands in it, no cell of it is a formula."""

from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.cli.spreadsheet import LONGEST_CELL, csv_text, defused

FORMULA = tuple("=+-@＝＋－＠\t\r\n")
_UNSEEN = " \u00a0\u3000\u200b\u200c\u200d\ufeff\x00\x07\x1b"
_HOSTILE = st.one_of(
    st.text(),
    st.text(alphabet="".join(FORMULA) + _UNSEEN + "\"';,|a1", max_size=12),
    st.builds("{}{}".format, st.sampled_from(FORMULA), st.text()),
)


def read(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ('=HYPERLINK("https://a.example")', '\'=HYPERLINK("https://a.example")'),
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        ("＝1", "'＝1"),
        ("＋1", "'＋1"),
        ("－1", "'－1"),
        ("＠A1", "'＠A1"),
        ("  =1", "'  =1"),
        ("\u3000\u200d=1", "'\u3000\u200d=1"),
        ("\t=1", "' =1"),
        ("\r\n=1", "' =1"),
        ("\x1b\x00\u200b\ufeff=1", "'=1"),
        ("one\r\ntwo\tthree", "one two three"),
        ("\nlate", " late"),
        ("x;=1+2;y", "x;'=1+2;y"),
        ('x; "=1+2"', 'x;\' "=1+2"'),
        ("", ""),
        ("'=1", "'=1"),
        ("a = b - c; d", "a = b - c; d"),
        (
            "CVE-2026-90001: 2 > 1, „Straße“ 你好 👩\u200d💻",
            "CVE-2026-90001: 2 > 1, „Straße“ 你好 👩\u200d💻",
        ),
    ],
)
def test_what_a_cell_holds(text: str, cell: str) -> None:
    assert defused(text) == cell


@given(_HOSTILE, _HOSTILE)
def test_no_cell_is_a_formula(first: str, second: str) -> None:
    written = csv_text(("first", "number", "second"), [{"first": first, "number": -1, "second": second}])
    (cells,) = read(written)[1:]
    assert cells == [defused(first), "-1", defused(second)]
    for cell in (cells[0], cells[2]):
        assert not cell.startswith(FORMULA)
        assert not cell.strip(_UNSEEN).startswith(FORMULA)
    assert written.count("\n") == written.count("\r\n") == 2


@given(st.lists(st.fixed_dictionaries({"first": _HOSTILE, "number": st.just(1), "second": _HOSTILE})))
def test_no_cell_is_a_formula_where_a_spreadsheet_splits_at_semicolons(
    records: list[dict[str, object]],
) -> None:
    for row in read(csv_text(("first", "number", "second"), records), ";"):
        for cell in row:
            # A cell that such a spreadsheet takes for quoted may begin with the end of a line of ours.
            assert not cell.strip(_UNSEEN + "\r\n").startswith(FORMULA)


@given(st.from_regex(r"[\w\"'(#][\w ,.:!?/&=%+\"'()@-]*", fullmatch=True))
def test_plain_text_comes_back_unchanged(text: str) -> None:
    assert read(csv_text(("text",), [{"text": text}])) == [["text"], [text]]


@given(_HOSTILE)
def test_defusing_is_done_at_once(text: str) -> None:
    assert defused(defused(text)) == defused(text)


def test_the_format_is_rfc_4180_with_numbers_bare() -> None:
    record = {"name": 'say "hi", twice', "count": -3, "on": True, "off": False, "none": None}
    assert csv_text(tuple(record), [record]) == (
        '"name","count","on","off","none"\r\n"say ""hi"", twice",-3,"true","false",""\r\n'
    )


def test_without_records_there_is_still_the_row_of_names() -> None:
    assert csv_text(("a", "b"), []) == '"a","b"\r\n'


def test_a_cell_never_runs_over_into_others() -> None:
    longest = "😀" * LONGEST_CELL
    assert defused(longest) == longest
    assert len(longest.encode("utf-16-le")) / 2 < 32_767
    assert defused(longest + "=") == "😀" * (LONGEST_CELL - 1) + "…"
    assert len(defused("=" * LONGEST_CELL)) == LONGEST_CELL


@pytest.mark.parametrize("text", [" ", ";", '"', ';"', "; ", "=", "\n", "\t ", ";\u200d"])
def test_no_text_takes_long(text: str) -> None:
    began = time.monotonic()
    defused(text * 500_000 + "x")
    assert time.monotonic() - began < 2, "a tenth of a second on an idle machine"
