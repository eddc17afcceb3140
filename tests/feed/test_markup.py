"""How much markup is too much: decided in time, whatever the fragment does to hide it, and never for real articles."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed import markup
from digestd.feed.html import clean, to_text
from digestd.feed.markup import is_beyond_reason
from digestd.feed.parse import parse_feed
from support.corpus import corpus_path

HOSTILE = {
    "nested": "<b>" * 40_000,
    "nested and closed by something else": "<b></x>" * 20_000,
    "closed in a comment": "<div>" * 20_000 + "<!--" + "</div>" * 20_000 + "-->",
    "closed in a comment each": "<div><!--</div>-->" * 15_000,
    "closed in an attribute": "<div a='</div>'>" * 20_000,
    "closed in a style": "<div><style></div></style>" * 12_000,
    "formatting reopened": "<p>" + "".join(f"<font a={n}>" for n in range(4_000)) + "</p><p>x" * 1_000,
    "misnested": "<a><b></a>" * 16_000,
    "tables": "<table><b>x" * 20_000,
    "references": "&amp" * 500_000,
    "angles": "<" * 2_000_000,
    "open comments": "<!--" * 500_000,
    "attributes": "<img " + " ".join(f"a{n}='{n}'" for n in range(100_000)) + ">",
    "attributes without blanks": "<img " + "/".join(f"a{n}" for n in range(100_000)) + ">",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_take_a_parser_long_loses_its_tags_in_time(name: str) -> None:
    begin = time.perf_counter()
    assert is_beyond_reason(HOSTILE[name])
    cleaned = clean(HOSTILE[name], "https://example.org/")
    to_text(HOSTILE[name])
    assert time.perf_counter() - begin < 2
    assert "<" not in cleaned


@pytest.mark.parametrize(
    "fragment",
    [
        "<p>a &amp; b</p>" * 10_000,
        "<p>never closed" * 20_000,
        "<ul>" + "<li>never closed" * 20_000 + "</ul>",
        "<a href=x>never closed" * 20_000,
        "<table><tr>" + "<td>x</td>" * 20_000 + "</table>",
        "<img alt='" + "x y=" * 200_000 + "'>",
        "<div>" * 100 + "<p><b>x</b></p>" * 4_000,
    ],
)
def test_long_articles_keep_their_tags(fragment: str) -> None:
    assert not is_beyond_reason(fragment)


@given(st.text(alphabet="<>/!-='\" abpdiv&;", max_size=200))
def test_it_decides_on_anything(piece: str) -> None:
    is_beyond_reason(piece * 100)


@pytest.mark.slow
def test_no_article_of_a_real_feed_loses_its_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    met: list[str] = []

    def remembering(fragment: str) -> bool:
        met.append(fragment)
        return is_beyond_reason(fragment)

    monkeypatch.setattr("digestd.feed.html.is_beyond_reason", remembering)
    for file in sorted(corpus_path("feeds-real").glob("*.*ml")):
        parse_feed(file.read_bytes(), "https://example.org/feed", None)
    assert len(met) > 1_000
    assert not any(map(is_beyond_reason, met))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["<a ", "x=", '"', "'", ">", "<", "b ", "c=1 ", " y='q>'", "<!--", "-->", "<script>"]
            ),
            st.sampled_from([1, 1, 1, 40, 700, 1_200]),
        ),
        max_size=12,
    )
)
def test_a_cheap_look_misses_no_crowded_tag(parts: list[tuple[str, int]]) -> None:
    fragment = "".join(part * times for part, times in parts)
    assert markup._may_have_crowded_tag(fragment) or not markup._has_crowded_tag(fragment)


def test_the_cheap_look_is_enough_for_articles() -> None:
    article = "<p class='a'>" + "word " * 1_000 + "<a href='https://a.example/?b=c'>" + "word " * 1_000
    assert not markup._may_have_crowded_tag(article)
