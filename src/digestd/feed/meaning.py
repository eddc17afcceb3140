"""What a document says apart from what changes by itself: dates of building, counts of comments."""

from __future__ import annotations

import hashlib
import re

LONGEST_BYTES = 512 * 1024
"""Looking through more would hold up the event loop; such a document is read in another process whenever it changed."""

_FIRST_ENTRY = re.compile(rb"<(?:\w{1,20}:)?(?:item|entry)[\s/>]")
# Bounded in every part, so that no text takes more than linear time. Dates of entries stay: some are known by them.
_BUILT = re.compile(
    rb"<((?:\w{1,20}:)?(?:lastBuildDate|pubDate|updated|modified|date))(?:\s[^<>]{0,200})?>[^<>]{0,100}</\1\s{0,20}>"
)
# Each by itself, with letters to begin with that stand nowhere else: one pattern of them all tries every character, and
# takes five times as long.
_COUNTED = {
    **{
        b"<" + name: re.compile(rb"<" + name + rb"(?:\s[^<>]{0,200})?>[^<>]{0,100}</" + name + rb"\s{0,20}>")
        for name in (b"lastBuildDate", b"slash:comments", b"thr:total")
    },
    **{
        b"<media:" + name: re.compile(rb"<media:" + name + rb"\s[^<>]{0,300}>")
        for name in (b"statistics", b"starRating")
    },
    **{
        b"thr:" + name: re.compile(rb"thr:" + name + rb"=(?:\"[^\"<>]{0,100}\"|'[^'<>]{0,100}')")
        for name in (b"count", b"updated")
    },
}


def meaning_of(body: bytes) -> str | None:
    """The sha256 (hex) of the XML document `body` without its comments, the dates of the feed itself, and how many
    comments and votes its entries have; None where `body` is too long or no XML."""
    if len(body) > LONGEST_BYTES or not body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        return None
    text = _without_comments(body)
    first = _FIRST_ENTRY.search(text)
    begin = first.start() if first else len(text)
    said = hashlib.sha256(_BUILT.sub(b"", text[:begin]))
    said.update(_without_counts(text[begin:]))
    return said.hexdigest()


def _without_counts(entries: bytes) -> bytes:
    for beginning, counted in _COUNTED.items():
        if beginning in entries:
            entries = counted.sub(b"", entries)
    return entries


def _without_comments(body: bytes) -> bytes:
    # By hand: a pattern would look for the end of each of many beginnings that have none.
    if b"<!--" not in body:
        return body
    parts, at = [], 0
    while (begin := body.find(b"<!--", at)) >= 0 and (end := body.find(b"-->", begin + 4)) >= 0:
        parts.append(body[at:begin])
        at = end + 3
    return b"".join([*parts, body[at:]])
