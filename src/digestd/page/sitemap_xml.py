"""The bytes of sitemaps: decompressed and read piece by piece, within bounds, and what was read is let go."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator, Mapping
from itertools import islice

from lxml.etree import LxmlError, XMLPullParser

from digestd.errors import NotAFeed, ParserFailed
from digestd.feed.refusal import not_a_feed

MOST_URLS = 50_000
"""What one sitemap may hold (sitemaps.org). What comes behind is not read, and said not to be."""
MOST_BYTES = 64 * 1024 * 1024
"""After decompression; the protocol allows 50 MB."""

_PIECE = 64 * 1024
_TAIL = 200
_LONGEST_TEXT = 8_192
# Counted against many small ones, too: no sitemap has elements that are in no `url`.
_MOST_ELEMENTS = 20 * MOST_URLS
_DEPTH = 16

_CLOSED = re.compile(rb"</(?:[\w.-]{1,40}:)?(?:urlset|sitemapindex)\s*>", re.IGNORECASE)
# Whole CDATA sections, which are as they are; or what begins no reference (XML 1.0, 4.1 and 4.6).
_AMPERSAND = re.compile(
    rb"<!\[CDATA\[.*?\]\]>|&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)", re.DOTALL
)
_LONGEST_REFERENCE = 11
_CDATA = b"<![CDATA["
_GZIP = b"\x1f\x8b"
_DOCTYPE = "the sitemap has a document type, which sitemaps have not; it is not read"
_TOO_LARGE = f"the sitemap has more than {MOST_BYTES // 2**20} MiB, more than the protocol allows"


class Item(dict[str, str]):
    """What one `url` or `sitemap` says, by the local name of its elements."""


class Reading:
    """Reads the XML of one sitemap. `root` is the local name of its root, `whole` whether that was closed."""

    def __init__(self, head: bytes) -> None:
        self.root = ""
        self.whole = False
        self._head = head
        self._elements = 0
        self._depth = 0

    def items(self, body: bytes) -> Iterator[Mapping[str, str]]:
        parser = XMLPullParser(
            events=("start", "end"),
            recover=True,
            resolve_entities=False,
            load_dtd=False,
            no_network=True,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        # A few more than are read, to say how many there are, and not without end.
        yield from islice(self._read(parser, body), 4 * MOST_URLS)
        if not self.root:
            raise self._refusal()

    def _read(self, parser: XMLPullParser, body: bytes) -> Iterator[Mapping[str, str]]:
        tail = b""
        try:
            for piece in mended(pieces_of(body)):
                if b"<!ENTITY" in tail[-16:] + piece:
                    raise ParserFailed(_DOCTYPE)
                tail = (tail + piece)[-_TAIL:]
                parser.feed(piece)
                yield from self._events(parser)
            self.whole = _CLOSED.search(tail) is not None
            parser.close()
            # What a parser that recovers closes by itself is no whole address.
            if self.whole:
                yield from self._events(parser)
        except LxmlError as error:
            if not self.root:
                raise self._refusal() from error

    def _refusal(self) -> NotAFeed:
        return not_a_feed(self._head.decode("utf-8", "replace"), "a sitemap")

    def _events(self, parser: XMLPullParser) -> Iterator[Mapping[str, str]]:
        for event, element in parser.read_events():
            name = _local(element.tag)
            if event == "start":
                self._begin(element, name)
                continue
            self._depth -= 1
            if self._depth == 1 and name in ("url", "sitemap"):
                yield _said(element)
            if self._depth == 1:
                # What was read is let go; libxml2 would keep all of it until the end.
                element.clear()
                while element.getprevious() is not None:
                    del element.getparent()[0]

    def _begin(self, element: object, name: str) -> None:
        self._depth += 1
        self._elements += 1
        if self._depth == 1:
            self._enter(element, name)
        if self._depth > _DEPTH:
            raise ParserFailed(f"the sitemap is nested more than {_DEPTH} elements deep")
        if self._elements > _MOST_ELEMENTS:
            raise ParserFailed(f"the sitemap has more than {_MOST_ELEMENTS:,} elements")

    def _enter(self, root: object, name: str) -> None:
        if name in ("rss", "feed", "RDF"):
            raise NotAFeed("a feed came instead of a sitemap; give the source `kind: feed`")
        if name not in ("urlset", "sitemapindex"):
            raise self._refusal()
        document = root.getroottree().docinfo  # type: ignore[attr-defined]
        if document.internalDTD is not None or document.doctype:
            raise ParserFailed(_DOCTYPE)
        self.root = name


def _local(tag: object) -> str:
    return str(tag).rpartition("}")[2]


def _said(element: object) -> Item:
    item = Item()
    for one in element.iter():  # type: ignore[attr-defined]
        name = _local(one.tag)
        # The first of its name: images and videos have a `title` of their own, further down.
        if name in ("loc", "lastmod", "publication_date", "title", "language") and name not in item:
            if name in ("title", "loc") and _is_of_media(one):
                continue
            item[name] = (one.text or "")[:_LONGEST_TEXT].strip()
    return item


def _is_of_media(element: object) -> bool:
    tag = str(element.tag)  # type: ignore[attr-defined]
    return "sitemap-image" in tag or "sitemap-video" in tag


def mended(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """`pieces` with every `&` escaped that begins no reference of XML: many sites write their URLs as they are, and a
    parser that recovers would leave half of them out."""
    held, first = b"", True
    for piece in pieces:
        if first and piece[:2] in (b"\xfe\xff", b"\xff\xfe"):
            # UTF-16, in which these are other bytes.
            yield piece
            break
        first = False
        joined = held + piece
        # What may go on in the next piece waits for it; what stands before the end of a CDATA section does not go on.
        closed = max(joined.rfind(b"]]>"), 0)
        begun = [
            joined.rfind(b"&", max(closed, len(joined) - _LONGEST_REFERENCE)),
            joined.rfind(b"<", max(closed, len(joined) - len(_CDATA))),
        ]
        # The first that is not closed; within it, others are text.
        opened = joined.find(_CDATA, closed)
        if opened >= 0 and len(joined) - opened < _PIECE:
            begun.append(opened)
        cut = min((at for at in begun if at >= 0), default=len(joined))
        held = joined[cut:]
        yield _AMPERSAND.sub(_escaped, joined[:cut])
    yield _AMPERSAND.sub(_escaped, held)
    yield from pieces


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"&amp;" if match[0] == b"&" else match[0]


def pieces_of(body: bytes) -> Iterator[bytes]:
    """`body` in pieces, decompressed where it is gzip."""
    if not body.startswith(_GZIP):
        if len(body) > MOST_BYTES:
            raise ParserFailed(_TOO_LARGE)
        yield from (body[at : at + _PIECE] for at in range(0, len(body), _PIECE))
        return
    size, left = 0, body
    while left.startswith(_GZIP):
        # A file of gzip may have several members (RFC 1952, 2.2).
        decompressor = zlib.decompressobj(16 + zlib.MAX_WBITS)
        while not decompressor.eof and left:
            try:
                piece = decompressor.decompress(left, _PIECE)
            except zlib.error as error:
                raise ParserFailed("the sitemap is compressed by gzip, and damaged") from error
            size += len(piece)
            if size > MOST_BYTES:
                raise ParserFailed(_TOO_LARGE)
            left = decompressor.unconsumed_tail or decompressor.unused_data
            if piece:
                yield piece
        if not decompressor.eof:
            # All of it was taken in, and not all given.
            yield decompressor.flush()


_TOO_LARGE = f"the sitemap has more than {MOST_BYTES // 2**20} MiB, more than the protocol allows"
