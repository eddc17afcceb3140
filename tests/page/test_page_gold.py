"""How much of real articles is found, by the measure of the article extraction benchmark."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from digestd.errors import SourceError
from page.pages import read
from support.corpus import corpus_path

_TOKEN = re.compile(r"\w+")


def _grams(text: str) -> Counter[tuple[str, ...]]:
    """The 4-grams of `text`; a shorter text is one gram."""
    tokens = _TOKEN.findall(text)
    return Counter(tuple(tokens[start : start + 4]) for start in range(max(1, len(tokens) - 3)) if tokens)


def _precision_and_recall(expected: str, found: str) -> tuple[float, float]:
    gold, seen = _grams(expected), _grams(found)
    right = (gold & seen).total()
    return (
        right / seen.total() if seen else float(not gold),
        right / gold.total() if gold else float(not seen),
    )


def _text_of(path: Path, url: str) -> str:
    try:
        return read(gzip.decompress(path.read_bytes()), url=url, title="").text
    except SourceError:
        return ""


@pytest.mark.slow
def test_real_articles_are_found() -> None:
    folder = corpus_path("html-gold/article-extraction-benchmark")
    truth = json.loads((folder / "ground-truth.json").read_text())
    scores = [
        _precision_and_recall(said["articleBody"], _text_of(folder / "html" / f"{name}.html.gz", said["url"]))
        for name, said in truth.items()
    ]
    precision, recall = (sum(values) / len(scores) for values in zip(*scores, strict=True))
    assert len(scores) == 181
    assert 2 * precision * recall / (precision + recall) >= 0.958
