"""Where a redirect from an article's URL ended: at a page, or at a home, login or consent page instead."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

HOME = "redirected to the home page"
LOGIN = "redirected to a login page"
CONSENT = "redirected to a consent page"

_LANGUAGE = re.compile(r"[a-z]{2}(?:[-_][a-z]{2,4})?")
_INDEX = re.compile(r"(?:index|default|home|homepage|start|startseite|main)(?:\.[a-z]{2,5})?")
# Without pretty permalinks the article is named by the query alone: `/?p=123`.
_NAMES_OF_ARTICLES = frozenset({"aid", "article", "articleid", "id", "news", "p", "page_id", "post", "story"})

_LOGIN_HOSTS = frozenset({"accounts.google.com", "login.microsoftonline.com"})
_LOGIN_LABELS = frozenset({"auth", "idp", "login", "logon", "signin", "sign-in", "signon", "sso"})
_LOGIN_SEGMENT = re.compile(
    r"(?:wp-login|log[-_]?in|log[-_]?on|sign[-_]?in|sign[-_]?on|anmelden|connexion|inloggen)(?:\.[a-z]{2,5})?"
)
# Deeper in a path, these are the subjects of developers' articles.
_LOGIN_AT_THE_START = re.compile(r"auth|authenticate|authorize|oauth2?|openid|saml2?|sso")
_CONSENT_LABELS = frozenset({"consent", "cookie-consent", "cookiewall", "guce", "myprivacy"})
_CONSENT_SEGMENT = re.compile(
    r"(?:(?:cookie|gdpr|privacy|data|collect)?[-_]?consent|(?:cookie|privacy|gdpr|consent)[-_]?(?:gate|wall))"
    r"(?:\.[a-z]{2,5})?"
)
# `/en/account/login`: what stands deeper is more likely the name of an article.
_NEAR_THE_START = 3


def landing(asked: str, final: str) -> str | None:
    """Why `final`, where redirects from the article's URL `asked` ended, is no article; None where it may be one.

    A home page is recognised by an empty path, or one of a language and an index alone; login and consent pages by a
    host known for them or by a whole segment near the start of the path, so that `/blog/login-bypass` is none. What
    `asked` is itself is never held against `final`. Never raises.
    """
    try:
        before, after = urlsplit(asked), urlsplit(final)
        _ = before.hostname, after.hostname
    except ValueError:
        return None
    for sentence, is_one in ((CONSENT, _is_consent), (LOGIN, _is_login), (HOME, _is_home)):
        if is_one(after) and not is_one(before):
            return sentence
    return None


def _is_consent(parts: SplitResult) -> bool:
    return _first_label(parts) in _CONSENT_LABELS or _has_near_start(_CONSENT_SEGMENT, parts)


def _is_login(parts: SplitResult) -> bool:
    if parts.hostname in _LOGIN_HOSTS or _first_label(parts) in _LOGIN_LABELS:
        return True
    first = _segments(parts)[:1]
    return _has_near_start(_LOGIN_SEGMENT, parts) or any(map(_LOGIN_AT_THE_START.fullmatch, first))


def _first_label(parts: SplitResult) -> str:
    return (parts.hostname or "").partition(".")[0]


def _has_near_start(segment: re.Pattern[str], parts: SplitResult) -> bool:
    return any(map(segment.fullmatch, _segments(parts)[:_NEAR_THE_START]))


def _is_home(parts: SplitResult) -> bool:
    names = {name.casefold() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if names & _NAMES_OF_ARTICLES:
        return False
    segments = _segments(parts)
    if segments and _LANGUAGE.fullmatch(segments[0]):
        segments = segments[1:]
    return not segments or (len(segments) == 1 and _INDEX.fullmatch(segments[0]) is not None)


def _segments(parts: SplitResult) -> list[str]:
    return [unquote(segment).casefold() for segment in parts.path.split("/") if segment]
