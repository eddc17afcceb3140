"""The one URL under which an article is known, among those that lead to it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import SplitResult, urlsplit, urlunsplit

from digestd.feed.link import absolute_link
from digestd.page.landing import landing

LONGEST_URL = 2_000

# Who sent the reader, for the statistics of campaigns; never which article is meant.
_TRACKING = re.compile(
    r"utm_\w+|fbclid|gclid|gclsrc|dclid|gbraid|wbraid|msclkid|twclid|ttclid|yclid|igshid|mc_cid|mc_eid|mkt_tok"
    r"|_hsenc|_hsmi|__hssc|__hstc|__hsfp|hsctatracking|oly_anon_id|oly_enc_id|vero_id|wickedid|__twitter_impression"
    r"|guccounter|guce_referrer|guce_referrer_sig|wt\.mc_id|cmpid|ncid|at_medium|at_campaign",
    re.IGNORECASE,
)
# Pages that list articles.
_LISTINGS = frozenset(
    {"archive", "archives", "author", "categories", "category", "search", "tag", "tags", "topic", "topics"}
)
# The last segment of a section's path, as opposed to the name of an article.
_PLAIN_WORD = re.compile(r"[a-z]{1,20}", re.IGNORECASE)
# What stands behind an article's own path in its other forms.
_FORMS = frozenset({"amp", "comments", "embed", "full", "print", "single-page"})


def canonical_url(declared: Iterable[str | None], final: str) -> str:
    """Where the article lives: the first of `declared` that can be believed, else `final`, where redirects ended.

    `declared` are the page's own links to itself, best first, relative to `final`. Not believed: what is no http or
    https URL of up to 2,000 characters or carries user info, and a home, login, consent or listing page, which
    templates put on every page. Fragment, user info and the parameters of trackers are dropped. Never raises.
    """
    for href in declared:
        link = absolute_link(final, href) if href else None
        if link and len(link) <= LONGEST_URL and _is_believable(link, final):
            return without_tracking(link)
    return without_tracking(final)


def without_tracking(url: str) -> str:
    """`url` without fragment, user info and the parameters that tell who sent the reader; its host in lower case."""
    try:
        parts = urlsplit(url)
        parts = parts._replace(netloc=_host(parts), query=_query(parts.query), fragment="")
    except ValueError:
        return url
    return urlunsplit(parts)


def _host(parts: SplitResult) -> str:
    host = parts.netloc.rpartition("@")[2].lower()
    return host.removesuffix({"http": ":80", "https": ":443"}.get(parts.scheme, ":")) if host else ""


def _query(query: str) -> str:
    kept = (part for part in query.split("&") if not _TRACKING.fullmatch(part.partition("=")[0]))
    return "&".join(kept)


def _is_believable(link: str, final: str) -> bool:
    try:
        there, here = urlsplit(link), urlsplit(final)
        _ = there.port
    except ValueError:
        return False
    # A name without a dot is the machine of whoever made the site.
    if "@" in there.netloc or ("." not in there.netloc and there.netloc != here.netloc):
        return False
    return landing(final, link) is None and not _is_listing(there, here)


def _is_listing(there: SplitResult, here: SplitResult) -> bool:
    segments, own = _segments(there), _segments(here)
    if segments and segments[0].casefold() in _LISTINGS and own[:1] != segments[:1]:
        return True
    behind = own[len(segments) :] if own[: len(segments)] == segments else []
    if not behind or set(behind) <= _FORMS:
        return False
    return bool(segments) and _PLAIN_WORD.fullmatch(segments[-1]) is not None


def _segments(parts: SplitResult) -> list[str]:
    return [segment for segment in parts.path.split("/") if segment]
