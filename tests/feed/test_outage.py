"""Is it them or us?"""

from __future__ import annotations

from digestd.feed.outage import OutageDetector


def hosts(count: int) -> list[str]:
    return [f"host{number}" for number in range(count)]


def answered_by(count: int) -> OutageDetector:
    detector = OutageDetector()
    for host in hosts(count):
        detector.answered(host)
    return detector


def test_five_healthy_hosts_in_a_row_without_an_answer_are_an_outage_of_ours() -> None:
    detector = answered_by(8)
    assert [detector.failed_to_connect(host) for host in hosts(6)] == [
        False,
        False,
        False,
        False,
        True,
        False,
    ]
    assert detector.offline


def test_one_answer_ends_it() -> None:
    detector = answered_by(8)
    for host in hosts(8):
        detector.failed_to_connect(host)
    assert detector.answered("host3")
    assert not detector.offline
    assert not detector.answered("host4")


def test_an_outage_lasts_however_long_nobody_answers() -> None:
    detector = answered_by(5)
    for host in hosts(5) * 60:
        detector.failed_to_connect(host)
    assert detector.offline


def test_an_answer_in_between_proves_that_our_network_is_there() -> None:
    detector = answered_by(20)
    for number, host in enumerate(hosts(20)):
        assert not detector.failed_to_connect(host)
        if number % 4 == 3:
            detector.answered("another")


def test_fewer_than_five_hosts_prove_nothing() -> None:
    detector = answered_by(4)
    assert not any(detector.failed_to_connect(host) for host in hosts(4) * 5)


def test_hosts_that_were_dead_before_prove_nothing() -> None:
    detector = OutageDetector()
    assert not any(detector.failed_to_connect(host) for host in hosts(50))


def test_hosts_that_answered_in_an_earlier_run_count() -> None:
    detector = OutageDetector(hosts(5))
    assert [detector.failed_to_connect(host) for host in hosts(5)] == [False, False, False, False, True]


def test_after_an_outage_the_dead_are_counted_again() -> None:
    detector = answered_by(8)
    for host in hosts(8):
        detector.failed_to_connect(host)
    detector.answered("host7")
    assert not any(detector.failed_to_connect(host) for host in hosts(7) * 3)
