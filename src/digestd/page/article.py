"""The door to trafilatura: the text of a page's article, Markdown-like."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate, takewhile

from trafilatura import bare_extraction
from trafilatura.settings import Document, Extractor
from trafilatura.xml import xmltotxt

from digestd.errors import ParserFailed
from digestd.feed.text import storable
from digestd.page.tree import Tree

LONGEST_TEXT = 500_000
# Made once: reading trafilatura's settings anew for each page takes one in fifty of its time.
_OPTIONS = Extractor(output_format="txt", fast=True, comments=False)
# How much of an exception goes into a message: it may quote the page.
_LONGEST_REASON = 200


def article_text(tree: Tree) -> str:
    """The text of the article in `tree`, "" where there is none, at most 500,000 characters (cut at the end of a line).

    Paragraphs stand between empty lines; headings begin with `#`, items of lists with `-`, lines of quotations with
    `>`; code stands between fences, tables have their cells between `|`. Links and emphasis are plain text, and nothing
    is escaped: the text is for reading and searching before it is for rendering. Raises
    :class:`~digestd.errors.ParserFailed` where trafilatura raises.
    """
    try:
        return _cut(storable("\n\n".join(filter(None, map(_block, _body(tree))))))
    except MemoryError:
        raise
    # The border to an extractor that lets KeyError, RecursionError and more escape on odd pages: that is a failed page.
    except Exception as error:
        reason = f"{type(error).__name__}: {str(error)[:_LONGEST_REASON]}"
        raise ParserFailed(f"trafilatura cannot read the page: {reason}") from error


def _body(tree: Tree) -> Iterable[Tree]:
    # With its own formatting, which escapes `_` within names, trafilatura finds less of the article: 0.959 instead of
    # 0.962 on the benchmark. Its metadata is not asked for, since its dates are guesses.
    document = bare_extraction(tree, options=_OPTIONS)
    body: Iterable[Tree] = document.body if isinstance(document, Document) else ()
    return body


def _block(element: Tree) -> str:
    if element.tag == "code" and (code := "".join(element.itertext()).strip("\n")):
        return f"```\n{code}\n```\n\n{element.tail or ''}".strip()
    # Rows of tables end in a space, items that hold a list as well.
    text = "\n".join(map(str.rstrip, xmltotxt(element, include_formatting=False).split("\n"))).strip()
    if not text:
        return ""
    if element.tag == "head":
        return f"{_hashes(element)} {text}"
    return "> " + text.replace("\n", "\n> ") if element.tag == "quote" else text


def _hashes(heading: Tree) -> str:
    level = (heading.get("rend") or "")[1:]
    return "#" * int(level) if level in set("123456") else "##"


def _cut(text: str) -> str:
    if len(text) <= LONGEST_TEXT:
        return text
    lines = text.splitlines(keepends=True)
    ends = takewhile(lambda end: end <= LONGEST_TEXT, accumulate(map(len, lines)))
    whole = sum(1 for _ in ends)
    return "".join(lines[:whole] or [text[:LONGEST_TEXT]]).rstrip()
