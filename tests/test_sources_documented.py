"""docs/sources.md: its examples are accepted, and every kind and option that there is stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from digestd import config, kinds

DOCUMENT = Path(__file__).parents[1] / "docs" / "sources.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", TEXT, flags=re.M | re.S))
OURS = sorted(name for name, point in kinds.registered().items() if point.module.startswith("digestd."))


@pytest.mark.parametrize("kind", OURS)
def test_every_kind_has_an_example_that_works_and_all_of_its_options(kind: str, tmp_path: Path) -> None:
    examples = re.findall(r"```yaml\n(.*?)```", SECTIONS[kind], flags=re.S)
    assert examples
    for example in examples:
        file = tmp_path / "digestd.yaml"
        file.write_text(example, encoding="utf-8")
        secrets = dict.fromkeys(re.findall(r"env: (\w+)", example), "secret")
        loaded = config.load(file, secrets, kinds.registered(), kinds.schema_of)
        assert {spec.kind for spec in loaded.sources} == {kind}
        # Secrets are referred to, and are not there.
        assert [warning for warning in loaded.warnings if not warning.endswith("is not set")] == []
    schema = kinds.schema_of(kind)
    assert schema is not None
    assert [name for name in schema.model_fields if name not in SECTIONS[kind]] == []
