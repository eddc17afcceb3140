"""Readers as kinds have them, for the processes that read: one that counts, one that misbehaves as it is told."""

from __future__ import annotations

import os

from digestd.errors import NotAFeed
from digestd.model import Document, Entry


def count(body: bytes, entries: int) -> Document:
    """A document of so many `entries`; its facts tell the body, and which process read it."""
    each = tuple(Entry(identity=str(n), content_hash=str(n), guid=str(n)) for n in range(entries))
    return Document(
        "https://example.com/", "test", entries=each, facts={"body": body.decode(), "pid": os.getpid()}
    )


def obey(body: bytes) -> Document:
    """Do what `body` says."""
    order = body.decode()
    if order == "refuse":
        raise NotAFeed("refused")
    if order == "trip":
        raise KeyError("gone")
    if order == "recurse":
        return obey(body)
    if order == "eat":
        _ = [bytearray(2**20) for _ in range(1_000)]
    while order == "spin":
        pass
    return None  # type: ignore[return-value]
