"""What an operator may mean by what they wrote, and that every kind takes what it is said to mean."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digestd.config import checked_source
from digestd.errors import ConfigurationError
from digestd.feed.recognising import Candidate, candidates, guesses, is_of_comments
from digestd.kinds import registered, schema_of

# What is written, and the one source it means: its kind, its URL and its options.
CERTAIN: list[tuple[str, str, str | None, dict[str, Any]]] = [
    ("nvd", "nvd", None, {}),
    ("NVD", "nvd", None, {}),
    ("https://nvd.nist.gov/", "nvd", None, {}),
    ("https://nvd.nist.gov/vuln/search", "nvd", None, {}),
    ("https://services.nvd.nist.gov/rest/json/cves/2.0?cveId=CVE-2026-1", "nvd", None, {}),
    (
        "http://127.0.0.1:8080/mirror/rest/json/cves/2.0",
        "nvd",
        None,
        {"base_url": "http://127.0.0.1:8080/mirror"},
    ),
    ("kev", "kev", None, {}),
    ("https://www.cisa.gov/known-exploited-vulnerabilities-catalog", "kev", None, {}),
    (
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        "kev",
        None,
        {},
    ),
    (
        "https://raw.githubusercontent.com/cisagov/kev-data/develop/known_exploited_vulnerabilities.json",
        "kev",
        None,
        {},
    ),
    (
        "https://mirror.corp.example/sites/default/files/feeds/known_exploited_vulnerabilities.json",
        "kev",
        None,
        {"base_url": "https://mirror.corp.example"},
    ),
    ("ghsa", "ghsa", None, {}),
    ("https://github.com/advisories", "ghsa", None, {}),
    (
        "https://github.com/advisories?query=type%3Areviewed+ecosystem%3Anpm+severity%3ACritical+left-pad",
        "ghsa",
        None,
        {"type": "reviewed", "ecosystem": "npm", "severity": "critical"},
    ),
    ("https://api.github.com/advisories?type=malware&per_page=100", "ghsa", None, {"type": "malware"}),
    ("hackernews", "hackernews", None, {"points": 100}),
    ("https://news.ycombinator.com/", "hackernews", None, {"points": 100}),
    ("https://news.ycombinator.com/show", "hackernews", None, {"points": 100, "tags": ["show_hn"]}),
    ("https://hn.algolia.com/?q=CVE-2026&sort=byDate", "hackernews", None, {"query": "CVE-2026"}),
    ("r/netsec", "reddit", None, {"subreddits": ["netsec"]}),
    ("/r/NetSec/", "reddit", None, {"subreddits": ["netsec"]}),
    ("r/netsec+blueteamsec", "reddit", None, {"subreddits": ["blueteamsec", "netsec"]}),
    ("https://www.reddit.com/r/netsec/new", "reddit", None, {"subreddits": ["netsec"]}),
    ("https://old.reddit.com/r/netsec.rss", "reddit", None, {"subreddits": ["netsec"]}),
    ("reddit.com/r/netsec", "reddit", None, {"subreddits": ["netsec"]}),
    ("u/someone", "feed", "https://www.reddit.com/user/someone/.rss", {}),
    (
        "https://www.reddit.com/user/someone/submitted/",
        "feed",
        "https://www.reddit.com/user/someone/.rss",
        {},
    ),
    ("@someone@infosec.exchange", "mastodon", None, {"account": "someone@infosec.exchange"}),
    ("acct:someone@infosec.exchange", "mastodon", None, {"account": "someone@infosec.exchange"}),
    ("name.bsky.social", "bluesky", None, {"account": "name.bsky.social"}),
    ("@Name.Example", "bluesky", None, {"account": "name.example"}),
    ("did:plc:z72i7hdynmk6r22z27h6tvur", "bluesky", None, {"account": "did:plc:z72i7hdynmk6r22z27h6tvur"}),
    ("https://bsky.app/profile/name.example", "bluesky", None, {"account": "name.example"}),
    ("https://bsky.app/profile/name.example/rss", "bluesky", None, {"account": "name.example"}),
    ("./inbox", "file", None, {"path": "./inbox"}),
    ("/srv/feeds", "file", None, {"path": "/srv/feeds"}),
    ("file:///srv/my%20feeds", "file", None, {"path": "/srv/my feeds"}),
    ("https://github.com/trio/trio", "feed", "https://github.com/trio/trio/releases.atom", {}),
    ("https://github.com/trio/trio.git", "feed", "https://github.com/trio/trio/releases.atom", {}),
    ("https://github.com/trio/trio/tags", "feed", "https://github.com/trio/trio/tags.atom", {}),
    (
        "https://www.youtube.com/channel/UCabcdefghijklmnopqrstuv/videos",
        "feed",
        "https://www.youtube.com/feeds/videos.xml?channel_id=UCabcdefghijklmnopqrstuv",
        {},
    ),
    (
        "https://www.youtube.com/playlist?list=PLabcdefghij",
        "feed",
        "https://www.youtube.com/feeds/videos.xml?playlist_id=PLabcdefghij",
        {},
    ),
]
# What only the answer tells.
OPEN = [
    "https://psirt.example.com/",
    "https://psirt.example.com/feed.xml?page=1",
    "http://127.0.0.1:8080/r/netsec",
    "https://www.reddit.com/r/netsec/comments/1abc/a_post/",
    "https://www.reddit.com/r/netsec/search.rss?q=CVE",
    "https://news.ycombinator.com/rss",
    "https://github.com/trio/trio/security/advisories",
    "https://github.com/topics/security",
    "https://x.com/home",
    "https://x.com/someone/status/1",
    "https://bsky.app/search",
    "https://medium.com/@someone",
    "https://www.youtube.com/@someone",
    "https://nvd.nist.gov/feeds/xml/cve/misc/nvd-rss.xml",
    "https://[::1/broken",
    "ftp://psirt.example/",
]


@pytest.mark.parametrize(("written", "kind", "url", "options"), CERTAIN, ids=[row[0] for row in CERTAIN])
def test_a_form_tells_the_source(written: str, kind: str, url: str | None, options: dict[str, Any]) -> None:
    one, *others = candidates(f" {written} ")
    assert others == []
    assert (one.kind, one.url, one.options, one.open, one.needs) == (kind, url, options, False, None)
    told = {"name": "it", "kind": one.kind, "url": one.url, "options": dict(one.options)}
    spec = checked_source({key: value for key, value in told.items() if value}, registered(), schema_of)
    assert spec.kind == kind
    assert one.what


@pytest.mark.parametrize("url", OPEN)
def test_what_the_answer_tells_is_asked_for_as_it_is_written(url: str) -> None:
    assert candidates(url) == (Candidate("feed", "", url, open=True),)


@pytest.mark.parametrize(
    "address", ["infosec.exchange/@someone", "infosec.exchange/tags/cve", "a.example/x/@b@c.example"]
)
def test_what_looks_like_mastodon_may_be_another_site(address: str) -> None:
    url = f"https://{address}"
    first, last = candidates(url)
    assert (first.kind, first.url, first.open) == ("mastodon", url, False)
    assert last == Candidate("feed", "", url, open=True)
    told = {"name": "it", "kind": "mastodon", "url": url}
    assert checked_source(told, registered(), schema_of).url == url


@pytest.mark.parametrize(
    "written", ["@someone", "https://x.com/someone", "https://mobile.twitter.com/someone/"]
)
def test_an_account_on_x_needs_a_token(written: str) -> None:
    expected = Candidate("x", "the account someone on X", options={"user": "someone"}, needs="bearer_token")
    assert candidates(written) == (expected,)


def test_so_does_a_search_there() -> None:
    (one,) = candidates("https://x.com/search?q=CVE-2026%20lang%3Aen&f=live")
    assert (one.kind, one.options, one.needs) == ("x", {"query": "CVE-2026 lang:en"}, "bearer_token")


def test_a_host_without_a_scheme_is_asked_with_tls_and_without_only_where_there_is_none() -> None:
    with_tls, without = candidates("psirt.example.com/feed")
    assert with_tls == Candidate("feed", "", "https://psirt.example.com/feed", open=True)
    assert without == Candidate("feed", "", "http://psirt.example.com/feed", open=True, plain=True)
    assert [one.url for one in candidates("localhost:8080/x")] == [
        "https://localhost:8080/x",
        "http://localhost:8080/x",
    ]
    assert all(not one.plain for one in candidates("reddit.com/r/netsec"))


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("feed:https://a.example/f", "https://a.example/f"),
        ("feed://a.example/f", "https://a.example/f"),
        ("FEED:http://a.example/f", "http://a.example/f"),
    ],
)
def test_the_scheme_of_feed_readers_is_taken_away(written: str, url: str) -> None:
    assert candidates(written) == (Candidate("feed", "", url, open=True),)


@pytest.mark.parametrize(
    "written", ["some words", "nowhere", "@", "r/", "@a b", "user@host.example", "~/feeds"]
)
def test_other_words_mean_nothing(written: str) -> None:
    with pytest.raises(ValueError) as caught:
        candidates(written)
    assert str(caught.value) == (
        f"{written!r} is no place that is known; write a URL, @name@instance, r/subreddit, name.bsky.social, "
        "the path of a file or directory (./name), or one of nvd, kev, ghsa, hackernews"
    )


@pytest.mark.parametrize("written", ["", "  ", "a\nb", "https://a.example/\x1b[31m", "a" * 8_193])
def test_what_is_not_one_line_means_nothing(written: str) -> None:
    with pytest.raises(ValueError) as caught:
        candidates(written)
    assert str(caught.value) == "a place is one line of at most 8,192 characters, without control characters"


HOSTS = (
    "reddit.com",
    "bsky.app/profile/",
    "github.com/",
    "youtube.com",
    "news.ycombinator.com",
    "hn.algolia.com",
)
MARKS = (
    "r/",
    "u/",
    "://",
    "https",
    "http",
    "feed:",
    "x.com",
    "?q=",
    "/@",
    "/tags/",
    "list=",
    "did:plc:",
    "acct:",
)
PIECES = st.sampled_from((*"@/.a:#+%[]é \u202e", *MARKS, *HOSTS, "nvd.nist.gov", "file:///", "advisories"))


@given(st.one_of(st.text(max_size=100), st.lists(PIECES, max_size=12).map("".join)))
@example("https://" + "[" * 50)
@example("@" * 8_000)
@example("a." * 4_000)
@example("r/" + "a+" * 4_000)
def test_whatever_is_written_means_something_or_is_refused_in_words(written: str) -> None:
    try:
        found = candidates(written)
    except ValueError:
        return
    assert found
    assert all(one.url is not None or one.options or one.kind in ("nvd", "kev", "ghsa") for one in found)
    # Who is sure of one place asks nowhere else.
    assert len(found) == 1 or found[-1].open
    for one in found:
        told = {"name": "it", "kind": one.kind, "url": one.url, "options": dict(one.options)}
        if one.kind in registered():
            with suppress(ConfigurationError):
                checked_source({key: value for key, value in told.items() if value}, registered(), schema_of)


@pytest.mark.parametrize(
    ("url", "title", "expected"),
    [
        ("https://a.example/comments/feed/", "", True),
        ("https://a.example/post/comments", "", True),
        ("https://a.example/feed", "Example » Comments Feed", True),
        ("https://a.example/feed", "Kommentar-Feed", True),
        ("https://a.example/commentary/feed", "Commentary", False),
        ("https://a.example/feed?x=/comments/", "Example » Feed", False),
    ],
)
def test_feeds_of_comments_are_told(url: str, title: str, expected: bool) -> None:
    assert is_of_comments(url, title) is expected


def test_guesses_stay_beneath_the_page() -> None:
    assert guesses("https://a.example/security/?x=1#y") == (
        "https://a.example/security/feed",
        "https://a.example/security/rss.xml",
        "https://a.example/security/atom.xml",
        "https://a.example/security/feed.xml",
        "https://a.example/security/index.xml",
    )
    assert guesses("https://a.example")[0] == "https://a.example/feed"
