"""What becomes of Mastodon's statuses: real ones, written ones, and hostile ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.identity import identity_of
from digestd.feed.mastodon import read_account, read_statuses, words_of
from digestd.model import Document, Entry
from support.corpus import corpus_path

URL = "https://infosec.exchange/api/v1/accounts/109/statuses?limit=40"
LINK = (
    '<a href="https://example.com/a/b?c=1&amp;d=2" rel="nofollow"><span class="invisible">https://</span>'
    '<span class="ellipsis">example.com/</span><span class="invisible">a/b?c=1&amp;d=2</span></a>'
)
STATUS: dict[str, Any] = {
    "id": "113500000000000001",
    "created_at": "2026-11-23T08:00:00.123Z",
    "edited_at": None,
    "visibility": "public",
    "sensitive": False,
    "spoiler_text": "",
    "language": "en",
    "uri": "https://infosec.exchange/users/someone/statuses/113500000000000001",
    "url": "https://infosec.exchange/@someone/113500000000000001",
    "content": f"<p>New write-up: {LINK} #CVE</p><p>More of it.</p>",
    "account": {"id": "109", "username": "someone", "acct": "someone", "display_name": "Some One"},
    "reblog": None,
    "card": None,
    "media_attachments": [],
}


def statuses(*written: Any, boosts: bool = False) -> Document:
    return read_statuses(json.dumps(written).encode(), URL, boosts)


def entry(**changes: Any) -> Entry:
    (found,) = statuses({**STATUS, **changes}).entries
    return found


def test_a_status_becomes_an_entry() -> None:
    found = entry()
    assert found.identity == identity_of(STATUS["uri"], None, "", None, None)
    assert (found.guid, found.link, found.author, found.language, found.complete) == (
        STATUS["uri"],
        STATUS["url"],
        "Some One (@someone)",
        "en",
        True,
    )
    assert found.published_at is not None
    assert found.published_at.isoformat() == "2026-11-23T08:00:00+00:00"
    assert found.title == "New write-up: https://example.com/a/b?c=1&d=2 #CVE"
    assert found.content is not None
    assert 'href="https://example.com/a/b?c=1&amp;d=2"' in found.content
    assert found.content.endswith("#CVE</p><p>More of it.</p>")


@pytest.mark.parametrize("shown", ["example.com/a/b…", "example.com/a/b...", "example.com/a/b?c=1&amp;d=2"])
def test_a_link_that_is_cut_is_shown_in_full(shown: str) -> None:
    found = entry(content=f'<p>See <a href="https://example.com/a/b?c=1&amp;d=2">{shown}</a></p>')
    assert found.title == "See https://example.com/a/b?c=1&d=2"


@pytest.mark.parametrize(
    "shown", ["#<span>CVE</span>", "@<span>someone</span>", "the report", "com", "…", ""]
)
def test_other_words_of_links_stay(shown: str) -> None:
    found = entry(content=f'<p>See <a href="https://example.com/CVE/someone">{shown}</a></p>')
    assert "https" not in found.title


def test_the_content_warning_comes_first() -> None:
    found = entry(spoiler_text="Politics & <b>leaks</b>")
    assert found.title == "Politics & leaks"
    assert found.content is not None
    assert found.content.startswith("<p>Politics &amp; leaks</p><p>New write-up")


CARD = {"url": "https://example.com/a/b?c=1&d=2", "title": "A hole <in> FooVPN", "description": "It is bad."}


def test_the_page_that_it_links_to_is_told() -> None:
    found = entry(card=CARD)
    assert found.content is not None
    assert found.content.endswith(
        '<p><a href="https://example.com/a/b?c=1&amp;d=2" rel="noopener noreferrer">A hole &lt;in&gt; FooVPN</a>: '
        "It is bad.</p>"
    )
    assert found.title.startswith("New write-up")
    assert entry(content=f"<p>{LINK}</p>", card=CARD).title == "A hole <in> FooVPN"
    assert entry(content=f"<p>{LINK}</p>").title == "https://example.com/a/b?c=1&d=2"
    # What says nothing new.
    assert entry(card={"url": CARD["url"]}) == entry()
    assert entry(card={"url": "", "title": "x"}) == entry()
    assert entry(card={"url": "javascript:alert(1)", "title": "x"}) == entry()


def test_media_are_described_and_polls_have_answers() -> None:
    found = entry(
        content="",
        media_attachments=[
            {"type": "image", "description": "A screenshot of <script>"},
            {"type": "image", "description": None},
            {"type": "hologram", "description": "Something"},
        ],
        poll={"options": [{"title": "Yes", "votes_count": 3}, {"title": "No"}, {}]},
    )
    assert found.content == (
        "<ul><li>Yes</li><li>No</li></ul><p>Image: A screenshot of &lt;script&gt;</p><p>Attachment: Something</p>"
    )
    assert found.title == "Yes"


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"content": ""}, "A post by Some One (@someone)"),
        ({"content": "<p> </p>", "account": None}, "A post by somebody"),
        ({"content": "<p><br/>First<br>Second</p>"}, "First"),
        ({"content": "<p>" + "word " * 100}, "word " * 22 + "word…"),
        ({"content": "no markup &amp; all"}, "no markup & all"),
        ({"content": ["no text"]}, "A post by Some One (@someone)"),
    ],
)
def test_the_title_is_the_first_line(changes: dict[str, Any], title: str) -> None:
    assert entry(**changes).title == title


def test_what_is_not_safe_is_not_kept() -> None:
    found = entry(
        content='<script>x</script><p onclick="y">a<a href="javascript:z">b</a><img src=x onerror=y></p><style>',
        url="javascript:alert(1)",
        spoiler_text="<img src=x onerror=y>warned",
    )
    assert found.content is not None
    assert not any(word in found.content for word in ("script", "onclick", "onerror", "style"))
    assert found.link == STATUS["uri"]
    assert entry(url=None, uri="tag:example.org,2026:1").link is None


def test_one_bad_status_costs_the_others_nothing() -> None:
    found = statuses(STATUS, {"id": "7"}, None, 7, {"uri": "x"}, {**STATUS, "id": "8", "uri": "b"})
    assert [each.guid for each in found.entries] == [STATUS["uri"], "b"]
    assert [one.reason for one in found.left_out] == [
        "it cannot be read: ValueError: it has no uri",
        "it cannot be read: ValueError: it has no id",
        "it cannot be read: ValueError: it has no id",
        "it cannot be read: ValueError: it has no id",
    ]
    assert found.facts == {"newest": STATUS["id"], "oldest": "7", "count": 6, "moved_to": None}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "no"}', "what came is no list of statuses of Mastodon"),
        (b"null", "what came is no list of statuses of Mastodon"),
        (b'[{"uri": "a"}]', "what came is no list of statuses of Mastodon: none of them has an id"),
        (b'[{"id": "../../x"}]', "what came is no list of statuses of Mastodon: none of them has an id"),
        (b"", "JSON that cannot be read came instead of a feed: Expecting value: line 1 column 1 (char 0)"),
    ],
)
def test_what_is_no_list_of_statuses_is_refused(body: bytes, words: str) -> None:
    with pytest.raises(NotAFeed) as raised:
        read_statuses(body, URL, True)
    assert str(raised.value) == words


def test_hostile_json_is_refused() -> None:
    with pytest.raises(ParserFailed):
        read_statuses(b"[" * 100_000, URL, True)
    deep = {**STATUS, "content": "<div>" * 20_000 + "x"}
    assert entry(**deep).content == "x"
    assert entry(content="<p>" + "&" * 100_000).title == "&" * 119 + "…"
    # An id that is none is no place to go on from.
    found = statuses(STATUS, {**STATUS, "uri": "b", "id": 10**600})
    assert (len(found.entries), found.facts["newest"]) == (1, STATUS["id"])


def test_an_account_is_read() -> None:
    said = {"id": "109", "suspended": True, "moved": {"url": "https://b.example/@x\u202e"}}
    facts = {"id": "109", "suspended": True, "moved_to": "https://b.example/@x"}
    assert read_account(json.dumps(said).encode(), URL).facts == facts
    for body in (b"[]", b'{"id": ""}', b'{"id": "a/b"}', b'{"id": {}}'):
        with pytest.raises(NotAFeed, match=r"^what came is no account of Mastodon$"):
            read_account(body, URL)


def test_errors_have_words() -> None:
    assert words_of(b'{"error":"Record not found."}') == "Record not found"
    assert words_of(b"<html>") == words_of(b"[" * 60_000) == words_of(b"[7]") == words_of(b"\xff") == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*STATUS, "url"]), inner, max_size=4)
    ),
    max_leaves=8,
)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from([*STATUS, "poll"]), JSON, max_size=6), st.booleans())
def test_whatever_stands_in_a_status_the_other_is_read(changes: dict[str, Any], boosts: bool) -> None:
    found = statuses({**STATUS, "id": "7", "uri": "other", **changes}, STATUS, boosts=boosts)
    assert STATUS["uri"] in {each.guid for each in found.entries}
    assert json.loads(json.dumps(found.facts)) == found.facts


def real() -> list[tuple[str, Any]]:
    folder = corpus_path("json-apis") / "mastodon"
    return [(file.name, json.loads(file.read_bytes())) for file in sorted(folder.glob("*.json"))]


def test_real_answers_are_read() -> None:
    read = 0
    for name, said in real():
        if not isinstance(said, list) or not said or not isinstance(said[0], dict) or "uri" not in said[0]:
            continue
        found = read_statuses(json.dumps(said).encode(), "http://localhost:3000/api/v1/x", boosts=True)
        wanted = {(one["reblog"] or one)["uri"] for one in said if one["visibility"] != "direct"}
        assert {each.guid for each in found.entries} == wanted, name
        assert found.left_out == (), name
        assert found.facts["newest"] == max((one["id"] for one in said), key=int)
        assert all(
            each.title and each.published_at and each.link and each.author for each in found.entries
        ), name
        read += len(found.entries)
    assert read > 100


def test_real_single_statuses_and_accounts_are_read() -> None:
    by_name = dict(real())
    card = by_name["mastodonpy__local__test_status_card__1.json"]
    (found,) = read_statuses(json.dumps([card]).encode(), URL, boosts=False).entries
    assert found.title == "Example Domain"
    before, after = by_name["mastodonpy__local__test_status_edit__4.json"]
    edited = by_name["mastodonpy__local__test_status_edit__3.json"]
    (new,) = statuses(edited).entries
    (old,) = statuses({**edited, "content": before["content"]}).entries
    assert (new.identity, new.content) == (old.identity, after["content"])
    assert new.content_hash != old.content_hash
    account = json.dumps(card["account"]).encode()
    assert read_account(account, URL).facts["id"] == card["account"]["id"]
