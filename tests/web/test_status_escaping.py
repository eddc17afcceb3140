"""Whatever strangers write, the pages have no element, attribute or address of theirs."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.feed.text import strip_controls
from digestd.metrics import Metrics
from digestd.model import Fetch, Source, SourceSpec, SourceStatus
from digestd.store.overview import Headline, PollCounts, SourceCounts, SourceDetail, SourceList, SourceQuery
from digestd.web.pages.board import Front, Hour
from digestd.web.pages.query import Asked
from digestd.web.pages.render import Renderer
from digestd.web.pages.views import away_view, front_view, source_view
from web.states import state

NOW = datetime(2026, 11, 23, 18, 30, 15, tzinfo=UTC)
RENDERER = Renderer()
MARKUP = [
    "<script>",
    "</td>",
    "'\"><img src=x onerror=alert(1)>",
    "{{ 7*7 }}",
    "{% raw %}",
    "&lt;",
    "-->",
    "<!--",
]
ADDRESSES = ["javascript:alert(1)", 'https://a.example/"onx=1']
UNSEEN = ["\u202e", "\x00", "\x1b[2J", "\ud800", "\U000e0041", "`", "\n"]
HTML = st.sampled_from([*MARKUP, *ADDRESSES, *UNSEEN])
TEXT = st.lists(HTML | st.text(max_size=20), max_size=4).map("".join)
URL = st.none() | TEXT | TEXT.map("https://a.example/".__add__) | TEXT.map("https://".__add__)


class Page(HTMLParser):
    """The elements and attributes of a page, its addresses and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.shape: Counter[tuple[str, ...]] = Counter()
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.shape[tag, *(name for name, _ in attrs)] += 1
        self.addresses += [value or "" for name, value in attrs if name in {"href", "src", "action"}]

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_decl(self, decl: str) -> None:
        assert decl == "DOCTYPE html"

    def handle_data(self, data: str) -> None:
        self.text += data


def status_of(name: str, error: str, kind: str = "feed") -> SourceStatus:
    spec = SourceSpec(name, kind, f"https://{name}", category=name, language=name)
    made = SourceStatus(
        Source(1, spec, effective_url=name), "active", NOW, NOW, NOW, NOW + timedelta(minutes=5)
    )
    return replace(made, consecutive_failures=2, last_error=f"dns: {error}", schedule_reason=f"x{error}")


def headline(title: str, url: str | None, name: str) -> Headline:
    return Headline(1, 1, name, title, url, NOW, "entry", NOW)


def front(name: str, title: str, url: str | None, error: str, word: str) -> str:
    view = Front(
        SourceCounts({"active": 1}, 1, {word: 1}, {word: 1}),
        SourceList((status_of(name, error, word),), 1_000),
        1,
        [headline(title, url, name)],
        [Hour(NOW, PollCounts(1, 1, 1, 1))],
    )
    asked = Asked(SourceQuery(search=name, category=word, kind=word))
    return RENDERER.render(
        "front",
        signed_in=True,
        here="/",
        made=NOW,
        **front_view(view, asked, state(stalled=error or "x"), NOW),
    )


def source(name: str, title: str, url: str | None, error: str, word: str) -> str:
    fetch = Fetch(NOW, "failed", 503, 1.0, 1, 1, 1, 1, f"x{word}", 1, f"dns: {error}")
    detail = SourceDetail(status_of(name, error, word), (fetch,), (headline(title, url, name),), 1, 1)
    return RENDERER.render("source", signed_in=True, here="/", made=NOW, **source_view(detail, NOW))


def away(name: str, title: str, url: str | None, error: str, word: str) -> str:
    metrics = Metrics(0.0)
    metrics.failing[name] = error
    view: dict[str, Any] = away_view(state(metrics=metrics), title, NOW)
    return RENDERER.render("away", signed_in=True, here="/", made=NOW, **view)


def sign_in(name: str, title: str, url: str | None, error: str, word: str) -> str:
    return RENDERER.render("sign_in", signed_in=False, here="/", made=NOW, wrong=True, back=name)


# The same elements whatever is said: these words stand in all places, and lead to a link.
PLAIN = {
    page: Page(page("Fenwick CERT", "A title", "https://a.example/", "no such name", "feed"))
    for page in (front, source, away, sign_in)
}
OURS = re.compile(
    r"#[a-z]+|/style-[0-9a-f]{12}\.css|/(?:[a-z-]+)?(?:\.svg)?(?:\?[!-~]*)?(?:#[a-z]+)?|/sources/1"
)


@settings(max_examples=40)
@given(TEXT.map("x".__add__), TEXT, URL, TEXT.map("x".__add__), TEXT.map("x".__add__))
def test_no_page_has_an_element_or_attribute_of_anybody_elses(
    name: str, title: str, url: str | None, error: str, word: str
) -> None:
    for render, plain in PLAIN.items():
        written = render(name, title, url, error, word)
        page = Page(written)
        expected = plain.shape.copy()
        linked = [address for address in page.addresses if not OURS.fullmatch(address)]
        assert all(address.lower().startswith(("http://", "https://")) for address in linked)
        if render in (front, source) and not linked:
            # An article that cannot be followed has no link.
            expected["a", "href", "rel"] -= 1
            expected["span", "class"] += 1
        for difference in (page.shape - expected, expected - page.shape):
            assert set(difference) <= {("span", "class")}, "a category of nothing has no place"
        assert strip_controls(written) == written
        written.encode()


def test_hostile_text_is_shown_as_text() -> None:
    hostile = "<script>alert(1)</script> {{ 7 * 7 }} &amp; \"'"
    for render in (front, source, away):
        assert hostile in Page(render(hostile, hostile, None, hostile, "feed")).text


def test_links_of_others_give_nothing_away() -> None:
    for render in (front, source):
        page = render("a", "b", "https://user:secret@a.example/?token=secret", "c", "feed")
        link = '<a href="https://a.example/?token=***" rel="noreferrer noopener external"><bdi>b</bdi></a>'
        assert link in page
        assert "secret" not in page


def test_no_page_has_script_style_or_anything_of_another_origin() -> None:
    for plain in PLAIN.values():
        tags = {tag for tag, *_ in plain.shape}
        assert tags.isdisjoint({"script", "style", "iframe", "object", "embed", "base", "img"})
        names = {name for _, *names in plain.shape for name in names}
        assert not [name for name in names if name.startswith("on") or name == "style"]
