"""URLs are fit to be shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.masking import mask_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/feed", "https://example.com/feed"),
        ("https://u:p@example.com:8443/feed", "https://***@example.com:8443/feed"),
        ("https://example.com/?token=abc&page=&x", "https://example.com/?token=***&page=&***"),
        ("https://mastodon.example/@user.rss", "https://mastodon.example/@user.rss"),
        ("http://u:p/ss@host/?k=v", "http://***@host/"),
        ("postgresql://digestd:secret@/name?host=/run", "postgresql://***@/name?host=***"),
        ("sqlite:////var/lib/digestd/digestd.db", "sqlite:////var/lib/digestd/digestd.db"),
        ("http://[broken", "http://[broken"),
    ],
)
def test_user_info_and_query_values_are_masked(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@given(st.text("abc/:@?#[]%.=&", max_size=20))
def test_a_password_is_never_shown(noise: str) -> None:
    assert "SECRET" not in mask_url(f"https://user:SECRET{noise}@example.com/?q=SECRET")
