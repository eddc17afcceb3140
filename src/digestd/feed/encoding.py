"""Bytes to text: which encoding a document is in, decided as RFC 7303 says and as publishers mean it.

feedparser has an older answer (RFC 3023), in which one bad byte turns a whole UTF-8 feed into windows-1252.
So it is always handed UTF-8, and the decision is made here.
"""

from __future__ import annotations

import codecs
import encodings
import pkgutil
import re
from collections.abc import Iterable, Sequence
from encodings.aliases import aliases

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF8, "utf-8"),
)
# The first bytes of `<?xm` in the families that are no superset of ASCII (XML 1.0, appendix F).
_FAMILIES = (
    (b"\x00\x00\x00<", "utf-32-be"),
    (b"<\x00\x00\x00", "utf-32-le"),
    (b"\x00<\x00?", "utf-16-be"),
    (b"<\x00?\x00", "utf-16-le"),
    (b"\x4c\x6f\xa7\x94", "cp037"),
)
_CHARSET = re.compile(r""";\s*charset\s*=\s*["']?([^\s"';]+)""", re.IGNORECASE)
_DECLARED = re.compile(r"""^\s*<\?xml[^>]*?\sencoding\s*=\s*["']([^"'>]*)["']""")
_DECLARATION_BYTES = 1024

# What servers and templates say when nobody chose anything; a body that is UTF-8 is believed more than these.
_CARELESS = frozenset({"ascii", "iso8859-1", "cp1252"})
# Codecs of Python's that are no character sets, some of them slow on purpose-made input; and those that
# need a byte order mark, where there is none.
_REFUSED = frozenset(
    {"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "utf-7", "utf-16", "utf-32"}
)
# Python remembers every name that it was ever asked for, found or not, and a server can make up a new one of 60 KB for
# each answer. So it is asked for its own names alone, in one spelling.
_LONGEST_CLAIM = 64
_OUTSIDE_NAMES = re.compile(r"[^a-z0-9.]+")
_PYTHONS_NAMES = frozenset(aliases) | {module.name for module in pkgutil.iter_modules(encodings.__path__)}

_SUPERSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "ascii": "cp1252",
}

# XML 1.0, 2.2: everything but these is a Char. (A decoded text holds no surrogates.)
_NO_CHARACTERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_PAIR = re.compile(
    r"&#(?:[xX]([dD][89abAB][0-9a-fA-F]{2})|(5[56]\d{3}));&#(?:[xX]([dD][c-fC-F][0-9a-fA-F]{2})|(5[67]\d{3}));"
)
# Those to characters that nobody doubts, from the space to what is below the surrogates, are not worth a look.
_LEGAL = (
    r"(?:3[2-9]|[4-9]\d|[1-9]\d{2,3}|[1-4]\d{4}"
    r"|[xX](?:[2-9a-fA-F][0-9a-fA-F]|[1-9a-fA-F][0-9a-fA-F]{2}|[1-9a-cA-C][0-9a-fA-F]{3}));"
)
_REFERENCE = re.compile(rf"&#(?!{_LEGAL})(?:[xX]([0-9a-fA-F]+)|([0-9]+));", re.ASCII)
_HIGHEST = 0x10FFFF
# Digits of the highest code point; more of them are never a character, and int() is slow on very long ones.
_MOST_DIGITS = 20


def decode(body: bytes, content_type: str | None) -> str:
    """Read `body`, which was served as `content_type` (the whole header field, or None), as text.

    Byte order mark, then the charset parameter, then the XML declaration, then UTF-8 (RFC 7303, 3); but a
    body that is valid UTF-8 is UTF-8 where only Latin-1 or ASCII is claimed. The first that fits wins;
    where none fits, what cannot be read becomes U+FFFD. Never raises.
    """
    marked = read_marked(body)
    if marked is not None:
        return marked
    family = next((name for start, name in _FAMILIES if body.startswith(start)), None)
    names = codecs_of([charset_parameter(content_type), _declared(body, family or "latin-1"), family])
    if family and names[0].startswith("utf-8"):
        # The first bytes say otherwise, and UTF-16 of plain ASCII would pass as UTF-8 full of NUL.
        names.remove(names[0])
    return read_as(body, names)


def read_marked(body: bytes) -> str | None:
    """Read `body` as its byte order mark says, without the mark; None where it has none. Never raises."""
    for mark, name in _BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return body[len(mark) :].decode(name, "replace")
    return None


def read_as(body: bytes, names: Sequence[str]) -> str:
    """Read `body` as the first of the codecs `names` that fits it; as UTF-8 before them where they are only what
    servers and templates say when nobody chose anything.

    Where none fits, what cannot be read becomes U+FFFD. `names` are of :func:`codecs_of`. Never raises.
    """
    careless = ["utf-8"] if all(name in _CARELESS for name in names) else []
    candidates = list(dict.fromkeys(_SUPERSETS.get(name, name) for name in [*careless, *names]))
    for name in candidates:
        try:
            return body.decode(name)
        except UnicodeDecodeError:
            continue
    return body.decode(_nearest(body, candidates), "replace")


def codecs_of(claims: Iterable[str | None]) -> list[str]:
    """Python's names of the character sets that `claims` name, without those that name none."""
    return [name for name in map(_codec, claims) if name]


def charset_parameter(content_type: str | None) -> str | None:
    """The charset that a Content-Type names, as it is written; None where it names none."""
    match = _CHARSET.search(content_type or "")
    return match[1] if match else None


def mend(text: str) -> str:
    """Drop what stands before the document and what no XML document may hold; give back the rest as it was.

    Surrogate pairs written as two references, as some Java programs do, become the character they mean.
    """
    return without_margin(_NO_CHARACTERS.sub("", text))


def without_margin(text: str) -> str:
    """What :func:`mend` gives for `text`, if that holds nothing which no XML document may hold."""
    text = text.lstrip("\ufeff \t\r\n\v\f\u2028\u00a0")
    if "&#" not in text:
        return text
    return _REFERENCE.sub(_unless_forbidden, _PAIR.sub(_joined, text))


def _declared(body: bytes, family: str) -> str | None:
    match = _DECLARED.match(body[:_DECLARATION_BYTES].decode(family, "ignore"))
    return match[1] if match else None


def _codec(name: str | None) -> str | None:
    """Python's name of the character set called `name`, or None where there is none."""
    known = _known_name((name or "").strip())
    if known is None:
        return None
    try:
        found = codecs.lookup(known).name
        # Codecs that turn bytes into bytes refuse here; four NULs are fit for every character set.
        bytes(4).decode(found)
    except (LookupError, ValueError):
        return None
    return None if found in _REFUSED else found


def _known_name(claim: str) -> str | None:
    """The spelling of `claim` that Python's list of character sets has, or None."""
    if len(claim) > _LONGEST_CLAIM:
        return None
    # As the package `encodings` does itself before it looks.
    name = _OUTSIDE_NAMES.sub("_", claim.lower()).strip("_")
    return next((spelling for spelling in (name, name.replace(".", "_")) if spelling in _PYTHONS_NAMES), None)


def _nearest(body: bytes, candidates: list[str]) -> str:
    if "utf-8" in candidates:
        text = body.decode("utf-8", "replace")
        broken = text.count("\ufffd")
        good = sum(not character.isascii() for character in text) - broken
        # By chance alone, text in another encoding holds few valid sequences of UTF-8.
        if good > broken:
            return "utf-8"
    return next((name for name in candidates if name != "utf-8"), "cp1252")


def _unless_forbidden(match: re.Match[str]) -> str:
    code = _code(match[1], match[2])
    legal = (
        code in (0x9, 0xA, 0xD)
        or 0x20 <= code < 0xD800
        or 0xDFFF < code < 0xFFFE
        or 0xFFFF < code <= _HIGHEST
    )
    return match[0] if legal else ""


def _joined(match: re.Match[str]) -> str:
    high, low = _code(match[1], match[2]), _code(match[3], match[4])
    if not (0xD800 <= high < 0xDC00 <= low < 0xE000):
        return match[0]
    return f"&#{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00};"


def _code(hexadecimal: str | None, decimal: str | None) -> int:
    digits = hexadecimal or decimal or ""
    return int(digits, 16 if hexadecimal else 10) if len(digits) <= _MOST_DIGITS else _HIGHEST + 1
