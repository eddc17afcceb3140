"""Which hosts can be reached just now."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from digestd.ingest.extraction import reach as module
from digestd.ingest.extraction.reach import Reach


def test_a_host_that_cannot_be_reached_is_left_alone_ever_longer() -> None:
    reach = Reach()
    assert reach.wait("a", 0) == 0
    waits = []
    for _ in range(7):
        assert not reach.unreachable("a", 0)
        waits.append(reach.wait("a", 0))
    assert waits == [300, 600, 1_200, 2_400, 4_800, 7_200, 7_200]
    assert reach.wait("b", 0) == 0
    assert reach.wait("a", 7_200) == 0


def test_an_answer_ends_it() -> None:
    reach = Reach()
    reach.unreachable("a", 0)
    assert not reach.answered("a")
    assert reach.wait("a", 0) == 0
    reach.unreachable("a", 0)
    assert reach.wait("a", 0) == 300


def test_five_hosts_in_a_row_mean_that_our_own_network_is_away() -> None:
    reach = Reach()
    began = [reach.unreachable(host, 0) for host in "aabcde"]
    assert began == [False, False, False, False, False, True]
    assert reach.offline
    assert reach.probe_in(0) == 30
    assert reach.probe_in(30) == 0
    assert reach.probe_in(30) == 30, "one at a time"
    assert reach.wait("a", 30) == 0, "the probe may be any page"
    assert reach.answered("other")
    assert not reach.offline
    assert reach.probe_in(30) == 0
    assert [reach.wait(host, 31) for host in "abcde"] == [0] * 5


def test_an_answer_in_between_shows_that_it_is_them() -> None:
    reach = Reach()
    for host in "abcd":
        reach.unreachable(host, 0)
    reach.answered("x")
    assert not reach.unreachable("e", 0)


@given(st.lists(st.integers(0, 50), max_size=100))
def test_what_is_remembered_is_bounded(hosts: list[int]) -> None:
    reach = Reach()
    most = module._MOST_REMEMBERED
    module._MOST_REMEMBERED = 10
    try:
        for number in hosts:
            reach.unreachable(str(number), 0)
            reach.answered("good")
    finally:
        module._MOST_REMEMBERED = most
    assert len(reach._silent) <= 10
