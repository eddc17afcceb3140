"""What people are shown of an article that wants to deceive them."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from digestd.cli.articles import _described
from digestd.cli.showing import as_item
from digestd.digest.render import render_digest
from digestd.feed.text import strip_controls
from digestd.model import Article

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


@given(st.text())
def test_stripping_is_done_at_once_and_leaves_plain_text_alone(text: str) -> None:
    assert strip_controls(strip_controls(text)) == strip_controls(text)
    assert strip_controls("Straße 你好 नमस्ते 👩\u200d💻\n\tend") == "Straße 你好 नमस्ते 👩\u200d💻\n\tend"
