"""How much markup a fragment of HTML holds, found out before a parser builds a tree of it."""

from __future__ import annotations

import re
from collections import defaultdict

# Of `<` and `&` in one fragment. The tree takes 150 bytes and more for each, and long runs of references take time by
# their square. The richest of the articles we tried has 19,000.
_MOST_MARKS = 50_000
# Elements times depth. Sanitising takes time by the square of the depth (50,000 nested elements need four seconds), and
# formatting that is never closed is opened again in every paragraph (HTML, 13.2.4.3).
_MOST_NESTING = 2_000_000
# Attributes of one tag: each is compared with all others (100,000 need four seconds).
_MOST_ATTRIBUTES = 1_000

# The same of what is done between two other tasks, in a few milliseconds. Nine of ten articles stay below a tenth.
_LIGHT_MARKS = 1_000
_LIGHT_NESTING = 20_000

_COMMENT = r"<!--(?:-?>|.*?(?:--!?>|\Z))"
_RAW = r"<(script|style|title|textarea|xmp|iframe|noembed|noframes)\b.*?(?:</\1|\Z)"
_QUOTED = r"""=\s*+(?:"[^"]*+"|'[^']*+')?+"""
# Possessive, and ended by the end of the text as well: no document makes the search begin twice at one place.
_TAG = rf"""<(/?)([a-z][^\s/<>]{{0,30}})((?:[^>="']++|["']|{_QUOTED})*+)(?:>|\Z)"""
# A bracket within the value of an attribute, where the tag does not end.
_QUOTED_END = re.compile(r"""=\s*+(?:"[^">]*+>|'[^'>]*+>)""")
_TOKEN = re.compile(rf"{_COMMENT}|{_RAW}|{_TAG}", re.DOTALL | re.IGNORECASE)
_VALUE = re.compile(_QUOTED)
_BETWEEN = re.compile(r"[\s/=]+")

# They hold nothing, or end where the next one begins, so they do not nest in themselves.
_NEVER_DEEP = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track"}
    | {"wbr", "a", "dd", "dt", "li", "option", "p", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
# Some of these, as they are mostly written.
_SHALLOW_TAGS = ("<a ", "<br>", "<br/>", "<br />", "<img ", "<li>", "<p>", "<p ", "<td>")


def is_beyond_reason(fragment: str) -> bool:
    """Whether the HTML `fragment` has more elements, references, attributes or depth than any article: no parser that
    builds trees should be given it. Takes time in proportion to its length. Never raises."""
    elements = fragment.count("<")
    if elements + fragment.count("&") > _MOST_MARKS:
        return True
    if (
        len(fragment) > 2 * _MOST_ATTRIBUTES
        and _may_have_crowded_tag(fragment)
        and _has_crowded_tag(fragment)
    ):
        return True
    return _nesting(fragment, elements, _MOST_NESTING) > _MOST_NESTING


def is_light(fragment: str) -> bool:
    """Whether a parser that builds trees needs no more than a few milliseconds for the HTML `fragment`. Takes time in
    proportion to its length. Never raises."""
    elements = fragment.count("<")
    if elements + fragment.count("&") > _LIGHT_MARKS:
        return False
    if len(fragment) > 2 * _MOST_ATTRIBUTES and _may_have_crowded_tag(fragment):
        return False
    return _nesting(fragment, elements, _LIGHT_NESTING) <= _LIGHT_NESTING


def _may_have_crowded_tag(fragment: str) -> bool:
    """A cheap look: some tag is long enough, or has a `>` within an attribute and may be."""
    to_brackets = (part for part in fragment.split(">") if len(part) > 2 * _MOST_ATTRIBUTES)
    if any(len(part) - part.find("<") > 2 * _MOST_ATTRIBUTES and "<" in part for part in to_brackets):
        return True
    return _QUOTED_END.search(fragment) is not None


def _has_crowded_tag(fragment: str) -> bool:
    insides = (match[4] for match in _TOKEN.finditer(fragment))
    return any(inside and len(inside) > 2 * _MOST_ATTRIBUTES and _is_crowded(inside) for inside in insides)


def _is_crowded(inside: str) -> bool:
    return sum(1 for _ in _BETWEEN.finditer(_VALUE.sub("=", inside))) > _MOST_ATTRIBUTES


def _nesting(fragment: str, elements: int, enough: int) -> int:
    """So many `elements` times their depth, exactly where that is more than `enough`, and at least else."""
    if elements * elements <= enough:
        return elements * elements
    # No more are open than are opened, but for those that never are at one time.
    opened = elements - fragment.count("</") - sum(map(fragment.count, _SHALLOW_TAGS))
    return elements * (opened if elements * opened <= enough else _depth(fragment))


def _depth(fragment: str) -> int:
    """The most elements that are open at one time, as far as their own closing tags say."""
    still_open: defaultdict[str, int] = defaultdict(int)
    depth = deepest = 0
    for match in _TOKEN.finditer(fragment):
        name = (match[3] or "").lower()
        if not name or name in _NEVER_DEEP:
            continue
        if not match[2]:
            still_open[name] += 1
            depth += 1
            deepest = max(deepest, depth)
        elif still_open[name]:
            still_open[name] -= 1
            depth -= 1
    return deepest
