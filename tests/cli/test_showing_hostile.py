"""What people are shown of an article that wants to deceive them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.cli.articles import _described
from digestd.cli.running import summary_text
from digestd.cli.showing import as_item
from digestd.daemon.once import Summary
from digestd.digest.render import render_digest
from digestd.feed.text import strip_controls
from digestd.healthcheck import describe
from digestd.metrics import Metrics
from digestd.model import Article, Failure

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LINK = "https://u:hunter2@a.example/x?id=7&api_key=hunter2"
_HOSTILE = st.text(alphabet="ab \n\t\r\x1b\x9b\x07\u202e\u2066\u2028\u200b\ufeff\U000e0041]8;;", max_size=40)
_STEERING = "\r\x1b\x9b\x07\u202e\u2066\u2028\u200b\ufeff\U000e0041"


def article(text: str = "") -> Article:
    return Article(
        1, f"s{text}", f"t{text}", LINK, f"a{text}", "en", None, None, NOW, "entry", NOW, text=f"x{text}"
    )


def test_a_digest_s_link_can_be_followed_and_holds_no_secret() -> None:
    shown = render_digest([as_item(article())], width=80, limit_per_source=1)
    assert "\n  https://a.example/x?id=7&api_key=***\n" in shown


@given(_HOSTILE)
def test_nothing_steers_the_terminal(text: str) -> None:
    for shown in (
        render_digest([as_item(article(text))], width=80, limit_per_source=1),
        _described(article(text)),
        strip_controls(text),
    ):
        assert not set(shown) & set(_STEERING)


def test_no_value_makes_a_second_fact() -> None:
    shown = _described(article("\nsource      forged")).splitlines()
    assert [line for line in shown[:10] if line.startswith("source ")] == ["source      s source forged"]


def test_no_error_makes_a_second_source_in_health() -> None:
    document = {
        "status": "ok", "version": "1", "uptime_seconds": 1.0, "last_fetch": None, "notes": [], "more_failing": 0,
        "sources": {"running": 1, "failing": 1}, "failing": [{"name": "one", "error": "odd\n  two: forged"}],
    }  # fmt: skip
    assert describe(document)[1:] == ["  one: odd two: forged"]


@pytest.mark.parametrize("kept", ["failures", "not_polled"])
def test_nor_in_the_summary_of_once(kept: str) -> None:
    said = "odd\n          two: \x1b[31mforged"
    totals = Metrics(0.0).summary(1.0)
    if kept == "failures":
        summary = Summary(1, totals, failures={"one": Failure("parser", said)})
    else:
        summary = Summary(1, totals, not_polled={"one": said})
    assert [line for line in summary_text(summary).splitlines() if "forged" in line] == [
        f"          one: {'parser: ' if kept == 'failures' else ''}odd two: [31mforged"
    ]


@given(st.text())
def test_stripping_is_done_at_once_and_leaves_plain_text_alone(text: str) -> None:
    assert strip_controls(strip_controls(text)) == strip_controls(text)
    assert strip_controls("Straße 你好 नमस्ते 👩\u200d💻\n\tend") == "Straße 你好 नमस्ते 👩\u200d💻\n\tend"
