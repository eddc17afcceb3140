"""What the shape of an answer says of its source: what a page is that came instead of a feed, and which feeds say less
than they seem to.

A feed that can be read is kept as it is, whatever is said of it here. What is said is remembered in the cursor of the
:class:`~digestd.model.PollState`, beside the validators: an answer that nothing changed changes nothing here either.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from digestd.feed.encoding import decode
from digestd.feed.link import absolute_link
from digestd.feed.refusal import looks_like_html
from digestd.feed.text import collapse, strip_controls
from digestd.masking import mask_link
from digestd.model import Document, Entry, PollState

FEWEST_DATES = 5
"""From so many entries on, one date for all of them is not chance."""

_REMARK = "degraded"
_NEVER_ANY = "never_any_entries"

# How far into a page we look: this runs beside everything else, and heads of pages are shorter.
_LOOKED_AT = 65_536
_LONGEST_URL = 300
# A page that says more than this is no wall, whatever stands in it.
_LONGEST_WALL = 1_500

# Each look ends at the next bracket, so that no page makes the search quadratic.
_TAG = re.compile(r"<[^<>]*>")
_TITLE = re.compile(r"<title[^<>]{0,200}>([^<]{0,2000})", re.IGNORECASE)
_LINK_OR_BASE = re.compile(r"<(link|base)\s([^<>]{1,3000})>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([a-z]{1,20})\s{0,20}=\s{0,20}("[^"]*"|'[^']*'|[^\s"'>]+)""", re.IGNORECASE)
_UNSEEN = re.compile(r"<(script|style|template)\b", re.IGNORECASE)
_PASSWORD = re.compile(r"<input\b[^<>]{0,2000}type\s{0,20}=\s{0,20}[\"']?password\b", re.IGNORECASE)

_FEED_TYPES = frozenset(
    {"application/rss+xml", "application/atom+xml", "application/rdf+xml", "application/feed+json"}
)

# What only the challenge itself holds; scripts that watch for robots stand on ordinary pages too.
_CHALLENGE_MARKS = {
    "_cf_chl_opt": "Cloudflare",
    "captcha-delivery.com": "DataDome",
    "incapsula incident id": "Imperva",
    "px-captcha": "HUMAN",
    "/.well-known/sgcaptcha": "SiteGround",
    "anubis_challenge": "Anubis",
}
_CHALLENGE_FIELDS = {"cf-mitigated": "Cloudflare", "x-amzn-waf-action": "AWS WAF"}
_CHALLENGE_TITLE = re.compile(
    r"(?:just a moment|one moment, please|attention required!|ddos-guard|pardon our interruption|robot check"
    r"|making sure you(?:'re| are) not a bot|are you (?:a )?(?:human|robot)|security (?:check|verification)(?:$| [|-]))"
)
_CHALLENGE_TEXT = re.compile(
    r"checking (?:your browser|if the site connection is secure)|enable javascript and cookies to continue"
    r"|verif(?:y|ying) (?:that )?you(?:'re| are) (?:a )?(?:human|not a (?:ro)?bot)|ddos protection by"
    r"|(?:complete|solve) the (?:captcha|security check)|unusual traffic from your"
)
_LOGIN_TITLE = re.compile(
    r"(?:please |you must )?(?:log|sign)[ -]?[io]n\b|log-?in\b|anmeld(?:en|ung)|connexion\b|iniciar sesión"
)
_LOGIN_ANYWHERE = re.compile(r"\b(?:log|sign)[ -]?[io]n\b|anmeld(?:en|ung)|connexion\b|iniciar sesión")
_CONSENT_TITLE = re.compile(
    r"before you continue|(?:cookie|privacy)[ -](?:consent|settings|preferences|choices)"
)
_CONSENT_TEXT = re.compile(
    r"before you continue to|(?:accept|reject|allow|agree to) (?:all |our )?cookies|we (?:value|respect) your privacy"
    r"|(?:accept|agree) and continue|wir benötigen ihre zustimmung|alle (?:cookies )?akzeptieren|tout accepter"
)
_CONSENT_HOST = re.compile(r"(?:consent|guce)\.")

_CHALLENGE_ADVICE = "ask the publisher to let feed readers through, or look for another address of the feed"
_LOGIN = "it is a login page; give the source its credentials, or the URL of a public feed"
_CONSENT = "it asks for consent first; look for an address of the feed that does not"
_UNKNOWN = "check the URL of the source"


def explain(refusal: str, body: bytes, url: str, headers: Mapping[str, str]) -> str:
    """Tell the operator more of an answer that was refused as no feed: what it is, and what to do.

    `refusal` is what is known already; `body` came from `url` with `headers` (lower-case names). The feed that a page
    advertises is named as :func:`~digestd.masking.mask_link` shows it. Never raises.
    """
    page = decode(body[:_LOOKED_AT], headers.get("content-type"))
    said = [reason for reason in (_wall(page, url, headers), _advertised(page, url)) if reason]
    if not said and looks_like_html(page):
        said = [_UNKNOWN]
    return ": ".join((refusal, "; ".join(said))) if said else refusal


def wall(body: bytes, url: str, headers: Mapping[str, str]) -> str | None:
    """What stands before what was asked for, in the page `body` that came from `url` with `headers` (lower-case names),
    and what to do about it; None where nothing is known to. Never raises."""
    return _wall(decode(body[:_LOOKED_AT], headers.get("content-type")), url, headers)


def accepted(headers: Mapping[str, str]) -> str:
    """What to tell of an answer 202, which brings no document yet (RFC 9110, 15.3.3), with these `headers`."""
    sentence = "the server answered 202 Accepted, and there is no document yet"
    keeper = _keeper(headers)
    return f"{sentence}: {_challenge(keeper)}" if keeper else sentence


def remember(document: Document, before: PollState) -> Mapping[str, object] | None:
    """The cursor to keep with the validators of `document`, read whole after a poll that left `before`."""
    if not (document.entries or document.left_out or had_entries(before)):
        return {_NEVER_ANY: True}
    remark = _remark(document)
    return {_REMARK: remark} if remark else None


def remark(cursor: Mapping[str, object], words: str | None) -> dict[str, object]:
    """`cursor` with `words` as what is wrong with the shape of the last document, and with nothing wrong for None."""
    kept = {name: value for name, value in cursor.items() if name != _REMARK}
    return kept if words is None else {**kept, _REMARK: words}


def had_entries(state: PollState) -> bool:
    """Whether a document was read before `state` was left, and one of them had entries."""
    return state.body_hash is not None and not (state.cursor or {}).get(_NEVER_ANY)


def remembered(state: PollState) -> str | None:
    """What is wrong with the shape of the last document that was read, in words; None where nothing is."""
    remark = (state.cursor or {}).get(_REMARK)
    return remark if isinstance(remark, str) else None


def remarking(state: PollState, remark: str | None) -> PollState:
    """`state` with `remark` as what is wrong with its source, though it is read; None for nothing."""
    rest = {name: value for name, value in (state.cursor or {}).items() if name != _REMARK}
    return replace(state, cursor={**rest, _REMARK: remark} if remark else rest or None)


def _remark(document: Document) -> str | None:
    entries, count = document.entries, len(document.entries)
    if not entries and document.left_out:
        return f"none of the {len(document.left_out)} entries of the feed can be read"
    if not entries:
        return "the feed has no entries, and it had some before"
    if count > 1 and all(_whole(entry) == _whole(entries[0]) for entry in entries):
        return f"all {count} entries of the feed are the same one"
    first = entries[0].published_at
    if count >= FEWEST_DATES and first and all(entry.published_at == first for entry in entries):
        return f"all {count} entries of the feed have the same date, which may be none of theirs"
    return None


def _whole(entry: Entry) -> tuple[str | None, ...]:
    # What makes entries one article, see digestd.feed.identity.
    return entry.identity, entry.link, entry.title, entry.published_raw, entry.content_hash


def _wall(page: str, url: str, headers: Mapping[str, str]) -> str | None:
    """What stands before the feed, None where nothing is known to."""
    lowered = page.lower()
    match = _TITLE.search(page)
    title = _plain(match[1] if match else "")
    text = _plain(_TAG.sub(" ", "".join(_seen(lowered))))
    text = text if len(text) <= _LONGEST_WALL else ""
    keeper = _keeper(headers, lowered)
    if keeper or _CHALLENGE_TITLE.match(title) or _CHALLENGE_TEXT.search(text):
        return _challenge(keeper)
    if _LOGIN_TITLE.match(title) or (_PASSWORD.search(page) and (text or _LOGIN_ANYWHERE.search(title))):
        return _LOGIN
    if _CONSENT_HOST.match(_host(url)) or _CONSENT_TITLE.match(title) or _CONSENT_TEXT.search(text):
        return _CONSENT
    return None


def _keeper(headers: Mapping[str, str], lowered: str = "") -> str | None:
    """Whose challenge an answer with `headers` and the page `lowered` is, None where it is none that we know."""
    return next(
        (name for field, name in _CHALLENGE_FIELDS.items() if field in headers),
        next((name for mark, name in _CHALLENGE_MARKS.items() if mark in lowered), None),
    )


def _challenge(keeper: str | None) -> str:
    whose = f" ({keeper})" if keeper else ""
    return f"it is the challenge of a bot protection{whose}; {_CHALLENGE_ADVICE}"


def _plain(text: str) -> str:
    return collapse(html.unescape(text)).casefold().replace("’", "'")


def _seen(page: str) -> Iterator[str]:
    """The pieces of `page` between its scripts and styles."""
    position = 0
    while match := _UNSEEN.search(page, position):
        yield page[position : match.start()]
        position = page.find(f"</{match[1]}", match.end())
        if position < 0:
            return
    yield page[position:]


def _advertised(page: str, url: str) -> str | None:
    """Name the first feed that `page` says stands beside it (RFC 4287 and HTML, 4.6.7.1), other than `url` itself."""
    base: str | None = None
    for match in _LINK_OR_BASE.finditer(page):
        attributes = {name.lower(): _value(written) for name, written in _ATTRIBUTE.findall(match[2])}
        href = attributes.get("href", "")
        if match[1].lower() == "base":
            # The first one counts (HTML, 4.2.3).
            base = base or absolute_link(url, href) or url
        elif href and _is_feed(attributes) and (link := _shown(base or url, href, url)):
            return f"the page advertises the feed {link}; if it is the wanted one, give the source that URL"
    return None


def _value(written: str) -> str:
    return html.unescape(written.strip("\"'")).strip()


def _is_feed(attributes: Mapping[str, str]) -> bool:
    media_type = attributes.get("type", "").partition(";")[0].strip().lower()
    return media_type in _FEED_TYPES and "alternate" in attributes.get("rel", "").lower().split()


def _shown(base: str, href: str, url: str) -> str | None:
    link = absolute_link(base, href)
    if link is None or len(link) > _LONGEST_URL or link.partition("#")[0] == url.partition("#")[0]:
        return None
    return strip_controls(mask_link(link))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
