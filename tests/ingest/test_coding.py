"""Content codings: every one undone, in any pieces, under the cap; damage and lies are failures."""

from __future__ import annotations

import contextlib
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digestd.errors import ProtocolFailed, TooLarge
from digestd.ingest.network.coding import BodyDecoder

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

TEXT = b"<rss>" + bytes(range(256)) * 40 + b"</rss>"
CAP = 1_000_000
MIB = 1024 * 1024


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


Compress = Callable[[bytes], bytes]
CODINGS: list[tuple[str, Compress]] = [
    ("gzip", gzip.compress),
    ("x-gzip", gzip.compress),
    ("GZIP", gzip.compress),
    ("deflate", zlib.compress),
    ("deflate", raw_deflate),
    ("br", brotli.compress),
    ("zstd", zstd.compress),
]
every_coding = pytest.mark.parametrize(("name", "compress"), CODINGS)


def decoded(name: str, data: bytes, *, limit: int = CAP, step: int = 65536) -> bytes:
    decoder = BodyDecoder(name, limit)
    pieces = [
        piece for start in range(0, len(data), step) for piece in decoder.decode(data[start : start + step])
    ]
    decoder.finish()
    return b"".join(pieces)


@every_coding
@pytest.mark.parametrize("step", [1, 7, 65536])
def test_a_body_comes_back_whole(name: str, compress: Compress, step: int) -> None:
    assert decoded(name, compress(TEXT), step=step) == TEXT
    assert decoded(name, compress(b""), step=step) == b""


@every_coding
def test_a_large_body_comes_in_small_pieces(name: str, compress: Compress) -> None:
    decoder = BodyDecoder(name, 50 * MIB)
    pieces = [len(piece) for piece in decoder.decode(compress(b"\0" * 20 * MIB))]
    decoder.finish()
    assert sum(pieces) == 20 * MIB
    assert max(pieces) <= 256 * 1024


@every_coding
def test_the_cap_is_exact(name: str, compress: Compress) -> None:
    assert len(decoded(name, compress(b"\0" * CAP))) == CAP
    with pytest.raises(TooLarge) as raised:
        decoded(name, compress(b"\0" * (CAP + 1)))
    assert str(raised.value) == "the body is larger than 1000000 bytes (fetch.max_body_bytes)"


@every_coding
def test_a_bomb_costs_no_memory(name: str, compress: Compress) -> None:
    bomb = compress(b"\0" * 32 * MIB)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decoded(name, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * MIB


@every_coding
@pytest.mark.parametrize("missing", [1, 5, 100])
def test_a_body_that_is_cut_off_is_a_failure(name: str, compress: Compress, missing: int) -> None:
    with pytest.raises(ProtocolFailed) as raised:
        decoded(name, compress(TEXT)[:-missing])
    assert str(raised.value) == f"the {name.lower()} body is cut off"


@pytest.mark.parametrize("name", ["gzip", "br", "zstd"])
def test_a_plain_body_declared_coded_is_a_failure(name: str) -> None:
    with pytest.raises(ProtocolFailed) as raised:
        decoded(name, b"<?xml version='1.0'?><rss/>")
    assert str(raised.value) == f"the body is declared {name} and is not, or is damaged"


def test_a_plain_body_declared_deflate_is_a_failure() -> None:
    with pytest.raises(ProtocolFailed):
        decoded("deflate", b"<?xml version='1.0'?><rss/>")


@pytest.mark.parametrize(("name", "compress"), [pair for pair in CODINGS if pair[1] is not raw_deflate])
def test_damage_is_found(name: str, compress: Compress) -> None:
    data = bytearray(compress(TEXT * 20))
    data[len(data) // 2] ^= 0xFF
    if compress in (brotli.compress, zstd.compress):
        data = data[: len(data) // 2]
    with pytest.raises(ProtocolFailed):
        decoded(name, bytes(data))


@pytest.mark.parametrize("name", ["gzip", "deflate", "br", "zstd"])
def test_an_empty_body_is_empty_in_every_coding(name: str) -> None:
    assert decoded(name, b"") == b""


@pytest.mark.parametrize("name", ["", "identity", "none", "UTF-8", " , identity"])
def test_names_that_are_no_codings_change_nothing(name: str) -> None:
    assert decoded(name, TEXT) == TEXT


@pytest.mark.parametrize("name", ["compress", "aes128gcm", "gzipp"])
def test_a_coding_that_was_not_offered_is_a_failure(name: str) -> None:
    with pytest.raises(ProtocolFailed) as raised:
        BodyDecoder(name, CAP)
    assert str(raised.value) == f"the body has a content coding that was not offered: {name!r}"


def test_two_codings_are_undone_from_the_last() -> None:
    assert decoded("br, gzip", gzip.compress(brotli.compress(TEXT))) == TEXT
    assert decoded("gzip, identity, gzip", gzip.compress(gzip.compress(TEXT)), step=3) == TEXT


def test_three_codings_are_too_many() -> None:
    with pytest.raises(ProtocolFailed) as raised:
        BodyDecoder("gzip, gzip, gzip", CAP)
    assert str(raised.value) == "the body has 3 content codings, more than 2"


def test_the_cap_holds_between_two_codings() -> None:
    with pytest.raises(TooLarge):
        decoded("gzip, gzip", gzip.compress(gzip.compress(b"") + b"\0" * 2 * CAP))


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_body_of_very_many_compressed_ones_is_refused(name: str) -> None:
    member = gzip.compress(b"") if name == "gzip" else zstd.compress(b"")
    assert decoded(name, member * 1000) == b""
    with pytest.raises(ProtocolFailed) as raised:
        decoded(name, member * 1001)
    assert str(raised.value) == "the body is made of more than 1000 compressed ones"


def test_the_cap_holds_for_what_was_received() -> None:
    with pytest.raises(TooLarge):
        decoded("", b"x" * (CAP + 1))
    with pytest.raises(TooLarge):
        decoded("gzip", gzip.compress(b"") + b"\0" * CAP)


@pytest.mark.parametrize("step", [1, 7, 65536])
def test_several_members_are_one_body(step: int) -> None:
    assert decoded("gzip", gzip.compress(b"one ") + gzip.compress(b"two"), step=step) == b"one two"
    assert decoded("zstd", zstd.compress(b"one ") + zstd.compress(b"two"), step=step) == b"one two"


@pytest.mark.parametrize("padding", [b"\0" * 20, b"\x1f", b"\n", b"garbage"])
@pytest.mark.parametrize("step", [1, 65536])
def test_what_follows_a_whole_gzip_body_is_padding(padding: bytes, step: int) -> None:
    assert decoded("gzip", gzip.compress(TEXT) + padding, step=step) == TEXT


def test_a_zstd_window_over_8_mib_is_refused() -> None:
    parameters: dict[int, int] = {
        zstd.CompressionParameter.window_log: 25,
        zstd.CompressionParameter.content_size_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=parameters)
    data = compressor.compress(b"\0" * MIB) + compressor.flush()
    with pytest.raises(ProtocolFailed):
        decoded("zstd", data, limit=100 * MIB)


def test_a_zstd_window_of_2_gb_is_refused_before_it_is_had() -> None:
    # A frame with a window of 2 GiB (RFC 8878, 3.1.1.1.2), and a first block of a zero byte a million times.
    frame = bytes.fromhex("28b52ffd 00 a8") + (MIB << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"\0"
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolFailed):
            decoded("zstd", frame)
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_a_large_window_of_brotli_is_no_brotli() -> None:
    # A whole body of the "large window" extension, whose first bits RFC 7932, 9.1 reserves: a window of a gigabyte,
    # the text without compression, the end. A decoder that is told of large windows makes "hello world" of it.
    large = bytes.fromhex("111e140002") + b"hello world" + b"\x03"
    with pytest.raises(ProtocolFailed) as raised:
        decoded("br", large)
    assert str(raised.value) == "the body is declared br and is not, or is damaged"


@settings(max_examples=200)
@given(
    st.sampled_from(["gzip", "deflate", "br", "zstd", "gzip, br"]),
    st.binary(max_size=300),
    st.integers(1, 50),
)
def test_any_bytes_end_in_a_body_or_a_refusal(name: str, data: bytes, step: int) -> None:
    with contextlib.suppress(ProtocolFailed, TooLarge):
        assert len(decoded(name, data, step=step)) <= CAP


@given(st.sampled_from(CODINGS), st.binary(max_size=2000), st.integers(1, 500))
def test_any_body_survives(coding: tuple[str, Compress], body: bytes, step: int) -> None:
    name, compress = coding
    assert decoded(name, compress(body), step=step) == body
