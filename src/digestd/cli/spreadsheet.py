"""CSV for spreadsheets, in which nothing that came from outside can be read as a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from digestd.feed.text import strip_controls

LONGEST_CELL = 16_383
"""Characters. Excel takes 32,767 UTF-16 units to a cell ("Excel specifications and limits") and a character has up to
two of them; what is more than that runs over into other cells."""

_LINE_OR_TAB = re.compile(r"[\t\r\n]+")

# Where a cell would begin with a formula: at the start, and after a semicolon, since spreadsheets of many countries
# split there; they then take quotation marks for the semicolon's cell that were meant for ours. The joiners are what
# `strip_controls` leaves of characters that nobody sees. Each run of blanks is looked at once.
_BEFORE_FORMULA = re.compile(
    '^(?=[\\s\u200c\u200d]*[=+\\-@＝＋－＠])|(?<=;)(?=[\\s\u200c\u200d"]*[=+\\-@＝＋－＠])'
)


def defused(text: str) -> str:
    """Give `text` as one line of a cell that no spreadsheet reads as a formula.

    An apostrophe goes before what would be one: `=`, `+`, `-`, `@` and their full-width forms at the start or after a
    semicolon, whatever blanks precede them. Tabs and line breaks become blanks, control characters are dropped, and
    what is longer than :data:`LONGEST_CELL` ends in an ellipsis. Everything else stays as it is. After OWASP, "CSV
    Injection" (https://owasp.org/www-community/attacks/CSV_Injection), which also says that a spreadsheet may lose
    the apostrophe when it saves the file itself.
    """
    line = strip_controls(_LINE_OR_TAB.sub(" ", text))
    safe = _BEFORE_FORMULA.sub("'", line)
    return safe if len(safe) <= LONGEST_CELL else safe[: LONGEST_CELL - 1] + "…"


def csv_text(columns: Sequence[str], records: Iterable[Mapping[str, object]]) -> str:
    """Give `records` as CSV (RFC 4180) under a row with the names of `columns`.

    Text is :func:`defused` and stands in quotation marks, as OWASP asks; numbers are bare; None is an empty cell.
    Raises ValueError when a record has a key that is no column.
    """
    written = io.StringIO()
    writer = csv.DictWriter(written, columns, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in record.items()} for record in records)
    return written.getvalue()


def _cell(value: object) -> str | int:
    if isinstance(value, bool):
        # In the words of JSON; the csv module would write Python's.
        return "true" if value else "false"
    if isinstance(value, int):
        return value
    return "" if value is None else defused(str(value))
