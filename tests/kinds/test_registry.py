"""Kinds are found by their entry points, and a foreign one that is broken costs only its own sources."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from structlog.testing import capture_logs

from digestd import kinds
from digestd.errors import WrongOptions
from digestd.kinds.feed import FeedKind, FeedOptions
from digestd.model import Document, Failure, Source, SourceSpec


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
    with pytest.raises(ModuleNotFoundError):
        kinds.schema_of("feed")


def test_a_kind_says_what_its_options_have_to_be(installed: dict[str, EntryPoint]) -> None:
    assert kinds.schema_of("feed") is FeedOptions
    # What is wrong with it is told where it is loaded.
    assert kinds.schema_of("foreign") is None
    assert kinds.schema_of("absent") is None
    installed["foreign"] = EntryPoint("foreign", "json:dumps", kinds.GROUP)
    assert kinds.schema_of("foreign") is None


def test_what_is_kept_of_options_is_a_failure_where_the_kind_does_not_take_it() -> None:
    source = Source(1, SourceSpec("one", "feed", "https://one.example/", options={"paging": False}))
    assert not kinds.options_of(FeedOptions, source).paging
    odd = Source(1, SourceSpec("one", "feed", "https://one.example/", options={"paging": "perhaps"}))
    with pytest.raises(WrongOptions) as raised:
        kinds.options_of(FeedOptions, odd)
    assert kinds.failure_of(raised.value) == Failure(
        "settings",
        "options.paging: should be a valid boolean, unable to interpret input, not 'perhaps'",
    )
