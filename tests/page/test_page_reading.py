"""What is read from an article's page: its text, and what makes two texts the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import NoArticle, ParserFailed
from digestd.model import Page
from digestd.page.reading import text_hash
from page.pages import PARAGRAPHS, TITLE, URL, article, page, read

MARKED_UP = """<article><h1>The title</h1>
<p>Intro with <a href="/x">a link</a>, <b>bold</b> and snake_case words, long enough to be taken for a text.</p>
<h2>What to do</h2>
<ul><li>Install the update</li><li>Restart <ul><li>twice</li></ul></li></ul>
<blockquote><p>We thank the finder.</p></blockquote>
<pre><code class="sh">set -e

rm -rf /tmp/*</code></pre>
<table><tr><th>Version</th><th>Fixed</th></tr><tr><td>1.0</td><td>1.1</td></tr></table>
<p>And a last paragraph, which says once more that the update is to be installed as soon as that can be done.</p>
</article>"""

AS_TEXT = """# The title

Intro with a link, bold and snake_case words, long enough to be taken for a text.

## What to do

- Install the update
- Restart
  - twice

> We thank the finder.

```
set -e

rm -rf /tmp/*
```

| Version | Fixed |
|---|---|
| 1.0 | 1.1 |

And a last paragraph, which says once more that the update is to be installed as soon as that can be done."""


def test_a_page_is_read() -> None:
    head = (
        '<link rel="canonical" href="/2026/06/router-flaw?utm_source=x">'
        '<meta property="article:published_time" content="2026-06-30T08:00:00+02:00">'
        '<meta name="author" content="Jo Doe">'
    )
    text = "\n\n".join([f"# {TITLE}", *PARAGRAPHS])
    assert read(article(head, attributes='lang="en_GB"')) == Page(
        text=text,
        text_hash=text_hash(text),
        canonical_url="https://news.example/2026/06/router-flaw",
        title=TITLE,
        author="Jo Doe",
        language="en-GB",
        published_at=datetime(2026, 6, 30, 6, 0, tzinfo=UTC),
        published_raw="2026-06-30T08:00:00+02:00",
    )


def test_what_a_page_does_not_declare_is_not_invented() -> None:
    found = read(
        article(after="<p>Posted on June 30, 2026 by Jo Doe in English</p><p>© 2025</p>", attributes="")
    )
    assert (found.published_at, found.published_raw, found.author, found.language) == (None, None, None, None)
    assert found.canonical_url == URL


def test_structure_is_kept_as_markdown() -> None:
    assert read(page(MARKED_UP)).text == AS_TEXT


def test_a_very_long_text_ends_with_a_line() -> None:
    lines = [
        f"Line {number} of the text says that it is followed by the line {number + 1}."
        for number in range(10_000)
    ]
    text = read(page("<article>" + "".join(f"<p>{line}</p>" for line in lines) + "</article>")).text
    assert 499_900 < len(text) <= 500_000
    assert text.rpartition("\n")[2] in lines


def test_a_very_long_line_is_cut() -> None:
    assert len(read(page(f"<article><p>{'word ' * 120_000}</p></article>")).text) in range(499_990, 500_001)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Please log in.", "PLEASE\n\nlog   in"),
        ("Log in. Ray ID: 8f3b2c1d9e4a5b6c", "Log in. Ray ID: 7a1b2c3d4e5f6a7b"),
        ("Ticket 123456789, 10:15:30", "Ticket 987654321, 9:01"),
        ("Id 6f1c1f9e-58cc-4372-a567-0e02b2c3d479.", "Id 123e4567-e89b-12d3-a456-426614174000."),
    ],
)
def test_texts_that_say_the_same_have_one_hash(one: str, other: str) -> None:
    assert text_hash(one) == text_hash(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Log in", "Log out"),
        (
            "The stable channel has been updated to 131.0.6778.86.",
            "The stable channel has been updated to 131.0.6778.109.",
        ),
        ("CVE-2026-12345 is fixed.", "CVE-2026-1234567 is fixed."),
        ("KB5034123", "KB5034124"),
        ("defaced facade", "decade facade"),
    ],
)
def test_texts_that_say_different_things_have_different_hashes(one: str, other: str) -> None:
    assert text_hash(one) != text_hash(other)


@given(
    st.binary(max_size=3000),
    st.sampled_from([None, "text/html; charset=shift_jis", "text/html;charset=utf-16le"]),
)
@settings(deadline=2000)
def test_arbitrary_bytes_are_read_or_refused(body: bytes, content_type: str | None) -> None:
    try:
        found = read(body, content_type=content_type)
    except (NoArticle, ParserFailed):
        return
    assert found.text.strip()
    found.text.encode()


_PIECES = st.sampled_from(
    [
        *(
            "<p>",
            "</p>",
            "<div class=x>",
            "</div>",
            "<table>",
            "<tr>",
            "<td colspan=9>",
            "</table>",
            "<li>",
            "<ul>",
        ),
        *(
            "</ul>",
            "<h2>",
            "</h2>",
            "<pre>",
            "<code>",
            "</code></pre>",
            "<br>",
            "<a href=':'>",
            "</a>",
            "<b>",
            "</b>",
        ),
        *(
            "&#1;",
            "<!--",
            "<script>",
            "</script>",
            "<article>",
            "</article>",
            "words of a text, ",
            "\x0c",
            "<svg>",
        ),
        *("<blockquote>", "</blockquote>", '<script type="application/ld+json">', "<base href='//['>"),
        *(
            '{"@type":"Article","author":[[{}]]}',
            "<time pubdate datetime=1>",
            "<link rel=canonical href='//a@b'>",
        ),
        '<meta property="og:url" content="http://[">',
    ]
)


@given(st.lists(_PIECES, max_size=60).map("".join))
@settings(deadline=2000)
def test_arbitrary_markup_is_read_or_refused(body: str) -> None:
    try:
        found = read(body)
    except (NoArticle, ParserFailed):
        return
    assert found.text.strip()
    assert found.canonical_url == URL
