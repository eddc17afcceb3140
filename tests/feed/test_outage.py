"""Is it them or us?"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from digestd.feed.outage import OutageDetector

SLOWLY: Callable[[], float] = count(0, 301).__next__
"""A clock by which no two polls are within a minute of each other."""


def hosts(count: int) -> list[str]:
    return [f"host{number}" for number in range(count)]


def answered_by(count: int) -> OutageDetector:
    detector = OutageDetector()
    for host in hosts(count):
        detector.answered(host, SLOWLY())
    return detector


def test_five_healthy_hosts_in_a_row_without_an_answer_are_an_outage_of_ours() -> None:
    detector = answered_by(8)
    assert [detector.failed_to_connect(host, SLOWLY()) for host in hosts(6)] == [
        False,
        False,
        False,
        False,
        True,
        False,
    ]
    assert detector.offline


def test_the_hosts_that_showed_it_are_excused_while_it_lasts() -> None:
    detector = answered_by(8)
    for host in hosts(3):
        detector.failed_to_connect(host, 0)
    assert not any(map(detector.excuses, hosts(8)))
    detector.answered("host7", 0)
    for host in hosts(8)[3:]:
        detector.failed_to_connect(host, 10)
    # Half of eight within a minute, the first three among them.
    assert [detector.excuses(host) for host in hosts(8)] == [True] * 4 + [False] * 4
    detector.answered("host7", 20)
    assert not any(map(detector.excuses, hosts(8)))


def test_one_answer_ends_it() -> None:
    detector = answered_by(8)
    for host in hosts(8):
        detector.failed_to_connect(host, SLOWLY())
    assert detector.answered("host3", SLOWLY())
    assert not detector.offline
    assert not detector.answered("host4", SLOWLY())


def test_an_outage_lasts_however_long_nobody_answers() -> None:
    detector = answered_by(5)
    for host in hosts(5) * 60:
        detector.failed_to_connect(host, SLOWLY())
    assert detector.offline


def test_an_answer_in_between_proves_that_our_network_is_there() -> None:
    detector = answered_by(20)
    for number, host in enumerate(hosts(20)):
        assert not detector.failed_to_connect(host, SLOWLY())
        if number % 4 == 3:
            detector.answered("another", SLOWLY())


def test_fewer_than_five_hosts_prove_nothing() -> None:
    detector = answered_by(4)
    assert not any(detector.failed_to_connect(host, SLOWLY()) for host in hosts(4) * 5)


def test_hosts_that_were_dead_before_prove_nothing() -> None:
    detector = OutageDetector()
    assert not any(detector.failed_to_connect(host, SLOWLY()) for host in hosts(50))


def test_hosts_that_answered_in_an_earlier_run_count() -> None:
    detector = OutageDetector(hosts(5))
    assert [detector.failed_to_connect(host, SLOWLY()) for host in hosts(5)] == [
        False,
        False,
        False,
        False,
        True,
    ]


def test_after_an_outage_the_dead_are_counted_again() -> None:
    detector = answered_by(8)
    for host in hosts(8):
        detector.failed_to_connect(host, SLOWLY())
    detector.answered("host7", SLOWLY())
    assert not any(detector.failed_to_connect(host, SLOWLY()) for host in hosts(7) * 3)


def polled(detector: OutageDetector, *, fine: int, failed: int, now: float) -> bool:
    """Let so many healthy hosts answer and so many fail at one moment, no five of them in a row."""
    for number in range(fine):
        detector.answered(f"host{number}", now)
    for number in range(failed):
        if detector.failed_to_connect(f"host{100 + number}", now):
            return True
        detector.answered("host0", now)
    return False


def healthy() -> OutageDetector:
    return OutageDetector(f"host{number}" for number in range(200))


def test_half_of_five_hosts_or_more_within_a_minute_are_an_outage() -> None:
    assert polled(healthy(), fine=3, failed=3, now=0)
    assert polled(healthy(), fine=20, failed=20, now=0)
    assert not polled(healthy(), fine=2, failed=2, now=0)
    assert not polled(healthy(), fine=4, failed=3, now=0)
    assert not polled(healthy(), fine=60, failed=20, now=0)


def test_only_the_last_minute_counts() -> None:
    detector = healthy()
    assert not polled(detector, fine=40, failed=4, now=0)
    assert not detector.failed_to_connect("host150", 59)
    assert detector.failed_to_connect("host151", 60) is False
    detector.answered("host1", 60)
    assert [detector.failed_to_connect(f"host{number}", 61) for number in range(152, 155)] == [
        False,
        True,
        False,
    ]


def test_who_comes_back_is_not_away_again_for_a_minute_because_of_half() -> None:
    detector = healthy()
    assert polled(detector, fine=3, failed=3, now=0)
    assert detector.answered("host0", 1)
    assert not any(detector.failed_to_connect(f"host{number}", 2) for number in range(110, 114))
    detector.answered("host0", 3)
    assert not any(detector.failed_to_connect(f"host{number}", 3) for number in range(114, 118))
    detector.answered("host0", 4)
    began = False
    for number in range(3):
        detector.answered(f"host{number}", 62)
        began |= detector.failed_to_connect(f"host{120 + number}", 62)
    assert began


def test_a_host_counts_once_however_many_sources_it_has() -> None:
    detector = healthy()
    for _ in range(50):
        detector.answered("host1", 0)
    for number in range(10, 13):
        detector.failed_to_connect(f"host{number}", 1)
        detector.answered("host1", 1)
    # Three of four hosts: too few.
    assert not detector.offline
    assert detector.failed_to_connect("host13", 2)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.floats(0, 50)), max_size=200))
def test_it_is_as_if_the_last_minute_were_counted_anew_each_time(
    polls: list[tuple[int, bool, float]],
) -> None:
    detector, now = OutageDetector(f"host{n}" for n in range(31)), 0.0
    good = {f"host{n}" for n in range(31)}
    noted: list[tuple[float, str, bool]] = []
    in_a_row, silent_until = 0, 0.0
    for number, fails, pause in polls:
        now += pause
        host = f"host{number}"
        if not fails:
            if detector.answered(host, now):
                noted, silent_until = [], now + 60
            in_a_row = 0
            if host in good and now >= silent_until:
                noted.append((now, host, False))
            good.add(host)
            assert not detector.offline
            continue
        was, counts = detector.offline, host in good
        detector.failed_to_connect(host, now)
        if was or not counts:
            assert detector.offline is was
            continue
        good.discard(host)
        in_a_row += 1
        if now >= silent_until:
            noted.append((now, host, True))
        last = {name: failed for at, name, failed in noted if at > now - 60}
        half = len(last) >= 5 and 2 * sum(last.values()) >= len(last)
        assert detector.offline is (in_a_row >= 5 or half)


def test_failures_of_more_than_a_minute_ago_are_no_evidence() -> None:
    detector = healthy()
    assert not polled(detector, fine=40, failed=4, now=0)
    for number in range(6):
        detector.answered(f"host{number}", 61)
    assert not detector.failed_to_connect("host150", 61)
