"""Which entry is which article: the rules one by one, and what must hold over any life of a feed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from time import perf_counter

from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.entry import Prose, make_entry
from digestd.feed.identity import (
    UPDATES_LIMIT,
    Assignment,
    StoredArticle,
    assign,
    content_hash_of,
    identity_of,
)
from digestd.model import Entry

DAY = datetime(2020, 1, 10, tzinfo=UTC)


def entry(
    guid: str | None = None,
    link: str | None = None,
    title: str = "",
    text: str = "",
    date: str = "",
    author: str = "",
) -> Entry:
    content = Prose(text, is_html=True, base="https://e.org/")
    return make_entry(
        guid=guid,
        link=link,
        title=title,
        author=author,
        language=None,
        summary=None,
        content=content,
        dates=[date],
    )


@dataclass
class Memory:
    """A store that does with assignments what the real one does."""

    articles: dict[int, StoredArticle] = field(default_factory=dict)
    seen: dict[int, list[Entry]] = field(default_factory=dict)

    def ingest(self, document: Sequence[Entry]) -> list[Assignment]:
        identities = {entry.identity for entry in document}
        stored = [article for article in self.articles.values() if article.identity in identities]
        assignments = assign(document, stored)
        self._check(assignments, document)
        for one in assignments:
            self._write(one)
        return assignments

    def _check(self, assignments: list[Assignment], document: Sequence[Entry]) -> None:
        known = {article.entry_key for article in self.articles.values()}
        new = [one.entry_key for one in assignments if one.article_id is None]
        assert len(new) == len(set(new))
        assert not known & set(new)
        taken = [one.article_id for one in assignments if one.article_id is not None]
        assert len(taken) == len(set(taken))
        assert [id(one.entry) for one in assignments] == [id(e) for e in distinct(document)]

    def _write(self, one: Assignment) -> None:
        e = one.entry
        number = one.article_id or len(self.articles) + 1
        if one.article_id:
            assert self.articles[number].entry_key == one.entry_key
            assert one.changed == (self.articles[number].content_hash != e.content_hash)
        self.articles[number] = StoredArticle(
            number, one.entry_key, e.identity, e.link, e.title, e.content_hash
        )
        self.seen.setdefault(number, []).append(e)


def distinct(document: Sequence[Entry]) -> list[Entry]:
    found: dict[object, Entry] = {}
    for e in document:
        found.setdefault((e.identity, e.link, e.title, e.published_raw, e.content_hash), e)
    return list(found.values())


def state(e: Entry) -> tuple[str, str | None, str, str]:
    return e.identity, e.link, e.title, e.content_hash


def outcome(assignments: list[Assignment]) -> list[str]:
    """`new`, or the id of the article, with a star where it changed."""
    return [f"{one.article_id or 'new'}{'*' * one.changed}" for one in assignments]


def test_what_was_updated_too_often_is_held_back_where_it_has_facts() -> None:
    first, later = (
        entry("g", "https://e.org/1", "A title", "a"),
        entry("g", "https://e.org/1", "A title", "b"),
    )
    advisory = replace(later, facts={})
    renamed = replace(advisory, title="Another")

    def given(one: Entry, updates: int) -> tuple[bool, bool]:
        stored = StoredArticle(
            1, first.identity, first.identity, first.link, first.title, first.content_hash, updates
        )
        (assignment,) = assign([one], [stored])
        return assignment.changed, assignment.held_back

    assert given(advisory, UPDATES_LIMIT - 1) == (True, False)
    assert given(advisory, UPDATES_LIMIT) == (False, True)
    assert given(renamed, UPDATES_LIMIT) == (True, False)
    assert given(later, UPDATES_LIMIT) == (False, False)
    assert given(first, UPDATES_LIMIT) == given(replace(first, facts={}), UPDATES_LIMIT) == (False, False)


def test_identity_is_the_first_thing_that_an_entry_has() -> None:
    whole = identity_of("g", "l", "t", DAY, "c")
    assert whole == identity_of(" g\n", None, "", None, None)
    assert identity_of(None, "l", "t", DAY, "c") == identity_of("  ", "l", "", None, None)
    assert identity_of(None, None, " A  Title\n", DAY, "c") == identity_of(None, None, "a title", DAY, None)
    assert identity_of(None, None, "t", None, "c") == identity_of(None, None, "T", None, "c")
    assert identity_of(None, None, "", DAY, "c") != identity_of(None, None, "", DAY, "d")
    same_moment = DAY.astimezone(timezone(timedelta(hours=2)))
    assert identity_of(None, None, "t", DAY, None) == identity_of(None, None, "t", same_moment, None)
    assert len(whole) == 64


def test_identities_of_different_levels_never_meet() -> None:
    identities = [
        identity_of("x", None, "", None, None),
        identity_of(None, "x", "", None, None),
        identity_of(None, None, "x", DAY, None),
        identity_of(None, None, "x", None, None),
        identity_of(None, None, "", None, "x"),
        identity_of(None, None, "", None, None),
    ]
    assert len(set(identities)) == len(identities)


def test_the_content_hash_knows_no_dates_and_no_empty_fields() -> None:
    assert entry("g", date="2020-01-01").content_hash == entry("g", date="2021-01-01").content_hash
    assert content_hash_of("t", None, "", "", None) == content_hash_of("t", "", None, None, "")
    parts = [content_hash_of(*("x" if i == n else "" for i in range(5))) for n in range(5)]
    assert len(set(parts)) == 5


def test_the_content_hash_takes_the_text_before_sanitising() -> None:
    assert entry("g", text="<p>a").content == entry("g", text="<p>a<script>1</script>").content
    assert entry("g", text="<p>a").content_hash != entry("g", text="<p>a<script>1</script>").content_hash


def test_lone_surrogates_are_hashed_not_refused() -> None:
    assert len(identity_of("\ud800", None, "", None, None)) == 64
    assert len(content_hash_of("\ud800", None, None, None, None)) == 64


def test_an_entry_alone_is_kept_under_its_identity_whatever_of_it_changes() -> None:
    memory = Memory()
    first = entry("g", "https://e.org/1", "T", "text")
    assert memory.ingest([first]) == [Assignment(first, first.identity, None, False)]
    assert outcome(memory.ingest([first])) == ["1"]
    assert outcome(memory.ingest([entry("g", "https://e.org/1", "T edited", "text")])) == ["1*"]
    assert outcome(memory.ingest([entry("g", "https://e.org/moved", "T moved", "text")])) == ["1*"]


def test_exact_repeats_are_one_entry() -> None:
    assert outcome(Memory().ingest([entry("g", title="T"), entry("g", title="T"), entry("h")])) == [
        "new",
        "new",
    ]
    twice = entry("g", title="T")
    assert outcome(Memory().ingest([twice, twice])) == ["new"]


def test_entries_that_share_a_guid_are_told_apart_by_the_least_that_does() -> None:
    for document in (
        [entry("g", f"https://e.org/{n}", "T") for n in range(3)],
        [entry("g", "https://e.org/", f"T{n}") for n in range(3)],
        [entry("g", "https://e.org/", "T", date=f"2020-01-0{n + 1}") for n in range(3)],
        [entry("g", "https://e.org/", "T", text=f"{n}") for n in range(3)],
        [entry("g", "https://e.org/", "T", text=f"{n}", date="2020-01-01") for n in range(3)],
    ):
        memory = Memory()
        assert outcome(memory.ingest(document)) == ["new"] * 3
        assert outcome(memory.ingest(document[::-1])) == ["3", "2", "1"]


def test_a_stored_article_keeps_its_key_when_others_with_its_guid_come() -> None:
    memory = Memory()
    memory.ingest([entry("g", "https://e.org/1", "T")])
    later = [entry("g", "https://e.org/2", "U"), entry("g", "https://e.org/1", "T")]
    assert outcome(memory.ingest(later)) == ["new", "1"]
    assert outcome(memory.ingest(later[:1])) == ["2"]
    assert outcome(memory.ingest([entry("g", "https://e.org/2", "U edited"), later[1]])) == ["2*", "1"]


def test_an_entry_is_not_taken_for_one_that_left_the_document() -> None:
    """A feed whose entries share guid and link: `D` takes the place that `A` left, not its article."""
    memory = Memory()
    titles = ["A", "B", "C", "D", "E", "F"]
    for begin in range(4):
        window = [entry("g", "https://e.org/", title) for title in titles[begin : begin + 3]]
        memory.ingest(window[::-1])
    assert [article.title for article in memory.articles.values()] == ["C", "B", "A", "D", "E", "F"]


def test_the_same_alert_on_another_day_is_another_article() -> None:
    days = ["Thu, 09 Jan 2020", "Fri, 10 Jan 2020", "Sat, 11 Jan 2020"]
    memory = Memory()
    for day in range(1, 4):
        memory.ingest([entry(None, "https://e.org/", "Alert", "text", date) for date in reversed(days[:day])])
    assert [seen[0].published_raw for seen in memory.seen.values()] == days


def test_an_edit_among_entries_that_share_everything_but_the_date_is_an_edit() -> None:
    memory = Memory()
    memory.ingest([entry("g", title="T", text=f"{n}", date=f"2020-01-0{n}") for n in (1, 2, 3)])
    edited = [entry("g", title="T", text=f"edited {n}", date=f"2020-01-0{n}") for n in (1, 2, 3)]
    assert outcome(memory.ingest(edited)) == ["1*", "2*", "3*"]


def test_volatile_content_in_entries_that_share_all_else_makes_no_new_articles() -> None:
    memory = Memory()
    for poll in range(5):
        twins = [
            entry("g", "https://e.org/", "T", text=f"{poll} {n} ad", date="2020-01-01") for n in range(3)
        ]
        memory.ingest(twins)
    assert len(memory.articles) == 3


def test_an_old_state_beside_the_edited_article_gets_a_key_of_its_own() -> None:
    memory = Memory()
    old = [entry("g", title="T", text="1"), entry("g", title="T", text="2")]
    memory.ingest(old)
    memory.articles[1] = replace(memory.articles[1], content_hash="another", title="Renamed")
    assert outcome(memory.ingest(old)) == ["1*", "2"]
    memory.articles[1] = replace(memory.articles[1], content_hash="another", title="Renamed")
    renamed = replace(entry("g", title="Renamed", text="1"), content_hash="another")
    assert outcome(memory.ingest([renamed, *old])) == ["1", "new", "2"]


def test_thousands_of_entries_with_one_guid_take_seconds_not_hours() -> None:
    document = [
        Entry(identity="g", content_hash=f"{n:064}", guid="g", title="T", published_raw="2020-01-01")
        for n in range(8_000)
    ]
    memory, begin = Memory(), perf_counter()
    memory.ingest(document)
    assert set(outcome(memory.ingest(document))) == {str(n) for n in range(1, 8_001)}
    assert perf_counter() - begin < 10


# A small world, so that guids, links, titles and texts meet often.
_FEW = st.sampled_from
_ENTRIES = st.builds(
    entry,
    guid=_FEW([None, "g", "h"]),
    link=_FEW([None, "https://e.org/1", "https://e.org/2"]),
    title=_FEW(["", "T", "t", "U"]),
    text=_FEW(["", "1", "2"]),
    date=_FEW(["", "2020-01-01", "2020-01-02", "3 hours ago"]),
)
_DOCUMENTS = st.lists(_ENTRIES, max_size=8)


@given(_DOCUMENTS, st.randoms(use_true_random=False))
def test_every_distinct_entry_gets_a_key_that_does_not_depend_on_the_order(
    document: list[Entry], rnd: random.Random
) -> None:
    before = {one.entry: one.entry_key for one in Memory().ingest(document)}
    assert len(set(before.values())) == len(distinct(document))
    shuffled = document.copy()
    rnd.shuffle(shuffled)
    assert {one.entry: one.entry_key for one in Memory().ingest(shuffled)} == before


@given(st.lists(_DOCUMENTS, min_size=1, max_size=5), st.randoms(use_true_random=False))
def test_the_same_document_again_in_any_order_brings_nothing(
    documents: list[list[Entry]], rnd: random.Random
) -> None:
    memory = Memory()
    for document in documents:
        memory.ingest(document)
        again = document.copy()
        rnd.shuffle(again)
        for one in memory.ingest(again):
            assert (one.article_id is None, one.changed) == (False, False)


@given(_DOCUMENTS, _DOCUMENTS)
def test_what_comes_on_top_touches_nothing_stored(below: list[Entry], above: list[Entry]) -> None:
    memory = Memory()
    stored = Counter(state(one.entry) for one in memory.ingest(below))
    articles = dict(memory.articles)
    assignments = memory.ingest(above + below)
    assert {number: memory.articles[number] for number in articles} == articles
    # Where only dates differ, any of them may be the stored one.
    assert Counter(state(one.entry) for one in assignments if one.article_id) == stored


@given(st.lists(_ENTRIES, min_size=1, max_size=20), st.integers(1, 4), st.randoms(use_true_random=False))
def test_a_feed_that_grows_has_as_many_articles_as_entries(
    history: list[Entry], step: int, rnd: random.Random
) -> None:
    """Whatever its entries share, in whatever order they are shown, and however many come at a time."""
    history = distinct(history)
    memory = Memory()
    for end in (*range(1, len(history), step), len(history)):
        document = history[:end]
        rnd.shuffle(document)
        memory.ingest(document)
        assert len(memory.articles) == end
    stored = Counter((one.identity, one.url, one.title, one.content_hash) for one in memory.articles.values())
    assert stored == Counter(map(state, history))


@given(
    _DOCUMENTS, st.lists(st.tuples(_FEW(["edit", "drop", "keep"]), _FEW(["T", "U"])), min_size=8, max_size=8)
)
def test_edits_and_losses_never_give_two_entries_one_article(
    document: list[Entry], changes: list[tuple[str, str]]
) -> None:
    """`Memory.ingest` asserts that no article is assigned twice and no key used twice."""
    memory = Memory()
    memory.ingest(document)
    edited = [
        entry(one.guid, one.link, title, "edited") if what == "edit" else one
        for one, (what, title) in zip(document, changes, strict=False)
        if what != "drop"
    ]
    memory.ingest(edited)
    memory.ingest(document + edited)
