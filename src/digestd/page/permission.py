"""What X-Robots-Tag says of keeping a page's text.

The header alone is obeyed: it speaks for the server, and comes before a body needs to be read.

Source: https://developers.google.com/search/docs/crawling-indexing/robots-meta-tag
"""

from __future__ import annotations

import re

_FORBIDDING = frozenset({"noindex", "none", "noarchive", "nosnippet"})
# Rules with a value behind a colon, which are no robots' names.
_WITH_VALUE = frozenset({"unavailable_after", "max-snippet", "max-image-preview", "max-video-preview"})
# RFC 9309, 2.2.1, with the digits that real product tokens have. Times of the day begin with a digit.
_PREFIX = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_.-]*|\*)\s*:(.*)", re.DOTALL)


def forbids_keeping(header: str | None, agent: str) -> str | None:
    """The first directive of X-Robots-Tag that forbids the robot called `agent` to keep the page's text, else None.

    `header` is the field's value, repeated fields joined with commas; `agent` is a product token. A robot's name before
    a colon holds for the rules behind it, up to the next name; rules before any name, or behind `*`, are for all. Never
    raises.
    """
    concerned = True
    for piece in (header or "").split(","):
        rule = piece
        named = _PREFIX.fullmatch(piece)
        if named and named[1].lower() not in _WITH_VALUE:
            concerned = named[1].casefold() in ("*", agent.casefold())
            rule = named[2]
        directive = rule.strip().lower()
        if concerned and directive in _FORBIDDING:
            return directive
    return None
