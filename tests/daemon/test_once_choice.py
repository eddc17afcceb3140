"""Which sources a round of `--once` polls."""

from __future__ import annotations

from digestd.daemon.once import Selection, choose
from digestd.model import Source, SourceSpec, SourceStatus


def due(name: str, seconds: float | None) -> SourceStatus:
    source = Source(1, SourceSpec(name, "feed", f"https://{name}.example/"))
    return SourceStatus(source, "active", due_in_seconds=seconds)


STATUSES = [due("later", 10), due("overdue", -100), due("never", None), due("now", 0)]


def chosen(selection: Selection) -> list[str]:
    return [status.source.name for status in choose(STATUSES, selection)]


def test_what_is_due_comes_longest_due_first() -> None:
    assert chosen(Selection()) == ["never", "overdue", "now"]
    assert chosen(Selection(limit=2)) == ["never", "overdue"]


def test_names_and_all_choose_due_or_not() -> None:
    assert chosen(Selection(everything=True)) == ["never", "overdue", "now", "later"]
    assert chosen(Selection(names=("later", "now"))) == ["now", "later"]
    assert chosen(Selection(names=("later", "now"), limit=1)) == ["now"]
