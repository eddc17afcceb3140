"""Posts of Reddit: what its feeds and its API say, what others send, and what was saved."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import DocumentError, NotAFeed
from digestd.feed.reddit_errors import is_blocked, named, reason_of, words_of
from digestd.feed.reddit_reading import is_fullname, read_feed, read_listing
from digestd.model import Document, Entry, Response
from support.corpus import corpus_path
from support.reddit_site import BLOCKED, Site

BASE = "https://www.reddit.com"
FEED = f"{BASE}/r/netsec/new/.rss"
ATOM = "application/atom+xml"
DISCUSSION = "https://www.reddit.com/r/netsec/comments/1abc001/a_post/"
SAID = f'<p><a href="{DISCUSSION}" rel="noopener noreferrer">Discussion in r/netsec</a></p>'


def listing(*posts: Any, after: object = None) -> bytes:
    children = [{"kind": "t3", "data": post} for post in posts]
    return json.dumps({"kind": "Listing", "data": {"after": after, "children": children}}).encode()


def both(**more: Any) -> tuple[Entry, Entry]:
    """A post as the feed and as the API give it."""
    site = Site(limits=False)
    post = site.post(**more)
    _, _, body = site.answer(f"{FEED}?limit=100", {})
    (fed,) = read_feed(body, FEED, ATOM).entries
    (asked,) = read_listing(listing(post), "https://oauth.reddit.com/", BASE).entries
    return fed, asked


def test_a_link_leads_where_the_post_does_and_the_discussion_stands_in_the_text() -> None:
    for entry in both():
        assert (entry.guid, entry.link) == ("t3_1abc001", "https://blog.example/1?a=1&b=2")
        assert (entry.title, entry.author) == ("Post 1 <on> FooVPN & more", "/u/someone")
        assert (entry.content, entry.complete) == (SAID, False)
        assert entry.published_at is not None
        assert entry.published_at.isoformat() == "2026-11-23T08:01:00+00:00"


def test_a_post_of_text_is_complete_and_its_text_is_what_was_written() -> None:
    text = '<p>Mine, submitted by <a href="https://evil.example/">[link]</a> <script>x</script></p>'
    for entry in both(text=text):
        assert entry.link == DISCUSSION
        assert entry.complete
        assert entry.content == (
            '<p>Mine, submitted by <a href="https://evil.example/" rel="noopener noreferrer">[link]</a> </p>'
            + SAID
        )


@pytest.mark.parametrize(
    "url",
    [
        "https://i.redd.it/a.png",
        "https://www.reddit.com/gallery/1abc",
        "https://v.redd.it/a",
        "https://redd.it:443/x",
        "javascript:alert(1)",
    ],
)
def test_what_stays_at_reddit_leads_to_the_discussion(url: str) -> None:
    for entry in both(url=url):
        assert (entry.link, entry.complete) == (DISCUSSION, True)


def test_hosts_that_only_look_like_reddit_are_others() -> None:
    for entry in both(url="https://notreddit.com/a"):
        assert (entry.link, entry.complete) == ("https://notreddit.com/a", False)


def test_nothing_that_changes_by_itself_stands_in_a_post() -> None:
    first = both()
    second = both(score=900, num_comments=77, upvote_ratio=0.5)
    assert [entry.content_hash for entry in first] == [entry.content_hash for entry in second]
    assert first[0].content_hash == first[1].content_hash


def test_stickied_and_removed_posts_are_left_out_and_who_is_gone_is_nobody() -> None:
    site = Site()
    posts = [
        site.post(stickied=True),
        site.post(removed_by_category="moderator"),
        site.post(author="[deleted]"),
        site.post(author="a\u202eb"),
    ]
    document = read_listing(listing(*posts, after="t3_1abc004"), BASE, BASE)
    assert [(entry.guid, entry.author) for entry in document.entries] == [
        ("t3_1abc003", None),
        ("t3_1abc004", None),
    ]
    assert document.facts == {"after": "t3_1abc004", "count": 4, "foreign": 0}


@pytest.mark.parametrize("after", [None, 7, "t3_", "t3_a&x=1", "t3_A", "t1_abc", "t3_" + "a" * 14, []])
def test_what_is_no_fullname_is_not_followed(after: object) -> None:
    assert read_listing(listing(after=after), BASE, BASE).facts["after"] is None
    assert not is_fullname(str(after))


def test_one_bad_post_costs_the_others_nothing() -> None:
    good = Site().post()
    odd: list[dict[str, Any]] = [
        {},
        {"name": "t3_x/y"},
        {"name": ["t3_a"]},
        {"name": "t3_aa", "created_utc": "x"},
    ]
    document = read_listing(listing(*odd, good, None, 7), BASE, BASE)
    assert [entry.guid for entry in document.entries] == ["t3_aa", "t3_1abc001"]
    assert document.entries[0].title == "A post without a title"
    assert [one.reason for one in document.left_out] == ["it cannot be read: ValueError: it has no name"] * 5


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b'{"kind": "Listing"}', b'{"kind": "t5", "data": {"children": []}}']
)
def test_what_is_no_listing_is_refused(body: bytes) -> None:
    with pytest.raises(NotAFeed):
        read_listing(body, BASE, BASE)


def test_of_a_feed_that_was_cut_off_the_last_post_is_left() -> None:
    site = Site(limits=False)
    for _ in range(3):
        site.post()
    _, _, body = site.answer(f"{FEED}?limit=100", {})
    for end in range(len(body) // 2, len(body) - 1, 97):
        names = [entry.guid for entry in read_feed(body[:end], FEED, ATOM).entries]
        assert names == ["t3_1abc003", "t3_1abc002", "t3_1abc001"][: len(names)]
        assert len(names) < 3


def test_lists_of_subreddits_are_no_posts() -> None:
    body = (
        b'<feed xmlns="http://www.w3.org/2005/Atom"><entry><id>t5_2qh</id><title>r/x</title></entry></feed>'
    )
    assert read_feed(body, FEED, ATOM).facts == {"after": None, "count": 1, "foreign": 1}


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)
FIELDS = ["name", "title", "author", "permalink", "url", "url_overridden_by_dest", "is_self", "selftext_html"]


@given(st.dictionaries(st.sampled_from([*FIELDS, "created_utc", "stickied"]), JUNK), JUNK)
def test_whatever_is_in_a_listing_is_read_or_left_out(post: dict[str, Any], junk: Any) -> None:
    site = Site()
    document = read_listing(listing({"name": "t3_a", **post}, junk, site.post(), after=junk), BASE, BASE)
    assert document.entries[-1].guid == "t3_1abc001"
    for entry in document.entries:
        assert (entry.link or "https://").startswith(("http://", "https://"))


@given(st.text(alphabet='<>&"/ab ', max_size=60))
def test_whatever_is_in_a_post_of_a_feed_is_read(text: str) -> None:
    for entry in both(text=f"<p>{text}</p>", title=text):
        assert "<script" not in (entry.content or "")
        assert entry.link == DISCUSSION


def test_hostile_sizes_are_read_in_no_time() -> None:
    nested = b'{"kind": "Listing", "data": ' + b"[" * 100_000
    with pytest.raises(DocumentError):
        read_listing(nested, BASE, BASE)
    began = time.process_time()
    many = "submitted by <a href='https://x.example/'>[link" * 20_000
    for entry in both(text=many, url=f"{BASE}{'/x' * 50_000}"):
        assert entry.guid == "t3_1abc001"
    assert time.process_time() - began < 3


def answer(status: int, body: bytes, url: str = FEED) -> Response:
    return Response(url, status, {}, body)


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (403, b'{"reason": "private", "message": "Forbidden", "error": 403}', "private"),
        (404, b'{"reason": "banned"}', "banned"),
        (403, b'{"reason": "something new"}', "refused"),
        (403, b"<html>Forbidden</html>", "refused"),
        (403, b"[" * 60_000, "refused"),
        (404, b"", "missing"),
        (403, BLOCKED, None),
        (429, b'{"reason": "private"}', None),
        (500, b"", None),
        (401, b"", None),
    ],
)
def test_what_a_refusal_says_of_subreddits(status: int, body: bytes, reason: str | None) -> None:
    assert reason_of(answer(status, body)) == reason
    assert is_blocked(answer(status, body)) == (body == BLOCKED)


def test_being_sent_to_the_search_means_that_there_is_none() -> None:
    assert reason_of(answer(200, b"", f"{BASE}/subreddits/search.rss?q=nosuch")) == "missing"
    assert reason_of(answer(200, b"")) is None


def test_refusals_are_told_in_words() -> None:
    told = {
        (status, keys): words_of(answer(status, b""), has_keys=keys)
        for status in (401, 503, 418)
        for keys in (False, True)
    }
    keys = "give the sources the keys of an application (client_id and client_secret), or ask from another address"
    trouble = "the server answered 503: Reddit has trouble of its own; nothing needs to be done here"
    other = "the server answered 418: what came is no answer of Reddit's; check base_url"
    assert told == {
        (401, False): f"the server answered 401: Reddit wants to know who asks; {keys}",
        (
            401,
            True,
        ): "the server answered 401: Reddit does not take the client_id and the client_secret; look them up "
        "under reddit.com/prefs/apps",
        (503, False): trouble,
        (503, True): trouble,
        (418, False): other,
        (418, True): other,
    }
    assert words_of(answer(403, BLOCKED), has_keys=True) == (
        "the server answered 403: Reddit turns this address or program away, and is left alone for an hour; check the "
        "keys and the name of the application, or ask from another address"
    )


def test_of_many_ten_are_named() -> None:
    words = named({f"name{number:02}": "private" for number in range(12)})
    assert words.endswith("; r/name09 is private; and 2 more")


def saved(name: str) -> Document:
    path = corpus_path("json-apis") / "reddit" / name
    if not path.is_file():
        pytest.skip(f"no saved answer {name}")
    return read_listing(path.read_bytes(), BASE, BASE)


@pytest.mark.parametrize("which", ["hot", "new", "top"])
def test_saved_listings_of_the_api(which: str) -> None:
    document = saved(f"praw__TestSubredditListings.test_{which}__1.json")
    assert document.left_out == ()
    assert document.facts["foreign"] == 0
    assert len(document.entries) > document.facts["count"] / 2
    for entry in document.entries:
        assert is_fullname(entry.guid or "")
        assert entry.title
        assert entry.link
        assert entry.published_at is not None


def test_a_saved_feed() -> None:
    path = corpus_path("feeds-real") / "feed-rs__atom_mediarss_reddit_1.xml"
    if not path.is_file():
        pytest.skip("no saved feed of Reddit")
    document = read_feed(path.read_bytes(), "https://www.reddit.com/r/homelab/new/.rss", ATOM)
    first = document.entries[0]
    assert (first.guid, first.author) == ("t3_157kyrd", "/u/Remarkable_Housing61")
    assert first.link == (
        "https://ud.reddit.com/r/homelab/comments/157kyrd/any_reason_to_keep_1g_connections_to_my_servers/"
    )
    assert first.complete
    assert first.content is not None
    assert first.content.startswith("<p>Hello all, I recently acquired a 40G switch")
    assert "submitted by" not in first.content
    assert document.facts["foreign"] == 0


@pytest.mark.parametrize(
    "words",
    [
        "whoa there, pardner!",
        "<title> Blocked</title>",
        "You've been blocked by network security.",
        "Your request has been blocked due to a network policy.",
        "blocked by network security",
    ],
)
def test_what_turns_everybody_away_says_nothing_of_a_subreddit(words: str) -> None:
    page = answer(403, f"<html><body>{words}</body></html>".encode())
    assert (is_blocked(page), reason_of(page)) == (True, None)


@pytest.mark.parametrize(
    "words", ["All about network security", "how your network policy blocked me", "been blocked?"]
)
def test_what_owners_say_of_a_private_subreddit_is_no_block(words: str) -> None:
    page = answer(403, f"<html><title>r/netsec: private</title><body>{words}</body></html>".encode())
    assert (is_blocked(page), reason_of(page)) == (False, "refused")
