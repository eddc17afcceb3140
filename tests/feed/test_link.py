"""Links of entries, whatever stands in and round them."""

from __future__ import annotations

import pytest

from digestd.feed.link import absolute_link

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
