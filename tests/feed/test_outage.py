"""Is it them or us?"""

from __future__ import annotations

from digestd.feed.outage import OutageDetector


def answered_by(count: int, now: float = 0.0) -> OutageDetector:
    detector = OutageDetector()
    for number in range(count):
        detector.answered(f"host{number}", now)
    return detector


def test_half_of_the_hosts_failing_within_a_minute_is_an_outage_of_ours() -> None:
    detector = answered_by(6)
    now = 300.0
    begun = [detector.failed_to_connect(f"host{n}", now + n) for n in range(6)]
    assert begun == [False, False, False, False, True, False]
    assert detector.offline


def test_one_answer_ends_it() -> None:
    detector = answered_by(5)
    for number in range(5):
        detector.failed_to_connect(f"host{number}", 300)
    assert detector.offline
    assert detector.answered("host3", 301)
    assert not detector.offline
    assert not detector.answered("host4", 302)


def test_an_outage_lasts_however_long_nobody_answers() -> None:
    detector = answered_by(5)
    for number in range(5):
        detector.failed_to_connect(f"host{number}", 300)
    for minute in range(60):
        detector.failed_to_connect("host1", 400 + 60 * minute)
    assert detector.offline


def test_fewer_than_five_hosts_prove_nothing() -> None:
    detector = answered_by(4)
    assert not any(detector.failed_to_connect(f"host{n}", 300) for n in range(4))


def test_hosts_that_were_dead_before_prove_nothing() -> None:
    detector = OutageDetector()
    assert not any(detector.failed_to_connect(f"dead{n}", 300) for n in range(50))


def test_a_host_that_stays_dead_proves_something_only_once() -> None:
    detector = answered_by(8)
    for number in range(3):
        detector.failed_to_connect(f"host{number}", 300)
    for number in range(3, 8):
        detector.answered(f"host{number}", 400)
    for number in range(3):
        assert not detector.failed_to_connect(f"host{number}", 420)
    for number in range(3, 5):
        assert not detector.failed_to_connect(f"host{number}", 430)
    assert not detector.offline


def test_failures_spread_over_more_than_a_minute_prove_nothing() -> None:
    detector = answered_by(10)
    assert not any(detector.failed_to_connect(f"host{n}", 300 + 20 * n) for n in range(10))
