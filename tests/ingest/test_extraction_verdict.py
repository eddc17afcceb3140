"""What one attempt at an article's page makes of the article."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from digestd.errors import (
    AddressRefused,
    BadURL,
    ConnectFailed,
    FetchTimeout,
    Forbidden,
    HostPaused,
    HTTPStatus,
    NameNotFound,
    NoArticle,
    ParserDied,
    ParserFailed,
    ProtocolFailed,
    RedirectFailed,
    ResolverBusy,
    SourceError,
    TLSFailed,
    TooLarge,
    UnwantedType,
)
from digestd.ingest.extraction.verdict import crashed, done, failed, put_off
from digestd.model import Page
from digestd.store import PageClaim, PageRecord

CLAIM = PageClaim(
    article_id=7,
    source_id=1,
    source_name="a",
    url="https://example.org/a",
    title="A",
    feed_html="",
    dated=True,
    attempt=4,
    failures=0,
    unfinished=0,
)


def status(code: int, retry_after: float | None = None) -> HTTPStatus:
    return HTTPStatus(f"the server answered {code}", status=code, retry_after=retry_after)


def judged(
    error: SourceError, failures: int = 0, *, offline: bool = False, chance: float = 0.0
) -> PageRecord:
    return failed(replace(CLAIM, failures=failures), error, chance=chance, offline=offline)


def tries(error: SourceError) -> int:
    """How many attempts an article gets, if all of them end in `error`."""
    for failures in range(20):
        record = judged(error, failures)
        assert (record.article_id, record.attempt) == (7, 4)
        if record.extraction != "pending":
            return failures + 1
        assert record.failures == failures + 1
    raise AssertionError("it is tried for ever")


@pytest.mark.parametrize(
    "error",
    [
        status(500),
        status(503),
        status(408),
        status(425),
        status(429),
        FetchTimeout("slow"),
        ConnectFailed("refused"),
        NameNotFound("no such host"),
        TLSFailed("expired"),
        ProtocolFailed("reset"),
    ],
)
def test_what_time_may_mend_is_tried_five_times(error: SourceError) -> None:
    assert tries(error) == 5


@pytest.mark.parametrize(
    "error",
    [
        status(404),
        status(403),
        status(410),
        status(401),
        NoArticle("empty"),
        TooLarge("large"),
        RedirectFailed("circle"),
        ParserFailed("odd"),
    ],
)
def test_what_time_hardly_mends_is_tried_twice(error: SourceError) -> None:
    assert tries(error) == 2


def test_a_page_that_kills_its_worker_is_tried_three_times() -> None:
    assert tries(ParserDied("its reader died")) == 3
    record = judged(ParserDied("its reader died"), 2)
    assert (record.extraction, record.failures) == ("failed", 3)
    assert record.error == "parser: it killed its worker, or broke its limits, 3 times; last: its reader died"


@pytest.mark.parametrize("error", [AddressRefused("private"), BadURL("no host")])
def test_what_no_time_mends_is_tried_once(error: SourceError) -> None:
    assert tries(error) == 1
    assert judged(error).error == f"{error.cause}: {error}"


@pytest.mark.parametrize(
    "error", [Forbidden("robots.txt does not allow it"), UnwantedType("a PDF", media_type="application/pdf")]
)
def test_what_is_not_wanted_or_no_page_is_skipped_with_its_reason(error: SourceError) -> None:
    assert judged(error, 3) == PageRecord(7, 4, "skipped", 3, f"{error.cause}: {error}")


@pytest.mark.parametrize(
    "error", [HostPaused("paused", retry_after=90), ResolverBusy("busy", retry_after=90)]
)
def test_what_says_not_now_is_put_off_and_does_not_count(error: SourceError) -> None:
    assert judged(error, 2) == PageRecord(
        7, 4, "pending", 2, f"{error.cause}: {error}", next_delay_seconds=90
    )


def test_our_own_network_being_away_counts_against_no_article() -> None:
    for error in (ConnectFailed("refused"), NameNotFound("no")):
        record = judged(error, 4, offline=True)
        assert (record.extraction, record.failures, record.next_delay_seconds) == ("pending", 4, 60)
    assert judged(status(500), 4, offline=True).extraction == "failed"


def test_delays_grow_and_retry_after_is_a_floor() -> None:
    delays = [judged(status(500), failures).next_delay_seconds for failures in range(4)]
    assert delays == [300, 1_800, 7_200, 28_800]
    assert judged(status(503, 5_000)).next_delay_seconds == 5_000
    assert judged(status(503, 10)).next_delay_seconds == 300
    assert judged(status(503, 1e9)).next_delay_seconds == 86_400
    assert judged(status(404)).next_delay_seconds == 21_600
    assert judged(status(500), chance=0.5).next_delay_seconds == 300 * 1.125


def test_the_last_words_tell_how_often_it_was_tried() -> None:
    assert judged(status(500), 4).error == "http_status: tried 5 times; last: the server answered 500"


@given(
    st.sampled_from([status(500), status(404), ParserDied("x" * 2_000), Forbidden("x" * 2_000)]),
    st.integers(0, 50),
    st.floats(0, 1, exclude_max=True),
    st.booleans(),
)
def test_whatever_happens_the_record_can_be_kept(
    error: SourceError, failures: int, chance: float, offline: bool
) -> None:
    record = judged(error, failures, offline=offline, chance=chance)
    assert record.error is not None
    assert len(record.error) <= 500
    assert 0 <= record.next_delay_seconds <= 86_400 * 1.25
    assert record.page is None
    assert record.extraction != "pending" or record.next_delay_seconds >= 60


def test_a_page_that_was_read_is_done() -> None:
    page = Page(text="x", text_hash="y", canonical_url="https://example.org/a")
    assert done(CLAIM, page) == PageRecord(7, 4, "done", 0, page=page)


def test_put_off_leaves_the_article_as_it_was() -> None:
    assert put_off(replace(CLAIM, failures=2), 5, "why") == PageRecord(
        7, 4, "pending", 2, "why", next_delay_seconds=5
    )


def test_a_bug_of_ours_is_told_and_tried_again_as_rarely() -> None:
    group = ExceptionGroup("x", [ExceptionGroup("y", [KeyError("inner")])])
    record = crashed(CLAIM, group, chance=0)
    assert (record.extraction, record.failures) == ("pending", 1)
    assert record.error == "parser: a bug in digestd: KeyError: 'inner'; see the log"
    assert crashed(replace(CLAIM, failures=1), group, chance=0).extraction == "failed"
