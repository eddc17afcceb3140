"""The body of an answer: read whole and decoded, cut, drained, or left alone because of its media type."""

from __future__ import annotations

import re
from contextlib import aclosing
from dataclasses import dataclass

import trio

from digestd.errors import ProtocolFailed, TooLarge, UnwantedType
from digestd.ingest.network.coding import BodyDecoder
from digestd.ingest.network.large import LARGE_BYTES, place
from digestd.ingest.network.pool import Answer

# A redirect's body is read so that its connection can be used for the next hop, but not for longer than this.
_DRAINED_BYTES = 64 * 1024
# What may come on top of a cut: what one read brings, and the pieces that it decodes to.
_CUT_MARGIN_BYTES = 1024 * 1024

_MEDIA_TYPE = re.compile(r"\s*([\w!#$%&'*+.^`|~-]{1,100}/[\w!#$%&'*+.^`|~-]{1,100})\s*(?:[;,]|$)", re.ASCII)
# A few of those of https://mimesniff.spec.whatwg.org/#matching-a-mime-type-pattern, for what links lead to most.
_MAGIC = {
    b"%PDF-": "application/pdf",
    b"PK\x03\x04": "application/zip",
    b"\x1f\x8b\x08": "application/gzip",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
}
_MAGIC_BYTES = max(map(len, _MAGIC))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is taken of a body: at most `max_bytes`; of these `media_types`; the first `cut_at` bytes, or all.

    `limit_name` says whose limit `max_bytes` is.
    """

    max_bytes: int
    media_types: frozenset[str] | None = None
    cut_at: int | None = None
    limit_name: str = "fetch.max_body_bytes"

    @property
    def decoded_limit(self) -> int:
        """The bytes, sent or decoded, after which a body is too large."""
        return self.max_bytes if self.cut_at is None else self.cut_at + _CUT_MARGIN_BYTES


async def read(answer: Answer, wanted: Wanted) -> bytes:
    """Read the body and undo its content codings.

    Error handling: :class:`~digestd.errors.UnwantedType`, before anything of the body is read where its media type
    is declared, and else after its first bytes; :class:`~digestd.errors.TooLarge`;
    :class:`~digestd.errors.ProtocolFailed`; :class:`~digestd.errors.BodiesBusy`.
    Resource handling: a large one takes a place among the :mod:`~digestd.ingest.network.large` ones. A body that was
    not read to its end leaves a connection that can only be closed.
    """
    collected = _Collected(wanted, sniffed=not _is_type_declared(answer, wanted))
    declared = _declared_length(answer)
    if wanted.cut_at is None and declared is not None and declared > wanted.max_bytes:
        raise TooLarge(f"the body has {declared} bytes, more than {wanted.max_bytes} ({wanted.limit_name})")
    decoder = BodyDecoder(answer.headers.get("content-encoding", ""), wanted.decoded_limit, wanted.limit_name)
    last = b""
    async with aclosing(answer.pieces()) as chunks:
        async for last in chunks:
            for piece in decoder.decode(last):
                if collected.size > LARGE_BYTES:
                    await place()
                if collected.is_full_with(piece):
                    return collected.body()
                # One read can hold ten thousand chunks of a byte each, which come without a checkpoint.
                await trio.lowlevel.checkpoint()
    if await _close_if_surplus(answer, last) and declared is not None:
        raise ProtocolFailed(f"the server sent more than the {declared} bytes it declared")
    decoder.finish()
    return collected.body()


async def drain(answer: Answer) -> None:
    """Read a body nobody wants: only a connection that was read to its end is used again.

    Resource handling: one that turns out long, or brings more than it should, leaves a connection to be closed.
    """
    size = 0
    last = b""
    async with aclosing(answer.pieces()) as chunks:
        async for last in chunks:
            size += len(last)
            if size > _DRAINED_BYTES:
                return
            await trio.lowlevel.checkpoint()
    await _close_if_surplus(answer, last)


class _Collected:
    """The decoded bytes so far. With `sniffed`, the first of them tell whether the body is wanted at all."""

    def __init__(self, wanted: Wanted, *, sniffed: bool) -> None:
        self._cut_at = wanted.cut_at
        self._sniffed = sniffed
        self._bytes = bytearray()

    @property
    def size(self) -> int:
        return len(self._bytes)

    def is_full_with(self, piece: bytes) -> bool:
        """Add `piece`, and say whether that is all that is wanted."""
        self._bytes += piece
        if self._sniffed and len(self._bytes) >= _MAGIC_BYTES:
            self._sniffed = False
            self._sniff()
        return self._cut_at is not None and len(self._bytes) >= self._cut_at

    def body(self) -> bytes:
        # A slice is a copy, and bytes() makes another.
        return bytes(self._bytes if self._cut_at is None else self._bytes[: self._cut_at])

    def _sniff(self) -> None:
        for magic, media_type in _MAGIC.items():
            if self._bytes.startswith(magic):
                raise _unwanted(media_type, "by its first bytes")


def _is_type_declared(answer: Answer, wanted: Wanted) -> bool:
    """Whether the body's type needs no look at it; raises when it is declared to be another than is wanted."""
    if wanted.media_types is None:
        return True
    match = _MEDIA_TYPE.match(answer.headers.get("content-type", ""))
    # What cannot be read says as little as no field at all (RFC 9110, 8.3).
    if match is None:
        return False
    media_type = match[1].lower()
    if media_type not in wanted.media_types:
        raise _unwanted(media_type, "as the server says")
    return True


def _unwanted(media_type: str, why: str) -> UnwantedType:
    return UnwantedType(
        f"the document is of type {media_type}, {why}, and was not read", media_type=media_type
    )


async def _close_if_surplus(answer: Answer, last: bytes) -> bool:
    """Close the connection, and say so, if more came than the answer: the next answer would begin with it.

    `last` is the last piece of the body. h11 hands over what a read brought at once, so that a read ends with
    that piece (without a declared length: with an empty line) unless something follows.
    """
    stream = answer.network
    if stream is None or not stream.last_read:
        return False
    by_length = last and _declared_length(answer) is not None
    if stream.last_read.endswith(last if by_length else (b"\n\r\n", b"\n\n")):
        return False
    await stream.aclose()
    return True


def _declared_length(answer: Answer) -> int | None:
    """What `Content-Length` says, where it counts (RFC 9112, 6.3); h11 has seen to it that it is a number."""
    length = answer.headers.get("content-length")
    return None if length is None or "transfer-encoding" in answer.headers else int(length)
