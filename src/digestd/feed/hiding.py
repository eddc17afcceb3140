"""What of a fragment of HTML nobody can see, told by styles and the `hidden` attribute.

Styles are read as far as mails and feeds hide beacons with them: no style sheet, no inheritance undone further in.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import lru_cache

# A side of 0 or 1 pixels, as HTML reads the attribute (HTML, 2.3.4.4).
_TINY_SIDE = re.compile(r"\s*0*[01](?:\.\d*)?(?![\d.]*%)(?!\d)")

# These read styles without blanks. One `em` is no pixel: emoji are of that size.
_TINY = (
    r"(?:^|;)(?:max-)?(?:width|height):(?:0+(?:\.0*)?[a-z]{0,4}|0*\.\d+(?:px)?|0*1(?:\.\d*)?(?:px)?)(?:!|;|$)"
)
_GONE = (
    r"display:none|visibility:(?:hidden|collapse)|opacity:(?:0*\.?0*|0*\.0\d*)(?![.\d])"
    r"|scale(?:3d|[xy])?\(0*\.?0*[,)]|clip:rect\((?:[01](?:px)?[, ]?){4}\)|clip-path:(?:inset\((?:50|100)%|circle\(0)"
)
_HIDING = re.compile(rf"{_GONE}|:-\d{{3,}}|{_TINY}")
# An element that holds others is pulled about by its layout, and a small one shows what does not fit into it.
_CONCEALING = re.compile(rf"{_GONE}|:-\d{{4,}}")
_TINY_BOX = re.compile(_TINY)
_CUT_OFF = re.compile(r"overflow(?:-[xy])?:(?:hidden|clip)")
# Pictures of a fixed proportion stand in boxes without height.
_PADDED = re.compile(r"padding[a-z-]*:[^;]*[1-9]")

_CSS_NOISE = re.compile(r"/\*.*?\*/|\s+", re.DOTALL)
_CSS_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})", re.IGNORECASE)
_LONGEST_STYLE = 1_000

# These look for hints in HTML as it came; a parser then decides.
_STYLE = re.compile(r"""style\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+))""")
_HIDDEN = re.compile(r"""hidden(?<=[\s"'/]hidden)(?:\s+[^\s<>=/"'.,]+){0,3}\s*[=/>]""")

# This reads the output of a parser, where attributes are quoted and every other `<` is escaped.
_MARKED_TAG = re.compile(r'<(/?)([^\s/>]+)((?: [^\s="]+="[^"]*")*)>')


def is_tiny(side: str) -> bool:
    """Whether `side`, the width or height attribute of an image, is at most one pixel."""
    return _TINY_SIDE.match(side) is not None


def hides(style: str) -> bool:
    """Whether an image with this `style` attribute is one that nobody can see: not shown, transparent, with a side of
    one pixel or less, or far outside the page."""
    return _HIDING.search(_plain(style)) is not None


def conceals(style: str) -> bool:
    """Whether an element with this `style` attribute hides the images within it."""
    return _conceals(style[:_LONGEST_STYLE])


@lru_cache(maxsize=256)
def _conceals(style: str) -> bool:
    plain = _plain(style)
    if _CONCEALING.search(plain):
        return True
    return bool(_TINY_BOX.search(plain) and _CUT_OFF.search(plain)) and not _PADDED.search(plain)


def may_conceal(fragment: str) -> bool:
    """Whether an image in the HTML `fragment` may stand in an element that hides it: a cheap look, which finds what is
    written in any usual way. Takes time in proportion to the length of `fragment`."""
    if "<img" not in fragment and "<IMG" not in fragment:
        return False
    # Lower case only where it is needed, and no pattern before its word is there: most of the cost otherwise.
    if "STYLE" in fragment or "HIDDEN" in fragment:
        fragment = fragment.lower()
    if "hidden" in fragment and _HIDDEN.search(fragment):
        return True
    return "style" in fragment and any(map(_may_conceal, _STYLE.finditer(fragment)))


def concealed_images(marked: str) -> Iterator[bool]:
    """Say of each image in `marked`, in order, whether it stands in an element that hides it.

    `marked` is HTML that a parser has written: every element but images is closed, and those that hide what they hold
    are the ones with an attribute. Takes time in proportion to its length.
    """
    depth = 0
    concealed_at: int | None = None
    for closing, name, attributes in _MARKED_TAG.findall(marked):
        if name == "img":
            yield concealed_at is not None
        elif closing:
            depth -= 1
            concealed_at = None if concealed_at == depth else concealed_at
        else:
            concealed_at = depth if attributes and concealed_at is None else concealed_at
            depth += 1


def _may_conceal(match: re.Match[str]) -> bool:
    return conceals(html.unescape(match[match.lastindex or 0][:_LONGEST_STYLE]))


def _plain(style: str) -> str:
    """`style` in lower case, without escapes, comments and blanks."""
    decoded = _CSS_ESCAPE.sub(lambda match: _character(match[1]), style[:_LONGEST_STYLE])
    return _CSS_NOISE.sub("", decoded).lower()


def _character(code: str) -> str:
    return chr(int(code, 16)) if int(code, 16) < 0x80 else ""
