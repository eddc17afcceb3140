"""Content codings (RFC 9110, 8.4.1), undone in small pieces under a cap. Pure.

A few kilobytes can decompress to gigabytes, so nothing here ever holds more than one piece of output, and
each layer of a stack of codings keeps the cap by itself.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import brotli

from digestd.errors import ProtocolFailed, TooLarge

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

ACCEPT_ENCODING = "gzip, deflate, br, zstd"
"""What a request may offer: the codings that :class:`BodyDecoder` undoes."""

_PIECE_BYTES = 128 * 1024
_MAX_CODINGS = 2
_ZSTD_WINDOW_LOG = 23  # RFC 9659, 3: no frame sent over HTTP may need a window over 8 MiB
# gzip members and zstd frames: an empty one costs 20 bytes to send and some microseconds to undo. bgzip makes one of
# every 64 KiB, pzstd one of every megabyte.
_MAX_MEMBERS = 1000
_GZIP_MAGIC = b"\x1f\x8b"
# Servers write these though they are no codings; the body is then as it should be.
_NO_CODING = frozenset({"", "identity", "none", "utf-8"})


class BodyDecoder:
    """Undoes what a `Content-Encoding` field names, and refuses a body of more than `limit` bytes, the `limit_name`.

    Raises :class:`~digestd.errors.ProtocolFailed` for a coding we did not offer, and for more than two.
    """

    def __init__(self, content_encoding: str, limit: int, limit_name: str = "fetch.max_body_bytes") -> None:
        codings = [name.strip().lower() for name in content_encoding.split(",")]
        applied = [name for name in codings if name not in _NO_CODING]
        if len(applied) > _MAX_CODINGS:
            raise ProtocolFailed(f"the body has {len(applied)} content codings, more than {_MAX_CODINGS}")
        # The last one named was applied last (RFC 9110, 8.4), so it is the first to be undone.
        self._layers = [_Layer(name, _Counter(limit, limit_name)) for name in reversed(applied)]
        self._plain = _Counter(limit, limit_name)

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give the next pieces of the body, some of them empty, for `data` as received.

        Raises :class:`~digestd.errors.TooLarge` as soon as the cap is passed, and
        :class:`~digestd.errors.ProtocolFailed` when `data` is not what the field said.
        """
        self._plain.add(len(data))
        return _through(self._layers, data)

    def finish(self) -> None:
        """Say that the body has ended. Raises :class:`~digestd.errors.ProtocolFailed` if it was cut off."""
        for layer in self._layers:
            layer.finish()


def _through(layers: list[_Layer], data: bytes) -> Iterator[bytes]:
    if not layers:
        yield data
        return
    for piece in layers[0].decode(data):
        yield from _through(layers[1:], piece)


class _Counter:
    """Refuses the byte after `limit`."""

    def __init__(self, limit: int, limit_name: str) -> None:
        self._limit = limit
        self._limit_name = limit_name
        self._total = 0

    def add(self, size: int) -> None:
        self._total += size
        if self._total > self._limit:
            raise TooLarge(f"the body is larger than {self._limit} bytes ({self._limit_name})")


class _Decompressor(Protocol):
    """One compressed format. `decode` gives pieces of at most about `_PIECE_BYTES`, some empty."""

    def decode(self, data: bytes) -> Iterator[bytes]: ...

    def complete(self) -> bool:
        """Whether the data so far end where a document may end."""


class _Layer:
    def __init__(self, name: str, counter: _Counter) -> None:
        if name not in _DECOMPRESSORS:
            raise ProtocolFailed(f"the body has a content coding that was not offered: {name[:40]!r}")
        self._name = name
        self._decompressor = _DECOMPRESSORS[name]()
        self._counter = counter
        self._begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        if not data:
            return
        self._begun = True
        try:
            for piece in self._decompressor.decode(data):
                self._counter.add(len(piece))
                yield piece
        except (zlib.error, brotli.error, ZstdError) as error:
            raise ProtocolFailed(f"the body is declared {self._name} and is not, or is damaged") from error

    def finish(self) -> None:
        # An empty body is empty in every coding: servers declare one on empty answers too.
        if self._begun and not self._decompressor.complete():
            raise ProtocolFailed(f"the {self._name} body is cut off")


class _Members:
    """Counts what a body is made of, and refuses it where that costs more than it brings."""

    def __init__(self) -> None:
        self._seen = 1

    def add(self) -> None:
        self._seen += 1
        if self._seen > _MAX_MEMBERS:
            raise ProtocolFailed(f"the body is made of more than {_MAX_MEMBERS} compressed ones")


class _Gzip:
    """gzip: one member or several (RFC 1952, 2.2). What follows the last one and is no member is padding."""

    def __init__(self) -> None:
        self._members = _Members()
        self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self._rest = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        data = self._rest + data
        self._rest = b""
        while data:
            if self._member.eof and not self._next_member(data):
                return
            yield self._member.decompress(data, _PIECE_BYTES)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        while not self._member.eof and (piece := self._member.decompress(b"", _PIECE_BYTES)):
            yield piece

    def complete(self) -> bool:
        return self._member.eof

    def _next_member(self, data: bytes) -> bool:
        if len(data) < len(_GZIP_MAGIC) and _GZIP_MAGIC.startswith(data):
            self._rest = data
            return False
        if data.startswith(_GZIP_MAGIC):
            self._members.add()
            self._member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            return True
        return False


class _Deflate:
    """deflate: zlib's format (RFC 9110, 8.4.1.2), or the bare one that some servers send instead."""

    def __init__(self) -> None:
        self._stream: zlib._Decompress | None = None
        self._head = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            self._stream = zlib.decompressobj(zlib.MAX_WBITS if _is_zlib(data) else -zlib.MAX_WBITS)
        while data and not self._stream.eof:
            yield self._stream.decompress(data, _PIECE_BYTES)
            data = self._stream.unconsumed_tail
        while not self._stream.eof and (piece := self._stream.decompress(b"", _PIECE_BYTES)):
            yield piece

    def complete(self) -> bool:
        return self._stream is not None and self._stream.eof


def _is_zlib(data: bytes) -> bool:
    """Whether `data` begin with the header of RFC 1950, 2.2."""
    return data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0


class _Brotli:
    """br (RFC 7932)."""

    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield self._stream.process(data, output_buffer_limit=_PIECE_BYTES)
        # can_accept_more_data() speaks of input alone; output may be held back all the same.
        while piece := self._stream.process(b"", output_buffer_limit=_PIECE_BYTES):
            yield piece

    def complete(self) -> bool:
        return bool(self._stream.is_finished())


class _Zstandard:
    """zstd: one frame or several (RFC 8878, 3)."""

    def __init__(self) -> None:
        self._frames = _Members()
        self._frame = self._new_frame()

    def decode(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._frame.eof and data:
                self._frames.add()
                self._frame = self._new_frame()
            yield self._frame.decompress(data, _PIECE_BYTES)
            data = self._frame.unused_data if self._frame.eof else b""
            if not data and (self._frame.eof or self._frame.needs_input):
                return

    def complete(self) -> bool:
        return self._frame.eof

    @staticmethod
    def _new_frame() -> ZstdDecompressor:
        return ZstdDecompressor(options={DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG})


_DECOMPRESSORS: Mapping[str, Callable[[], _Decompressor]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstandard,
}
