"""The door to nh3: what is left of HTML from outside."""

from __future__ import annotations

import html
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.html import clean, cleaned_to_text, from_text, to_text
from digestd.feed.parse import parse_feed
from fuzz.harmless import assert_harmless
from support.corpus import corpus_path

BASE = "https://example.org/blog/post"


@pytest.mark.parametrize(
    ("value", "left"),
    [
        ("plain text", "plain text"),
        ("a & b", "a &amp; b"),
        ("<p onclick='x()'>Hi</p><script>x()</script><style>p{}</style>", "<p>Hi</p>"),
        ("<form><input>in</form><iframe src='/x'>no</iframe>", "in"),
        ("<a href='javascript:x()'>a</a>", '<a rel="noopener noreferrer">a</a>'),
        ("<img src='data:image/png;base64,AA'>", "<img>"),
        (
            "<a href='other?a=1'>a</a>",
            '<a href="https://example.org/blog/other?a=1" rel="noopener noreferrer">a</a>',
        ),
        ("<a href='mailto:a@b.org'>a</a>", '<a href="mailto:a@b.org" rel="noopener noreferrer">a</a>'),
        ("<img src='//cdn.org/i.png' width=1 height='1' alt='a>b'>", ""),
        ("<img src='/i.png' width=1 height=300>", ""),
        (
            "<img src='/i.png' width=10 height='1%' style='border:0'>",
            '<img src="https://example.org/i.png" width="10" height="1%">',
        ),
        ("<q cite='javascript:x'>a</q><del cite=' java\tscript:x'>b</del>", "<q>a</q><del>b</del>"),
        (
            "<a href='https://a.org/\nb\x07c\x85'>a</a>",
            '<a href="https://a.org/bc" rel="noopener noreferrer">a</a>',
        ),
        ("<div background=x><p style='position:fixed' class=c id=i>a</p></div>", "<div><p>a</p></div>"),
        ("<img src=/a srcset='/b 2x' onerror=x longdesc=y usemap=z>", '<img src="https://example.org/a">'),
        ("<video poster=x src=y><source src=z></video><audio src=x>a</audio>", "a"),
        (
            "<a ping=x href=/a target=_top>a</a><button formaction=javascript:x>b</button>",
            '<a href="https://example.org/a" rel="noopener noreferrer">a</a>b',
        ),
        ("<math><mtext><table><mglyph><style><img src=x onerror=y>", ""),
        (
            "<svg></p><style><a title='</style><img src=x onerror=y>'>",
            '<p></p><img src="https://example.org/blog/x">\'&gt;',
        ),
        (
            "<noscript><p title='</noscript><img src=x onerror=y>'>",
            "&lt;p title='<img src=\"https://example.org/blog/x\">'&gt;",
        ),
        ("<p><b>unclosed", "<p><b>unclosed</b></p>"),
        ("NUL \x00 and \ud800<br>", "NUL  and \ufffd<br>"),
    ],
)
def test_cleans(value: str, left: str) -> None:
    assert clean(value, BASE) == left


@pytest.mark.parametrize(
    "base", ["", "javascript:x", "mailto:a@b.org", "post/1", "http://[", "file:///etc/x"]
)
def test_without_a_web_address_as_base_relative_links_lose_their_target(base: str) -> None:
    assert clean("<a href='x'>a</a>", base) == '<a rel="noopener noreferrer">a</a>'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("  two\n words ", "two words"),
        ("<p>one</p><p>two<br>three</p>", "one two three"),
        ("wo<b>r</b>d", "word"),
        ("AT&amp;T &#8217;s &lt;b&gt; &nbsp; x", "AT&T \u2019s <b> x"),
        ("<script>no</script>yes<style>no</style>", "yes"),
        ("a <!-- no --> b", "a b"),
        ("5 < 6 & 7 > 2", "5 < 6 & 7 > 2"),
        ("&#xD800;&#0;", "\ufffd\ufffd"),
    ],
)
def test_turns_html_into_text(value: str, text: str) -> None:
    assert to_text(value) == text


def test_text_as_html_shows_the_text() -> None:
    assert from_text("<b> & \x00") == "&lt;b&gt; &amp; "


@pytest.mark.parametrize(
    "hidden",
    [
        "width=0 height=10", "width=' 01.5 '", "height=1px", "hidden", "hidden=until-found",
        "style='display : NONE !important'", "style='visibility:hidden'", "style='opacity:0'",
        "style='opacity:.0;'", "style='width:1px;height:1px'", "style='max-height: 0'",
        "style='opacity:0.01'", "style='transform:scale(0)'", "style='transform:scale3d(0,0,0)'",
        "style='position:absolute;clip:rect(0 0 0 0)'", "style='clip:rect(1px, 1px, 1px, 1px)'",
        "style='clip-path:inset(50%)'", "style='clip-path:circle(0)'",
        "style='position:absolute;left:-9999px'", "style='display:n\\6fne'", "style='dis/**/play:none'",
    ],
)  # fmt: skip
def test_images_that_nobody_can_see_are_gone(hidden: str) -> None:
    assert clean(f"a<img src='https://t.example/p.gif' {hidden}>b", BASE) == "ab"


@pytest.mark.parametrize(
    "seen",
    [
        "width=10",
        "style='width:100px'",
        "style='opacity:0.5'",
        "style='opacity:0.1'",
        "style='transform:scale(0.5)'",
        "style='clip:rect(0,100px,100px,0)'",
        "style='clip-path:inset(0)'",
        "style='border-width:0'",
        "style='margin:-12px'",
    ],
)
def test_images_that_can_be_seen_stay_without_their_style(seen: str) -> None:
    kept = ' width="10"' if seen == "width=10" else ""
    assert (
        clean(f"<img src='https://a.example/p.png' {seen}>", BASE)
        == f'<img src="https://a.example/p.png"{kept}>'
    )


_OBFUSCATED = [
    "javascript:x", "JaVaScRiPt:x", " \x01javascript:x", "java\tscript:x", "java\nscript:x", "java\x00script:x",
    "&#106;avascript&colon;x", "&#x6A&#x61;vascript:x", "vbscript:x", "data:text/html,x", "data&colon;text/html,x",
    "java\x01script:x", "jav\x7fascript:x", "\x80javascript:x", "java\x85script:x",
    "java&#1;script:x", " \x01 java\x02script\x03:x", "javascript\x9f:x", "da\x1bta:text/html,x",
    "file:///etc/passwd", "feed:javascript:x", "view-source:x", "blob:x", "ms-its:x", "\u2028javascript:x",
]  # fmt: skip


@pytest.mark.parametrize("target", _OBFUSCATED)
@pytest.mark.parametrize(
    "markup",
    ["<a href='{}'>a</a>", "<img src='{}'>", "<q cite='{}'>a</q>", "<blockquote cite='{}'>a</blockquote>",
     "<table background='{}'>", "<area href='{}'>", "<form action='{}'>", "<video poster='{}'>"],
)  # fmt: skip
def test_no_link_runs_anything(markup: str, target: str) -> None:
    for found in re.findall(r'="([^"]*)"', clean(markup.format(target), BASE)):
        assert found.startswith(("https://example.org/", "noopener")), found


@pytest.mark.parametrize(
    ("target", "left"),
    [
        ("https://bank.example@evil.example/", "https://evil.example/"),
        ("HTTPS://u:p%40@evil.example/a@b?c@d", "HTTPS://evil.example/a@b?c@d"),
        (" https:\\\\bank.example@evil.example/", " https:\\\\evil.example/"),
        ("http:///a@b@evil.example", "http:///evil.example"),
        ("//bank.example@evil.example/", "https://evil.example/"),
        ("https://bank.example&#9;@evil.example/", "https://evil.example/"),
        ("https://evil.example/a?b=https://c@d", "https://evil.example/a?b=https://c@d"),
        ("/a@b", "https://example.org/a@b"),
        ("mailto:a@b.example", "mailto:a@b.example"),
    ],
)
def test_no_link_names_anybody_before_its_host(target: str, left: str) -> None:
    assert clean(f"<a href='{target}'>a</a>", BASE) == f'<a href="{left}" rel="noopener noreferrer">a</a>'
    assert clean(f"<img src='{target}'>", BASE) == f'<img src="{left}">'


def test_nor_does_the_base() -> None:
    assert clean("<img src=b>", "https://u:p@a.example/") == '<img src="https://a.example/b">'


def test_sanitize_cases_of_feedparser() -> None:
    root = corpus_path("feeds-conformance") / "feedparser-6.0.14" / "wellformed" / "sanitize"
    cases = sorted(root.glob("*.xml"))
    assert len(cases) > 300
    for case in cases:
        entries = parse_feed(case.read_bytes(), BASE, None).entries
        for shown in (part for entry in entries for part in (entry.summary, entry.content) if part):
            assert_harmless(shown)


_TAGS = st.sampled_from(
    ["a", "img", "p", "svg", "math", "style", "script", "table", "td", "mtext", "mglyph", "noscript", "title", "form",
     "select", "template", "foreignobject", "annotation-xml", "iframe", "b", "q", "textarea", "xmp", "plaintext"]
)  # fmt: skip
_NAMES = st.sampled_from(
    ["href", "src", "style", "onload", "cite", "width", "height", "srcset", "id", "title", "alt"]
)
_VALUES = st.sampled_from(
    [*_OBFUSCATED, "display:none", "1", "</style><img src=x onerror=y>", "--><script>", "/x", "'"]
)
_ELEMENTS = st.builds("<{0} {1}=\"{2}\" {3}='{4}'>".format, _TAGS, _NAMES, _VALUES, _NAMES, _VALUES)


@given(
    st.lists(_ELEMENTS | _TAGS.map("</{}>".format) | st.text(max_size=4) | st.just("<!--"), max_size=12).map(
        "".join
    )
)
def test_whatever_comes_is_harmless(value: str) -> None:
    assert_harmless(clean(value, BASE))


def test_html_nested_beyond_reason_is_read_as_text_and_in_time() -> None:
    deep = "<div onclick=x()>" * 200_000 + "text"
    unclosed = "<a" * 200_000
    begin = time.perf_counter()
    assert to_text(unclosed) == unclosed
    assert clean(deep, BASE).strip() == "text"
    assert to_text(deep) == "text"
    assert time.perf_counter() - begin < 2


_FRAGMENTS = st.lists(
    st.sampled_from(
        ["<", ">", "&", '"', "'", "<p>", "</p>", "<a href=", "<img src=x width=1 height=1>", "javascript:"]
    )
    | st.sampled_from(
        ["<script>", "</script", "onclick=", "<svg><style>", "<!--", "&#0;", "&lt;script&gt;", "\x00"]
    )
    | st.text(max_size=5),
    max_size=20,
).map("".join)


@given(_FRAGMENTS)
def test_what_is_cleaned_is_clean(value: str) -> None:
    once = clean(value, BASE)
    assert clean(once, BASE) == once
    assert "<script" not in once.lower()
    assert "<svg" not in once.lower()


@given(st.text())
def test_text_survives_html(text: str) -> None:
    assert html.unescape(from_text(text)) == html.unescape(from_text(html.unescape(from_text(text))))
    assert to_text("<p>" + from_text(text)) == to_text(from_text(text) + "<p>")


@given(st.text(alphabet="<>/&;abp divbrli \n\"'=#60", max_size=60) | st.text(max_size=40))
def test_the_cheap_way_to_text_gives_the_same(fragment: str) -> None:
    cleaned = clean(fragment, "https://example.org/")
    assert cleaned_to_text(cleaned) == to_text(cleaned)


def test_words_at_inline_tags_stay_whole() -> None:
    assert cleaned_to_text("<p>a<b>b</b>c</p><p>d &amp;amp; e<br>f</p>") == "abc d &amp; e f"
