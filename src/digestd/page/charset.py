"""Bytes to text: which encoding a page is in, decided as browsers do (WHATWG HTML, 13.2.3; Encoding, 4.2)."""

from __future__ import annotations

import re

from digestd.feed.encoding import charset_parameter, codecs_of, read_as, read_marked

# The standard looks at 1,024 bytes; browsers obey a later declaration too (13.2.3.4), and heads are long.
_PRESCANNED = 4096
_META = re.compile(rb"<meta[\s/]([^>]*)", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"""([a-zA-Z-]{1,20})\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""")
_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([^\s"';]+)""", re.IGNORECASE)

# Labels of the Encoding standard that Python does not know.
_LABELS = {
    "cn-big5": "big5",
    "csgb2312": "gb18030",
    "cseuckr": "cp949",
    "csksc56011987": "cp949",
    "dos-874": "cp874",
    "gb_2312": "gb18030",
    "gb_2312-80": "gb18030",
    "iso-8859-8-i": "iso-8859-8",
    "ks_c_5601-1989": "cp949",
    "mac": "mac-roman",
    "unicode-1-1-utf-8": "utf-8",
    "utf-16": "utf-16-le",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "windows-949": "cp949",
    "x-user-defined": "cp1252",
    "x-x-big5": "big5",
}
# What browsers read in their stead, by Python's names.
_READ_AS = {"iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874"}


def decode_html(body: bytes, content_type: str | None) -> str:
    """Read `body`, which was served as `content_type` (the whole header field, or None), as text.

    Byte order mark, then the charset of the header, then what a `meta` element in the first 4,096 bytes says, then
    UTF-8 where the body is valid UTF-8, else windows-1252; but UTF-8 comes first where only Latin-1 or ASCII is
    claimed, as servers do that nobody told anything. Labels mean what the Encoding standard says (`gb2312` is gb18030).
    What cannot be read becomes U+FFFD. Never raises.
    """
    marked = read_marked(body)
    if marked is not None:
        return marked
    names = codecs_of([_label(charset_parameter(content_type)), _label(_declared(body))])
    return read_as(body, [_READ_AS.get(name, name) for name in names])


def _label(written: str | None) -> str | None:
    label = (written or "").strip().casefold()
    return _LABELS.get(label, label.removeprefix("x-")) or None


def _declared(body: bytes) -> str | None:
    for meta in _META.finditer(_without_comments(body[:_PRESCANNED])):
        attributes = _attributes(meta[1])
        charset = attributes.get("charset") or _of_content(attributes)
        if charset:
            # It could be read as ASCII, so it is no UTF-16, whatever it says (13.2.3.2).
            return "utf-8" if charset.casefold().startswith(("utf-16", "utf-32")) else charset
    return None


def _of_content(attributes: dict[str, str]) -> str | None:
    if attributes.get("http-equiv", "").casefold() != "content-type":
        return None
    match = _CHARSET.search(attributes.get("content", ""))
    return match[1] if match else None


def _attributes(tag: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, *values in _ATTRIBUTE.findall(tag):
        # The first of two attributes with one name counts.
        found.setdefault(name.decode("latin-1").casefold(), b"".join(values).decode("latin-1"))
    return found


def _without_comments(head: bytes) -> bytes:
    first, *others = head.split(b"<!--")
    return first + b"".join(part.partition(b"-->")[2] for part in others)
