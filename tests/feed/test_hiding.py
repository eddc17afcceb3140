"""Images that nobody was to see, by the style of what they stand in; and the cheap look that spares all others."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.hiding import concealed_images, may_conceal
from digestd.feed.html import clean

BASE = "https://example.org/blog/post"
BEACON = "<img src='https://t.example/p.gif'>"
SHOWN = '<img src="https://t.example/p.gif">'


@pytest.mark.parametrize(
    ("value", "left"),
    [
        (f"<div style='display:none'>text{BEACON}</div>b", "<div>text</div>b"),
        (f"<DIV STYLE='DISPLAY : NONE !important'>{BEACON}</DIV>", "<div></div>"),
        (f"<p style='visibility:hidden'><b>{BEACON}</b></p>{BEACON}", f"<p><b></b></p>{SHOWN}"),
        (f"<span hidden>{BEACON}</span>", "<span></span>"),
        (f"<span hidden=until-found class=a>{BEACON}</span>", "<span></span>"),
        (f"<SPAN HIDDEN>{BEACON.upper()}</SPAN>", "<span></span>"),
        (f"<span hidden inert class=a>{BEACON}</span>", "<span></span>"),
        (f"<span class='a'hidden/>{BEACON}</span>", "<span></span>"),
        (f"<div style='opacity:0.0;color:red'>{BEACON}</div>", "<div></div>"),
        (f"<div style='max-height:0;overflow:hidden'>{BEACON}</div>", "<div></div>"),
        (f"<div style='width:1px;height:1px;overflow:hidden;padding:0'>{BEACON}</div>", "<div></div>"),
        (f"<div style='position:absolute;left:-9999px'>{BEACON}</div>", "<div></div>"),
        (f"<div style='dis\\70lay:none'>{BEACON}</div>", "<div></div>"),
        (f"<div style='display/**/&colon;n&#111;ne'>{BEACON}</div>", "<div></div>"),
        (f"<table hidden><tr><td>{BEACON}</table>", "<table><tbody><tr><td></td></tr></tbody></table>"),
        (f"<p hidden>a<br>b{BEACON}<p>c{BEACON}", f"<p>a<br>b</p><p>c{SHOWN}</p>"),
        (f"<div hidden><p>{BEACON}<p hidden>{BEACON}</p>{BEACON}</div>{BEACON}", f"<div><p></p><p></p></div>{SHOWN}"),
    ],
)  # fmt: skip
def test_images_in_what_is_hidden_are_gone_and_text_stays(value: str, left: str) -> None:
    assert clean(value, BASE) == left


@pytest.mark.parametrize("tag", ["main", "font", "form", "button", "picture", "x-tracker", "label"])
def test_elements_that_do_not_stay_hide_their_images_too(tag: str) -> None:
    assert clean(f"a<{tag} style='display:none'><b>{BEACON}</b></{tag}>{BEACON}", BASE) == f"a<b></b>{SHOWN}"


@pytest.mark.parametrize(
    "attributes",
    [
        "style='display:block;text-decoration:none'",
        "style='overflow:hidden'",
        "style='width:0'",
        "style='position:relative;padding-bottom:56.25%;height:0;overflow:hidden'",
        "style='margin-left:-150px'",
        "style='opacity:0.5'",
        "style='width:1em;height:1em;overflow:hidden'",
        "class='hidden'",
        "aria-hidden=true",
        "data-style='display:none'",
        "title='hidden '",
        "title=\"style='display:none'\"",
    ],
)
def test_images_in_what_only_looks_like_it_stay(attributes: str) -> None:
    assert clean(f"<div {attributes}>{BEACON}</div>", BASE).count("<img") == 1


@pytest.mark.parametrize(
    "style", ["height:1em;max-height:1em", "width:1.5em", "width:;", "height:auto;width:1%"]
)
def test_emoji_are_no_beacons(style: str) -> None:
    assert clean(f"<img src='https://t.example/p.gif' style='{style}'>", BASE) == SHOWN


_PARTS = st.sampled_from(
    [
        *("<p>", "</p>", "<div hidden>", "</div>", "<b style='display:none'>", "</b>", "<main hidden>", "</main>"),
        *("<table hidden>", "<td>", "</table>", "<a href=/x>", "</a>", "<svg>", "</svg>", "<select>", "</select>"),
        *("<noscript hidden>", "</noscript>", "<template>", "</template>", "<title>", "</title>", "<xmp>", "</xmp>"),
        *("<x-y hidden>", "</x-y>", "<input hidden>", "<!--", "-->", "<style>", "</style>", "<math>", "<mtext>"),
        *("<br>", "<col>", "x"),
    ]
)  # fmt: skip


@given(st.lists(_PARTS, max_size=10), st.lists(_PARTS, max_size=10))
def test_however_broken_the_markup_is_only_images_go_and_each_by_itself(
    before: list[str], behind: list[str]
) -> None:
    one, other = "<img src=/1 alt=1>", "<img src=/2 alt=2>"
    both = _images_and_rest("".join([*before, one, *behind, other]))
    _, without_hiding = _images_and_rest("".join([*before, one, *behind, other]), hiding=False)
    # To a parser `embed` is what `img` is (HTML, 13.2.6.4.7): the first image does not decide about the second.
    alone, _ = _images_and_rest("".join([*before, "<embed>", *behind, other]))
    assert both[1] == without_hiding
    assert both[0] & {"2"} == alone


def _images_and_rest(value: str, *, hiding: bool = True) -> tuple[set[str], str]:
    """The numbers of the images that `value` shows, and what else it does; without `hiding`, nothing in it hides."""
    if not hiding:
        value = value.replace("hidden", "hiddem").replace("display:none", "display:nome")
    cleaned = clean(value, BASE).replace("hiddem", "hidden").replace("display:nome", "display:none")
    shown = re.compile(r'<img src="https://example.org/\d" alt="(\d)">')
    return set(shown.findall(cleaned)), shown.sub("", cleaned)


def test_it_says_of_each_image_whether_it_is_concealed() -> None:
    marked = '<img><p hidden=""><img><b style=""><img></b><img></p><img>'
    assert list(concealed_images(marked)) == [False, True, True, True, False]


@pytest.mark.parametrize(
    "fragment",
    [
        "<img>" + "style=" * 500_000,
        "<img>" + "style" + " " * 2_000_000,
        "<img>" + "style='" * 300_001,
        "<img>" + " hidden" * 300_000,
        "<img> hidden" + " " * 2_000_000,
        "<img>" + (" hidden" + " a" * 100) * 10_000,
        "<img>" + '<p style="' + "/*" * 1_000_000,
        "<img>" + "".join(f"<p style='left:{n}'>" for n in range(49_000)),
        "<img>" + "<div hidden><img>" * 1_000,
        "<img>" + "".join(f"<x{n} hidden><img></x{n}>" for n in range(16_000)),
        "<img>" + "<p hidden><img>" * 20_000,
    ],
)
def test_it_takes_time_in_proportion_whatever_comes(fragment: str) -> None:
    begin = time.perf_counter()
    may_conceal(fragment)
    clean(fragment, BASE)
    assert time.perf_counter() - begin < 2
