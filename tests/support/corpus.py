"""Where the corpus of real bytes stands, for tests that run only beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(os.environ.get("DIGESTD_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))


def corpus_path(folder: str) -> Path:
    """The corpus folder called `folder`; skips the test, saying what is missing, where there is none."""
    path = _ROOT / folder
    if not path.is_dir():
        pytest.skip(f"no corpus folder {folder!r} (set DIGESTD_CORPUS to the folder that holds it)")
    return path
