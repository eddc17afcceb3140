"""Kinds are found by their entry points, and a foreign one that is broken costs only its own sources."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from structlog.testing import capture_logs

from digestd import kinds
from digestd.kinds.feed import FeedKind
from digestd.model import Document


async def unused(body: bytes, url: str, content_type: str | None, *, source_url: str) -> Document:
    raise AssertionError


TOOLS = kinds.Tools(parse_feed=unused)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> dict[str, EntryPoint]:
    points = {
        "feed": EntryPoint("feed", "digestd.kinds.feed:FeedKind", kinds.GROUP),
        "foreign": EntryPoint("foreign", "no_such_package.kind:Kind", kinds.GROUP),
    }
    monkeypatch.setattr(kinds, "registered", lambda: points)
    return points


def test_our_own_kinds_are_registered() -> None:
    assert kinds.registered()["feed"].value == "digestd.kinds.feed:FeedKind"


def test_a_foreign_kind_that_is_broken_is_named_and_left_out(installed: dict[str, EntryPoint]) -> None:
    with capture_logs() as logs:
        loaded = kinds.load(frozenset({"feed", "foreign", "absent"}), TOOLS)
    assert list(loaded) == ["feed"]
    assert isinstance(loaded["feed"], FeedKind)
    assert [(line["event"], line["kind"]) for line in logs] == [("worker.kind.broken", "foreign")]


def test_what_is_wrong_with_our_own_escapes(installed: dict[str, EntryPoint]) -> None:
    installed["feed"] = EntryPoint("feed", "digestd.kinds.no_such_module:Kind", kinds.GROUP)
    with pytest.raises(ModuleNotFoundError):
        kinds.load(frozenset({"feed"}), TOOLS)
