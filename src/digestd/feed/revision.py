"""What a revision changed: the facts of an advisory (its severity, its fixes, that it was withdrawn), or its words.

Facts have names that are the same for all kinds: `severity` (CRITICAL, HIGH, MEDIUM, LOW), `score` and `cvss` (the
version of CVSS that the score is of), `fixed` (packages, each with its first version that has the fix), `withdrawn`,
`status`, `exploited` (since when it is known to be), `ransomware`, `due`, `removed` (from a catalogue: when; nothing
else is known of it then).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from digestd.feed.text import line_of
from digestd.model import Changes, Facts

VERSIONS_LIMIT = 10
"""So many earlier versions of an article are kept: the first, and the last ones."""
TEXT_VERSIONS_LIMIT = 3
"""Of those, so many of which the next one changed nothing but the text: some feeds print a clock into it."""
LONGEST_TEXT = 100_000
"""How many characters of an earlier version's summary and content are kept."""

_MOST_FACTS = 20
_MOST_LISTED = 50
_LONGEST_FACT = 200
_LARGEST_NUMBER = 1e15
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)
_TOLD = 3

_REMOVED = "removed"
_TEXTS = frozenset({"summary", "content"})
_WORDS = ("title", "url", "author", "summary", "content")
_LABELS = {
    "severity": "severity",
    "score": "score",
    "cvss": "CVSS",
    "status": "status",
    "ransomware": "use in ransomware campaigns",
    "due": "due",
}
_CALLED = {"url": "link", "summary": "text", "content": "text"}


def sound_facts(facts: Facts | None) -> dict[str, Any] | None:
    """Give `facts` as they can be kept: at most 20 with names of small letters, each a number, a line of at most 200
    characters, or a list of at most 50 such lines; whatever is something else, or empty, is left out. That there are
    none is known, too: nothing becomes nothing, and None, of what is no advisory, None.
    """
    if facts is None:
        return None
    kept: dict[str, Any] = {}
    for name, value in facts.items():
        sound = _sound(value)
        if _is_name(name) and len(kept) < _MOST_FACTS and sound not in (None, "", []):
            kept[name] = sound
    return kept


def changed_facts(before: Facts | None, after: Facts | None) -> dict[str, Any]:
    """What is different in `after`, both as :func:`sound_facts` gives them: by name, `[before, after]`, None for what
    was not told. The order of a list is no difference.

    Where nothing was known before, nothing can have changed, but that it was removed from its catalogue.
    """
    known = before or {}
    if after is None or (before is None and _REMOVED not in after):
        return {}
    is_moved = known.get(_REMOVED) != after.get(_REMOVED)
    names = [_REMOVED] if is_moved else _in_order({*known, *after})
    pairs = {name: [known.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if _comparable(pair[0]) != _comparable(pair[1])}


def is_text_only(changes: Changes) -> bool:
    """Whether a revision changed nothing but its summary or content."""
    return not changes.keys() - _TEXTS


def is_of_facts(changes: Changes) -> bool:
    """Whether a revision changed what an advisory says, and not merely how."""
    return bool(changes.keys() - set(_WORDS))


def told(changes: Changes) -> str:
    """Give `changes` as people are told them: the facts that changed, where some did, else which words. Any value of
    JSON is taken; what does not have its form is passed over."""
    sound = {
        name: pair
        for name, pair in changes.items()
        if (_is_name(name) or name in _WORDS) and isinstance(pair, list) and len(pair) == 2
    }
    facts = list(_facts_told(sound))
    if facts:
        return ", ".join(facts)
    words = dict.fromkeys(_CALLED.get(name, name) for name in _WORDS if name in sound)
    return f"edited: {', '.join(words)}" if words else "edited"


def superfluous(kept: Sequence[tuple[int, bool]]) -> list[int]:
    """Which earlier versions of an article to let go, of those with the numbers `kept`, each with whether the text
    alone was changed after it. The first stays, so does the last, and what changed more stays longer."""
    numbers = sorted(kept)
    middle = numbers[1:-1]
    texts = [number for number, text_only in middle if text_only]
    others = [number for number, text_only in middle if not text_only]
    too_many_texts = max(0, sum(text_only for _, text_only in numbers) - TEXT_VERSIONS_LIMIT)
    gone = texts[:too_many_texts]
    too_many = max(0, len(numbers) - len(gone) - VERSIONS_LIMIT)
    return sorted(gone + (texts[too_many_texts:] + others)[:too_many])


def cut(html: str | None) -> str | None:
    """Give the beginning of sanitised `html` if it is longer than is kept of an earlier version; no tag is cut."""
    if html is None or len(html) <= LONGEST_TEXT:
        return html
    head = html[:LONGEST_TEXT]
    opened = head.rfind("<")
    return (head[:opened] if opened > head.rfind(">") else head) + "…"


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and name not in _WORDS


def _sound(value: object) -> object:
    if isinstance(value, str):
        return line_of(value, _LONGEST_FACT)
    if isinstance(value, int | float):
        # What is no number compares as false.
        return value if abs(value) <= _LARGEST_NUMBER else None
    if isinstance(value, list | tuple):
        lines = (line_of(one, _LONGEST_FACT) for one in value[:_MOST_LISTED] if isinstance(one, str))
        return list(dict.fromkeys(filter(None, lines)))
    return None


def _comparable(value: object) -> object:
    # Another order of a list is no news.
    return frozenset(_lines(value)) if isinstance(value, list) else value


def _in_order(names: Iterable[str]) -> list[str]:
    order = {name: place for place, name in enumerate(_ORDER)}
    return sorted(names, key=lambda name: (order.get(name, len(order)), name))


def _facts_told(changes: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    for name in _in_order(changes.keys() - set(_WORDS)):
        before, after = changes[name]
        yield _TELLING[name](before, after) if name in _TELLING else _moved(name, before, after)


def _moved(name: str, before: object, after: object) -> str:
    label = _LABELS.get(name, name.replace("_", " "))
    if isinstance(before, list | dict) or isinstance(after, list | dict):
        return label
    return f"{label} {_value(before)} -> {_value(after)}"


def _value(value: object) -> str:
    return "none" if value is None else str(value)


def _fixes(before: object, after: object) -> str:
    old, new = _lines(before), _lines(after)
    # Another version with the fix is told once: as the one that there is.
    if come := [one for one in new if one not in old]:
        return f"fix available: {_listed(come)}"
    return f"fix withdrawn: {_listed([one for one in old if one not in new])}"


def _lines(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _listed(some: Sequence[str]) -> str:
    more = f" and {len(some) - _TOLD} more" if len(some) > _TOLD else ""
    return ", ".join(some[:_TOLD]) + more


def _since(words: str, otherwise: str) -> Callable[[object, object], str]:
    return lambda before, after: otherwise if after is None else f"{words} {_value(after)}"


_TELLING: Mapping[str, Callable[[object, object], str]] = {
    _REMOVED: _since("removed from the catalogue on", "listed in the catalogue again"),
    "withdrawn": _since("withdrawn on", "withdrawn no longer"),
    "exploited": _since("known to be exploited since", "no longer known to be exploited"),
    "fixed": _fixes,
}
_ORDER = (
    _REMOVED,
    "withdrawn",
    "exploited",
    "severity",
    "score",
    "cvss",
    "fixed",
    "ransomware",
    "due",
    "status",
)
