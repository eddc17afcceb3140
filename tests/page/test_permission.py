"""What X-Robots-Tag says of keeping a page's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.page.permission import forbids_keeping


@pytest.mark.parametrize(
    ("header", "directive"),
    [
        ("noindex", "noindex"),
        ("NoIndex, nofollow", "noindex"),
        (" none ", "none"),
        ("nofollow, noarchive", "noarchive"),
        ("max-snippet:-1, nosnippet", "nosnippet"),
        ("digestd: noindex", "noindex"),
        ("DigestD : NOARCHIVE", "noarchive"),
        ("digestd: nofollow, noindex", "noindex"),
        ("googlebot: noindex, digestd: nosnippet", "nosnippet"),
        ("noarchive, googlebot: noindex", "noarchive"),
        ("*: none", "none"),
        ("googlebot: noindex, *: noarchive", "noarchive"),
        ("unavailable_after: 25 Jun 2010 15:00:00 PST, noindex", "noindex"),
        ("unavailable_after: Friday, 25-Jun-10 15:00:00 GMT, noindex", "noindex"),
        ("unavailable_after: 2030-01-01T15:00:00Z, noindex", "noindex"),
        ("max-image-preview:large, noindex", "noindex"),
    ],
)
def test_a_directive_that_forbids_is_found(header: str, directive: str) -> None:
    assert forbids_keeping(header, "digestd") == directive


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "all",
        "index, follow",
        "nofollow, noimageindex, notranslate",
        "googlebot: noindex",
        "googlebot: nofollow, noindex",
        "digestd: nofollow, otherbot: noindex, none",
        "digestdplus: noindex",
        "unavailable_after: noindex",
        "max-snippet: none",
        "noindexing",
        "no index",
    ],
)
def test_what_does_not_forbid_is_passed_over(header: str | None) -> None:
    assert forbids_keeping(header, "digestd") is None


@given(st.text(max_size=200), st.text(max_size=20))
def test_arbitrary_text_never_raises(header: str, agent: str) -> None:
    assert forbids_keeping(header, agent) in (None, "noindex", "none", "noarchive", "nosnippet")
