"""Which entry is which article.

An entry is recognised by its guid, else its link, else its normalised title and date, else its title and
content. That is its *identity*; where publishers put one identity on several entries, these are told apart
by more, and :func:`assign` is the one place that decides it. No date that was not in the document takes
part, and no hash is cut.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import TypeVar

from digestd.feed.text import collapse
from digestd.model import Entry

# Part of every content hash: raise it when the hash covers something else, so that old hashes can be told.
_CONTENT_VERSION = 1

# An entry without a date cannot be told newer than any other.
_UNDATED = datetime.min.replace(tzinfo=UTC)

UPDATES_LIMIT = 24
"""How often an article follows its entry where neither title nor link changed: some feeds print a clock into it."""

LONGEST_TITLE = 1_000
"""How many characters of a title are looked at and kept; real ones have fewer than 300."""

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class StoredArticle:
    """What the store holds of an article, as far as recognising it goes, and how often it was updated."""

    id: int
    entry_key: str
    identity: str
    url: str | None
    title: str
    content_hash: str
    updates: int = 0


@dataclass(frozen=True, slots=True)
class Assignment:
    """One distinct entry and the article it belongs to.

    `article_id` is None for a new article, to be stored under `entry_key`. `changed` says that a stored article is to
    follow the entry, whose content hash differs; `updates` that it did so often before. `held_back` says that it would
    have to, had it not done so too often: it follows all the same where the facts of the entry are others.
    """

    entry: Entry
    entry_key: str
    article_id: int | None
    changed: bool
    updates: int = 0
    held_back: bool = False


def identity_of(
    guid: str | None,
    link: str | None,
    title: str,
    published_at: datetime | None,
    content: str | None,
) -> str:
    """Hash what an entry is recognised by: sha256, 64 hex digits.

    `guid` counts as it stands but for white space around it, `title` without regard to case and spacing, and no
    further than :data:`LONGEST_TITLE`.
    `content` is what the document says, before sanitising. `published_at` must come from the document.
    """
    if guid and guid.strip():
        return _digest("guid", guid.strip())
    if link:
        return _digest("link", link)
    # Cut before: one character can become eighteen (NFKC), and a title of 15 MB two gigabytes.
    title = title[:LONGEST_TITLE]
    normal_title = collapse(unicodedata.normalize("NFKC", title).casefold())
    if normal_title and published_at is not None:
        return _digest("title and date", normal_title, published_at.astimezone(UTC).isoformat())
    return _digest("title and content", normal_title, content)


def content_hash_of(
    title: str, author: str | None, link: str | None, summary: str | None, content: str | None
) -> str:
    """Hash what makes an article another text when it changes: sha256, 64 hex digits.

    Takes the values before sanitising, so that another sanitiser updates nothing. Dates take no part (feeds
    touch them without touching the text), and empty fields are left out, so that a field added later
    changes few hashes.
    """
    fields = {"title": title, "author": author, "link": link, "summary": summary, "content": content}
    return _digest(_CONTENT_VERSION, {name: value for name, value in fields.items() if value})


def assign(entries: Sequence[Entry], stored: Sequence[StoredArticle]) -> list[Assignment]:
    """Decide for every entry of one document which stored article it is, or under which key it is a new one.

    `stored` is every article of the source whose identity is one of the entries'. Returns one assignment per
    distinct entry, in the order of the document: entries equal in identity, link, title, date and content are
    one. The keys are unique among the result and among `stored`; what is assigned does not depend on the
    order of the document.

    In doubt an entry becomes a new article: an edit may then show twice, but no article is overwritten by
    another one.
    """
    groups: dict[str, _Group] = {}
    for entry in entries:
        groups.setdefault(entry.identity, _Group()).add(entry)
    for article in stored:
        if article.identity in groups:
            groups[article.identity].stored.append(article)
    found = {id(given.entry): given for group in groups.values() for given in group.assign()}
    return [found.pop(id(entry)) for entry in entries if id(entry) in found]


@dataclass(slots=True)
class _Group:
    """The distinct entries of one identity, and the articles stored for it."""

    distinct: dict[tuple[Hashable, ...], Entry] = field(default_factory=dict)
    stored: list[StoredArticle] = field(default_factory=list)
    matched: dict[int, StoredArticle] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)

    def add(self, entry: Entry) -> None:
        everything = (entry.link, entry.title, entry.published_raw, entry.content_hash)
        self.distinct.setdefault(everything, entry)

    @property
    def entries(self) -> list[Entry]:
        """The oldest first, as what is stored is older than what is new; never in the document's order."""
        return sorted(self.distinct.values(), key=_age)

    def assign(self) -> list[Assignment]:
        entries = self.entries
        if self.stored:
            self._match_states(entries)
            self._match_keys(entries)
            self._match_alone(
                entries, lambda entry: (entry.link, entry.title), lambda article: (article.url, article.title)
            )
            self._match_alone(entries, lambda entry: entry.link, lambda article: article.url)
        if len(self.stored) == 1 and self.stored[0].entry_key == self.stored[0].identity:
            # Never told apart from anything, so link and title may both have been edited.
            self._match_alone(entries, lambda entry: None, lambda article: None)
        known = [self._known(entry) for entry in entries if id(entry) in self.matched]
        return known + self._new([entry for entry in entries if id(entry) not in self.matched])

    def _match_states(self, entries: list[Entry]) -> None:
        """Same link, title and content: the same article, whatever else is in the group.

        Of entries that differ in their dates alone, as many are known as articles are.
        """
        articles = _by(lambda article: (article.url, article.title, article.content_hash), self.stored)
        for state, alike in _by(_state, entries).items():
            self._match_in_order(alike, articles.get(state, []))

    def _match_keys(self, entries: list[Entry]) -> None:
        """Stored under what only this entry says: an edit of one of several with the same link and title."""
        by_key = {article.entry_key: article for article in self.stored if article.id not in self.taken}
        waiting = [entry for entry in entries if by_key and id(entry) not in self.matched]
        for key, twins in _by(lambda entry: _keys(entry)[-1], waiting).items():
            candidates = [key, *(_numbered(key, number) for number in range(1, len(twins) + 1))]
            self._match_in_order(twins, [by_key[key] for key in candidates if key in by_key])

    def _match_alone(
        self,
        entries: list[Entry],
        of_entry: Callable[[Entry], Hashable],
        of_article: Callable[[StoredArticle], Hashable],
    ) -> None:
        """One entry and one article, neither with a sibling of the same kind: the same article, edited.

        Siblings already matched count: where they exist, an entry that fits none of them is more likely new.
        """
        articles = _by(of_article, self.stored)
        for kind, alike in _by(of_entry, entries).items():
            candidates = articles.get(kind, [])
            if len(alike) == len(candidates) == 1:
                self._match_in_order(alike, candidates)

    def _match_in_order(self, entries: list[Entry], articles: list[StoredArticle]) -> None:
        waiting = [entry for entry in entries if id(entry) not in self.matched]
        free = sorted(
            (article for article in articles if article.id not in self.taken), key=lambda article: article.id
        )
        for entry, article in zip(waiting, free, strict=False):
            self.matched[id(entry)] = article
            self.taken.add(article.id)

    def _known(self, entry: Entry) -> Assignment:
        article = self.matched[id(entry)]
        is_other = article.content_hash != entry.content_hash
        changed = is_other and _is_followed(entry, article)
        held_back = is_other and not changed and entry.facts is not None
        return Assignment(entry, article.entry_key, article.id, changed, article.updates, held_back)

    def _new(self, entries: list[Entry]) -> list[Assignment]:
        if len(self.distinct) == 1 and not self.stored:
            return [Assignment(entry, entry.identity, None, False) for entry in entries]
        used = {article.entry_key for article in self.stored}
        shared = Counter(key for entry in entries for key in _keys(entry))
        numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: count(1))
        return [Assignment(entry, _own_key(entry, shared, used, numbers), None, False) for entry in entries]


def _is_followed(entry: Entry, article: StoredArticle) -> bool:
    is_said_anew = (entry.title, entry.link) != (article.title, article.url)
    return is_said_anew or article.updates < UPDATES_LIMIT


def _state(entry: Entry) -> tuple[str | None, str, str]:
    return entry.link, entry.title, entry.content_hash


def _age(entry: Entry) -> tuple[datetime, str, str]:
    return entry.published_at or _UNDATED, entry.published_raw or "", entry.content_hash


def _own_key(
    entry: Entry, shared: Counter[str], used: set[str], numbers: defaultdict[str, Iterator[int]]
) -> str:
    """The least specific key of `entry` that no other entry shares and no article has; added to `used`."""
    keys = _keys(entry)
    key = next((key for key in keys if shared[key] == 1 and key not in used), None)
    if key is None:
        numbered = (_numbered(keys[-1], number) for number in numbers[keys[-1]])
        key = next(candidate for candidate in numbered if candidate not in used)
    used.add(key)
    return key


def _keys(entry: Entry) -> list[str]:
    """What tells entries of one identity apart, the least specific first.

    The content only where there is no date: entries that share guid, link, title and date are numbered
    instead, so that volatile content in them does not make new articles at every poll.
    """
    told_by = [entry.identity, entry.link, entry.title, entry.published_raw or [entry.content_hash]]
    return [_digest("told apart", *told_by[:length]) for length in (2, 3, 4)]


def _numbered(key: str, number: int) -> str:
    return _digest("number", key, number)


def _by(key: Callable[[T], K], items: Iterable[T]) -> dict[K, list[T]]:
    found: defaultdict[K, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def _digest(*values: object) -> str:
    # JSON in ASCII: no two lists look alike, and lone surrogates are escaped instead of refused.
    return sha256(json.dumps(values).encode("ascii")).hexdigest()
