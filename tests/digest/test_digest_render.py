"""The digest as text, whole."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from digestd.digest.render import render_digest
from digestd.digest.select import Item
from digestd.digest.text import cells

MORNING = datetime(2026, 3, 1, 9, 5, tzinfo=UTC)

ITEMS = (
    Item(
        source="Harbour Linux Security Notices",
        title="HLSN-2026-0141: openrelay parses a header past its end, and a very long title goes on",
        link="http://127.0.0.1:40123/harbour-linux/hlsn-2026-0141.html",
        published_at=MORNING,
        text="A remote peer can read memory of the relay process. Update to 4.2.7. Only relays that accept "
        "mail from the internet are open to it; others can wait for the next maintenance window.",
    ),
    Item("Harbour Linux Security Notices", "Second notice", None, MORNING - timedelta(days=1), "Short."),
    Item("脆弱性ニュース", "製品の脆弱性について", "https://example.test/ja", MORNING + timedelta(minutes=1)),
)

GOLDEN = """\
脆弱性ニュース
──────────────
• 製品の脆弱性について
  2026-03-01 09:06 UTC
  https://example.test/ja

Harbour Linux Security Notices
──────────────────────────────
• HLSN-2026-0141: openrelay parses a header past
  its end, and a very long title goes on
  2026-03-01 09:05 UTC
  http://127.0.0.1:40123/harbour-linux/hlsn-2026-0141.html
  A remote peer can read memory of the relay
  process. Update to 4.2.7. Only relays that…

• Second notice
  2026-02-28 09:05 UTC
  Short."""


def test_golden() -> None:
    assert render_digest(ITEMS, width=50, limit_per_source=2) == GOLDEN


def test_without_articles_it_says_so() -> None:
    assert render_digest([], width=80, limit_per_source=3) == "No articles yet."


def test_times_are_shown_in_utc_with_four_digits_of_year() -> None:
    moment = datetime(30, 1, 2, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    shown = render_digest([Item("A", "T", None, moment)], width=80, limit_per_source=1)
    assert shown == "A\n─\n• T\n  0030-01-01 23:00 UTC"


def test_hostile_text_is_one_bounded_printable_item() -> None:
    hostile = Item(
        "S\x1b[2J" + "s" * 100,
        "\x00",
        "http://x/\x1b]0;y\x07" + "z" * 5_000,
        MORNING,
        "\u202e" + "t" * 1_000_000,
    )
    lines = render_digest([hostile], width=0, limit_per_source=1).split("\n")
    assert lines[:4] == ["S[2J" + "s" * 30 + "…", "─" * 35, "• (no title)", "  2026-03-01 09:05 UTC"]
    assert lines[4] == "  http://x/]0;y" + "z" * 1986 + "…"
    assert lines[5:] == ["  " + "t" * 33, "  " + "t" * 32 + "…"]


@given(
    st.lists(
        st.builds(Item, st.text(min_size=1), st.text(), st.none() | st.text(), st.just(MORNING), st.text())
    ),
    st.integers(-1, 120),
)
def test_only_links_pass_the_width(items: list[Item], width: int) -> None:
    without_links = [Item(each.source, each.title, None, each.published_at, each.text) for each in items]
    for line in render_digest(without_links, width=width, limit_per_source=2).split("\n"):
        assert cells(line) <= max(width, 35)
        assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in line)
    assert render_digest(items, width=width, limit_per_source=2)


def test_a_date_that_is_only_ours_is_called_so() -> None:
    item = Item("A", "T", None, datetime(2026, 11, 23, 9, 5, tzinfo=UTC), dated=False)
    shown = render_digest([item], width=80, limit_per_source=1)
    assert shown.splitlines()[3] == "  first seen 2026-11-23 09:05 UTC"
