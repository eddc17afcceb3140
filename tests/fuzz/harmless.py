"""What sanitised HTML must never hold, read by another parser than the one that sanitised it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from digestd.feed.html import clean

BASE = "https://example.org/blog/post"

_NEVER = {
    *("script", "style", "iframe", "object", "embed", "form", "input", "svg", "math", "base", "meta", "link"),
}  # fmt: skip
_NEVER_ATTRIBUTES = {
    *("style", "srcset", "ping", "formaction", "action", "background", "poster", "cite", "hidden", "dynsrc"),
    *("lowsrc", "srcdoc", "xlink:href", "data"),
}


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(tag, name, value or "") for name, value in [("", ""), *attrs]]


def assert_harmless(shown: str) -> None:
    """Assert that `shown` has no script, style, frame, form or handler, only links to http, https and mailto, and that
    a parser which reads it anew finds nothing else in it.

    Not that this gives the same text: some trees that parsers build are no trees that they read (links round tables).
    """
    found = _found(shown)
    for tag, name, value in found:
        assert tag not in _NEVER, shown
        assert not name.startswith("on"), shown
        assert name not in _NEVER_ATTRIBUTES, shown
        if name in ("href", "src"):
            assert re.match(r"https?://|mailto:", value), shown
    assert _found(clean(shown, BASE)) <= found, shown


def _found(shown: str) -> set[tuple[str, str, str]]:
    reader = _Attributes()
    reader.feed(shown)
    return set(reader.found)
