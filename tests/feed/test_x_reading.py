"""Posts of X: their text, their links, what they quote and pass on, and what pages tell of the walk."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.x import page_of, read_posts, read_user
from digestd.feed.x_walk import Mark, Page
from digestd.model import Document, Entry
from support.corpus import corpus_path

URL = "https://api.x.com/2/users/2244994945/tweets"
WRITTEN = 1_795_420_800  # 2026-11-23T08:00:00Z
PLAIN = {
    "id": "1990000000000000001",
    "text": "New advisory CVE-2026-12345 https://t.co/abc",
    "created_at": "2026-11-23T08:00:00.000Z",
    "author_id": "2244994945",
    "edit_history_tweet_ids": ["1990000000000000001"],
    "lang": "en",
    "entities": {
        "urls": [
            {
                "start": 28,
                "end": 44,
                "url": "https://t.co/abc",
                "expanded_url": "https://example.com/a?b=1&copy=2",
                "display_url": "example.com/a",
            }
        ]
    },
}
USER = {"id": "2244994945", "name": "Example CERT", "username": "examplecert"}


def read(*posts: Any, name: str = "examplecert", horizon: int = WRITTEN, **more: Any) -> Document:
    body = {"data": list(posts), "meta": {"result_count": len(posts)}, **more}
    return read_posts(json.dumps(body).encode(), URL, name, horizon)


def entry_of(post: Any, **more: Any) -> Entry:
    (entry,) = read(post, **more).entries
    return entry


def content_of(post: Any, **more: Any) -> str:
    """What the article says, without what each link has."""
    return (entry_of(post, **more).content or "").replace(' rel="noopener noreferrer"', "")


def test_a_post_becomes_an_article() -> None:
    entry = entry_of(PLAIN)
    assert entry.guid == "1990000000000000001"
    assert entry.link == "https://x.com/examplecert/status/1990000000000000001"
    assert entry.title == "New advisory CVE-2026-12345 https://example.com/a?b=1&copy=2"
    assert content_of(PLAIN) == (
        '<p>New advisory CVE-2026-12345 <a href="https://example.com/a?b=1&amp;copy=2">'
        "https://example.com/a?b=1&amp;copy=2</a></p>"
    )
    assert (entry.author, entry.language, entry.complete) == ("@examplecert", "en", True)
    assert entry.published_at is not None
    assert entry.published_at.isoformat() == "2026-11-23T08:00:00+00:00"


def test_a_post_of_a_search_is_linked_by_who_wrote_it_where_that_is_said() -> None:
    entry = entry_of(PLAIN, name="")
    assert (entry.link, entry.author) == ("https://x.com/i/web/status/1990000000000000001", None)
    entry = entry_of(PLAIN, name="", includes={"users": [USER]})
    assert entry.link == "https://x.com/examplecert/status/1990000000000000001"
    assert entry.author == "Example CERT (@examplecert)"
    odd = {**USER, "username": "../../evil"}
    entry = entry_of(PLAIN, name="", includes={"users": [odd]})
    assert (entry.link, entry.author) == ("https://x.com/i/web/status/1990000000000000001", "Example CERT")


def test_counts_that_change_by_themselves_change_nothing() -> None:
    counted = {**PLAIN, "public_metrics": {"like_count": 7}}
    assert entry_of(counted).content_hash == entry_of(PLAIN).content_hash


def test_long_posts_are_whole() -> None:
    long = "word " * 100 + "the end https://t.co/xyz"
    note = {
        "text": long,
        "entities": {"urls": [{"url": "https://t.co/xyz", "expanded_url": "https://example.org/z"}]},
    }
    content = content_of({**PLAIN, "text": "word word… https://t.co/long", "note_tweet": note})
    assert content.endswith('the end <a href="https://example.org/z">https://example.org/z</a></p>')
    assert "t.co" not in content


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ("a &lt;b&gt; &amp;amp; c", "<p>a &lt;b&gt; &amp;amp; c</p>"),
        ("&lt;script&gt;alert(1)&lt;/script&gt;", "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>"),
        ("<b>not markup</b>", "<p>&lt;b&gt;not markup&lt;/b&gt;</p>"),
        ("one\ntwo\n\nthree", "<p>one<br>two<br><br>three</p>"),
        (
            "see (https://e.example/a). https://t.co/unknown",
            '<p>see (<a href="https://e.example/a">https://e.example/a</a>). '
            '<a href="https://t.co/unknown">https://t.co/unknown</a></p>',
        ),
        (
            'https://e.example/"onload=x',
            '<p><a href="https://e.example/">https://e.example/</a>"onload=x</p>',
        ),
    ],
)
def test_text_is_text(text: str, content: str) -> None:
    assert content_of({**PLAIN, "text": text, "entities": {}}) == content


def test_links_lead_behind_shorteners_and_own_pictures_are_left_out() -> None:
    urls = [
        {
            "url": "https://t.co/a",
            "expanded_url": "https://bit.ly/1",
            "unwound_url": "https://vendor.example/psirt",
        },
        {
            "url": "https://t.co/b",
            "expanded_url": "https://x.com/examplecert/status/1/photo/1",
            "media_key": "3_1",
        },
        {"url": "https://t.co/c", "expanded_url": "https://twitter.com/examplecert/status/1/video/1"},
        {"url": "https://t.co/d", "expanded_url": "javascript:alert(1)"},
        "no object",
    ]
    text = "Fix https://t.co/a https://t.co/d https://t.co/b https://t.co/c"
    assert content_of({**PLAIN, "text": text, "entities": {"urls": urls}}) == (
        '<p>Fix <a href="https://vendor.example/psirt">https://vendor.example/psirt</a> '
        '<a href="https://t.co/d">https://t.co/d</a></p>'
    )


def test_a_link_alone_has_the_title_of_its_page() -> None:
    url = {
        "url": "https://t.co/abc",
        "expanded_url": "https://example.com/a",
        "title": "A <long> write-up",
        "description": "What happened & how",
    }
    linking = {**PLAIN, "text": "https://t.co/abc", "entities": {"urls": [url]}}
    assert entry_of(linking).title == "A <long> write-up"
    assert content_of(linking) == (
        '<p><a href="https://example.com/a">https://example.com/a</a></p>'
        '<p><a href="https://example.com/a">A &lt;long&gt; write-up</a>: What happened &amp; how</p>'
    )
    assert entry_of({**PLAIN, "text": "", "entities": {}}).title == "A post by @examplecert"


def test_the_quoted_post_stands_below() -> None:
    quoting: dict[str, Any] = {**PLAIN, "text": "This! https://t.co/q", "entities": {}}
    quoting["referenced_tweets"] = [{"type": "quoted", "id": "17"}, {"type": "replied_to", "id": "18"}]
    quoted = {"id": "17", "text": "Patch &lt;now&gt;", "author_id": "5"}
    other = {"id": "5", "name": "Lab", "username": "lab"}
    entry = entry_of(quoting, includes={"tweets": [quoted], "users": [other]})
    assert entry.content is not None
    assert entry.content.endswith("<blockquote><p>Lab (@lab): Patch &lt;now&gt;</p></blockquote>")
    entry = entry_of(quoting, includes={"tweets": [quoted]})
    assert entry.content is not None
    assert entry.content.endswith("<blockquote><p>Patch &lt;now&gt;</p></blockquote>")
    # It was deleted, or not asked for.
    assert content_of(quoting) == '<p>This! <a href="https://t.co/q">https://t.co/q</a></p>'


def test_what_is_passed_on_is_the_article_itself() -> None:
    original = {
        "id": "17",
        "text": "All of the text",
        "author_id": "5",
        "created_at": "2026-11-20T08:00:00.000Z",
        "lang": "de",
    }
    passing = {**PLAIN, "text": "RT @lab: All of…", "referenced_tweets": [{"type": "retweeted", "id": "17"}]}
    other = {"id": "5", "name": "Lab", "username": "lab"}
    document = read(passing, includes={"tweets": [original], "users": [other]})
    (entry,) = document.entries
    assert (entry.guid, entry.link) == ("17", "https://x.com/lab/status/17")
    assert (entry.author, entry.content, entry.language) == ("Lab (@lab)", "<p>All of the text</p>", "de")
    # Who wrote it stands in what passes it on, too.
    entry = entry_of(passing, includes={"tweets": [original]})
    assert (entry.link, entry.author) == ("https://x.com/lab/status/17", "@lab")
    entry = entry_of({**passing, "text": "RT by hand"}, includes={"tweets": [original]})
    assert (entry.link, entry.author) == ("https://x.com/i/web/status/17", None)
    # The walk goes by the posts of the page.
    assert page_of(document.facts).oldest == Mark("1990000000000000001", WRITTEN)
    entry = entry_of(passing)
    assert (entry.guid, entry.title) == ("1990000000000000001", "RT @lab: All of…")


def test_versions_of_a_post_are_one_article() -> None:
    history = ["1990000000000000001", "1990000000000000009"]
    new = {**PLAIN, "id": history[1], "text": "Fixed", "edit_history_tweet_ids": history}
    old = {**PLAIN, "edit_history_tweet_ids": history}
    document = read(new, old)
    (entry,) = document.entries
    assert (entry.guid, entry.title) == (history[0], "Fixed")
    assert entry.link == f"https://x.com/examplecert/status/{history[1]}"
    assert document.facts["count"] == 2
    odd = {**PLAIN, "edit_history_tweet_ids": ["x", 5, None]}
    assert entry_of(odd).guid == "1990000000000000001"


@pytest.mark.parametrize(
    ("said", "language"), [("en", "en"), ("und", None), ("qme", None), ("in", "id"), ("iw", "he"), (7, None)]
)
def test_languages(said: object, language: str | None) -> None:
    assert entry_of({**PLAIN, "lang": said}).language == language


def test_a_post_that_cannot_be_read_costs_the_others_nothing() -> None:
    document = read({"text": "no id"}, PLAIN, None, {**PLAIN, "id": "2", "edit_history_tweet_ids": ["2"]})
    assert [entry.guid for entry in document.entries] == ["1990000000000000001", "2"]
    assert [one.reason for one in document.left_out] == ["it cannot be read: ValueError: it has no id"] * 2
    # X has sold all four.
    assert (document.facts["count"], document.facts["posts"]) == (4, 4)


def test_pages_tell_how_far_the_walk_has_come() -> None:
    posts = [
        {**PLAIN, "id": post_id, "created_at": written, "edit_history_tweet_ids": [post_id]}
        for post_id, written in (
            ("30", "2026-11-23T08:04:00.000Z"),
            ("20", "2026-11-23T08:00:00.000Z"),
            ("9", "2026-11-23T07:00:00.000Z"),
        )
    ]
    meta = {"result_count": 3, "newest_id": "30", "oldest_id": "9", "next_token": "b26v"}
    document = read(*posts, meta=meta, horizon=WRITTEN, includes={"tweets": [PLAIN], "users": [USER]})
    assert page_of(document.facts) == Page(3, "b26v", Mark("9", WRITTEN - 3_600), Mark("20", WRITTEN))
    assert (document.facts["posts"], document.facts["users"], document.facts["said"]) == (4, 1, "")
    assert page_of(read(*posts, horizon=0).facts) == Page(3, "", Mark("9", WRITTEN - 3_600), None)
    undated = [{"id": "30", "text": "a"}, {"id": "9", "text": "b"}]
    assert page_of(read(*undated).facts) == Page(2, "", Mark("9", 0), Mark("30", 0))


def test_nothing_new_has_no_data() -> None:
    document = read_posts(b'{"meta": {"result_count": 0}}', URL, "examplecert", 0)
    assert (document.entries, page_of(document.facts)) == ((), Page(0, "", None, None))
    assert document.facts["said"] == ""


def test_what_x_says_of_the_user_is_told_from_what_it_says_of_others() -> None:
    about = {"resource_type": "user", "parameter": "id", "detail": "Sorry, you are not authorized. "}
    body = json.dumps({"errors": [about]}).encode()
    assert read_posts(body, URL, "examplecert", 0).facts["said"] == "Sorry, you are not authorized"
    other = {"resource_type": "tweet", "parameter": "referenced_tweets.id", "detail": "Could not find it."}
    assert read(PLAIN, errors=[other]).facts["said"] == ""
    assert read(PLAIN, errors=[about]).facts["said"] == ""
    mentioned = {"resource_type": "user", "parameter": "entities.mentions.username", "detail": "Suspended."}
    assert read(errors=[mentioned]).facts["said"] == ""


@pytest.mark.parametrize("body", [b"{}", b"[]", b'{"data": [{"text": "no id"}]}', b'{"data": {"id": "1"}}'])
def test_what_is_no_page(body: bytes) -> None:
    with pytest.raises(NotAFeed, match=r"^what came is no page of posts of X"):
        read_posts(body, URL, "", 0)


def test_users() -> None:
    said = json.dumps({"data": {**USER, "protected": True}}).encode()
    assert read_user(said, URL).facts == {"id": "2244994945", "protected": True, "said": ""}
    said = b'{"errors": [{"detail": "User has been suspended: [x].", "title": "Forbidden"}]}'
    assert read_user(said, URL).facts == {
        "id": None,
        "protected": False,
        "said": "User has been suspended: [x]",
    }
    assert read_user(b'{"errors": [{}]}', URL).facts["said"] == "without a word of why"
    for body in (b"{}", b'{"data": {"id": "../1"}}'):
        with pytest.raises(NotAFeed, match=r"^what came is no user of X$"):
            read_user(body, URL)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(PLAIN)), inner, max_size=4)
    ),
    max_leaves=12,
)
POST = st.fixed_dictionaries({}, optional={name: JSON | st.just(value) for name, value in PLAIN.items()})


@given(
    st.lists(POST | JSON, max_size=4),
    st.fixed_dictionaries({}, optional={"meta": JSON, "includes": JSON, "errors": JSON}),
)
def test_whatever_is_said_is_read_or_refused(posts: list[Any], more: dict[str, Any]) -> None:
    try:
        document = read(*posts, **more)
    except (NotAFeed, ParserFailed):
        return
    page_of(document.facts)
    json.dumps(dict(document.facts))
    assert document.facts["count"] == len(posts)


def test_real_answers_are_read() -> None:
    folder = corpus_path("json-apis/x-api-v2")
    read_here: dict[str, int] = {}
    writers = 0
    for file in sorted(folder.glob("*.jsonl")):
        if any(name in file.name for name in ("counts", "lists", "users", "streaming")):
            continue
        for line in file.read_bytes().splitlines():
            document = read_posts(line, URL, "", 2**33)
            said = json.loads(line)
            assert document.left_out == ()
            assert page_of(document.facts).count == len(said["data"])
            assert document.facts["users"] == len(said["includes"]["users"])
            for entry in document.entries:
                assert entry.title
                assert entry.published_at is not None
                writers += entry.author is not None
                assert "<script" not in (entry.content or "")
            read_here[file.name] = read_here.get(file.name, 0) + len(document.entries)
    assert read_here["twarc-csv__many_urls.jsonl"] == 1
    assert sum(read_here.values()) > 1_000
    assert writers > 0.99 * sum(read_here.values())


def test_real_edits_are_one_article() -> None:
    folder = corpus_path("json-apis/x-api-v2")
    before, after = (
        read_posts((folder / f"twarc-csv__edited_{when}.jsonl").read_bytes(), URL, "", 2**33).entries[0]
        for when in ("before", "after")
    )
    assert before.guid == after.guid == "1576994746135764992"
    assert before.identity == after.identity
    assert before.title != after.title
    assert "t.co" not in (after.content or "")
