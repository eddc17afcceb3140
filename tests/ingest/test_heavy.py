"""Whose documents take a parser long is known by source, until it was light for a while."""

from __future__ import annotations

import pytest

from digestd.ingest.workers.heavy import HEAVY_BYTES, PROBATION_DOCUMENTS, HeavySources, is_heavy

KIB = 1024


@pytest.mark.parametrize(
    ("cpu_seconds", "size", "heavy"),
    [
        pytest.param(0.19, 100, False, id="anything may take a moment"),
        pytest.param(0.7, 600, True, id="a bomb of entities"),
        pytest.param(0.7, 300 * KIB, False, id="what its size explains"),
        pytest.param(1.1, 900 * KIB, True, id="too long at any size"),
    ],
)
def test_a_document_is_heavy_that_takes_longer_than_its_size_explains(
    cpu_seconds: float, size: int, heavy: bool
) -> None:
    assert is_heavy(cpu_seconds, size) is heavy


def test_what_is_large_is_expected_to_be_heavy_and_nothing_else_that_is_new() -> None:
    sources = HeavySources()
    assert sources.expects("new", HEAVY_BYTES + 1)
    assert not sources.expects("new", HEAVY_BYTES)


def test_a_heavy_source_is_light_again_after_several_light_documents_in_a_row() -> None:
    sources = HeavySources()
    sources.note("it", heavy=True)
    for _ in range(PROBATION_DOCUMENTS - 1):
        sources.note("it", heavy=False)
    assert sources.expects("it", 1)
    sources.note("it", heavy=True)
    for _ in range(PROBATION_DOCUMENTS):
        assert sources.expects("it", 1)
        sources.note("it", heavy=False)
    assert not sources.expects("it", 1)


def test_only_so_many_are_remembered_the_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeavySources, "MOST", 3)
    sources = HeavySources()
    for number in range(5):
        sources.note(str(number), heavy=True)
    assert [sources.expects(str(number), 1) for number in range(5)] == [False, False, True, True, True]
