"""What is said of answers that are no feed, and of feeds that say less than they seem to."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.shape import FEWEST_DATES, accepted, explain, remember, remembered
from digestd.model import Document, Entry, LeftOut, PollState

URL = "https://one.example/blog/feed"
CAME = "an HTML page came instead of a feed"
DAY = datetime(2026, 11, 23, tzinfo=UTC)
ENTRIES_BEFORE = PollState(body_hash="1:before")
CHALLENGE = "ask the publisher to let feed readers through, or look for another address of the feed"
LOGIN = "it is a login page; give the source its credentials, or the URL of a public feed"
CONSENT = "it asks for consent first; look for an address of the feed that does not"
LONG = "<p>" + "One of many words in a long article. " * 60


def told(page: str, url: str = URL, **headers: str) -> str:
    """What is added to the refusal of `page`."""
    whole = explain(
        CAME, page.encode(), url, {name.replace("_", "-"): value for name, value in headers.items()}
    )
    assert whole.startswith(CAME)
    return whole.removeprefix(CAME).removeprefix(": ")


@pytest.mark.parametrize(
    ("page", "keeper"),
    [
        ("<html><title>Just a moment...</title>", ""),
        ("<html><script>window._cf_chl_opt={}</script>" + LONG, " (Cloudflare)"),
        ("<html><script src=https://ct.captcha-delivery.com/c.js></script>", " (DataDome)"),
        ("<html><body><SCRIPT>var a</SCRIPT><p>Checking <b>your</b> browser before you go on", ""),
        ("<html><title>Making sure you&#39;re not a bot!</title>", ""),
    ],
)
def test_a_challenge_is_told_by_what_it_holds(page: str, keeper: str) -> None:
    assert told(page) == f"it is the challenge of a bot protection{keeper}; {CHALLENGE}"


def test_a_challenge_is_told_by_its_headers() -> None:
    expected = f"it is the challenge of a bot protection (Cloudflare); {CHALLENGE}"
    assert told("<html>", cf_mitigated="challenge") == expected


@pytest.mark.parametrize(
    "page",
    [
        "<html><title>Sign in &middot; Forge</title>" + LONG,
        "<html><title>Forge</title><form><input name=p type='password'></form><p>Welcome back",
        "<html><title>Members: log in</title><input type=password>" + LONG,
    ],
)
def test_a_login_page_is_told(page: str) -> None:
    assert told(page) == LOGIN


@pytest.mark.parametrize(
    ("page", "url"),
    [
        ("<html><title>Before you continue</title>", URL),
        ("<html><p>We value your privacy</p><button>Reject all</button>", URL),
        ("<html>" + LONG, "https://consent.one.example/collect"),
    ],
)
def test_a_consent_page_is_told(page: str, url: str) -> None:
    assert told(page, url) == CONSENT


@pytest.mark.parametrize(
    "page",
    [
        "<html><title>How thieves sign in with passkeys</title>" + LONG,
        "<html><title>News</title><input type=password>" + LONG,
        "<html><title>News</title><p>Checking your browser is no use. Accept all cookies?" + LONG,
        "<html><title>News</title><script>'we value your privacy'</script><p>Hello",
    ],
)
def test_an_ordinary_page_is_no_wall(page: str) -> None:
    assert told(page) == "check the URL of the source"


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ('<link rel="alternate" type="application/rss+xml" href="/rss.xml">', "https://one.example/rss.xml"),
        (
            "<LINK HREF=a.atom TYPE=application/atom+xml REL='home alternate' />",
            "https://one.example/blog/a.atom",
        ),
        (
            "<link rel=alternate type='application/feed+json' href='?feed=json&amp;token=hush'>",
            "https://one.example/blog/feed?feed=json&token=***",
        ),
        (
            "<link rel=alternate type=application/rss+xml href='https://me:hush@two.example/f'>",
            "https://two.example/f",
        ),
        (
            "<base href='https://two.example/x/'><base href=/late/>"
            "<link rel=alternate type=application/rss+xml href=f>",
            "https://two.example/x/f",
        ),
        (
            f"<link rel=alternate type=application/rss+xml href={URL}>"
            "<link rel=alternate type=application/rss+xml href=other>",
            "https://one.example/blog/other",
        ),
    ],
)
def test_the_advertised_feed_is_named(link: str, shown: str) -> None:
    expected = f"the page advertises the feed {shown}; if it is the wanted one, give the source that URL"
    assert told(f"<html><head>{link}</head>{LONG}") == expected


@pytest.mark.parametrize(
    "link",
    [
        "<link rel=stylesheet type=text/css href=a.css>",
        "<link rel=alternate type=application/json href=/wp-json/>",
        "<link rel=alternate hreflang=de href=/de/>",
        "<link rel=alternate type=application/rss+xml href='javascript:alert(1)'>",
        "<link rel=alternate type=application/rss+xml href='http://['>",
        "<link rel=alternate type=application/rss+xml>",
        f"<link rel=alternate type=application/rss+xml href='{URL}#top'>",
        f"<link rel=alternate type=application/rss+xml href='/{'x' * 300}'>",
    ],
)
def test_other_links_are_not_named(link: str) -> None:
    assert told(f"<html><head>{link}</head>{LONG}") == "check the URL of the source"


def test_a_wall_and_an_advertised_feed_are_both_told() -> None:
    page = "<html><title>Log in</title><link rel=alternate type=application/rss+xml href=/public>"
    advertised = "the page advertises the feed https://one.example/public; "
    assert told(page) == f"{LOGIN}; {advertised}if it is the wanted one, give the source that URL"


def test_of_what_is_no_page_nothing_more_is_said() -> None:
    assert (
        explain("plain text came instead of a feed", b"Sorry", URL, {}) == "plain text came instead of a feed"
    )


@given(st.binary(max_size=300), st.text(max_size=40), st.text(max_size=40))
def test_explaining_never_raises(body: bytes, url: str, content_type: str) -> None:
    explain(
        CAME,
        b"<html><link rel=alternate type=application/rss+xml href='" + body,
        url,
        {"content-type": content_type},
    )


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<link ",
        "<link a=",
        "<input ",
        "<input type",
        "<title",
        "<script",
        "<script></scripT",
        "a='",
        '<link a="',
        "</",
        "log in ",
    ],
)
def test_no_page_is_slow_to_look_at(piece: str) -> None:
    body = (piece * 65_536)[:65_536].encode()
    began = time.process_time()
    explain(CAME, body, URL, {})
    assert time.process_time() - began < 0.5, "ten to fifty times what it takes"


def test_what_202_means() -> None:
    assert accepted({}) == "the server answered 202 Accepted, and there is no document yet"
    assert accepted({"x-amzn-waf-action": "challenge"}) == (
        "the server answered 202 Accepted, and there is no document yet: "
        f"it is the challenge of a bot protection (AWS WAF); {CHALLENGE}"
    )


def entries(count: int, **fields: object) -> tuple[Entry, ...]:
    """Entries that differ in everything but `fields`."""
    made = (Entry(str(n), str(n), published_at=DAY + timedelta(hours=n)) for n in range(count))
    return tuple(replace(entry, **fields) for entry in made)  # type: ignore[arg-type]


def remark(document: Document, before: PollState = ENTRIES_BEFORE) -> str | None:
    """What is remembered of `document`."""
    return remembered(PollState(cursor=remember(document, before)))


def test_a_feed_like_others_leaves_nothing_to_remember() -> None:
    assert remember(Document(URL, "rss20", entries=entries(9)), ENTRIES_BEFORE) is None


def test_one_date_for_all_is_told_from_five_entries_on() -> None:
    stamped = entries(FEWEST_DATES, published_at=DAY)
    assert remark(Document(URL, "rss20", entries=stamped)) == (
        "all 5 entries of the feed have the same date, which may be none of theirs"
    )
    assert remark(Document(URL, "rss20", entries=stamped[1:])) is None
    assert remark(Document(URL, "rss20", entries=(*stamped, *entries(2)))) is None
    assert remark(Document(URL, "rss20", entries=entries(9, published_at=None))) is None


def test_entries_that_are_one_and_none_that_can_be_read_are_told() -> None:
    same = entries(3, identity="a", content_hash="a", published_at=None)
    assert remark(Document(URL, "rss20", entries=same)) == "all 3 entries of the feed are the same one"
    assert remark(Document(URL, "rss20", entries=same[:1])) is None
    left_out = (LeftOut("key", None, "", "it cannot be read", "{}"),) * 2
    assert (
        remark(Document(URL, "rss20", left_out=left_out)) == "none of the 2 entries of the feed can be read"
    )
    assert remark(Document(URL, "rss20", entries=entries(1), left_out=left_out)) is None


def test_a_feed_that_lost_its_entries_is_told_and_one_that_never_had_any_is_not() -> None:
    empty = Document(URL, "rss20")
    state = PollState()
    for _ in range(3):
        cursor = remember(empty, state)
        assert remembered(PollState(cursor=cursor)) is None
        state = PollState(body_hash="1:some", cursor=cursor)
    state = PollState(body_hash="1:full", cursor=remember(Document(URL, "rss20", entries=entries(1)), state))
    for _ in range(3):
        cursor = remember(empty, state)
        assert remembered(PollState(cursor=cursor)) == "the feed has no entries, and it had some before"
        state = PollState(body_hash="1:some", cursor=cursor)


def test_a_cursor_of_another_kind_says_nothing() -> None:
    assert remembered(PollState(cursor={"degraded": 7, "page": 2})) is None
