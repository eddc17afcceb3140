"""Whether a redirect ended at an article, or at a home, login or consent page."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digestd.page.landing import landing

ARTICLE = "https://news.example/2026/06/router-flaw"
HOME, LOGIN, CONSENT = (
    "redirected to the home page",
    "redirected to a login page",
    "redirected to a consent page",
)


@pytest.mark.parametrize(
    "final",
    [
        "https://news.example",
        "https://news.example/",
        "https://www.news.example//",
        "http://other.example/?ref=404",
        "https://news.example/en/",
        "https://news.example/pt-BR",
        "https://news.example/de_de/index.html",
        "https://news.example/index.php",
        "https://news.example/Default.aspx?x=1",
        "https://news.example/home",
        "https://news.example/#!/",
    ],
)
def test_a_home_page_is_told(final: str) -> None:
    assert landing(ARTICLE, final) == HOME


@pytest.mark.parametrize(
    "final",
    [
        "https://news.example/login?next=/2026/06/router-flaw",
        "https://news.example/en/account/login",
        "https://news.example/users/sign_in",
        "https://news.example/Sign-In.html",
        "https://news.example/wp-login.php?redirect_to=x",
        "https://news.example/oauth2/authorize?client=1",
        "https://news.example/sso",
        "https://login.news.example/",
        "https://auth.news.example/u/x",
        "https://accounts.google.com/v3/identifier",
        "https://login.microsoftonline.com/common/x",
    ],
)
def test_a_login_page_is_told(final: str) -> None:
    assert landing(ARTICLE, final) == LOGIN


@pytest.mark.parametrize(
    "final",
    [
        "https://consent.news.example/m?continue=x",
        "https://consent.google.com/",
        "https://guce.news.example/copyConsent?sessionId=1",
        "https://news.example/consent?to=x",
        "https://news.example/en/cookie-consent/",
        "https://news.example/privacy-gate?to=x",
        "https://news.example/cookiewall.html",
    ],
)
def test_a_consent_page_is_told(final: str) -> None:
    assert landing(ARTICLE, final) == CONSENT


@pytest.mark.parametrize(
    ("asked", "final"),
    [
        (ARTICLE, ARTICLE + "/"),
        (ARTICLE, "https://amp.news.example/2026/06/router-flaw.html"),
        ("https://t.example/abc", "https://news.example/blog/consent-phishing"),
        ("https://t.example/abc", "https://news.example/2026/login-bypass-cve"),
        ("https://t.example/abc", "https://news.example/single-sign-on-flaw"),
        ("https://t.example/abc", "https://news.example/blog/identity/oauth/why-tokens-leak"),
        ("https://t.example/abc", "https://news.example/blog/auth"),
        ("https://t.example/abc", "https://news.example/a/b/c/login"),
        ("https://t.example/abc", "https://news.example/?p=123"),
        ("https://t.example/abc", "https://news.example/index.php?id=7"),
        ("https://t.example/abc", "https://news.example/en-route"),
        ("https://t.example/abc", "https://news.example/en/router-flaw"),
        ("https://news.example/", "https://news.example/en/"),
        ("https://news.example/login/flaw", "https://www.news.example/login/flaw/"),
        ("https://login.example/flaw", "https://login.example/the-flaw"),
        ("https://news.example/blog/consent", "https://news.example/2026/consent"),
    ],
)
def test_what_may_be_an_article_is_none_of_these(asked: str, final: str) -> None:
    assert landing(asked, final) is None


def test_an_article_named_by_its_query_alone_can_be_lost_too() -> None:
    assert landing("https://news.example/?p=123", "https://news.example/") == HOME


@given(st.text(max_size=80), st.text(max_size=80))
@example("http://[", "http://x")
@example("http://x", "//[x]:y/")
def test_arbitrary_text_never_raises(asked: str, final: str) -> None:
    assert landing(asked, final) in (None, HOME, LOGIN, CONSENT)


_URLS = st.lists(
    st.sampled_from(["login", "consent", "en", "index.html", "sso", "blog", "x-1"]), max_size=4
).map(lambda segments: "https://news.example/" + "/".join(segments))


@given(_URLS)
def test_where_it_was_asked_is_never_held_against_it(url: str) -> None:
    assert landing(url, url) is None


@given(
    st.sampled_from(["login", "sign-in", "consent", "cookie-consent", "sso", "index", "auth"]),
    st.from_regex(r"[a-z]{3,8}-[a-z]{3,8}", fullmatch=True),
    st.booleans(),
)
def test_a_word_within_a_slug_is_no_page_of_its_kind(word: str, rest: str, first: bool) -> None:
    slug = f"{word}-{rest}" if first else f"{rest}-{word}"
    assert landing("https://t.example/abc", f"https://news.example/2026/{slug}") is None


@given(_URLS, st.sampled_from(["https://news.example/", "https://news.example/en"]))
def test_a_home_page_is_told_from_whatever_is_deeper(asked: str, final: str) -> None:
    deeper = asked.rstrip("/") + "/some-article"
    assert landing(deeper, final) == HOME
