"""Links of entries, whatever stands in and round them."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed import link
from digestd.feed.link import absolute_link, is_plain_url

BASE = "https://example.org/blog/feed"


@pytest.mark.parametrize(
    ("href", "link"),
    [
        ("a b", "https://example.org/blog/a%20b"),
        ("\n https://a.example/\tx\r\ny ", "https://a.example/xy"),
        ("\x02\x02http://a.example/", "http://a.example/"),
        ("http://a.example/\x1b[31m\x00\x85", "http://a.example/[31m"),
        ("java\x01script:x", None),
        ("\x1fjavascript:x", None),
        ("http://[", None),
    ],
)
def test_links_are_absolute_and_hold_no_control_characters(href: str, link: str | None) -> None:
    assert absolute_link(BASE, href) == link


@given(
    st.sampled_from(
        [
            "https://example.org/a/b?c#d",
            "http://example.org",
            "http://[bad",
            "",
            "/path",
            "mailto:a@b.example",
        ]
    ),
    st.lists(
        st.sampled_from(
            [
                "http://",
                "https://",
                "HTTP://",
                "a.example",
                "/",
                "..",
                ".",
                "?",
                "#",
                "a=b",
                "&",
                ";",
                ":80",
                "%",
                "@",
                "é",
            ]
        ),
        max_size=8,
    ).map("".join),
)
def test_plain_links_are_resolved_as_any_others(base: str, href: str) -> None:
    found = absolute_link(base, href)
    with mock.patch.object(link, "is_plain_url", return_value=False):
        assert absolute_link(base, href) == found


def test_most_links_are_plain() -> None:
    assert is_plain_url("https://www.example.org/2020/01/a-title_of~one/?utm_source=rss&id=1%20#more")
    assert not is_plain_url("/2020/01/")
    assert not is_plain_url("https://example.org/a?")
