"""URLs as they are shown: without user info, and without what a query or path holds that may be a secret."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.masking import mask_guid, mask_link, mask_url, secret_in
from digestd.model import Source, SourceSpec

CANARY = "hunter2canary"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@a.org/x?q=1&y#f", "https://***@a.org/x?q=***&***"),
        ("https://a.org/x;jsessionid=1;v/y?z=", "https://a.org/x;jsessionid=***;v/y?z="),
        ("https://user:12/3@a.org/feed", "https://***@a.org/feed"),
        ("https://user:p/3@a.org/feed?k=1", "https://***@a.org/feed"),
        ("https://a.org/@name", "https://a.org/@name"),
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
    ],
)
def test_masked_for_operators(url: str, shown: str) -> None:
    assert mask_url(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://a.org/x?id=1&page=2#top", "https://a.org/x?id=1&page=2#top"),
        ("https://u:p@a.org/x?id=1", "https://a.org/x?id=1"),
        ("//u:p@a.org/x", "//a.org/x"),
        ("https://a.org/x?token=1&api_key=2&apiKey=3&X-Amz-Signature=4&id=5",
         "https://a.org/x?token=***&api_key=***&apiKey=***&X-Amz-Signature=***&id=5"),
        ("https://a.org/x?a%70i_key=2&accesstoken=3&PHPSESSID=4&auth=5&pwd=6&sig=",
         "https://a.org/x?a%70i_key=***&accesstoken=***&PHPSESSID=***&auth=***&pwd=***&sig="),
        ("https://a.org/x?author=1&monkey=2&keyword=3", "https://a.org/x?author=1&monkey=2&keyword=3"),
        ("https://a.org/#access_token=1&x=2", "https://a.org/#access_token=***&x=2"),
        ("https://a.org/x;jsessionid=1?y=2", "https://a.org/x;jsessionid=***?y=2"),
        ("https://[::1", "https://[::1"),
    ],
)  # fmt: skip
def test_masked_for_readers(url: str, shown: str) -> None:
    assert mask_link(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://аpple.com/news?a=1", "https://xn--pple-43d.com/news"),
        ("https://bücher.example:8080/", "https://xn--bcher-kva.example:8080/"),
        ("https://bü..cher/", "https://b\\xfc..cher/"),
        ("https://" + "ü" * 9000 + "/", "https://" + "\\xfc" * 9000 + "/"),
    ],
)
def test_names_of_other_alphabets_are_shown_as_they_are_sent(url: str, shown: str) -> None:
    assert mask_url(url).partition("?")[0] == shown
    assert mask_link(url).partition("?")[0] == shown


@pytest.mark.parametrize(
    ("guid", "shown"),
    [
        (None, None),
        ("", ""),
        ("HTTPS://u:p@a.org/x?p=7&token=1", "HTTPS://a.org/x?p=7&token=***"),
        ("tag:a.org,2026:x?token=1;key=2", "tag:a.org,2026:x?token=1;key=2"),
        ("urn:uuid:1", "urn:uuid:1"),
    ],
)
def test_guids_that_are_addresses_are_masked(guid: str | None, shown: str | None) -> None:
    assert mask_guid(guid) == shown


_PART = st.text(max_size=12)


@given(_PART, st.sampled_from(["u", "", "a b", "u@x"]), _PART)
def test_no_password_is_shown(noise: str, user: str, path: str) -> None:
    password = quote(noise, safe="") + CANARY
    url = f"https://{user}:{password}@host.example/{quote(path)}?token={CANARY}&x={CANARY}"
    assert CANARY not in mask_url(url)
    assert f"{CANARY}@" not in mask_link(url)
    assert f"token={CANARY}" not in mask_link(url)


@given(st.text(max_size=60) | st.text(alphabet=":/?#@[];=&%ab1\\ \n\x00", max_size=40))
def test_masking_never_fails_and_masks_no_more_the_second_time(url: str) -> None:
    assert mask_link(mask_link(url)) == mask_link(url) or "@" in url
    mask_url(url)


def test_a_source_s_repr_has_no_url() -> None:
    spec = SourceSpec("a", "feed", f"https://u:{CANARY}@a.org/")
    assert CANARY not in repr(Source(1, spec, effective_url=spec.url))


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://a.org/x?id=1&page=2#top", None),
        ("https://a.org/@name?token=", None),
        ("https://a.org:8080/x@y", "user info"),
        ("https://u:p@a.org/?token=1", "user info"),
        ("//u@a.org/", "user info"),
        ("https://a.org/x;v=1?y=2", "a parameter in its path"),
        ("https://a.org/?id=1&api_key=2&token=3", "the parameter api_key"),
        ("https://a.org/#access_token=1", "the parameter access_token"),
        (f"https://a.org/.rss?feed={'0aF9' * 8}&user=me", "the parameter feed"),
        (f"https://a.org/?channel_id=UC{'0aF9' * 7}", None),
        (f"https://a.org/?{'x' * 99}token=1", f"the parameter {'x' * 40}"),
    ],
)
def test_what_may_be_a_secret_is_named(url: str, secret: str | None) -> None:
    assert secret_in(url) == secret


@given(st.text(alphabet="ab:/?#&=;@.token"))
def test_what_holds_none_is_shown_to_readers_whole(url: str) -> None:
    if secret_in(url) is None:
        assert mask_link(url) == url
    if mask_link(url) != url:
        assert secret_in(url) is not None
